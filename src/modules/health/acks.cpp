// Acknowledgements of planned work: in force and shown at once, then kept in the store, so that a request
// that is cut between the two hides nothing that is durable. Until the store has one, and when it cannot be
// written, the answer says that it is not durable.

#include "core/ack_request.hpp"
#include "modules/health/routes.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace opsd::health {

using http::Request;
using http::Response;

namespace {

std::string note(const Kept& kept, std::string_view until_then)
{
    if (kept.durable) return {};
    return fmt::format("{} unless it can be written before: {}", until_then, kept.reason);
}

constexpr std::string_view lost = "in force now, but lost when opsd restarts";
constexpr std::string_view comes_back = "withdrawn now, but back when opsd restarts";

}  // namespace

Task<Response> acknowledge(std::shared_ptr<Core> core, const Request& request)
{
    auto found = find_unit(*core, request);
    if (found.problem) co_return std::move(*found.problem);
    const auto asked = read_ack_request(request.body);
    if (!asked) co_return Response::problem(asked.error());
    auto& clock = core->services.clock;
    const auto ack = asked->begin(request.caller.name, clock.now());
    const auto until = clock.monotonic() + asked->time;
    const auto taken = core->history.acknowledge(found.unit->id, ack);
    if (!taken) co_return Response::problem(taken.error());
    core->tracker.acknowledge(found.unit->id, ack, until);
    core->publisher.publish_now();
    core->services.log.info("{} is acknowledged by {} until {}: {}", found.unit->id, ack.by,
                            rfc3339(ack.until), ack.reason);
    const auto kept = co_await core->history.keep(found.unit->id);
    co_return Response::json(acknowledgement_json(ack, note(kept, lost)));
}

Task<Response> withdraw(std::shared_ptr<Core> core, const Request& request)
{
    auto found = find_unit(*core, request);
    if (found.problem) co_return std::move(*found.problem);
    const auto taken = core->history.acknowledge(found.unit->id, std::nullopt);
    if (!taken) co_return Response::problem(taken.error());
    core->tracker.acknowledge(found.unit->id, std::nullopt, {});
    core->publisher.publish_now();
    const auto kept = co_await core->history.keep(found.unit->id);
    if (!kept.durable) {
        const nlohmann::ordered_json body{{"durable", false}, {"note", note(kept, comes_back)}};
        co_return Response::json(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    }
    co_return Response::no_content();
}

Task<Response> acknowledgement(std::shared_ptr<Core> core, const Request& request)
{
    auto found = find_unit(*core, request);
    if (found.problem) co_return std::move(*found.problem);
    const auto kept = core->history.kept(found.unit->id);
    co_return Response::json(acknowledgement_json(found.unit->acknowledged, note(kept, lost)));
}

}  // namespace opsd::health
