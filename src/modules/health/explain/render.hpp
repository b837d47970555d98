#pragma once
// An explanation as JSON: the same document on the node and, handed on, on a master.

#include "modules/health/explain/explanation.hpp"

#include <string>
#include <string_view>

namespace opsd::health::explain {

/// GET /api/v1/units/{unit}/explain. `node`: the node's host name; `took`: how long the gathering took.
[[nodiscard]] std::string explanation_json(const Explanation& answer, std::string_view node, Duration took);

}  // namespace opsd::health::explain
