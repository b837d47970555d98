#pragma once
// The masters' path in ZooKeeper, read and watched.

#include "modules/cluster/sources.hpp"

namespace opsd::cluster {

/// A session of its own. `worker` reads the password.
[[nodiscard]] std::unique_ptr<MasterNodes> make_master_nodes(const SourcesOptions& options,
                                                             const Executor& executor, Clock& clock,
                                                             const Log& log, WorkerThread& worker,
                                                             const std::string& credentials_directory);

}  // namespace opsd::cluster
