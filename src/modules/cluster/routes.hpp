#pragma once
// The module's rows of the route table. All answers come from the model; only the past asks the store.

#include "modules/cluster/core.hpp"

#include <memory>
#include <vector>

namespace opsd::cluster {

[[nodiscard]] std::vector<http::Route> routes_of(std::shared_ptr<Core> core);

/// Reads the archive in one of the few places for it; Errc::unavailable when all are taken.
Task<Result<Archive::Page>> read_archive(std::shared_ptr<Core> core, ArchiveQuery query);

/// GET /api/v1/events of all nodes (events.cpp).
Task<http::Response> events(std::shared_ptr<Core> core, const http::Request& request);

}  // namespace opsd::cluster
