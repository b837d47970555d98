#include "core/timeline.hpp"

#include "core/json_text.hpp"
#include "opsd/cluster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace opsd {
namespace {

using Rows = std::vector<const Transition*>;

/// Of the versions of one folded row the newest counts.
Rows newest_versions(const Rows& rows)
{
    std::map<std::tuple<WallTime, std::string_view, std::string_view>, const Transition*> newest;
    for (const auto* row : rows) {
        auto& known = newest[{row->at, row->from, row->to}];
        if (known == nullptr || known->id < row->id) known = row;
    }
    Rows all;
    for (const auto& [key, row] : newest)
        all.push_back(row);
    return all;
}

/// How bad a state is to be told, when it was one of two.
int badness(Health health)
{
    if (health == Health::unhealthy) return 2;
    return health == Health::unknown ? 1 : 0;
}

StateThen either_of(const Transition& row)
{
    const bool from = badness(row.from_health) > badness(row.to_health);
    StateThen then;
    then.health = from ? row.from_health : row.to_health;
    then.state = from ? row.from : row.to;
    then.since = row.at;
    then.reason = fmt::format("it went from {} to {} {} times between {} and {}; when exactly is not kept",
                              row.from, row.to, row.count, rfc3339(row.at), rfc3339(row.last_at));
    return then;
}

StateThen unknown_because(std::string reason)
{
    StateThen then;
    then.reason = std::move(reason);
    return then;
}

StateThen as_now(const StateNow& now)
{
    return {.unit = {},
            .health = now.health,
            .state = now.state,
            .reason = now.reason,
            .since = now.since,
            .exact = true};
}

std::string before_history(std::optional<WallTime> begins)
{
    if (!begins) return "no transition is kept of that time";
    return fmt::format("the first transition that is kept was at {}", rfc3339(*begins));
}

StateThen state_at(WallTime time, const Rows& rows, const StateNow* now, bool is_there,
                   std::optional<WallTime> begins)
{
    const Transition* before = nullptr;  // ended before the time
    const Transition* spans = nullptr;   // the time lies within a folded row
    const Transition* after = nullptr;   // the first one later
    for (const auto* row : rows) {
        if (row->at > time) {
            if (after == nullptr || std::tie(row->at, row->id) < std::tie(after->at, after->id)) after = row;
        } else if (row->last_at > time) {
            if (spans == nullptr || badness(either_of(*row).health) > badness(either_of(*spans).health))
                spans = row;
        } else if (before == nullptr
                   || std::tie(before->last_at, before->id) < std::tie(row->last_at, row->id)) {
            before = row;
        }
    }
    if (spans != nullptr) return either_of(*spans);
    const bool gone = before != nullptr && before->to == gone_state && after == nullptr;
    const bool lasts = now != nullptr && now->since <= time && now->since != WallTime{};
    if (gone && lasts) before = nullptr;  // it came again, in a state that is worth no row
    if (before != nullptr && after == nullptr && !is_there && !gone) {
        return unknown_because(
            fmt::format("it is not there now, and when it went is not kept; it was {} since {}", before->to,
                        rfc3339(before->last_at)));
    }
    if (before != nullptr) {
        StateThen then;
        then.health = before->to_health;
        then.state = before->to;
        then.reason = before->reason;
        then.since = before->last_at;
        then.exact = true;
        if (after != nullptr && (after->from != before->to || after->from_health != before->to_health)) {
            // A transition between the two is missing: whichever was the case is told as the worse.
            then.exact = false;
            if (badness(after->from_health) > badness(then.health)) {
                then.health = after->from_health;
                then.state = after->from;
                then.since.reset();
            }
            then.reason = fmt::format("it was {} at {} and {} at {}; what lies between is not kept",
                                      before->to, rfc3339(before->last_at), after->from, rfc3339(after->at));
        }
        return then;
    }
    if (after == nullptr && lasts) return as_now(*now);
    if (!begins || time < *begins) return unknown_because(before_history(begins));
    if (after != nullptr) {
        StateThen then;
        then.health = after->from_health;
        then.state = after->from;
        then.exact = true;
        return then;
    }
    return unknown_because("no transition of it is kept");
}

}  // namespace

std::vector<StateThen> states_at(WallTime time, std::span<const Transition> rows,
                                 std::span<const StateNow> now, std::optional<WallTime> begins)
{
    struct Unit {
        Rows rows;
        const StateNow* now = nullptr;
    };
    std::map<std::string_view, Unit> units;
    for (const auto& row : rows)
        units[row.unit].rows.push_back(&row);
    for (const auto& state : now)
        units[state.unit].now = &state;
    std::vector<StateThen> all;
    all.reserve(units.size());
    for (const auto& [name, unit] : units) {
        const bool is_there = unit.now != nullptr || now.empty();
        auto then = state_at(time, newest_versions(unit.rows), unit.now, is_there, begins);
        if (then.state == gone_state && then.exact && !name.empty()) continue;
        then.unit = name;
        all.push_back(std::move(then));
    }
    return all;
}

Health NodeThen::health() const noexcept
{
    if (!answered || units.empty()) return Health::unknown;
    auto all = Health::healthy;
    for (const auto& unit : units)
        all = worse(all, unit.health);
    return all;
}

namespace {

void append_time(JsonText& json, std::string_view name, std::optional<WallTime> time)
{
    json.key(name);
    if (time)
        json.text(rfc3339(*time));
    else
        json.null();
}

void append_counts(JsonText& json, std::string_view name, const HealthCounts& counts)
{
    json.key(name).open('{').number("healthy", counts.healthy).number("unhealthy", counts.unhealthy);
    json.number("unknown", counts.unknown).close('}');
}

void append_node(JsonText& json, const NodeThen& node, bool full)
{
    json.open('{').text("address", node.address).text("hostname", node.hostname);
    json.number("health", static_cast<int>(node.health())).text("reason", node.why);
    append_time(json, "history_begins", node.begins);
    json.key("units").open('[');
    for (const auto& unit : node.units) {
        const auto health = node.answered ? unit.health : Health::unknown;
        if (!full && health == Health::healthy) continue;
        json.open('{').text("id", unit.unit).number("health", static_cast<int>(health));
        json.text("state", unit.state).text("reason", unit.reason);
        append_time(json, "since", unit.since);
        json.boolean("exact", unit.exact).close('}');
    }
    json.close(']').close('}');
}

}  // namespace

std::string report_json(WallTime time, std::span<const NodeThen> nodes, bool full)
{
    HealthCounts by_node;
    HealthCounts by_unit;
    for (const auto& node : nodes) {
        by_node.add(node.health());
        for (const auto& unit : node.units)
            by_unit.add(node.answered ? unit.health : Health::unknown);
    }
    std::string out;
    JsonText json{out};
    json.open('{').text("time", rfc3339(time));
    const auto all = nodes.empty() ? Health::unknown : by_node.rolled_up();
    json.number("health", static_cast<int>(all));
    append_counts(json, "nodes", by_node);
    append_counts(json, "units", by_unit);
    json.key("members").open('[');
    for (const auto& node : nodes)
        append_node(json, node, full);
    json.close(']').close('}');
    out += '\n';
    return out;
}

}  // namespace opsd
