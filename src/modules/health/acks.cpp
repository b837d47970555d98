// Acknowledgements of planned work: kept in the store before they are shown.

#include "core/ack_request.hpp"
#include "modules/health/routes.hpp"

namespace opsd::health {

using http::Request;
using http::Response;

Task<Response> acknowledge(std::shared_ptr<Core> core, const Request& request)
{
    auto found = find_unit(*core, request);
    if (found.problem) co_return std::move(*found.problem);
    const auto asked = read_ack_request(request.body);
    if (!asked) co_return Response::problem(asked.error());
    auto& clock = core->services.clock;
    const auto ack = asked->begin(request.caller.name, clock.now());
    const auto until = clock.monotonic() + asked->time;
    auto kept = co_await core->history.acknowledge(found.unit->id, ack);
    if (!kept) co_return Response::problem(kept.error());
    core->tracker.acknowledge(found.unit->id, ack, until);
    core->publisher.publish_now();
    core->services.log.info("{} is acknowledged by {} until {}: {}", found.unit->id, ack.by,
                            rfc3339(ack.until), ack.reason);
    co_return Response::json(acknowledgement_json(ack));
}

Task<Response> withdraw(std::shared_ptr<Core> core, const Request& request)
{
    auto found = find_unit(*core, request);
    if (found.problem) co_return std::move(*found.problem);
    auto kept = co_await core->history.acknowledge(found.unit->id, std::nullopt);
    if (!kept) co_return Response::problem(kept.error());
    core->tracker.acknowledge(found.unit->id, std::nullopt, {});
    core->publisher.publish_now();
    co_return Response::no_content();
}

Task<Response> acknowledgement(std::shared_ptr<Core> core, const Request& request)
{
    auto found = find_unit(*core, request);
    if (found.problem) co_return std::move(*found.problem);
    co_return Response::json(acknowledgement_json(found.unit->acknowledged));
}

}  // namespace opsd::health
