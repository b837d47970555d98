#pragma once
// Where the cluster's members come from: a list, DNS, the leading Mesos master, Exhibitor, ZooKeeper.
//
// In:  options (sources_options.hpp), names and answers of the outside.
// Out: for each source its complete list as of now, or why there is none; the id of the Mesos cluster.
// Promises: each source is a task of its own with an interval, a deadline, jitter and a back-off; one that
// hangs
//      or lies delays no other; a list is only ever told whole; whoever is down removes nobody.

#include "io/mesos/documents.hpp"
#include "io/mesos/masters.hpp"
#include "modules/cluster/found_member.hpp"
#include "modules/cluster/sources_options.hpp"
#include "opsd/async.hpp"
#include "opsd/clock.hpp"
#include "opsd/log.hpp"
#include "opsd/task_group.hpp"
#include "opsd/telemetry.hpp"
#include "opsd/worker.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace opsd::cluster {

/// Who is told. Called on the loop, one call at a time.
class MemberSink {
public:
    virtual ~MemberSink() = default;
    /// The complete list of this source as of now ("static", "dns", "mesos", "exhibitor", "zookeeper").
    /// `host` is an IP address where one is known, else a name. Mesos ids are those of agents; mesos_id() is
    /// for masters.
    virtual void found(const std::string& source, std::vector<FoundMember> members) = 0;
    /// It could not be asked: the last list stays in force. Right after found() of the same source: part of
    /// that list is old, or something beside it is missing; the sentence says what.
    virtual void failed(const std::string& source, std::string sentence) = 0;
    /// The id that every master of the cluster shows: that of the leader (spec health 5.1). On change only.
    virtual void mesos_id(std::string id) = 0;
};

/// The masters in ZooKeeper, as far as a source needs them.
class MasterNodes {
public:
    virtual ~MasterNodes() = default;
    /// Keeps the session until cancelled.
    virtual Task<> run() = 0;
    /// The children of the masters' path with their data.
    virtual Task<Result<std::vector<mesos::ZooKeeperNode>>> read() = 0;
    /// Returns when the children may have changed since the last read().
    virtual Task<> changed() = 0;
};

/// Addresses of a name, within the time given; a literal address is its own answer.
using LookUp =
    std::function<Task<Result<std::vector<std::string>>>(std::string host, std::chrono::milliseconds limit)>;
/// By getaddrinfo, on threads of its own.
[[nodiscard]] LookUp system_look_up();

/// What the sources use; the references outlive them.
struct SourceServices {
    Executor executor;
    Clock& clock;
    telemetry::Registry& metrics;
    Log log;
    std::string credentials_directory;  ///< $CREDENTIALS_DIRECTORY
    LookUp look_up = system_look_up();
    std::unique_ptr<MasterNodes> masters = {};  ///< a fake for tests; null: ZooKeeper itself
};

class Source;  // sources_parts.hpp
struct Round;

/// All configured sources. Outlives the group in which they run. Has a thread when Mesos is asked: make it in
/// run(), not where a configuration is only checked.
class MemberSources {
public:
    MemberSources(const SourcesOptions& options, SourceServices services, MemberSink& sink);
    ~MemberSources();
    MemberSources(const MemberSources&) = delete;
    MemberSources& operator=(const MemberSources&) = delete;

    /// Names of the sources that are configured; empty: the cluster is this node alone.
    [[nodiscard]] std::vector<std::string> names() const;

    /// The masters that are asked; null when none are configured. May outlive this.
    [[nodiscard]] std::shared_ptr<mesos::MesosMasters> mesos() const;

    /// One task for each source; each asks at once, then at its interval, until the group is cancelled.
    void start(TaskGroup& group);

private:
    Task<> follow(Source& source);
    void report(Source& source, Round round, double seconds);

    SourceServices services_;
    MemberSink& sink_;
    std::string mesos_id_;
    struct Mesos;
    std::shared_ptr<Mesos> mesos_;
    std::vector<std::unique_ptr<Source>> sources_;
    std::unique_ptr<MasterNodes> masters_;
};

}  // namespace opsd::cluster
