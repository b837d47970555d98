#include "modules/cluster/sources_zookeeper.hpp"

#include "io/mesos/documents.hpp"

namespace opsd::cluster {

std::unique_ptr<MasterNodes> make_master_nodes(const SourcesOptions&, const Executor&, Clock&, const Log&,
                                               WorkerThread&, const std::string&)
{
    return {};  // PENDING: io/zookeeper
}

}  // namespace opsd::cluster
