#pragma once
// The words of the status line.

#include <string_view>

namespace opsd::http {

/// "Not Found" of 404; "Error" or "OK" of a status that nobody names.
[[nodiscard]] std::string_view reason_phrase(unsigned status) noexcept;

}  // namespace opsd::http
