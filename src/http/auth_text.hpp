#pragma once
// The few cryptographic texts that tokens, passwords and JWTs share.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace opsd::http {

/// RFC 4648 section 5 without padding. Decoding is strict: nothing for other characters or left-over bits.
[[nodiscard]] std::string base64url(std::string_view bytes);
[[nodiscard]] std::optional<std::string> from_base64url(std::string_view text);

/// Bytes from the system's generator. Throws when it has none: nothing may go on without.
[[nodiscard]] std::string random_bytes(std::size_t count);

[[nodiscard]] std::string sha256(std::string_view text);
[[nodiscard]] std::string hmac_sha256(std::string_view key, std::string_view text);

/// Takes the same time wherever the texts differ.
[[nodiscard]] bool equal_secrets(std::string_view a, std::string_view b) noexcept;

}  // namespace opsd::http
