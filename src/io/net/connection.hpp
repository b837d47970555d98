#pragma once
// Connections of the HTTP client: opening them, and keeping idle ones for the next request.

#include "io/net/client.hpp"
#include "io/net/resolver.hpp"
#include "io/net/tls.hpp"
#include "io/net/url.hpp"

#include <list>
#include <map>
#include <optional>

namespace opsd::net {

/// Opens connections; loads the TLS files on first use.
class Connector {
public:
    explicit Connector(TlsClientOptions options) : options_{std::move(options)} {}
    /// `identified`: present the client certificate. Addresses are tried in turn, each with its share of the
    /// time.
    Task<Result<std::unique_ptr<Transport>>> open(Url url, bool identified, Deadline deadline);

private:
    Result<TlsContext> context(bool identified);
    Task<Result<std::unique_ptr<Transport>>> secure(int fd, Url url, bool identified, Deadline deadline);

    TlsClientOptions options_;
    Resolver resolver_;
    TlsContext with_certificate_;
    TlsContext without_certificate_;
};

/// Idle connections by origin, newest first; dropped after 60 s and when there are too many.
class IdlePool : public std::enable_shared_from_this<IdlePool> {
public:
    IdlePool(const Executor& executor, std::size_t per_host) : per_host_{per_host}, timer_{executor} {}
    /// A connection on which nothing happened since; null when there is none.
    std::unique_ptr<Transport> take(const std::string& key);
    void put(const std::string& key, std::unique_ptr<Transport> transport);
    void close();

private:
    struct Idle {
        std::string key;
        std::unique_ptr<Transport> transport;
        Deadline until;
    };
    void arm();
    void sweep();

    std::size_t per_host_;
    std::list<Idle> idle_;  // oldest first
    asio::steady_timer timer_;
    bool armed_ = false;
};

}  // namespace opsd::net
