#pragma once
// The module's rows of the route table.

#include "modules/logs/core.hpp"

#include <memory>
#include <vector>

namespace opsd::logs {

[[nodiscard]] std::vector<http::Route> routes_of(std::shared_ptr<Core> core);

}  // namespace opsd::logs
