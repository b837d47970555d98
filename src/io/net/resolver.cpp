#include "io/net/resolver.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <cstring>
#include <optional>

namespace opsd::net {
namespace {

using asio::ip::tcp;

// Shared with the lookup, which cannot be interrupted and may end after everybody lost interest.
struct Lookup {
    explicit Lookup(const Executor& executor, Deadline deadline)
      : resolver{executor}
      , done{executor, deadline}
    {}
    tcp::resolver resolver;
    asio::steady_timer done;
    std::optional<error_code> outcome;
    std::vector<Endpoint> found;
};

void keep(Lookup& lookup, const tcp::resolver::results_type& results)
{
    constexpr std::size_t enough = 16;
    for (const auto& entry : results) {
        if (lookup.found.size() == enough) return;
        const auto endpoint = entry.endpoint();
        sockaddr_storage raw{};
        std::memcpy(&raw, endpoint.data(), endpoint.size());
        lookup.found.push_back(describe_endpoint(raw, static_cast<socklen_t>(endpoint.size())));
    }
}

}  // namespace

Task<Result<std::vector<Endpoint>>> Resolver::resolve(std::string host, std::uint16_t port, Deadline deadline)
{
    auto literal = ip_endpoint(host, port);
    if (literal) co_return std::vector<Endpoint>(1, *literal);
    constexpr std::size_t enough = 64;
    if (*waiting_ >= enough) {
        co_return fail(Errc::unavailable,
                       "cannot look up " + host + ": too many lookups wait for the name servers");
    }
    const auto executor = co_await asio::this_coro::executor;
    auto lookup = std::make_shared<Lookup>(executor, deadline);
    ++*waiting_;
    auto finish = [lookup, waiting = waiting_](error_code ec, const tcp::resolver::results_type& results) {
        --*waiting;
        lookup->outcome = ec;
        if (!ec) keep(*lookup, results);
        lookup->done.cancel();
    };
    const auto flags = tcp::resolver::numeric_service;
    lookup->resolver.async_resolve(host, std::to_string(port), flags, std::move(finish));
    auto [ec] = co_await lookup->done.async_wait(tuple);
    if (!lookup->outcome && !ec) {
        co_return fail(Errc::timeout, "cannot look up " + host + ": the name servers did not answer in time");
    }
    if (!lookup->outcome)
        co_return fail(Errc::cancelled, "cannot look up " + host + ": it was cancelled here");
    if (*lookup->outcome || lookup->found.empty()) {
        co_return fail(Errc::unavailable, "cannot look up " + host + ": " + lookup->outcome->message());
    }
    co_return std::move(lookup->found);
}

}  // namespace opsd::net
