#pragma once
// A module: a name, a configuration section, routes, and a task that lives until it is cancelled.
// Adding one is a folder under src/modules and a line in src/daemon/catalog.cpp; see
// docs/writing-a-module.md.

#include "opsd/board.hpp"
#include "opsd/clock.hpp"
#include "opsd/cluster.hpp"
#include "opsd/config.hpp"
#include "opsd/feed.hpp"
#include "opsd/http.hpp"
#include "opsd/log.hpp"
#include "opsd/log_access.hpp"
#include "opsd/model.hpp"
#include "opsd/store.hpp"
#include "opsd/telemetry.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace opsd {

/// The latest of everything that modules publish. One writer per cell.
struct Board {
    explicit Board(const Executor& e) : identity{e}, health{e}, cluster{e}, mesos_id{e}, modules{e} {}
    Latest<NodeIdentity> identity;             ///< written by the daemon
    Latest<NodeHealth> health;                 ///< written by module health
    Latest<Cluster> cluster;                   ///< written by module cluster
    Latest<std::string> mesos_id;              ///< of the leading Mesos master, written by module cluster
    Latest<std::vector<ModuleState>> modules;  ///< written by the daemon
    LogAccess log_access;                      ///< written by module logs; loop thread only
};

/// What happened, for whoever listens.
struct Feeds {
    explicit Feeds(const Executor& e) : transitions{e}, cluster{e} {}
    Feed<Transition> transitions;     ///< of this node's units, written by module health
    Feed<ClusterTransition> cluster;  ///< of all nodes, written by module cluster where it watches others
};

/// Where things are on this machine.
struct Paths {
    std::string state = "/var/lib/opsd";
    std::string runtime = "/run/opsd";
    std::string systemd_units = "/etc/systemd/system";  ///< holds dcos.target.wants
    std::string journal;                                ///< journal directory; "" is the machine's own
    std::string system_bus;                             ///< D-Bus address; "" is the machine's own
    std::string credentials;                            ///< $CREDENTIALS_DIRECTORY
};

/// How a module says how it is. Shown on /-/ready, /api/v1/modules and as a metric.
class ModuleReporter {
public:
    virtual ~ModuleReporter() = default;
    virtual void running() = 0;                     ///< all is well (again)
    virtual void degraded(std::string reason) = 0;  ///< works, but not fully; the reason is a sentence
    virtual void failed(std::string reason) = 0;    ///< cannot do its job now; it keeps trying
};

/// Everything a module may use. References outlive the module.
struct Services {
    Executor executor;
    Clock& clock;
    Board& board;
    Feeds& feeds;
    Store& store;
    telemetry::Registry& metrics;
    const Paths& paths;
    ModuleReporter& status;
    Log log;
};

/// A feature of the daemon. Created by its catalog entry from a checked section, without any I/O.
class Module {
public:
    virtual ~Module() = default;
    /// Its rows of the route table. Handlers may be called before run() starts and after it ended: they
    /// answer from the model.
    virtual std::vector<http::Route> routes() { return {}; }
    /// Lives until cancelled. An exception or an early return is a failure: the module is reported as failed
    /// and a new instance is started after a back-off of 1 s to 60 s.
    virtual Task<> run() = 0;
};

/// One line of the catalog.
struct CatalogEntry {
    std::string name;  ///< also its configuration section
    std::string summary;
    config::AnySchema schema;
    /// Validates what the schema cannot and does no I/O.
    std::function<Result<std::unique_ptr<Module>>(const config::Value* section, Services&)> create;
};

}  // namespace opsd
