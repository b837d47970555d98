// Acknowledgements of planned work: kept in the store before they are shown. When the store cannot be
// written, they are in force nevertheless, and the answer says that they are not durable.

#include "modules/health/routes.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace opsd::health {

using http::Request;
using http::Response;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t longest_reason = 500;  // characters
constexpr Duration shortest = 1min;
constexpr Duration longest = 24h * 30;

struct Asked {
    Duration time{};
    std::string reason;
};

/// Characters of UTF-8 text; nlohmann has checked the encoding.
std::size_t characters(std::string_view text)
{
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

std::unexpected<Error> refuse(std::string why)
{
    return fail(
        Errc::invalid_argument,
        fmt::format("cannot acknowledge: {}; send {{\"for\": \"2h\", \"reason\": \"new disk\"}}", why));
}

Result<Asked> parse(const std::string& body)
{
    const auto json = nlohmann::json::parse(body, nullptr, false);
    if (!json.is_object()) return refuse("the body is not a JSON object");
    for (const auto& [key, value] : json.items()) {
        if (key != "for" && key != "reason") return refuse(fmt::format("there is no member \"{}\"", key));
        if (!value.is_string()) return refuse(fmt::format("\"{}\" is not a string", key));
    }
    if (!json.contains("for") || !json.contains("reason"))
        return refuse("\"for\" and \"reason\" are both needed");
    Asked asked;
    const auto decoded = config::decode(config::Value::scalar(json["for"].get<std::string>()), asked.time);
    if (!decoded) return refuse(fmt::format("\"for\" {}", decoded.error().message));
    if (asked.time < shortest || asked.time > longest) return refuse("\"for\" must be 1m to 30d");
    asked.reason = json["reason"].get<std::string>();
    if (asked.reason.empty()) return refuse("\"reason\" is empty");
    if (characters(asked.reason) > longest_reason) return refuse("\"reason\" is longer than 500 characters");
    return asked;
}

}  // namespace

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
    const auto asked = parse(request.body);
    if (!asked) co_return Response::problem(asked.error());
    auto& clock = core->services.clock;
    Acknowledgement ack;
    ack.by = request.caller.name.empty() ? "anonymous" : request.caller.name;
    ack.reason = asked->reason;
    ack.at = clock.now();
    ack.until = ack.at + asked->time;
    const auto until = clock.monotonic() + asked->time;
    auto kept = co_await core->history.acknowledge(found.unit->id, ack);
    if (!kept) co_return Response::problem(kept.error());
    core->tracker.acknowledge(found.unit->id, ack, until);
    core->publisher.publish_now();
    core->services.log.info("{} is acknowledged by {} until {}: {}", found.unit->id, ack.by,
                            rfc3339(ack.until), ack.reason);
    co_return Response::json(acknowledgement_json(ack, note(*kept, lost)));
}

Task<Response> withdraw(std::shared_ptr<Core> core, const Request& request)
{
    auto found = find_unit(*core, request);
    if (found.problem) co_return std::move(*found.problem);
    auto kept = co_await core->history.acknowledge(found.unit->id, std::nullopt);
    if (!kept) co_return Response::problem(kept.error());
    core->tracker.acknowledge(found.unit->id, std::nullopt, {});
    core->publisher.publish_now();
    if (!kept->durable) {
        const nlohmann::ordered_json body{{"durable", false}, {"note", note(*kept, comes_back)}};
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
