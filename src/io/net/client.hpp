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
    std::chrono::milliseconds timeout{5000};  ///< for the whole exchange (not for a stream's body)
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

/// One client per use; keeps idle connections per host (at most `idle_per_host`, closed after 60 s).
/// Errors: unavailable (connect, DNS, reset), timeout, protocol, denied (TLS verification), invalid_argument
/// (URL).
class HttpClient {
public:
    HttpClient(Executor executor, TlsClientOptions tls = {}, std::size_t idle_per_host = 2);
    ~HttpClient();

    /// Any status is a success; the caller judges it.
    Task<Result<ClientResponse>> send(ClientRequest request);

    /// Streams the body: `on_chunk` returns false to stop. `idle` is the longest silence allowed.
    using OnChunk = std::function<bool(std::string_view)>;
    Task<Result<ClientResponse>> stream(ClientRequest request, std::chrono::milliseconds idle,
                                        OnChunk on_chunk);

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace opsd::net
