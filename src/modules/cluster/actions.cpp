// What the routes ask of the module beyond the board.

#include "modules/cluster/core.hpp"

#include <fmt/format.h>

namespace opsd::cluster {

Task<Result<>> Core::refresh()
{
    if (!watching) {
        take_self();
        publish();
        co_return Result<>{};
    }
    auto done = co_await followers.refresh_all(options.pull.refresh_timeout);
    publish();
    co_return done;
}

Task<Result<>> Core::forget(std::string address)
{
    auto changes = table.forget(address, services.clock.now());
    if (!changes) co_return fail(std::move(changes).error());
    take(std::move(*changes));
    publish();
    co_return co_await archive.save_now(address);
}

/// Shown at once; when it cannot be kept the answer says so.
Task<Result<>> Core::acknowledge(std::string address, std::optional<Acknowledgement> ack)
{
    auto shared = ack ? std::make_shared<const Acknowledgement>(std::move(*ack)) : nullptr;
    auto changes = table.acknowledge(address, std::move(shared), services.clock.now());
    if (!changes) co_return fail(std::move(changes).error());
    take(std::move(*changes));
    publish();
    if (!watching) co_return Result<>{};
    co_return co_await archive.save_now(address);
}

Task<http::Response> Core::fetch(std::shared_ptr<const Member> member, std::string path)
{
    net::ClientRequest request;
    request.url = origin_of(member->address, reach) + path;
    if (!reach.token.empty()) request.headers.emplace_back("Authorization", "Bearer " + reach.token);
    request.connect_timeout = options.pull.connect_timeout;
    request.timeout = options.pull.refresh_timeout;
    request.max_body = options.pull.max_document.count;
    auto answer = co_await send(std::move(request));
    if (!answer) co_return http::Response::problem(answer.error());
    if (answer->status == 401 || answer->status == 403) {
        co_return http::Response::problem(
            502, fmt::format("cannot ask {}: it answers {}; give this node a token for it in cluster.token",
                             member->address, answer->status));
    }
    http::Response response;
    response.status = answer->status;
    response.type = answer->header("content-type");
    response.body = std::move(answer->body);
    co_return response;
}

}  // namespace opsd::cluster
