#pragma once
// Connections of the HTTP client: opening them, and keeping idle ones for the next request.

#include "io/net/client.hpp"
#include "io/net/tls.hpp"
#include "io/net/url.hpp"

#include <list>
#include <unordered_map>
#include <vector>

namespace opsd::net {

/// Opens connections; loads the TLS files on first use, and again when they were written anew.
class Connector {
public:
    explicit Connector(TlsClientOptions options, std::chrono::milliseconds dead_after = {})
      : options_{std::move(options)}
      , dead_after_{dead_after}
    {}
    /// `identified`: present the client certificate. Addresses are tried in turn, each with its share of the
    /// time.
    Task<Result<std::unique_ptr<Transport>>> open(Url url, bool identified, Deadline deadline);

private:
    Result<TlsContext> context(bool identified);
    Task<Result<std::unique_ptr<Transport>>> secure(int fd, Url url, bool identified, Deadline deadline);

    TlsClientOptions options_;
    std::chrono::milliseconds dead_after_;
    TlsContext with_certificate_;
    TlsContext without_certificate_;
    std::string files_;  // how the TLS files were when they were read
};

/// Idle connections by origin, the newest of an origin first; dropped after their time and when there are too
/// many. Constant time whatever it holds: thousands of hosts are usual.
class IdlePool : public std::enable_shared_from_this<IdlePool> {
public:
    IdlePool(const Executor& executor, const ConnectionOptions& options) : options_{options}, timer_{executor}
    {}
    /// A connection on which nothing happened since; null when there is none.
    std::unique_ptr<Transport> take(const std::string& key);
    void put(const std::string& key, std::unique_ptr<Transport> transport);
    void close();
    [[nodiscard]] std::size_t size() const noexcept { return idle_.size(); }

private:
    struct Idle {
        std::string key;
        std::unique_ptr<Transport> transport;
        Deadline until;
    };
    using Place = std::list<Idle>::iterator;
    void drop_oldest();
    void arm();
    void sweep();

    ConnectionOptions options_;
    std::list<Idle> idle_;                                        // oldest first
    std::unordered_map<std::string, std::vector<Place>> by_key_;  // oldest first
    asio::steady_timer timer_;
    bool armed_ = false;
};

}  // namespace opsd::net
