#pragma once
// The embedded HTTP/1.1 server. One session task per connection; graceful stop in two steps (drain, abort).

#include "http/auth.hpp"
#include "http/router.hpp"
#include "io/net/tls.hpp"
#include "opsd/clock.hpp"
#include "opsd/config.hpp"
#include "opsd/log.hpp"
#include "opsd/telemetry.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace opsd::http {

/// Bounds of everything a client can make us hold or wait for.
struct Limits {
    std::int64_t connections = 10'000;       ///< of anybody; fewer when LimitNOFILE leaves no room
    std::int64_t reserved_connections = 32;  ///< beyond, for operators on the Unix socket by their account
    std::int64_t connections_per_address = 1'000;  ///< not for the Unix socket and loopback
    config::Bytes header{16 * 1024};               ///< beyond: 431
    config::Bytes body{1 << 20};                   ///< beyond: 413
    config::Duration header_timeout{10'000};       ///< from the first byte of a request: 408
    config::Duration body_timeout{30'000};
    config::Duration idle_timeout{75'000};     ///< between two requests
    config::Duration write_timeout{10'000};    ///< one chunk, or 256 KiB of a response, to a slow client
    config::Duration handler_timeout{60'000};  ///< 504 when a handler takes longer
    std::int64_t streams = 500;                ///< open follow streams; beyond: 503 with Retry-After
};

/// Where to listen.
struct Listener {
    enum class Kind { tcp, unix_socket, passed };
    Kind kind = Kind::tcp;
    std::string address = "127.0.0.1";  ///< or path of the Unix socket
    std::uint16_t port = 1050;
    unsigned mode = 0666;                    ///< of the Unix socket
    int fd = -1;                             ///< passed by socket activation
    std::string certificate_file, key_file;  ///< TLS when set
    std::string client_ca_file;              ///< accept client certificates signed by it
};

/// What the certificate files of listeners held when they were read, by the listener's name.
using Certificates = std::map<std::string, net::TlsServer>;

/// Of one listener, nothing if it has no TLS, and of several: all or the first error. They block: for a
/// thread of files.
Result<std::optional<net::TlsServer>> read_certificate(const Listener& listener);
Result<Certificates> read_certificates(const std::map<std::string, Listener>& listeners);

class Server {
public:
    Server(Executor executor, Limits limits, Authenticator& authenticator, AuditSink& audit,
           const Clock& clock, telemetry::Registry& metrics, Log log);
    ~Server();

    /// Replaces the route table; requests in flight finish with the old one.
    void set_routes(std::shared_ptr<const Router> router);
    /// New limits for connections and requests that begin from now on.
    void set_limits(Limits limits);

    /// Binds and listens, with what read_certificate() said of it. Errors name the address and say what to do
    /// (in use, denied). An expired certificate is served all the same, with an error in the log and its time
    /// in the metric: a node must stay reachable for those who come to replace it. "::" is IPv6 only; 0 for a
    /// Unix socket.
    Result<std::uint16_t> listen(const Listener& listener, const std::optional<net::TlsServer>& tls = {});
    /// The listeners with TLS, by name, for read_certificates().
    [[nodiscard]] std::map<std::string, Listener> tls_listeners() const;
    /// What new connections are shown from now on. Connections that showed a client certificate end after the
    /// request in hand: who is trusted may have changed.
    void use_certificates(const Certificates& certificates);

    /// Accepts until drain() or cancellation. A listener that is lost is opened again with back-off; throws
    /// when all were lost and none comes back.
    Task<> run();
    void drain();     ///< no new connections; idle ones close; requests in flight finish; streams end
    void abort();     ///< cancels what is left
    Task<> joined();  ///< waits until no session is left
    [[nodiscard]] std::size_t connections() const;
    /// What works only in part: lost listeners, no descriptors. Sentences for /-/ready.
    [[nodiscard]] std::vector<std::string> degraded() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace opsd::http
