#pragma once
// Opens connections to servers: names, TCP and TLS for real, memory in a test.

#include "io/net/client.hpp"
#include "io/net/transport.hpp"
#include "io/zookeeper/address.hpp"

#include <chrono>
#include <memory>
#include <optional>

namespace opsd::zookeeper {

class Dialer {
public:
    virtual ~Dialer() = default;
    /// A connection that has passed TLS if there is any. Ends within `limit`, and at once when it is
    /// cancelled.
    virtual Task<Result<std::unique_ptr<net::Transport>>> dial(Server server,
                                                               std::chrono::milliseconds limit) = 0;
};

/// With `tls` every connection is TLS (the servers' secureClientPort): the certificate and its host are
/// verified unless tls->verify is off, and errors for them are Errc::denied. A name with several addresses is
/// one server: they are tried in turn until one connects.
std::unique_ptr<Dialer> make_dialer(std::optional<net::TlsClientOptions> tls);

}  // namespace opsd::zookeeper
