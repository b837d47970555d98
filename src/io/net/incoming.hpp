#pragma once
// An answer whose body its reader takes piece by piece, when he wants it: a slow reader holds the peer up,
// and no memory fills. The other ways of the HTTP client take a body as fast as it comes.

#include "io/net/client.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace opsd::net {

/// Made by HttpClient::open(). Destroying it drops the connection. Loop thread only; one reader at a time.
class Incoming {
public:
    Incoming() = default;
    virtual ~Incoming() = default;
    Incoming(const Incoming&) = delete;
    Incoming& operator=(const Incoming&) = delete;

    /// Status and headers; its body stays empty.
    [[nodiscard]] const ClientResponse& head() const noexcept { return head_; }
    /// The Content-Length; nothing when the peer did not say.
    [[nodiscard]] std::optional<std::uint64_t> length() const;

    /// The next bytes, "" at the end. Errors: timeout (a silence longer than allowed), unavailable (torn),
    /// protocol (no HTTP, or more than ClientRequest::max_body). Not to be called again after an error.
    virtual Task<Result<std::string>> next() = 0;

protected:
    ClientResponse head_;
};

}  // namespace opsd::net
