#include "io/net/client.hpp"

#include "io/net/connection.hpp"
#include "io/net/exchange.hpp"
#include "io/net/incoming_parts.hpp"
#include "io/net/url.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace opsd::net {
namespace {

bool same_name(std::string_view a, std::string_view b)
{
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(a, b, [lower](char x, char y) { return lower(x) == lower(y); });
}

bool is_credential(std::string_view name)
{
    return same_name(name, "authorization") || same_name(name, "cookie")
           || same_name(name, "proxy-authorization");
}

bool is_redirect(unsigned status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool can_repeat(std::string_view method)
{
    return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE"
           || method == "OPTIONS";
}

/// For a sentence; parameters may be long, or private.
std::string name_of(const ClientRequest& request, const Url& url)
{
    return fmt::format("{} {}{}", request.method, url.origin(), url.target.substr(0, url.target.find('?')));
}

// What the request becomes at the next address; its credentials stay at home.
Result<Url> redirect(ClientRequest& request, const Url& from, const ClientResponse& response,
                     bool& identified)
{
    const auto location = response.header("location");
    if (location.empty() || location.size() > 8192) {
        return fail(Errc::protocol, "cannot follow the redirect: it has no usable Location");
    }
    auto to = resolve_location(from, location);
    if (!to) return to;
    if (from.scheme == Url::Scheme::https && to->scheme != Url::Scheme::https) {
        return fail(Errc::denied,
                    fmt::format("cannot follow the redirect to {}: it gives up TLS", to->origin()));
    }
    if (from.origin() != to->origin()) {
        std::erase_if(request.headers, [](const auto& header) { return is_credential(header.first); });
        std::erase_if(request.headers, [](const auto& header) { return same_name(header.first, "host"); });
        identified = false;
    }
    const bool repeats_body = (response.status == 307 || response.status == 308) && !request.body.empty();
    if (repeats_body && from.origin() != to->origin()) {
        return fail(Errc::denied, fmt::format("cannot follow the redirect to {}: it would take what was sent "
                                              "to {} along",
                                              to->origin(), from.origin()));
    }
    const bool to_get = response.status == 303 || (response.status < 303 && request.method == "POST");
    if (to_get && request.method != "HEAD") {
        request.method = "GET";
        request.body.clear();
    }
    return to;
}

}  // namespace

std::string_view ClientResponse::header(std::string_view name) const noexcept
{
    for (const auto& [key, value] : headers) {
        if (key == name) return value;
    }
    return {};
}

struct HttpClient::Impl {
    Impl(const Executor& executor, TlsClientOptions tls, const ConnectionOptions& connections)
      : connector{std::move(tls), connections.dead_after}
      , pool{std::make_shared<IdlePool>(executor, connections)}
    {}

    Task<Result<>> once(Exchange& exchange, bool identified);
    /// Keeps the client's insides alive by itself: the client may be destroyed meanwhile.
    static Task<Result<ClientResponse>> follow(std::shared_ptr<Impl> self, ClientRequest request,
                                               std::chrono::milliseconds idle, OnChunk on_chunk);
    static Task<Result<std::unique_ptr<Incoming>>> open(std::shared_ptr<Impl> self, ClientRequest request,
                                                        std::chrono::milliseconds idle);

    Connector connector;
    std::shared_ptr<IdlePool> pool;
};

// One exchange on a kept connection or a new one. A kept one may die just as it is used: then once more.
Task<Result<>> HttpClient::Impl::once(Exchange& exchange, bool identified)
{
    const auto key = exchange.url.origin() + (identified ? "" : " anonymous");
    auto transport = pool->take(key);
    if (transport) {
        auto done = co_await exchange.run(*transport);
        if (done && exchange.reusable) pool->put(key, std::move(transport));
        const bool stale = !done && done.error().code == Errc::unavailable && !exchange.answered;
        if (!stale || !can_repeat(exchange.request.method)) co_return done;
    }
    auto until = exchange.deadline;
    const auto limit = exchange.request.connect_timeout;
    if (limit.count() > 0) until = std::min(until, std::chrono::steady_clock::now() + limit);
    auto opened = co_await connector.open(exchange.url, identified, until);
    if (!opened) co_return fail(std::move(opened).error());
    transport = std::move(*opened);
    auto done = co_await exchange.run(*transport);
    if (done && exchange.reusable) pool->put(key, std::move(transport));
    co_return done;
}

Task<Result<ClientResponse>> HttpClient::Impl::follow(std::shared_ptr<Impl> self, ClientRequest request,
                                                      std::chrono::milliseconds idle, OnChunk on_chunk)
{
    auto valid = check_request(request);
    if (!valid) co_return fail(std::move(valid).error());
    auto url = parse_url(request.url);
    if (!url) co_return fail(std::move(url).error());
    const auto deadline = std::chrono::steady_clock::now() + request.timeout;
    bool identified = true;
    for (int hops = 0;; ++hops) {
        Exchange exchange{
            .request = request, .url = *url, .deadline = deadline, .idle = idle, .on_chunk = on_chunk};
        auto done = co_await self->once(exchange, identified);
        if (!done) co_return fail(std::move(done).error().wrap(name_of(request, *url)));
        if (hops >= request.max_redirects || !is_redirect(exchange.response.status)) {
            co_return std::move(exchange.response);
        }
        auto next = redirect(request, *url, exchange.response, identified);
        if (!next) co_return fail(std::move(next).error());
        *url = std::move(*next);
    }
}

Task<Result<std::unique_ptr<Incoming>>>
HttpClient::Impl::open(std::shared_ptr<Impl> self, ClientRequest request, std::chrono::milliseconds idle)
{
    auto valid = check_request(request);
    if (!valid) co_return fail(std::move(valid).error());
    const auto url = parse_url(request.url);
    if (!url) co_return fail(url.error());
    const auto now = std::chrono::steady_clock::now();
    const auto deadline = now + request.timeout;
    const auto limit = request.connect_timeout;
    const auto until = limit.count() > 0 ? std::min(deadline, now + limit) : deadline;
    auto opened = co_await self->connector.open(*url, true, until);
    if (!opened) co_return fail(std::move(opened).error().wrap(name_of(request, *url)));
    auto answer = std::make_unique<OpenedAnswer>(std::move(*opened), idle, request.max_body);
    auto begun = co_await answer->begin(request, *url, deadline);
    if (!begun) co_return fail(std::move(begun).error().wrap(name_of(request, *url)));
    co_return std::unique_ptr<Incoming>{std::move(answer)};
}

HttpClient::HttpClient(Executor executor, TlsClientOptions tls, ConnectionOptions connections)
  : impl_{std::make_shared<Impl>(executor, std::move(tls), connections)}
{}

HttpClient::~HttpClient() { impl_->pool->close(); }

Task<Result<ClientResponse>> HttpClient::send(ClientRequest request)
{
    return Impl::follow(impl_, std::move(request), std::chrono::milliseconds{0}, {});
}

Task<Result<ClientResponse>> HttpClient::stream(ClientRequest request, std::chrono::milliseconds idle,
                                                OnChunk on_chunk)
{
    return Impl::follow(impl_, std::move(request), idle, std::move(on_chunk));
}

Task<Result<std::unique_ptr<Incoming>>> HttpClient::open(ClientRequest request,
                                                         std::chrono::milliseconds idle)
{
    return Impl::open(impl_, std::move(request), idle);
}

}  // namespace opsd::net
