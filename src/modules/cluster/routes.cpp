#include "modules/cluster/routes.hpp"

#include "core/timeline.hpp"
#include "core/transition_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

namespace opsd::cluster {

using http::Access;
using http::Method;
using http::Request;
using http::Response;

namespace {

constexpr std::size_t most_rows = 1'000;

template <class Number>
std::optional<Number> whole_number(std::string_view text)
{
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

bool is_set(const Request& request, std::string_view name)
{
    const auto* value = request.query.find(name);
    return value != nullptr && *value != "false" && *value != "0";
}

/// What an operator types for a node, as an address; as it is when no member is meant.
std::string address_of(const Core& core, std::string_view name)
{
    const auto& cluster = core.services.board.cluster.get();
    if (!cluster || name.empty()) return std::string{name};
    const auto found = look_up(cluster->value, name);
    return found.member ? found.member->address : std::string{name};
}

Result<ArchiveQuery> query_of(const Core& core, const Request& request)
{
    ArchiveQuery query;
    if (const auto* limit = request.query.find("limit")) {
        const auto number = whole_number<std::size_t>(*limit);
        if (!number || *number == 0 || *number > most_rows)
            return fail(
                Errc::invalid_argument,
                fmt::format("cannot use limit \"{}\": it is a number from 1 to {}", *limit, most_rows));
        query.limit = *number;
    }
    if (const auto* after = request.query.find("after")) {
        const auto number = whole_number<std::int64_t>(*after);
        if (!number || *number < 0)
            return fail(Errc::invalid_argument,
                        fmt::format("cannot use after \"{}\": it is an id that opsd gave", *after));
        query.after = *number;
        query.newest_first = false;
    }
    for (const auto* name : {"since", "until"}) {
        const auto* text = request.query.find(name);
        if (text == nullptr) continue;
        auto time = parse_rfc3339(*text);
        if (!time) return fail(std::move(time).error());
        (name[0] == 's' ? query.since : query.until) = *time;
    }
    query.unit = request.query.get("unit");
    query.node = address_of(core, request.query.get("node"));
    return query;
}

Task<Response> history(std::shared_ptr<Core> core, const Request& request)
{
    auto query = query_of(*core, request);
    if (!query) co_return Response::problem(query.error());
    auto page = co_await core->archive.read(std::move(*query));
    if (!page) co_return Response::problem(page.error());
    std::string out;
    JsonText json{out};
    json.open('{').key("transitions").open('[');
    for (const auto& row : page->rows) {
        std::string element;
        append_cluster_transition(element, row);
        json.raw(element);
    }
    json.close(']').close('}');
    out += '\n';
    co_return Response::json(std::move(out));
}

/// Was the member answering then? Its own transitions (unit "") and what is known now say.
bool answered_then(const std::vector<StateThen>& states, const Member* now, WallTime time, std::string& why)
{
    const auto own = std::ranges::find(states, std::string{}, &StateThen::unit);
    if (own != states.end() && own->state != "unknown") {
        if (own->state == "fresh" || own->state == "replaced") return true;
        why =
            fmt::format("it was {}: {}", own->state, own->reason.empty() ? "it did not answer" : own->reason);
        return false;
    }
    if (own != states.end()) {  // it came and went, but what is kept of that begins later
        why = own->reason;
        return false;
    }
    if (now != nullptr && now->freshness == Freshness::fresh) return true;
    if (now != nullptr && time <= now->answered_at) return true;
    why = "it did not answer";
    return false;
}

/// Known by then: named by a source, or with a row that begins before.
bool was_there(const Member* member, const Archive::Around& around, WallTime time)
{
    const auto before = [time](const Transition& row) { return row.at <= time; };
    if (std::ranges::any_of(around.rows, before)) return true;
    if (member == nullptr) return false;
    const auto known = [time](const MemberSource& source) { return source.first <= time; };
    return member->self || std::ranges::any_of(member->sources, known);
}

NodeThen node_then(const std::string& address, const Member* member, const Archive::Around& around,
                   WallTime time)
{
    std::vector<StateNow> now;
    if (member != nullptr) {
        for (const auto& unit : member->units)
            now.push_back({.unit = unit.label->id,
                           .health = unit.verdict->health,
                           .state = unit.verdict->state,
                           .reason = unit.verdict->reason,
                           .since = unit.since});
    }
    NodeThen node;
    node.address = address;
    node.hostname = member != nullptr ? member->identity.hostname : around.hostname;
    node.begins = around.begins;
    auto states = states_at(time, around.rows, now, around.begins);
    node.answered = answered_then(states, member, time, node.why);
    std::erase_if(states, [](const StateThen& state) { return state.unit.empty(); });
    node.units = std::move(states);
    return node;
}

Task<Response> at(std::shared_ptr<Core> core, const Request& request)
{
    const auto time = parse_rfc3339(request.query.get("time"));
    if (!time) co_return Response::problem(time.error());
    if (*time > core->services.clock.now())
        co_return Response::problem(400, "cannot tell how it will be: the time is in the future");
    const auto only = address_of(*core, request.query.get("node"));
    auto around = co_await core->archive.around(*time, only);
    if (!around) co_return Response::problem(around.error());
    std::map<std::string, const Member*, AddressLess> members;
    const auto cluster = core->services.board.cluster.get();
    if (cluster) {
        for (const auto& member : cluster->value.members)
            if (only.empty() || member->address == only) members[member->address] = member.get();
    }
    for (const auto& [address, rows] : *around)
        members.try_emplace(address, nullptr);
    std::vector<NodeThen> nodes;
    for (const auto& [address, member] : members) {
        const auto& rows = (*around)[address];
        if (was_there(member, rows, *time)) nodes.push_back(node_then(address, member, rows, *time));
    }
    if (!only.empty() && nodes.empty())
        co_return Response::problem(
            404, fmt::format("cannot find the node \"{}\" at that time", request.query.get("node")));
    co_return Response::json(report_json(*time, nodes, is_set(request, "full")));
}

using Answer = Task<Response> (*)(std::shared_ptr<Core>, const Request&);

http::Handler with(const std::shared_ptr<Core>& core, Answer answer)
{
    return [core, answer](const Request& request) { return answer(core, request); };
}

Task<Response> own_document(std::shared_ptr<Core> core, const Request& request)
{
    return core->own->answer(request);
}

http::Route replacing(http::Route route)
{
    route.replaces = true;
    return route;
}

/// What answers for all nodes in the place of what answers for this one.
void add_watching(std::vector<http::Route>& rows, const std::shared_ptr<Core>& core)
{
    const http::Parameter node{"node", "query", "Only this node: address, host name or Mesos id", "string"};
    rows.push_back(
        replacing({Method::get,
                   "/api/v1/health/history",
                   Access::local,
                   "Transitions of all units of all nodes, newest first",
                   with(core, history),
                   {{"unit", "query", "Only this unit", "string"},
                    node,
                    {"since", "query", "Not older than this time (RFC 3339)", "string"},
                    {"until", "query", "Older than this time (RFC 3339)", "string"},
                    {"after", "query", "Only ids greater than this, oldest first", "integer"},
                    {"limit", "query", "At most so many, 1 to 1000; 100 by default", "integer"}}}));
    rows.push_back(replacing({Method::get,
                              "/api/v1/health/at",
                              Access::local,
                              "How the nodes and their units were at a time, as far as what is kept says",
                              with(core, at),
                              {{"time", "query", "The time (RFC 3339)", "string"},
                               node,
                               {"full", "query", "Also units that were healthy", "boolean"}}}));
    rows.push_back(replacing(
        {Method::get,
         "/api/v1/events",
         Access::local,
         "Transitions of all nodes as they happen (server-sent events)",
         with(core, events),
         {{"last_event_id", "query", "Begin after this id, as the header Last-Event-ID does", "integer"}}}));
}

}  // namespace

std::vector<http::Route> routes_of(std::shared_ptr<Core> core)
{
    std::vector<http::Route> rows;
    rows.push_back(
        {Method::get,
         "/api/v1/node",
         Access::local,
         "This node for others: identity, verdict and all units; with \"Prefer: wait=30\" and "
         "If-None-Match the answer is held until something changes",
         with(core, own_document),
         {{"partial", "query", "Only what changed since the version of If-None-Match", "boolean"}}});
    if (core->watching) add_watching(rows, core);
    return rows;
}

}  // namespace opsd::cluster
