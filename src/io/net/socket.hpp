#pragma once
// Plain sockets as transports: connecting, adopting, and what is known about the peer.

#include "io/net/transport.hpp"

#include <sys/socket.h>

#include <string>

namespace opsd::net {

/// A socket address of any family; `text` is how it is shown ("127.0.0.1:1050", "[::1]:80", "/run/x.sock").
struct Endpoint {
    sockaddr_storage address{};
    socklen_t length = 0;
    std::string text;
};
/// A numeric IPv4 or IPv6 address, without a scope. Errc::invalid_argument otherwise.
Result<Endpoint> ip_endpoint(const std::string& address, std::uint16_t port);
/// Errc::invalid_argument when the path is empty or longer than the 107 bytes the kernel takes.
Result<Endpoint> unix_endpoint(const std::string& path);
/// The address the kernel filled in (accept, getsockname).
Endpoint describe_endpoint(const sockaddr_storage& address, socklen_t length);
/// 127.0.0.0/8, ::1, the same mapped into IPv6, and Unix sockets.
[[nodiscard]] bool is_loopback(const Endpoint& endpoint);
/// The address without the port; "unix".
[[nodiscard]] std::string host_of(const Endpoint& endpoint);

/// A transport over a connected, non-blocking socket, which it takes.
std::unique_ptr<Transport> make_socket_transport(Executor executor, int fd);

/// Makes the kernel notice within about `dead_after` that the peer of a TCP connection is gone, whether it
/// owes us an acknowledgement or nothing is under way; reads then fail. 0: nothing is changed.
void watch_peer(int fd, std::chrono::milliseconds dead_after);

/// Bytes of a TCP connection that were written and not acknowledged; 0 for other sockets and broken ones.
[[nodiscard]] std::size_t unacknowledged_bytes(int fd);

/// A connected non-blocking socket (the caller owns it). Errc::timeout at the deadline, unavailable when
/// refused.
Task<Result<int>> connect_socket(Endpoint endpoint, Deadline deadline);

}  // namespace opsd::net
