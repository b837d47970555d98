#pragma once
// gzip by zlib, at one level for everything.

#include "opsd/result.hpp"

#include <string>
#include <string_view>

namespace opsd::http {

/// The bytes compressed (level 6); "" when zlib refuses, which the caller treats as "not worth it".
[[nodiscard]] std::string gzip(std::string_view plain);

/// The bytes of a gzip file, at most `limit` of them: more is invalid_argument, what is no gzip is protocol.
[[nodiscard]] Result<std::string> gunzip(std::string_view packed, std::size_t limit);

}  // namespace opsd::http
