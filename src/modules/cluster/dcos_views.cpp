// /system/health/v1/...: the aggregated routes in the shapes of DC/OS.

#include "http/content.hpp"
#include "modules/cluster/view_parts.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

namespace opsd::cluster {
namespace {

constexpr std::size_t slice = 2'000;              // members rendered before others get their turn
constexpr std::size_t packed_here = 128U * 1024;  // beyond, compressing would hold up the loop

Response not_found(std::string_view what) { return Response::text(fmt::format("{} not found\n", what), 404); }

// --- lists of the whole cluster: rendered once per version

Task<std::string> render_units(const Cluster& cluster)
{
    std::string out;
    JsonText json{out};
    json.open('{').key("units").open('[');
    for (const auto& roll : cluster.units)
        append_unit(json, *roll.label, roll.nodes.rolled_up());
    json.close(']').close('}');
    out += '\n';
    co_return out;
}

Task<std::string> render_nodes(const Cluster& cluster)
{
    std::string out;
    out.reserve(80 * cluster.members.size());
    JsonText json{out};
    json.open('{').key("nodes").open('[');
    const auto executor = co_await asio::this_coro::executor;
    for (std::size_t i = 0; i < cluster.members.size(); ++i) {
        append_node(json, *cluster.members[i], cluster.members[i]->health);
        if (i % slice == slice - 1) co_await asio::post(executor, asio::use_awaitable);
    }
    json.close(']').close('}');
    out += '\n';
    co_return out;
}

Health health_in_unit(const ViewOptions& options, const Member& member, const MemberUnit& of)
{
    return options.node_health_in_units ? member.health : member.current(of);
}

Task<std::string> render_unit_nodes(const Cluster& cluster, std::string id, ViewOptions options)
{
    std::string out;
    JsonText json{out};
    json.open('{').key("nodes").open('[');
    const auto executor = co_await asio::this_coro::executor;
    for (std::size_t i = 0; i < cluster.members.size(); ++i) {
        const auto& member = *cluster.members[i];
        const auto* its = member.find(id);
        if (its != nullptr) append_node(json, member, health_in_unit(options, member, *its));
        if (i % slice == slice - 1) co_await asio::post(executor, asio::use_awaitable);
    }
    json.close(']').close('}');
    out += '\n';
    co_return out;
}

/// Of the newest snapshot.
Task<Response> kept(Shared views, const Request& request, std::string key, WantedAnswer::Render render)
{
    const auto snapshot = snapshot_of(*views);
    WantedAnswer wanted{.key = std::move(key),
                        .snapshot = snapshot,
                        .modified = changed_at(*snapshot),
                        .gzip = takes_gzip(request),
                        .no_older = wants_newest(request),
                        .render = std::move(render)};
    auto response = co_await kept_answer(views, std::move(wanted));
    if (response) co_return std::move(*response);
    auto refusal = Response::text(response.error().message + "\n", 503);
    refusal.with("Retry-After", "5");
    co_return refusal;
}

Task<Response> list(Shared views, const Request& request, std::string key, WantedAnswer::Render render)
{
    auto refusal = co_await refreshed(views, request);
    if (refusal) co_return std::move(*refusal);
    co_return co_await kept(views, request, std::move(key), std::move(render));
}

Task<Response> units(Shared views, const Request& request)
{
    return list(std::move(views), request, "units", render_units);
}

Task<Response> nodes(Shared views, const Request& request)
{
    return list(std::move(views), request, "nodes", render_nodes);
}

// --- the report

Task<std::string> render_report(ClusterSnapshot snapshot, ReportOptions options, std::size_t size)
{
    const auto executor = co_await asio::this_coro::executor;
    std::string out;
    out.reserve(size);
    ReportWriter writer{snapshot, options};
    while (writer.next(out))
        co_await asio::post(executor, asio::use_awaitable);
    co_return out;
}

Task<> stream_report(ClusterSnapshot snapshot, ReportOptions options, http::StreamWriter& out)
{
    ReportWriter writer{std::move(snapshot), options};
    for (bool more = true; more;) {
        std::string piece;
        more = writer.next(piece);
        const auto written = co_await out.write(piece);
        if (!written) co_return;
    }
}

Task<Response> report(Shared views, const Request& request)
{
    auto refusal = co_await refreshed(views, request);
    if (refusal) co_return std::move(*refusal);
    const auto snapshot = snapshot_of(*views);
    const ReportOptions options{.with_journal = views->services.board.log_access.everything(request.caller),
                                .full = request.query.has("full")};
    const auto size = views->report_sizes.of(*snapshot, options);
    if (size <= views->options.answers.bytes / 2) {
        WantedAnswer wanted{.key = fmt::format("report {} {}", options.with_journal, options.full),
                            .snapshot = snapshot,
                            .modified = std::chrono::ceil<std::chrono::seconds>(snapshot->at),
                            .gzip = takes_gzip(request),
                            .no_older = wants_newest(request),
                            .size = size,
                            .render = [snapshot, options, size](const Cluster&) {
                                return render_report(snapshot, options, size);
                            }};
        auto response = co_await kept_answer(views, std::move(wanted));
        if (response) co_return std::move(*response);
    }
    // It says itself when it was made. What would take most of the room for kept answers, or has no room
    // beside what slow clients read, is made anew for each reader, a piece at a time.
    const auto producer = [snapshot, options](http::StreamWriter& out) {
        return stream_report(snapshot, options, out);
    };
    auto response = Response::stream("application/json", producer);
    response.with("Last-Modified", http::http_date(snapshot->at));
    co_return dated(std::move(response), *views, *snapshot);
}

Task<Response> download(Shared views, const Request& request)
{
    auto response = co_await report(std::move(views), request);
    if (response.status == 200)
        response.with("Content-Disposition", "attachment; filename=health-report.json");
    co_return response;
}

// --- one unit, one node, one of the other

Response shown(const Shared& views, const Request& request, const ClusterSnapshot& snapshot, std::string body,
               const Member* member = nullptr)
{
    body += '\n';
    const bool gzip = body.size() <= packed_here && takes_gzip(request);
    auto content = http::make_content(std::move(body), "application/json", gzip);
    content->last_modified = changed_at(*snapshot);
    return dated(Response::shared(std::move(content)), *views, *snapshot, member);
}

Task<Response> unit(Shared views, const Request& request)
{
    auto refusal = co_await refreshed(views, request);
    if (refusal) co_return std::move(*refusal);
    const auto snapshot = snapshot_of(*views);
    const auto* roll = find_unit(snapshot->value, request.path_params.get("unit"));
    if (roll == nullptr) co_return not_found(request.path_params.get("unit"));
    std::string out;
    JsonText json{out};
    append_unit(json, *roll->label, roll->nodes.rolled_up());
    co_return shown(views, request, snapshot, std::move(out));
}

Task<Response> unit_nodes(Shared views, const Request& request)
{
    auto refusal = co_await refreshed(views, request);
    if (refusal) co_return std::move(*refusal);
    const auto snapshot = snapshot_of(*views);
    const auto id = request.path_params.get("unit");
    if (find_unit(snapshot->value, id) == nullptr) co_return not_found(id);
    const WantedAnswer::Render render = [id = std::string{id},
                                         options = views->options](const Cluster& cluster) {
        return render_unit_nodes(cluster, id, options);
    };
    co_return co_await kept(views, request, fmt::format("nodes of {}", id), render);
}

Task<Response> unit_node(Shared views, const Request& request)
{
    auto refusal = co_await refreshed(views, request);
    if (refusal) co_return std::move(*refusal);
    const auto snapshot = snapshot_of(*views);
    const auto id = request.path_params.get("unit");
    if (find_unit(snapshot->value, id) == nullptr) co_return not_found(id);
    auto found = find_node(snapshot->value, request, true);
    if (found.problem) co_return std::move(*found.problem);
    const auto* its = found.member->find(id);
    if (its == nullptr) co_return not_found(request.path_params.get("node"));
    std::string out;
    JsonText json{out};
    append_unit_node(json, *found.member, *its, health_in_unit(views->options, *found.member, *its),
                     shows_entries(*views, *its, request.caller));
    co_return shown(views, request, snapshot, std::move(out), found.member.get());
}

Task<Response> node(Shared views, const Request& request)
{
    auto refusal = co_await refreshed(views, request);
    if (refusal) co_return std::move(*refusal);
    const auto snapshot = snapshot_of(*views);
    auto found = find_node(snapshot->value, request, true);
    if (found.problem) co_return std::move(*found.problem);
    std::string out;
    JsonText json{out};
    append_node(json, *found.member, found.member->health);
    co_return shown(views, request, snapshot, std::move(out), found.member.get());
}

Task<Response> node_units(Shared views, const Request& request)
{
    auto refusal = co_await refreshed(views, request);
    if (refusal) co_return std::move(*refusal);
    const auto snapshot = snapshot_of(*views);
    auto found = find_node(snapshot->value, request, true);
    if (found.problem) co_return std::move(*found.problem);
    std::string out;
    JsonText json{out};
    json.open('{').key("units").open('[');
    for (const auto& its : found.member->units)
        append_unit(json, *its.label, found.member->current(its));
    json.close(']').close('}');
    co_return shown(views, request, snapshot, std::move(out), found.member.get());
}

Task<Response> node_unit(Shared views, const Request& request)
{
    auto refusal = co_await refreshed(views, request);
    if (refusal) co_return std::move(*refusal);
    const auto snapshot = snapshot_of(*views);
    auto found = find_node(snapshot->value, request, true);
    if (found.problem) co_return std::move(*found.problem);
    const auto* its = found.member->find(request.path_params.get("unit"));
    if (its == nullptr) co_return not_found(request.path_params.get("unit"));
    std::string out;
    JsonText json{out};
    append_node_unit(json, *found.member, *its, shows_entries(*views, *its, request.caller));
    co_return shown(views, request, snapshot, std::move(out), found.member.get());
}

const http::Parameter cache{
    "cache", "query", "Ask all nodes now and wait for it; 504 with the age when they do not answer in time",
    "string"};
const http::Parameter unit_name{"unit", "path", "Name of the unit", "string"};
const http::Parameter node_name{"node", "path", "Address as in host_ip, host name or Mesos id of the node",
                                "string"};
const http::Parameter full{"full", "query",
                           "The old shape, where every node of every unit carries all outputs: very large",
                           "string"};

}  // namespace

std::vector<http::Route> dcos_routes(const Shared& v)
{
    const std::string base = "/system/health/v1";
    const auto row = [&](std::string path, std::string summary, Answer answer,
                         std::vector<http::Parameter> parameters) {
        return http::Route{Method::get,        base + path,     Access::local,
                           std::move(summary), with(v, answer), std::move(parameters)};
    };
    return {
        row("/units", "All units of the cluster with their roll-up", units, {cache}),
        row("/units/{unit}", "One unit of the cluster", unit, {unit_name, cache}),
        row("/units/{unit}/nodes", "The nodes that have the unit, with its health there", unit_nodes,
            {unit_name, cache}),
        row("/units/{unit}/nodes/{node}", "The unit on one node, with its output", unit_node,
            {unit_name, node_name, cache}),
        row("/nodes", "All nodes of the cluster with their health", nodes, {cache}),
        row("/nodes/{node}", "One node of the cluster", node, {node_name, cache}),
        row("/nodes/{node}/units", "The units of one node", node_units, {node_name, cache}),
        row("/nodes/{node}/units/{unit}", "One unit of one node, with its output", node_unit,
            {node_name, unit_name, cache}),
        row("/report", "The whole cluster in one document", report, {cache, full}),
        row("/report/download", "The whole cluster in one document, as a file", download, {cache, full}),
    };
}

}  // namespace opsd::cluster
