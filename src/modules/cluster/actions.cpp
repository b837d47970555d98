// What clients ask the cluster to do: look anew, forget a node, acknowledge work on one, ask one something.

#include "modules/cluster/core.hpp"

#include <fmt/format.h>

namespace opsd::cluster {

using http::Response;
using namespace std::chrono_literals;

namespace {

constexpr Duration fetch_timeout = 10s;
constexpr std::size_t largest_fetch = 4U << 20U;

/// Everything that is not plain in a path is escaped.
std::string escaped(std::string_view path)
{
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/@:";
    std::string out;
    for (const char c : path) {
        if (plain.contains(c))
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

/// A member's answer as ours: JSON only, whatever else it calls itself, and its refusal of our credentials is
/// no refusal of the caller's.
Response passed_on(const Member& member, net::ClientResponse answer)
{
    const auto type = answer.header("content-type");
    const bool problem = type.starts_with("application/problem+json");
    const bool json = problem || type.starts_with("application/json");
    const bool known =
        answer.status == 200 || answer.status == 404 || answer.status == 503 || answer.status == 504;
    if (!json || !known) {
        const bool refused = answer.status == 401 || answer.status == 403;
        const auto* remedy =
            refused ? ": this node may not read there; see cluster.token and cluster.tls" : "";
        return Response::problem(502, fmt::format("cannot ask {}: it answered with status {}{}",
                                                  member.address, answer.status, remedy));
    }
    auto response = Response::json(std::move(answer.body), answer.status);
    if (problem) response.type = "application/problem+json";
    return response;
}

}  // namespace

Task<Result<>> Core::refresh()
{
    const auto before = services.board.cluster.version();
    auto done = Result<>{};
    if (watching) done = co_await followers.refresh_all(options.pull.refresh_timeout);
    // Of all who waited for one round the first publishes it; the others show the same.
    const std::pair versions{services.board.health.version(), services.board.identity.version()};
    const bool shown = services.board.cluster.version() > before && !changed_ && !touched_;
    if (shown && versions == refreshed_own_) co_return done;
    take_self();
    refreshed_own_ = versions;
    publish();
    co_return done;
}

Task<Result<>> Core::forget(std::string address)
{
    auto done = table.forget(address, services.clock.now());
    if (!done) co_return fail(std::move(done).error());
    take(std::move(*done));
    publish();
    co_return co_await archive.save_now(std::move(address));
}

/// Shown at once; an error says that it cannot be kept and ends with this run.
Task<Result<>> Core::acknowledge(std::string address, std::optional<Acknowledgement> ack)
{
    auto shared = ack ? std::make_shared<const Acknowledgement>(std::move(*ack)) : nullptr;
    auto done = table.acknowledge(address, std::move(shared), services.clock.now());
    if (!done) co_return fail(std::move(done).error());
    take(std::move(*done));
    publish();
    if (!watching) co_return Result<>{};
    co_return co_await archive.save_now(std::move(address));
}

Task<Response> Core::fetch(std::shared_ptr<const Member> member, std::string path)
{
    if (member->self) {  // it is answered here, under its own route
        Response here;
        here.status = 307;
        here.with("Location", escaped(path));
        co_return here;
    }
    net::ClientRequest request;
    request.url = origin_of(member->address, reach) + escaped(path);
    if (!reach.token.empty()) request.headers.emplace_back("Authorization", "Bearer " + reach.token);
    request.timeout = fetch_timeout;
    request.connect_timeout = options.pull.connect_timeout;
    request.max_body = largest_fetch;
    auto answer = co_await send(std::move(request));
    if (!answer) co_return Response::problem(answer.error());
    co_return passed_on(*member, std::move(*answer));
}

Task<Result<std::unique_ptr<net::Incoming>>> Core::open_at(std::string address, net::ClientRequest request)
{
    const auto self = shared_from_this();  // a stream outlives a reload
    request.url.insert(0, origin_of(address, reach));
    if (!reach.token.empty()) request.headers.emplace_back("Authorization", "Bearer " + reach.token);
    request.connect_timeout = options.pull.connect_timeout;
    auto answer = co_await open(std::move(request));
    co_return answer;
}

}  // namespace opsd::cluster
