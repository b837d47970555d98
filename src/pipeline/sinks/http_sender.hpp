#pragma once
// What sinks that speak HTTP have in common: one request to one of several equal addresses, packed, with
// credentials.
//
// Promises: nothing blocks the loop (packing and reading secrets are done by workers); an address that is out
// of reach is passed over for the next one; credentials that are refused are read anew for the next request,
// so that a secret can be changed while opsd runs; redirects are not followed.

#include "io/net/client.hpp"
#include "opsd/worker.hpp"
#include "pipeline/verdict.hpp"

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace opsd::pipeline {

struct HttpSenderOptions {
    std::vector<std::string> urls;  ///< "https://host:9200/prefix", at least one; take turns
    std::vector<std::pair<std::string, std::string>> headers;
    bool compress = true;
    std::chrono::milliseconds timeout{60'000};
    std::size_t largest_answer = std::size_t{16} * 1024 * 1024;
};

/// What it uses; references outlive it.
struct HttpSenderParts {
    std::function<Task<Result<net::ClientResponse>>(net::ClientRequest)> send;
    /// The value of the header Authorization; blocks, so a worker calls it. Null: there is none.
    std::function<Result<std::string>()> authorization;
    WorkerThread& reader;  ///< of secrets
    WorkerThread& packer;
};

/// An answer of whatever status, or what to do without one.
using HttpAnswer = std::expected<net::ClientResponse, Verdict>;

class HttpSender {
public:
    HttpSender(HttpSenderOptions options, HttpSenderParts parts)
      : options_{std::move(options)}
      , parts_{std::move(parts)}
    {}

    /// POST of the body to `target`, a path behind the address.
    Task<HttpAnswer> post(std::string target, std::string content_type, std::string body);

private:
    Task<Result<std::string>> authorization();
    Task<net::ClientRequest> packed(std::string content_type, std::string body);
    [[nodiscard]] std::string next_url();

    HttpSenderOptions options_;
    HttpSenderParts parts_;
    std::optional<std::string> authorization_;  ///< as last read
    std::size_t turn_ = 0;                      ///< of the addresses
};

/// "Basic ..." of user and password.
[[nodiscard]] std::string basic_authorization(std::string_view user, std::string_view password);

/// "200: {...}", for people.
[[nodiscard]] std::string answer_text(const net::ClientResponse& answer);

}  // namespace opsd::pipeline
