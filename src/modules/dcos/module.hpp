#pragma once
// Module dcos: what the dcos command line needs, so that it works with opsd alone.
//
// What comes in
//   Questions of the command line. Who the masters of Mesos are, from cluster.sources (io/mesos/directory).
//   Answers of the leading master, of agents and of Marathon. The board: this node and the cluster's members.
//
// What goes out
//   The answers to `dcos cluster setup`. The state of Mesos, operator calls that read, files of agents, and
//   Marathon's leader and applications, as these answer. Names of Mesos-DNS. 501 with a sentence for what
//   opsd does not have yet. Metrics.
//
// What it promises
//   - Nothing is changed in the cluster: only reading calls pass.
//   - Memory is bounded whatever the size of an answer and the speed of a client; a torn answer is never
//     ended as if it were whole; every wait has a deadline.
//   - Credentials go only to masters that the configuration or ZooKeeper names, and to agents that such a
//     master names; no header of the caller but those that are listed here goes anywhere.
//   - User and password in addresses (zk://...) do not leave with the state of Mesos.
//   - Without Mesos in the configuration the module is quiet, and its routes say what to set (503).
//
// How it is built: pure logic (options, calls, secrets, webui_of) and thin handlers around it (relay,
// mesos_view, plugins).

#include "modules/dcos/core.hpp"

namespace opsd::dcos {

class DcosModule final : public Module {
public:
    explicit DcosModule(std::shared_ptr<Core> core) : core_{std::move(core)} {}

    std::vector<http::Route> routes() override;
    Task<> run() override;

private:
    Task<> watch();
    Task<> look();
    Task<> read_cluster_id();

    std::shared_ptr<Core> core_;
};

/// The module's line in the catalog.
[[nodiscard]] CatalogEntry catalog_entry();

}  // namespace opsd::dcos
