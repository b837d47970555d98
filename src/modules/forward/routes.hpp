#pragma once
// The module's rows of the route table.

#include "modules/forward/core.hpp"
#include "opsd/http.hpp"

#include <memory>
#include <vector>

namespace opsd::forward {

[[nodiscard]] std::vector<http::Route> routes_of(std::shared_ptr<Core> core);

}  // namespace opsd::forward
