#include "modules/forward/routes.hpp"

#include "core/json_text.hpp"
#include "http/query.hpp"
#include "modules/forward/place.hpp"
#include "modules/forward/render.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace opsd::forward {
namespace {

using http::Access;
using http::Method;
using http::Request;
using http::Response;

constexpr std::size_t most_letters = 1'000;  // of an answer
constexpr std::size_t some_letters = 100;
constexpr std::size_t most_ids = 10'000;

std::unexpected<Error> refuse(std::string what) { return fail(Errc::invalid_argument, std::move(what)); }

/// The output that the path names, or a problem.
Result<Output*> output_of(const Core& core, const Request& request)
{
    const auto name = request.path_params.get("output");
    if (auto* output = core.find(name)) return output;
    std::vector<std::string> names;
    for (const auto& output : core.outputs())
        names.push_back(output->options().name);
    const auto near = config::nearest(name, names);
    const auto advice = near.empty() ? std::string{"; GET /api/v1/forward lists those that are"}
                                     : fmt::format("; did you mean {}?", near);
    return fail(
        Errc::not_found,
        fmt::format("cannot find the output \"{}\": forward.outputs has none of that name{}", name, advice));
}

/// {"from": "..."}
Result<std::string> replay_body(const std::string& body, WallTime now)
{
    const auto json = nlohmann::json::parse(body, nullptr, false);
    const bool good =
        json.is_object() && json.size() == 1 && json.contains("from") && json["from"].is_string();
    if (!good) return refuse("cannot replay: send {\"from\": \"2h\"}, a time, a cursor or \"beginning\"");
    return parse_replay(json["from"].get<std::string>(), now);
}

/// {"ids": ["..."]}, or nothing for all.
Result<std::set<std::string>> resend_body(const std::string& body)
{
    std::set<std::string> ids;
    if (body.empty()) return ids;
    const auto json = nlohmann::json::parse(body, nullptr, false);
    const bool good = json.is_object() && json.size() <= 1
                      && (json.empty() || (json.contains("ids") && json["ids"].is_array()));
    if (!good) return refuse("cannot resend: send {\"ids\": [\"...\"]}, or no body for all letters");
    if (json.empty()) return ids;
    for (const auto& id : json["ids"]) {
        if (!id.is_string() || ids.size() >= most_ids)
            return refuse(fmt::format("cannot resend: \"ids\" is a list of at most {} strings", most_ids));
        ids.insert(id.get<std::string>());
    }
    if (ids.empty()) return refuse("cannot resend: \"ids\" is empty; send no body for all letters");
    return ids;
}

Task<Response> list(std::shared_ptr<Core> core, const Request&)
{
    std::string out;
    JsonText json{out};
    json.open('{').key("outputs").open('[');
    for (const auto& output : core->outputs()) {
        const auto status = output->status();
        std::string element;
        append_output(element, output->options(), status, core->lag(status));
        json.raw(element);
    }
    json.close(']').close('}');
    out += '\n';
    co_return Response::json(std::move(out));
}

Task<Response> set_paused(std::shared_ptr<Core> core, const Request& request, bool paused)
{
    const auto output = output_of(*core, request);
    if (!output) co_return Response::problem(output.error());
    const auto name = (*output)->options().name;
    core->services.log.info("{} is {} by {}", name, paused ? "paused" : "resumed", request.caller.name);
    const auto kept = co_await (*output)->pause(paused);
    std::string out;
    JsonText json{out};
    json.open('{').text("output", name).boolean("paused", paused);
    json.boolean("durable", kept.durable).text("note", kept.note).close('}');
    out += '\n';
    co_return Response::json(std::move(out));
}

Task<Response> pause(std::shared_ptr<Core> core, const Request& request)
{
    return set_paused(std::move(core), request, true);
}

Task<Response> resume(std::shared_ptr<Core> core, const Request& request)
{
    return set_paused(std::move(core), request, false);
}

Task<Response> replay(std::shared_ptr<Core> core, const Request& request)
{
    const auto output = output_of(*core, request);
    if (!output) co_return Response::problem(output.error());
    auto place = replay_body(request.body, core->services.clock.now());
    if (!place) co_return Response::problem(place.error());
    const auto name = (*output)->options().name;
    const auto from = *place;
    if (of_tasks((*output)->options()) && from != beginning)
        co_return Response::problem(Error{
            Errc::invalid_argument,
            fmt::format("cannot replay {}: it sends files of tasks, which have no times and cursors; give "
                        "\"beginning\"",
                        name)});
    request.object.add("from", from);
    core->services.log.info("{} is replayed from {} by {}", name, from, request.caller.name);
    const auto done = co_await (*output)->replay(std::move(*place));
    if (!done) co_return Response::problem(done.error());
    std::string out;
    JsonText json{out};
    json.open('{').text("output", name).text("from", from);
    const auto moment = moment_of(from);
    if (moment)
        json.text("time", rfc3339(WallTime{std::chrono::microseconds{*moment}}));
    else
        json.key("time").null();
    json.close('}');
    out += '\n';
    co_return Response::json(std::move(out));
}

Task<Response> test(std::shared_ptr<Core> core, const Request& request)
{
    const auto output = output_of(*core, request);
    if (!output) co_return Response::problem(output.error());
    const auto verdict = co_await (*output)->test();
    if (!verdict) co_return Response::problem(verdict.error());
    co_return Response::json(verdict_json((*output)->options().name, *verdict));
}

Task<Response> dead_letters(std::shared_ptr<Core> core, const Request& request)
{
    const auto output = output_of(*core, request);
    if (!output) co_return Response::problem(output.error());
    const auto limit = http::limit_of(request, some_letters, most_letters);
    if (!limit) co_return Response::problem(limit.error());
    const auto letters = co_await (*output)->letters();
    if (!letters) co_return Response::problem(letters.error());
    co_return Response::json(letters_json((*output)->options().name, *letters, *limit));
}

Task<Response> resend(std::shared_ptr<Core> core, const Request& request)
{
    const auto output = output_of(*core, request);
    if (!output) co_return Response::problem(output.error());
    auto ids = resend_body(request.body);
    if (!ids) co_return Response::problem(ids.error());
    request.object.add("letters", ids->empty() ? "all" : std::to_string(ids->size()));
    const auto resent = co_await (*output)->resend(std::move(*ids));
    if (!resent) co_return Response::problem(resent.error());
    co_return Response::json(resent_json((*output)->options().name, *resent));
}

using Answer = Task<Response> (*)(std::shared_ptr<Core>, const Request&);

http::Handler with(const std::shared_ptr<Core>& core, Answer answer)
{
    return [core, answer](const Request& request) { return answer(core, request); };
}

const http::Parameter output_parameter{"output", "path", "Name of the output", "string"};

/// A row that changes something, or sends.
http::Route act(const std::shared_ptr<Core>& core, std::string pattern, std::string summary, Answer answer)
{
    return {Method::post,
            std::move(pattern),
            Access::operate,
            std::move(summary),
            with(core, answer),
            {output_parameter},
            true};
}

}  // namespace

std::vector<http::Route> routes_of(std::shared_ptr<Core> core)
{
    return {
        {Method::get,
         "/api/v1/forward",
         Access::read,
         "The outputs: state, counters (in = acknowledged + pending + dead_lettered + lost), lag, position, "
         "last error",
         with(core, list),
         {}},
        act(core, "/api/v1/forward/{output}/pause", "Stops reading and sending, also after a restart", pause),
        act(core, "/api/v1/forward/{output}/resume", "Goes on where it was paused", resume),
        act(core, "/api/v1/forward/{output}/replay",
            "Goes back: {\"from\": \"2h\"}, a time (RFC 3339), a cursor or \"beginning\"; what is behind it "
            "is "
            "sent again",
            replay),
        act(core, "/api/v1/forward/{output}/test", "Sends one record of its own and shows the answer", test),
        {Method::get,
         "/api/v1/forward/{output}/dead-letters",
         Access::operate,  // they are entries of any unit
         "Records that the far side refused for good, newest first, with the reasons",
         with(core, dead_letters),
         {output_parameter, {"limit", "query", "At most so many, 1 to 1000; 100 by default", "integer"}},
         true},
        act(core, "/api/v1/forward/{output}/dead-letters/resend",
            "Sends dead letters again: {\"ids\": [\"...\"]}, or all; those that are taken are letters no "
            "more",
            resend),
    };
}

}  // namespace opsd::forward
