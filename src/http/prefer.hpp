#pragma once
// The Prefer header (RFC 7240), as far as a server of ours honours it.

#include "opsd/http.hpp"

#include <chrono>
#include <optional>

namespace opsd::http {

/// "wait=SECONDS" of one field value: a list of preferences with parameters, the first of a name counts.
/// Nothing when it is not there or no number; huge numbers are a day.
[[nodiscard]] std::optional<std::chrono::seconds> wait_preference(std::string_view prefer);

/// Of all Prefer headers of the request.
[[nodiscard]] std::optional<std::chrono::seconds> wait_preference(const Request& request);

}  // namespace opsd::http
