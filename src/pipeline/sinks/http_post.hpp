#pragma once
// A POST of an output that speaks HTTP, and what came back.
//
// In: a body. Out: status, body and Retry-After, or why there was no answer. Promises: ends
// within the target's limits; what a cancelled or failed request was written to is never used again; headers,
// where credentials are, appear in no sentence; nothing blocks the loop: packing and reading secrets are done
// by workers; an address that is out of reach is passed over for the next one; credentials that are refused
// are read anew for the next request, so that a secret can be changed while opsd runs; redirects are not
// followed.

#include "io/net/client.hpp"
#include "opsd/clock.hpp"
#include "opsd/worker.hpp"
#include "pipeline/verdict.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opsd::pipeline {

/// The header Authorization: read by a worker before it is needed first, and again after it was refused.
class Authorization {
public:
    /// `read` blocks; the worker outlives this.
    Authorization(std::function<Result<std::string>()> read, WorkerThread& worker)
      : read_{std::move(read)}
      , worker_{worker}
    {}
    Task<Result<std::string>> value();
    void refused() noexcept { value_.reset(); }

private:
    std::function<Result<std::string>()> read_;
    WorkerThread& worker_;
    std::optional<std::string> value_;
};

/// "Basic ..." of user and password.
[[nodiscard]] std::string basic_authorization(std::string_view user, std::string_view password);

/// Where an output by HTTP sends to.
struct HttpTarget {
    /// http://host:port or https://host:port, and a path where the far side has one; several take turns.
    std::vector<std::string> urls;
    std::vector<std::pair<std::string, std::string>> headers;
    std::shared_ptr<Authorization> authorization;       ///< null: none
    net::TlsClientOptions tls;                          ///< verified unless it says otherwise
    std::chrono::milliseconds connect_timeout{10'000};  ///< name, connection and TLS together
    std::chrono::milliseconds timeout{60'000};          ///< the whole request
    std::size_t largest_answer = 1024 * 1024;           ///< bytes of its body
    std::size_t connections = 16;                       ///< to each address that stay open
    bool cookies = false;     ///< send back what it sets: balancers know by it where a client belongs
    bool repeatable = false;  ///< the far side knows a repetition: a kept connection that died is tried again

    /// After which a request has ended by itself and said why; a delivery's own deadline should be later.
    [[nodiscard]] std::chrono::milliseconds deadline() const { return timeout + std::chrono::seconds{5}; }
};

struct HttpBody {
    std::string bytes;
    std::string type;  ///< Content-Type
    bool packed = false;
};

/// Compresses as gzip; "" when that is not worth it.
using Compress = std::function<std::string(std::string)>;

/// Compresses bodies on a thread of its own: megabytes take longer than the loop may stand still.
class Packer {
public:
    /// Without `compress` bodies stay as they are.
    explicit Packer(Compress compress);
    Task<HttpBody> pack(HttpBody body);

private:
    Compress compress_;
    RetiringWorker worker_{"gzip"};
};

struct PostAnswer {
    int status = 0;
    std::string body;
    std::optional<std::chrono::milliseconds> after;  ///< Retry-After
    /// "200: {...}", for people.
    [[nodiscard]] std::string text() const;
};

/// "name=value" of cookies that were set, newest value of each; few and small.
class Cookies {
public:
    /// A Set-Cookie header's value.
    void set(std::string_view header);
    /// For a Cookie header; "" without any.
    [[nodiscard]] std::string text() const;

private:
    std::vector<std::pair<std::string, std::string>> all_;
};

/// Has connections of its own, one for each request in flight.
class HttpPoster {
public:
    using Headers = std::vector<std::pair<std::string, std::string>>;

    using Send = std::function<Task<Result<net::ClientResponse>>(net::ClientRequest)>;

    HttpPoster(const Executor& executor, HttpTarget target, const Clock& clock);
    /// Over somebody else's connections.
    HttpPoster(Send send, HttpTarget target, const Clock& clock);

    /// Posts to the target's address with `path` behind it; `limit` when that is shorter than its timeout.
    Task<Result<PostAnswer>> post(std::string path, HttpBody body, Headers more = {},
                                  std::chrono::milliseconds limit = std::chrono::milliseconds::max());
    /// The same where the status says everything.
    Task<Verdict> deliver(std::string path, HttpBody body);

private:
    Task<Result<net::ClientResponse>> send_somewhere(net::ClientRequest request, const std::string& path);

    Send send_;
    HttpTarget target_;
    const Clock& clock_;
    Cookies cookies_;
    std::size_t turn_ = 0;  ///< of the addresses
};

}  // namespace opsd::pipeline
