#include "modules/health/routes.hpp"

#include "core/json_text.hpp"
#include "http/query.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace opsd::health {

using http::Access;
using http::Method;
using http::Request;
using http::Response;

namespace {

constexpr std::size_t most_history_rows = 1'000;

bool takes_gzip(const Request& request)
{
    return request.headers.get("accept-encoding").find("gzip") != std::string_view::npos;
}

std::vector<std::string_view> words(std::string_view list)
{
    std::vector<std::string_view> all;
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        if (comma > 0) all.push_back(list.substr(0, comma));
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return all;
}

Task<Response> dcos(std::shared_ptr<Core> core, const Request& request)
{
    const auto& board = core->services.board;
    co_return Response::shared(core->dcos.get(
        board.health, board.identity, board.log_access.everything(request.caller), takes_gzip(request)));
}

Task<Response> node(std::shared_ptr<Core> core, const Request&)
{
    const auto& health = core->services.board.health.get();
    if (!health) co_return no_data_yet();
    std::optional<Duration> age;
    if (const auto at = core->publisher.confirmed_at(); at != Monotonic{})
        age = std::chrono::duration_cast<Duration>(core->services.clock.monotonic() - at);
    co_return Response::json(node_json(health->value, age));
}

Task<Response> units(std::shared_ptr<Core> core, const Request& request)
{
    const auto& health = core->services.board.health.get();
    if (!health) co_return no_data_yet();
    const auto& now = health->value;
    const auto healths = words(request.query.get("health"));
    const auto states = words(request.query.get("state"));
    for (const auto word : healths) {
        if (word != "0" && word != "1" && word != "3")
            co_return Response::problem(400,
                                        fmt::format("cannot filter by health \"{}\": it is 0, 1 or 3", word));
    }
    std::string out;
    JsonText json{out};
    json.open('{').number("health", static_cast<int>(now.health)).text("reason", now.reason);
    json.boolean("systemd_readable", now.systemd_readable).key("units").open('[');
    for (const auto& unit : now.units) {
        const auto shown = now.systemd_readable ? unit->health : Health::unknown;
        const auto word = std::to_string(static_cast<int>(shown));
        if (!healths.empty() && std::ranges::find(healths, word) == healths.end()) continue;
        if (!states.empty() && std::ranges::find(states, unit->state) == states.end()) continue;
        std::string element;
        append_unit(element, *unit, now);
        json.raw(element);
    }
    json.close(']').close('}');
    out += '\n';
    co_return Response::shared(http::make_content(std::move(out), "application/json", takes_gzip(request)));
}

Task<Response> unit(std::shared_ptr<Core> core, const Request& request)
{
    auto found = find_unit(*core, request);
    if (found.problem) co_return std::move(*found.problem);
    const auto& now = core->services.board.health.get()->value;
    const bool with_journal = core->services.board.log_access.entries_of(found.unit->id, request.caller);
    auto body = unit_json(*found.unit, now, with_journal);
    co_return Response::shared(http::make_content(std::move(body), "application/json", takes_gzip(request)));
}

Task<Response> explain_unit(std::shared_ptr<Core> core, const Request& request)
{
    auto found = find_unit(*core, request);
    if (found.problem) co_return std::move(*found.problem);
    const auto& board = core->services.board;
    // It quotes what units have to do with it, and what people typed.
    if (!board.log_access.everything(request.caller)) {
        co_return Response::problem(
            Error{Errc::denied, fmt::format("cannot explain {}: the journal of all units is part of that, of "
                                            "which your role may read some only "
                                            "(logs.allow)",
                                            found.unit->id)});
    }
    const bool readable = board.health.get()->value.systemd_readable;
    auto answer = co_await core->explainer.ask(std::move(found.unit), readable);
    co_return answer;
}

Task<Response> history(std::shared_ptr<Core> core, const Request& request)
{
    auto found = find_unit(*core, request);
    auto query = history_query(request);
    if (!query) co_return Response::problem(query.error());
    // A unit that is watched no longer still has its past.
    query->unit = found.unit ? found.unit->id : std::string{request.path_params.get("unit")};
    const auto unit_name = query->unit;
    auto page = co_await read_history(core, std::move(*query));
    if (!page) co_return Response::problem(page.error());
    if (page->rows.empty() && found.problem) co_return std::move(*found.problem);
    std::string out;
    JsonText json{out};
    json.open('{').text("unit", unit_name).key("transitions").open('[');
    for (const auto& row : page->rows) {
        std::string element;
        append_transition(element, row);
        json.raw(element);
    }
    json.close(']').close('}');
    out += '\n';
    co_return Response::json(std::move(out));
}

using Answer = Task<Response> (*)(std::shared_ptr<Core>, const Request&);

http::Handler with(const std::shared_ptr<Core>& core, Answer answer)
{
    return [core, answer](const Request& request) { return answer(core, request); };
}

const http::Parameter unit_parameter{"unit", "path", "Name of the unit, with its suffix; an alias is fine",
                                     "string"};

}  // namespace

Result<HistoryQuery> history_query(const Request& request)
{
    HistoryQuery query;
    const auto limit = http::limit_of(request, query.limit, most_history_rows);
    if (!limit) return fail(limit.error());
    query.limit = *limit;
    for (const auto* name : {"since", "until"}) {
        const auto* text = request.query.find(name);
        if (text == nullptr) continue;
        auto time = parse_rfc3339(*text);
        if (!time) return fail(std::move(time).error());
        (name[0] == 's' ? query.since : query.until) = *time;
    }
    return query;
}

Response no_data_yet()
{
    return Response::problem(503, "cannot answer yet: systemd has not been looked at; try again in a second")
        .with("Retry-After", "1");
}

FoundUnit find_unit(const Core& core, const Request& request)
{
    const auto& health = core.services.board.health.get();
    if (!health) return {nullptr, no_data_yet()};
    const auto asked = request.path_params.get("unit");
    const auto alias = core.tracker.resolve(asked);
    const auto id = alias.empty() ? asked : std::string_view{alias};
    const auto& all = health->value.units;
    const auto at =
        std::ranges::lower_bound(all, id, {}, [](const auto& u) { return std::string_view{u->id}; });
    if (at != all.end() && (*at)->id == id) return {*at, std::nullopt};
    std::vector<std::string> ids;
    for (const auto& unit : all)
        ids.push_back(unit->id);
    const auto near = config::nearest(asked, ids);
    auto sentence = fmt::format("cannot find the unit \"{}\": it is not watched", asked);
    sentence +=
        near.empty() ? "; /api/v1/units lists those that are" : fmt::format("; did you mean {}?", near);
    return {nullptr, Response::problem(404, sentence)};
}

std::vector<http::Route> routes_of(std::shared_ptr<Core> core)
{
    return {
        {Method::get,
         "/system/health/v1",
         Access::local,
         "Health of this node's units, as DC/OS shapes it",
         with(core, dcos),
         {}},
        {Method::get,
         "/api/v1/health",
         Access::local,
         "Health of this node: verdict, reason, counts, age",
         with(core, node),
         {}},
        {Method::get,
         "/api/v1/units",
         Access::local,
         "All watched units with state, reason and acknowledgement",
         with(core, units),
         {{"health", "query", "Only these: 0 healthy, 1 unhealthy, 3 unknown; several with commas", "string"},
          {"state", "query", "Only these state words; several with commas", "string"}}},
        {Method::get,
         "/api/v1/units/{unit}",
         Access::local,
         "One unit: state, reason, properties; output with journal lines for viewers",
         with(core, unit),
         {unit_parameter}},
        {Method::get,
         "/api/v1/units/{unit}/explain",
         Access::read,
         "Why the unit is as it is: verdict, cause, evidence, changes, journal lines, next commands",
         with(core, explain_unit),
         {unit_parameter}},
        {Method::get,
         "/api/v1/units/{unit}/history",
         Access::local,
         "The unit's transitions, newest first",
         with(core, history),
         {unit_parameter,
          {"since", "query", "Not older than this time (RFC 3339)", "string"},
          {"until", "query", "Older than this time (RFC 3339)", "string"},
          {"limit", "query", "At most so many, 1 to 1000; 100 by default", "integer"}}},
        {Method::get,
         "/api/v1/health/history",
         Access::local,
         "Transitions of all units, newest first; on a node that watches the cluster, of all nodes",
         with(core, health_history),
         {{"unit", "query", "Only this unit", "string"},
          {"node", "query", "Only this node: address or host name", "string"},
          {"since", "query", "Not older than this time (RFC 3339)", "string"},
          {"until", "query", "Older than this time (RFC 3339)", "string"},
          {"after", "query", "Only ids greater than this, oldest first", "integer"},
          {"limit", "query", "At most so many, 1 to 1000; 100 by default", "integer"}}},
        {Method::get,
         "/api/v1/health/at",
         Access::local,
         "How the units were at a time, as far as the transitions that are kept say",
         with(core, health_at),
         {{"time", "query", "The time (RFC 3339)", "string"},
          {"node", "query", "Only this node: address or host name", "string"},
          {"full", "query", "Also units that were healthy", "boolean"}}},
        {Method::get,
         "/api/v1/node/history",
         Access::local,
         "This node's transitions in the order of their ids, for those who keep a copy",
         with(core, node_history),
         {{"after", "query", "Only ids greater than this; 0 by default", "integer"},
          {"limit", "query", "At most so many, 1 to 1000; 100 by default", "integer"}}},
        {Method::get,
         "/api/v1/events",
         Access::local,
         "Transitions as they happen (server-sent events)",
         with(core, events),
         {{"last_event_id", "query", "Begin after this id, as the header Last-Event-ID does", "integer"}}},
        {Method::get,
         "/api/v1/units/{unit}/ack",
         Access::local,
         "The unit's acknowledgement, or null",
         with(core, acknowledgement),
         {unit_parameter}},
        {Method::post,
         "/api/v1/units/{unit}/ack",
         Access::operate,
         "Acknowledges planned work on a unit: {\"for\": \"2h\", \"reason\": \"new disk\"}; \"durable\" in "
         "the answer "
         "says whether it survives a restart",
         with(core, acknowledge),
         {unit_parameter},
         true},
        {Method::del,
         "/api/v1/units/{unit}/ack",
         Access::operate,
         "Withdraws the acknowledgement; 200 instead of 204 says why it may come back",
         with(core, withdraw),
         {unit_parameter},
         true},
    };
}

}  // namespace opsd::health
