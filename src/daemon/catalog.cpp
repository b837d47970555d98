#include "daemon/catalog.hpp"

#include "io/net/peers.hpp"
#include "modules/cluster/module.hpp"
#include "modules/dcos/module.hpp"
#include "modules/forward/module.hpp"
#include "modules/health/module.hpp"
#include "modules/logs/module.hpp"
#include "modules/pki/module.hpp"

namespace opsd::daemon {

std::vector<CatalogEntry> catalog(const sandbox::MakeOpener& open_tasks)
{
    // What module cluster is configured with to reach other nodes, for those that ask them, too.
    const auto peers = std::make_shared<net::PeersPlace>();
    return {
        health::catalog_entry(),    cluster::catalog_entry(peers), pki::catalog_entry(),
        logs::catalog_entry(peers), dcos::catalog_entry(),         forward::catalog_entry(open_tasks),
    };
}

}  // namespace opsd::daemon
