#pragma once
// Which client certificates an entry of auth.certificates means. Pure.

#include <string_view>

namespace opsd::http {

/// Does the subject (RFC 2253) fit the pattern? A part of the pattern written "CN=*" fits exactly one part of
/// that type with any one value; everything else must be equal, part by part and in order.
[[nodiscard]] bool subject_fits(std::string_view pattern, std::string_view subject) noexcept;

}  // namespace opsd::http
