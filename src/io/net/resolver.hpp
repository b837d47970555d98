#pragma once
// Names to addresses. getaddrinfo runs on Asio's own resolver thread; a slow one is abandoned at the
// deadline.

#include "io/net/socket.hpp"

#include <string>
#include <vector>

namespace opsd::net {

class Resolver {
public:
    /// At most 16 addresses, in the order of getaddrinfo. A literal address is not looked up. While 64
    /// lookups wait for a dead name server further ones are Errc::unavailable at once.
    Task<Result<std::vector<Endpoint>>> resolve(std::string host, std::uint16_t port, Deadline deadline);

private:
    std::shared_ptr<std::size_t> waiting_ = std::make_shared<std::size_t>(0);  // abandoned ones count, too
};

}  // namespace opsd::net
