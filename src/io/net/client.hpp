#pragma once
// An HTTP/1.1 client: deadlines, size limits, TLS with verification, Unix sockets, keep-alive, conditional
// GET. Credentials never follow a redirect to another host; redirects are not followed unless asked for.

#include "opsd/async.hpp"
#include "opsd/config.hpp"
#include "opsd/result.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace opsd::net {

struct ClientRequest {
    std::string method = "GET";
    std::string url;  ///< http://host:port/path, https://..., or unix:/run/opsd/opsd.sock:/path
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::chrono::milliseconds timeout{5000};          ///< for the whole exchange (not for a stream's body)
    std::chrono::milliseconds connect_timeout{0};     ///< for a new connection, TLS included; 0: `timeout`
    std::chrono::milliseconds first_byte_timeout{0};  ///< from the request to its answer; 0: `timeout`
    std::size_t max_body = 16 << 20;
    int max_redirects = 0;
};

struct ClientResponse {
    unsigned status = 0;
    std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
    std::string body;
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

struct TlsClientOptions {
    std::string ca_file;         ///< "": the system's
    std::string ca_fingerprint;  ///< "sha256:..." of an authority in the presented chain: it alone is trusted
    std::string certificate_file, key_file;  ///< for mTLS
    bool verify = true;
};

/// How connections are kept.
struct ConnectionOptions {
    std::size_t idle_per_host = 2;
    std::size_t idle_total = 2'000;  ///< beyond, the oldest idle one is closed
    std::chrono::milliseconds idle_time{60'000};
    /// A peer that acknowledges nothing for so long is gone (unavailable), also while it owes us only an
    /// answer: a pulled cable. 0: as patient as the kernel, which is minutes to hours.
    std::chrono::milliseconds dead_after{0};
};

class Incoming;

/// One client per use; keeps idle connections per host.
/// Errors: unavailable (connect, DNS, reset), timeout, protocol, denied (TLS verification), invalid_argument
/// (URL).
class HttpClient {
public:
    HttpClient(Executor executor, TlsClientOptions tls = {}, ConnectionOptions connections = {});
    ~HttpClient();

    /// Any status is a success; the caller judges it.
    Task<Result<ClientResponse>> send(ClientRequest request);

    /// Streams the body: `on_chunk` returns false to stop. `idle` is the longest silence allowed.
    using OnChunk = std::function<bool(std::string_view)>;
    Task<Result<ClientResponse>> stream(ClientRequest request, std::chrono::milliseconds idle,
                                        OnChunk on_chunk);

    /// Hands the answer over as soon as its head is there, whatever the status; its body is read from it.
    /// `timeout` is for the head, `idle` the longest silence after it. A connection of its own; no redirects.
    Task<Result<std::unique_ptr<Incoming>>> open(ClientRequest request, std::chrono::milliseconds idle);

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace opsd::net
