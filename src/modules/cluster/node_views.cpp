// /api/v1/nodes...: who is in the cluster, where each is known from, how fresh its picture is.

#include "core/ack_request.hpp"
#include "core/unit_text.hpp"
#include "modules/cluster/view_parts.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace opsd::cluster {
namespace {

constexpr std::size_t slice = 500;  // members rendered before others get their turn

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

struct Filter {
    std::vector<std::string_view> healths, roles, freshnesses;
    [[nodiscard]] bool takes(const Member& member) const
    {
        const auto in = [](const auto& list, std::string_view word) {
            return list.empty() || std::ranges::find(list, word) != list.end();
        };
        return in(healths, std::to_string(static_cast<int>(member.health))) && in(roles, member.identity.role)
               && in(freshnesses, to_string(member.freshness));
    }
};

Task<std::string> render_members(const Cluster& cluster, Filter filter)
{
    const auto executor = co_await asio::this_coro::executor;
    std::string out;
    JsonText json{out};
    const auto verdict = verdict_of(cluster);
    json.open('{').number("health", static_cast<int>(verdict.health)).text("reason", verdict.reason);
    json.key("counts");
    append_counts(json, cluster.nodes);
    json.boolean("watching", cluster.watching).key("nodes").open('[');
    for (std::size_t i = 0; i < cluster.members.size(); ++i) {
        if (filter.takes(*cluster.members[i])) append_member(json, *cluster.members[i]);
        if (i % slice == slice - 1) co_await asio::post(executor, asio::use_awaitable);
    }
    json.close(']').close('}');
    out += '\n';
    co_return out;
}

Task<Response> members(Shared views, const Request& request)
{
    const Filter filter{words(request.query.get("health")), words(request.query.get("role")),
                        words(request.query.get("freshness"))};
    for (const auto word : filter.healths)
        if (word != "0" && word != "1" && word != "3")
            co_return Response::problem(400,
                                        fmt::format("cannot filter by health \"{}\": it is 0, 1 or 3", word));
    for (const auto word : filter.freshnesses)
        if (word != "fresh" && word != "stale" && word != "unanswered")
            co_return Response::problem(
                400,
                fmt::format("cannot filter by freshness \"{}\": it is fresh, stale or unanswered", word));
    const auto snapshot = snapshot_of(*views);
    const bool all = filter.healths.empty() && filter.roles.empty() && filter.freshnesses.empty();
    if (!all) {
        auto body = co_await render_members(snapshot->value, filter);
        co_return dated(Response::json(std::move(body)), *views, *snapshot);
    }
    WantedAnswer wanted{.key = "members",
                        .snapshot = snapshot,
                        .modified = snapshot->at,
                        .gzip = takes_gzip(request),
                        .render = [](const Cluster& cluster) { return render_members(cluster, {}); }};
    auto response = co_await kept_answer(views, std::move(wanted));
    if (!response) co_return Response::problem(response.error());
    co_return std::move(*response);
}

std::string with_age(std::string object, const Views& views, const Member& member)
{
    object.pop_back();  // the closing brace
    JsonText json{object};
    json.raw("").key("age_seconds");
    if (member.answered_at == WallTime{}) {
        json.null();
    } else {
        const auto age = views.services.clock.now() - member.answered_at;
        json.raw(fmt::format("{:.3f}", std::max(0.0, std::chrono::duration<double>{age}.count())));
    }
    object += '}';
    return object;
}

Task<Response> one(Shared views, const Request& request)
{
    const auto snapshot = snapshot_of(*views);
    auto found = find_node(snapshot->value, request, false);
    if (found.problem) co_return std::move(*found.problem);
    std::string out;
    JsonText json{out};
    append_member(json, *found.member);
    co_return dated(Response::json(with_age(std::move(out), *views, *found.member) + "\n"), *views, *snapshot,
                    found.member.get());
}

Task<Response> its_units(Shared views, const Request& request)
{
    const auto snapshot = snapshot_of(*views);
    auto found = find_node(snapshot->value, request, false);
    if (found.problem) co_return std::move(*found.problem);
    std::string out;
    JsonText json{out};
    json.open('{').text("address", found.member->address);
    json.text("freshness", to_string(found.member->freshness)).text("why", found.member->why).key("counts");
    append_counts(json, unit_counts(*found.member));
    json.key("units").open('[');
    for (const auto& unit : found.member->units)
        append_member_unit(json, *found.member, unit, shows_entries(*views, unit, request.caller));
    json.close(']').close('}');
    co_return dated(Response::json(out + "\n"), *views, *snapshot, found.member.get());
}

Task<Response> its_unit(Shared views, const Request& request)
{
    const auto snapshot = snapshot_of(*views);
    auto found = find_node(snapshot->value, request, false);
    if (found.problem) co_return std::move(*found.problem);
    const auto* unit = found.member->find(request.path_params.get("unit"));
    if (unit == nullptr)
        co_return Response::problem(404,
                                    fmt::format("cannot find the unit \"{}\" on {}: it is not watched there",
                                                request.path_params.get("unit"), found.member->address));
    std::string out;
    JsonText json{out};
    append_member_unit(json, *found.member, *unit, shows_entries(*views, *unit, request.caller));
    co_return dated(Response::json(out + "\n"), *views, *snapshot, found.member.get());
}

/// The node's own explanation: it alone has the journal and the files.
Task<Response> explain(Shared views, const Request& request)
{
    const auto snapshot = snapshot_of(*views);
    auto found = find_node(snapshot->value, request, false);
    if (found.problem) co_return std::move(*found.problem);
    const auto unit = request.path_params.get("unit");
    if (!views->services.board.log_access.everything(request.caller)) {
        co_return Response::problem(
            Error{Errc::denied,
                  "cannot explain the unit: the journal of all units is part of that, of which your role may "
                  "read some only (logs.allow)"});
    }
    const auto path = fmt::format("/api/v1/units/{}/explain", unit);
    auto response = co_await views->actions.fetch(found.member, path);
    co_return response;
}

Task<Response> forget(Shared views, const Request& request)
{
    const auto snapshot = snapshot_of(*views);
    auto found = find_node(snapshot->value, request, false);
    if (found.problem) co_return std::move(*found.problem);
    const auto done = co_await views->actions.forget(found.member->address);
    if (done) co_return Response::no_content();
    co_return done.error().code == Errc::invalid_argument ? Response::problem(409, done.error().message)
                                                          : Response::problem(done.error());
}

Task<Response> withdraw(Shared views, const Request& request)
{
    const auto snapshot = snapshot_of(*views);
    auto found = find_node(snapshot->value, request, false);
    if (found.problem) co_return std::move(*found.problem);
    const auto done = co_await views->actions.acknowledge(found.member->address, std::nullopt);
    if (!done) co_return Response::problem(done.error());
    co_return Response::no_content();
}

Task<Response> acknowledge(Shared views, const Request& request)
{
    const auto snapshot = snapshot_of(*views);
    auto found = find_node(snapshot->value, request, false);
    if (found.problem) co_return std::move(*found.problem);
    const auto asked = read_ack_request(request.body);
    if (!asked) co_return Response::problem(asked.error());
    const auto ack = asked->begin(request.caller.name, views->services.clock.now());
    const auto done = co_await views->actions.acknowledge(found.member->address, ack);
    if (!done) co_return Response::problem(done.error());
    std::string out;
    JsonText json{out};
    append_acknowledgement(json, &ack);
    co_return Response::json(out + "\n");
}

const http::Parameter node_name{"node", "path", "Address, IP, host name, Mesos id or machine id of the node",
                                "string"};
const http::Parameter unit_name{"unit", "path", "Name of the unit", "string"};

}  // namespace

std::vector<http::Route> node_routes(const Shared& v)
{
    return {
        {Method::get,
         "/api/v1/nodes",
         Access::local,
         "All nodes: identity, health, freshness, where each is known from",
         with(v, members),
         {{"health", "query", "Only these: 0 healthy, 1 unhealthy, 3 unknown; several with commas", "string"},
          {"role", "query", "Only these roles; several with commas", "string"},
          {"freshness", "query", "Only these: fresh, stale, unanswered; several with commas", "string"}}},
        {Method::get,
         "/api/v1/nodes/{node}",
         Access::local,
         "One node, with the age of what is known of it",
         with(v, one),
         {node_name}},
        {Method::del,
         "/api/v1/nodes/{node}",
         Access::operate,
         "Forgets a node that no source names any more",
         with(v, forget),
         {node_name},
         true},
        {Method::get,
         "/api/v1/nodes/{node}/units",
         Access::local,
         "The node's units with state and reason",
         with(v, its_units),
         {node_name}},
        {Method::get,
         "/api/v1/nodes/{node}/units/{unit}",
         Access::local,
         "One unit of the node; output with journal lines for viewers",
         with(v, its_unit),
         {node_name, unit_name}},
        {Method::get,
         "/api/v1/nodes/{node}/units/{unit}/explain",
         Access::read,
         "Why the unit is as it is, asked of the node itself",
         with(v, explain),
         {node_name, unit_name}},
        {Method::post,
         "/api/v1/nodes/{node}/ack",
         Access::operate,
         "Acknowledges planned work on a node: {\"for\": \"2h\", \"reason\": \"new disk\"}",
         with(v, acknowledge),
         {node_name},
         true},
        {Method::del,
         "/api/v1/nodes/{node}/ack",
         Access::operate,
         "Withdraws the acknowledgement of a node",
         with(v, withdraw),
         {node_name},
         true},
    };
}

}  // namespace opsd::cluster
