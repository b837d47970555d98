// /api/v1/cluster...: the cluster's verdict with its counts, its units; /api/v1/metrics/cluster.

#include "modules/cluster/metrics.hpp"
#include "modules/cluster/view_parts.hpp"

#include <fmt/format.h>

#include <array>
#include <optional>

namespace opsd::cluster {
namespace {

/// One sentence: the worst first, and how many.
std::string counted(const Cluster& cluster)
{
    const auto count = [](std::uint32_t n, std::string_view word) {
        return fmt::format("{} {}{}", n, word, n == 1 ? "" : "s");
    };
    const auto& nodes = cluster.nodes;
    std::string text;
    if (nodes.unhealthy > 0) text = fmt::format("{} unhealthy", count(nodes.unhealthy, "node"));
    if (nodes.unknown > 0)
        text += fmt::format("{}{} unknown", text.empty() ? "" : ", ", count(nodes.unknown, "node"));
    return text.empty() ? text : fmt::format("{} of {}", text, nodes.total());
}

Task<Response> cluster(Shared views, const Request&)
{
    const auto snapshot = snapshot_of(*views);
    const auto& now = snapshot->value;
    HealthCounts units;
    for (const auto& roll : now.units)
        units.add(roll.nodes.rolled_up());
    std::string out;
    JsonText json{out};
    const auto verdict = verdict_of(now);
    json.open('{').number("health", static_cast<int>(verdict.health)).text("reason", verdict.reason);
    json.boolean("watching", now.watching).key("nodes");
    append_counts(json, now.nodes);
    json.key("units");
    append_counts(json, units);
    json.close('}');
    co_return dated(Response::json(out + "\n"), *views, *snapshot);
}

void append_roll(JsonText& json, const UnitRollup& roll)
{
    json.open('{').text("id", roll.label->id).text("name", roll.label->name);
    json.text("description", roll.label->description);
    json.number("health", static_cast<int>(roll.nodes.rolled_up())).key("nodes");
    append_counts(json, roll.nodes);
    json.close('}');
}

Task<std::string> render_units(const Cluster& cluster)
{
    std::string out;
    JsonText json{out};
    json.open('{').key("units").open('[');
    for (const auto& roll : cluster.units)
        append_roll(json, roll);
    json.close(']').close('}');
    out += '\n';
    co_return out;
}

Task<Response> units(Shared views, const Request& request)
{
    const auto snapshot = snapshot_of(*views);
    WantedAnswer wanted{.key = "cluster units",
                        .snapshot = snapshot,
                        .modified = changed_at(*snapshot),
                        .gzip = takes_gzip(request),
                        .render = render_units};
    auto response = co_await kept_answer(views, std::move(wanted));
    if (!response) co_return Response::problem(response.error());
    co_return std::move(*response);
}

Task<Response> unit(Shared views, const Request& request)
{
    const auto snapshot = snapshot_of(*views);
    const auto id = request.path_params.get("unit");
    const auto* roll = find_unit(snapshot->value, id);
    if (roll == nullptr)
        co_return Response::problem(404, fmt::format("cannot find the unit \"{}\": no node has it; "
                                                     "/api/v1/cluster/units lists all",
                                                     id));
    std::string out;
    JsonText json{out};
    json.open('{').text("id", roll->label->id).text("name", roll->label->name);
    json.text("description", roll->label->description);
    json.number("health", static_cast<int>(roll->nodes.rolled_up())).key("counts");
    append_counts(json, roll->nodes);
    json.key("nodes").open('[');
    for (const auto& member : snapshot->value.members) {
        const auto* its = member->find(id);
        if (its == nullptr) continue;
        json.open('{').text("address", member->address).text("hostname", member->identity.hostname);
        json.text("role", member->identity.role).text("freshness", to_string(member->freshness)).key("unit");
        append_member_unit(json, *member, *its, false);  // a thousand journals are too much for one answer
        json.close('}');
    }
    json.close(']').close('}');
    co_return dated(Response::json(out + "\n"), *views, *snapshot);
}

// --- /api/v1/metrics/cluster

constexpr std::size_t piece = 64 * 1024;

double number(Health health) { return static_cast<double>(static_cast<int>(health)); }

/// Sends what the page has when it has enough; false when the client is gone.
Task<bool> send(telemetry::Page& page, http::StreamWriter& out, std::size_t from)
{
    if (page.text().size() < from) co_return true;
    const auto text = page.take();
    const auto written = co_await out.write(text);
    co_return written.has_value();
}

void append_totals(telemetry::Page& page, const Cluster& cluster)
{
    write_totals(cluster, page);
    page.family("opsd_cluster_units", telemetry::Kind::gauge, "Nodes that have a unit, by its health there.");
    for (const auto& roll : cluster.units) {
        page.sample({{"unit", roll.label->id}, {"health", "healthy"}}, roll.nodes.healthy);
        page.sample({{"unit", roll.label->id}, {"health", "unhealthy"}}, roll.nodes.unhealthy);
        page.sample({{"unit", roll.label->id}, {"health", "unknown"}}, roll.nodes.unknown);
    }
}

using Members = std::vector<std::shared_ptr<const Member>>;

void append_clocks_and_work(telemetry::Page& page, const Members& members)
{
    page.family("opsd_cluster_node_clock_offset_seconds", telemetry::Kind::gauge,
                "Clock of a node minus this node's, as good as half the round trip.");
    for (const auto& m : members) {
        if (m->answered_at == WallTime{}) continue;
        page.sample({{"node", m->address}}, std::chrono::duration<double>{m->clock_offset}.count());
    }
    page.family("opsd_cluster_node_acknowledged", telemetry::Kind::gauge,
                "1 for a node with planned work on it.");
    for (const auto& m : members)
        if (m->acknowledged) page.sample({{"node", m->address}}, 1);
}

/// One series for each unit of each node that has a value.
struct UnitFamily {
    std::string_view name;
    std::string_view help;
    std::optional<double> (*value)(const Member&, const MemberUnit&);
};

std::optional<double> health_of(const Member& member, const MemberUnit& unit)
{
    return number(member.current(unit));
}
std::optional<double> restarts_of(const Member&, const MemberUnit& unit)
{
    if (unit.restarts_in_window == 0) return std::nullopt;
    return unit.restarts_in_window;
}
std::optional<double> acknowledged(const Member&, const MemberUnit& unit)
{
    return unit.acknowledged ? std::optional{1.0} : std::nullopt;
}

constexpr auto unit_families = std::to_array<UnitFamily>({
    {"opsd_cluster_unit_health", "Health of a unit on a node: 0 healthy, 1 unhealthy, 3 unknown.", health_of},
    {"opsd_cluster_unit_restarts",
     "Automatic restarts of a unit on a node within health.flapping.window there, if any.", restarts_of},
    {"opsd_cluster_unit_acknowledged", "1 for a unit on a node with planned work on it.", acknowledged},
});

Task<> stream_metrics(ClusterSnapshot snapshot, WallTime now, http::StreamWriter& out)
{
    using telemetry::Kind;
    const auto& members = snapshot->value.members;
    telemetry::Page page;
    append_totals(page, snapshot->value);
    page.family("opsd_cluster_node_health", Kind::gauge,
                "Health of a node: 0 healthy, 1 unhealthy, 3 unknown.");
    for (const auto& m : members) {
        page.sample({{"node", m->address}, {"hostname", m->identity.hostname}, {"role", m->identity.role}},
                    number(m->health));
        const bool sent = co_await send(page, out, piece);
        if (!sent) co_return;
    }
    page.family("opsd_cluster_node_fresh", Kind::gauge, "1 for a node that answers.");
    for (const auto& m : members)
        page.sample({{"node", m->address}}, m->freshness == Freshness::fresh ? 1 : 0);
    page.family("opsd_cluster_node_age_seconds", Kind::gauge, "How old a node's last answer is.");
    for (const auto& m : members) {
        if (m->answered_at == WallTime{}) continue;
        const auto age = m->self ? WallTime::duration{} : now - m->answered_at;
        page.sample({{"node", m->address}}, std::chrono::duration<double>{age}.count());
    }
    append_clocks_and_work(page, members);
    for (const auto& family : unit_families) {
        page.family(family.name, Kind::gauge, family.help);
        for (const auto& m : members) {
            for (const auto& unit : m->units) {
                const auto value = family.value(*m, unit);
                if (value) page.sample({{"node", m->address}, {"unit", unit.label->id}}, *value);
            }
            const bool sent = co_await send(page, out, piece);
            if (!sent) co_return;
        }
    }
    (void)co_await send(page, out, 0);
}

Task<Response> metrics(Shared views, const Request&)
{
    const auto producer = [snapshot = snapshot_of(*views), now = views->services.clock.now()](
                              http::StreamWriter& out) { return stream_metrics(snapshot, now, out); };
    co_return Response::stream("text/plain; version=0.0.4; charset=utf-8", producer);
}

const http::Parameter unit_name{"unit", "path", "Name of the unit", "string"};

}  // namespace

Verdict verdict_of(const Cluster& cluster)
{
    const auto missing = cluster.members.empty() ? std::string{"no node is known yet"} : cluster.incomplete;
    const auto known = cluster.nodes.rolled_up();
    Verdict verdict{missing.empty() ? known : worse(Health::unknown, known), counted(cluster)};
    if (!missing.empty()) verdict.reason += (verdict.reason.empty() ? "" : "; ") + missing;
    return verdict;
}

std::vector<http::Route> cluster_routes(const Shared& v)
{
    return {
        {Method::get, "/api/v1/cluster", Access::local,
         "The cluster's verdict, with the counts of nodes and units by health", with(v, cluster)},
        {Method::get, "/api/v1/cluster/units", Access::local,
         "All units of the cluster, with the counts of nodes by health", with(v, units)},
        {Method::get,
         "/api/v1/cluster/units/{unit}",
         Access::local,
         "One unit of the cluster on all its nodes, with causes but no journal lines",
         with(v, unit),
         {unit_name}},
        {Method::get, "/api/v1/metrics/cluster", Access::local,
         "Health of all nodes and their units for Prometheus", with(v, metrics)},
    };
}

}  // namespace opsd::cluster
