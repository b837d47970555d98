#pragma once
// What several routes take in their query.

#include "opsd/http.hpp"
#include "opsd/result.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace opsd::http {

/// ?name, also without a value; not "false" and "0".
[[nodiscard]] bool is_set(const Request& request, std::string_view name);

/// ?after=, an id that opsd gave; 0 without.
[[nodiscard]] Result<std::int64_t> after_of(const Request& request);

/// ?limit=, from 1 to `most`; `otherwise` without.
[[nodiscard]] Result<std::size_t> limit_of(const Request& request, std::size_t otherwise, std::size_t most);

}  // namespace opsd::http
