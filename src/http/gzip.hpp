#pragma once
// gzip by zlib, at one level for everything.

#include <string>
#include <string_view>

namespace opsd::http {

/// The bytes compressed (level 6); "" when zlib refuses, which the caller treats as "not worth it".
[[nodiscard]] std::string gzip(std::string_view plain);

}  // namespace opsd::http
