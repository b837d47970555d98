#pragma once
// What processes write into the journal, made fit for JSON and terminals. Pure.

#include <cstdint>
#include <string>
#include <string_view>

namespace opsd::systemd {

/// Valid UTF-8 of at most `limit` bytes: bytes that are none and control characters other than tab and
/// newline become U+FFFD; a longer text is cut before a code point and ends with "…" (if three bytes are
/// allowed).
[[nodiscard]] std::string printable_text(std::string_view bytes, std::size_t limit);

/// A decimal number of a journal field, or `otherwise`: trailing text, signs and overflow are no number.
[[nodiscard]] std::uint32_t number_field(std::string_view text, std::uint32_t otherwise) noexcept;

}  // namespace opsd::systemd
