#pragma once
// The addresses that the HTTP client understands.

#include "opsd/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace opsd::net {

/// "http://host:port/path?query", "https://..." or "unix:/run/opsd/opsd.sock:/path".
struct Url {
    enum class Scheme { http, https, unix_socket };
    Scheme scheme = Scheme::http;
    std::string host;  ///< a name or a literal address without brackets; of a Unix socket: its path
    std::uint16_t port = 80;
    std::string target = "/";  ///< path and query, percent-encoded
    /// What the Host header carries.
    [[nodiscard]] std::string authority() const;
    /// Equal for addresses that one connection can serve, and that may see the same credentials.
    [[nodiscard]] std::string origin() const;
};

/// Errc::invalid_argument with a sentence: unknown scheme, user and password in the URL, no host, bad port.
Result<Url> parse_url(std::string_view text);

/// Where a Location header leads; relative ones are resolved against `base`.
Result<Url> resolve_location(const Url& base, std::string_view location);

}  // namespace opsd::net
