#pragma once
// Names to addresses. getaddrinfo runs on Asio's own resolver thread; a slow one is abandoned at the
// deadline.

#include "io/net/socket.hpp"

#include <string>
#include <vector>

namespace opsd::net {

/// At most 16 addresses, in the order of getaddrinfo. A literal address is not looked up.
Task<Result<std::vector<Endpoint>>> resolve_host(std::string host, std::uint16_t port, Deadline deadline);

}  // namespace opsd::net
