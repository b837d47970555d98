// What was: pages of transitions, and the states at a time.

#include "core/timeline.hpp"
#include "core/transition_text.hpp"
#include "http/query.hpp"
#include "modules/health/routes.hpp"

#include <fmt/format.h>

namespace opsd::health {

using http::Request;
using http::Response;

namespace {

NodeIdentity identity_of(const Core& core)
{
    const auto& identity = core.services.board.identity.get();
    return identity ? identity->value : NodeIdentity{};
}

/// ?node= names this node, or nothing.
bool is_asked(const Request& request, const NodeIdentity& who)
{
    const auto* node = request.query.find("node");
    return node == nullptr || *node == who.ip || *node == who.hostname
           || (!who.mesos_id.empty() && *node == who.mesos_id);
}

std::vector<StateNow> present_states(const Core& core)
{
    std::vector<StateNow> now;
    const auto& health = core.services.board.health.get();
    if (!health) return now;
    for (const auto& unit : health->value.units) {
        const bool known = health->value.systemd_readable;
        now.push_back({.unit = unit->id,
                       .health = known ? unit->health : Health::unknown,
                       .state = unit->state,
                       .reason = unit->reason,
                       .since = unit->since});
    }
    return now;
}

}  // namespace

Task<Result<History::Page>> read_history(std::shared_ptr<Core> core, HistoryQuery query)
{
    const auto slot = core->readers.take();
    if (!slot) co_return fail(slot.error());
    auto page = co_await core->history.read(std::move(query));
    co_return page;
}

Task<Response> node_history(std::shared_ptr<Core> core, const Request& request)
{
    auto query = history_query(request);
    if (!query) co_return Response::problem(query.error());
    const auto after = http::after_of(request);
    if (!after) co_return Response::problem(after.error());
    query->after = *after;
    query->newest_first = false;
    auto page = co_await read_history(core, std::move(*query));
    if (!page) co_return Response::problem(page.error());
    TransitionPage shown;
    shown.rows = std::move(page->rows);
    shown.last_id = std::max(page->last_id, shown.rows.empty() ? *after : shown.rows.back().id);
    shown.more = page->more;
    co_return Response::json(page_json(shown));
}

Task<Response> health_history(std::shared_ptr<Core> core, const Request& request)
{
    auto query = history_query(request);
    if (!query) co_return Response::problem(query.error());
    const auto after = http::after_of(request);
    if (!after) co_return Response::problem(after.error());
    query->after = *after;
    query->newest_first = !request.query.has("after");
    query->unit = request.query.get("unit");
    const auto who = identity_of(*core);
    std::string out;
    JsonText json{out};
    json.open('{').key("transitions").open('[');
    if (is_asked(request, who)) {
        auto page = co_await read_history(core, std::move(*query));
        if (!page) co_return Response::problem(page.error());
        for (auto& row : page->rows) {
            ClusterTransition shown;
            shown.id = row.id;
            shown.address = who.ip;
            shown.hostname = who.hostname;
            shown.seen_at = row.last_at;
            shown.transition = std::move(row);
            std::string element;
            append_cluster_transition(element, shown);
            json.raw(element);
        }
    }
    json.close(']').close('}');
    out += '\n';
    co_return Response::json(std::move(out));
}

Task<Response> health_at(std::shared_ptr<Core> core, const Request& request)
{
    const auto time = parse_rfc3339(request.query.get("time"));
    if (!time) co_return Response::problem(time.error());
    if (*time > core->services.clock.now())
        co_return Response::problem(400, "cannot tell how it will be: the time is in the future");
    const auto who = identity_of(*core);
    if (!is_asked(request, who))
        co_return Response::problem(404, fmt::format("cannot find the node \"{}\": only {} is known here",
                                                     request.query.get("node"), who.hostname));
    auto slot = core->readers.take();
    if (!slot) co_return Response::problem(slot.error());
    auto around = co_await core->history.around(*time);
    slot->reset();
    if (!around) co_return Response::problem(around.error());
    const auto now = present_states(*core);
    std::vector<NodeThen> nodes(1);
    nodes[0].address = who.ip;
    nodes[0].hostname = who.hostname;
    nodes[0].begins = around->begins;
    nodes[0].units = states_at(*time, around->rows, now, around->begins);
    co_return Response::json(report_json(*time, nodes, http::is_set(request, "full")));
}

}  // namespace opsd::health
