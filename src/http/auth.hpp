#pragma once
// Who is calling. The server gathers what a connection and a request show; an Authenticator turns it into a
// Caller.

#include "opsd/http.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace opsd::http {

/// What a connection and a request show.
struct Credentials {
    struct Peer {
        std::uint32_t uid = 0;
        std::uint32_t gid = 0;
        std::int32_t pid = 0;
    };
    std::string address;                               ///< of the peer; "unix"
    bool loopback = false;                             ///< 127.0.0.0/8, ::1 or a Unix socket
    std::optional<Peer> peer;                          ///< of a Unix socket (SO_PEERCRED)
    std::string certificate_subject;                   ///< verified client certificate, RFC 2253; "" without
    WallTime certificate_not_after = WallTime::max();  ///< of that certificate
    std::string authorization;                         ///< the header; "" without
};

class Authenticator {
public:
    virtual ~Authenticator() = default;
    /// Wrong or expired credentials are Errc::denied with a sentence (401), never a fall-back to anonymous.
    [[nodiscard]] virtual Result<Caller> identify(const Credentials& credentials) = 0;
};

/// Called exactly once for every request of an audited route that was refused or whose handler began.
class AuditSink {
public:
    virtual ~AuditSink() = default;
    /// `status` is what the client was told, 0 for nothing. `outcome` is "" when the status says it all, else
    /// what is known: that the client did not hear it, or that the call was cut.
    virtual void record(const Request& request, unsigned status, std::string_view outcome) = 0;
};

}  // namespace opsd::http
