#include "modules/health/explain/gather.hpp"

#include "modules/health/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace opsd::health::explain {
namespace {

using namespace std::chrono_literals;

constexpr int deepest = 10;
constexpr std::size_t most_starts = 30;
constexpr std::size_t most_kernel_lines = 50;
constexpr std::size_t most_commands = 200;
constexpr std::size_t most_line = 1024;
constexpr Duration around_failure = 60s;
constexpr const char* started_message = "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf";

const auto all_parts = {"its properties", "the units that it requires", "its history", "its journal lines",
                        "its files and packages"};

void say_unknown(Facts& facts, std::string what, const Error& error)
{
    facts.unknown.push_back({std::move(what), error.message});
}

Error no_manager()
{
    return {Errc::unavailable, "opsd has no connection to systemd just now; try again in a second"};
}

// --- systemd

Task<> read_details(const Sources& sources, Facts& facts)
{
    const auto manager = sources.manager();
    if (!manager) co_return say_unknown(facts, "its properties", no_manager());
    auto details = co_await manager->inspect_unit(systemd::unit_path(facts.state.id));
    if (!details) co_return say_unknown(facts, "its properties", details.error());
    facts.details = std::move(*details);
    facts.details_known = true;
}

/// A unit whose dependencies are to be followed.
struct Node {
    std::string id;
    systemd::UnitDetails details;
};
using Wanted = std::map<std::string, Dependency>;  // by id

void want(const Node& node, const std::vector<std::string>& names, const char* via, int depth,
          const std::set<std::string>& seen, Wanted& wanted)
{
    for (const auto& name : names) {
        if (seen.contains(name) || !systemd::valid_unit_name(name)) continue;
        Dependency one;
        one.id = name;
        one.required_by = node.id;
        one.via = via;
        one.depth = depth;
        wanted.try_emplace(name, std::move(one));
    }
}

/// failed, not loadable, or idle where it should be active.
void judge(Dependency& one, const systemd::UnitDetails& details)
{
    const auto& f = details.facts;
    const bool loaded = f.load_state == "loaded";
    const bool asserted = f.condition_at.count() == 0 || !f.condition_result || f.assert_result;
    one.bad = !loaded || f.active_state == "failed" || !asserted;
    const bool runs_once = f.type == "oneshot" && !f.remain_after_exit;
    const bool must_be_active = one.via != "Requires";
    one.idle =
        !one.bad && f.active_state == "inactive" && (must_be_active || (!runs_once && f.condition_result));
    one.facts = f;
}

/// One level: lists the wanted units at once and inspects those that are not active.
Task<Result<std::vector<Node>>> look_at_level(const Sources& sources, Wanted wanted, Facts& facts)
{
    std::vector<Node> further;
    std::vector<std::string> names;
    for (const auto& [name, one] : wanted)
        names.push_back(name);
    auto manager = sources.manager();
    if (!manager) co_return fail(no_manager());
    auto rows = co_await manager->list_units_by_names(names);
    if (!rows) co_return fail(std::move(rows).error());
    for (std::size_t i = 0; i < rows->size() && i < names.size(); ++i) {
        const auto& row = (*rows)[i];
        if (row.load_state == "loaded" && row.active_state == "active") continue;
        manager = sources.manager();
        if (!manager) co_return fail(no_manager());
        auto details = co_await manager->inspect_unit(systemd::unit_path(row.id));
        if (!details) co_return fail(std::move(details).error());
        auto one = wanted.at(names[i]);
        one.id = row.id;
        judge(one, *details);
        facts.dependencies.push_back(std::move(one));
        further.push_back({row.id, std::move(*details)});
    }
    co_return further;
}

/// Level by level from the unit on; every unit once, so that circles end.
Task<> follow_dependencies(const Sources& sources, const ExplainOptions& options, Facts& facts,
                           std::map<std::string, systemd::UnitDetails>& found)
{
    std::set<std::string> seen{facts.state.id};
    std::vector<Node> level;
    level.push_back({facts.state.id, facts.details});
    for (int depth = 1; depth <= deepest && !level.empty(); ++depth) {
        Wanted wanted;
        for (const auto& node : level) {
            want(node, node.details.binds_to, "BindsTo", depth, seen, wanted);
            want(node, node.details.requires_units, "Requires", depth, seen, wanted);
            want(node, node.details.requisite, "Requisite", depth, seen, wanted);
        }
        if (wanted.empty()) co_return;
        if (seen.size() + wanted.size() > static_cast<std::size_t>(options.dependencies)) {
            facts.unknown.push_back({"all the units that it requires",
                                     fmt::format("more than {} are on the way (health.explain.dependencies)",
                                                 options.dependencies)});
            co_return;
        }
        for (const auto& [name, one] : wanted)
            seen.insert(name);
        auto next = co_await look_at_level(sources, std::move(wanted), facts);
        if (!next) co_return say_unknown(facts, "all the units that it requires", next.error());
        level = std::move(*next);
        for (const auto& node : level)
            found.insert_or_assign(node.id, node.details);
    }
}

// --- the journal

systemd::JournalQuery bounded(systemd::JournalQuery query, std::size_t lines, WallTime since = {},
                              WallTime until = {})
{
    query.max_lines = lines;
    query.max_bytes = 64UL * 1024;
    query.max_line = most_line;
    query.since = since;
    query.until = until;
    return query;
}

Task<> read_unit_lines(const Sources& sources, const ExplainOptions& options, Facts& facts)
{
    systemd::JournalQuery query;
    query.unit = facts.state.id;
    query.main = systemd::ended_main(facts.details.facts);  // what it said last may name no unit
    query = bounded(std::move(query), static_cast<std::size_t>(options.journal_lines));
    auto lines = co_await sources.journal(std::move(query));
    if (!lines) co_return say_unknown(facts, "its journal lines", lines.error());
    facts.journal = std::move(*lines);
    if (facts.state.health == Health::unhealthy && facts.journal.empty())
        facts.unknown.push_back({"its journal lines", "the journal of this boot has none about it"});
    else if (facts.state.health == Health::unhealthy && !facts.state.journal_complete)
        facts.unknown.push_back({"its last journal lines",
                                 "journald hands lines over up to a second late; ask again in a moment"});
}

Task<> read_starts(const Sources& sources, Facts& facts)
{
    systemd::JournalQuery query;
    query.unit = facts.state.id;
    query.fields = {{"UNIT=" + facts.state.id, "_PID=1", started_message}};
    query = bounded(std::move(query), most_starts);
    auto lines = co_await sources.journal(std::move(query));
    if (!lines) co_return;  // the unit's own lines could not be read either, which is said
    for (const auto& line : *lines)
        facts.starts.push_back(line.at);
}

Task<> read_kernel(const Sources& sources, Facts& facts)
{
    const auto& unit = facts.details.facts;
    const bool killed = unit.result == "oom-kill" || (unit.main_code == 2 && unit.main_status == 9);
    if (!killed) co_return;
    const auto ended = facts.details.main_ended == WallTime{} ? turned_at(facts) : facts.details.main_ended;
    systemd::JournalQuery query;
    query.unit = facts.state.id;
    query.fields = {{"_TRANSPORT=kernel"}, {"_SYSTEMD_UNIT=systemd-oomd.service"}};
    query.naming = {"oom-kill:", "Killed process", "Killed /"};
    query = bounded(std::move(query), most_kernel_lines, ended - around_failure, ended + around_failure);
    auto lines = co_await sources.journal(std::move(query));
    if (!lines) co_return say_unknown(facts, "what the kernel said about memory", lines.error());
    facts.kernel = std::move(*lines);
    if (facts.kernel.empty())
        facts.unknown.push_back({"whether the kernel killed it for lack of memory",
                                 "the journal has no such line of the kernel; dmesg may"});
}

/// Only what commands the unit: its name alone is in many lines.
bool commands_unit(const std::string& message, const std::string& id)
{
    if (message.contains("requested from client ")) return message.contains(id);
    const auto command = message.find("COMMAND=");
    if (command == std::string::npos) return false;
    const auto words = message.substr(command) + " ";
    const auto stem = id.substr(0, id.rfind('.'));
    return words.contains(" " + id + " ") || words.contains(" " + stem + " ");
}

Task<> read_commands(const Sources& sources, Facts& facts)
{
    if (facts.state.state != "stopped") co_return;
    const auto at = turned_at(facts);
    systemd::JournalQuery query;
    query.unit = facts.state.id;
    query.fields = {{"_EXE=/usr/bin/sudo"}, {"SYSLOG_IDENTIFIER=sudo", "_UID=0"}, {"_PID=1"}};
    query.naming = {"COMMAND=", "requested from client "};
    query = bounded(std::move(query), most_commands, at - around_failure, at + 2s);
    auto lines = co_await sources.journal(std::move(query));
    if (!lines) co_return say_unknown(facts, "who stopped it", lines.error());
    std::erase_if(*lines,
                  [&facts](const auto& line) { return !commands_unit(line.message, facts.state.id); });
    facts.commands = std::move(*lines);
}

Task<> read_journal(const Sources& sources, const ExplainOptions& options, Facts& facts)
{
    co_await read_unit_lines(sources, options, facts);
    if (facts.state.health == Health::healthy) co_return;
    co_await read_starts(sources, facts);
    co_await read_kernel(sources, facts);
    co_await read_commands(sources, facts);
}

// --- the rest

Task<> read_history(const Sources& sources, Facts& facts)
{
    auto rows = co_await sources.history(facts.state.id);
    if (!rows) co_return say_unknown(facts, "its history", rows.error());
    facts.history = std::move(*rows);
}

Task<> look_around(const Sources& sources, const ExplainOptions& options, Facts& facts)
{
    facts.worked = last_worked(facts, options.worked_after);
    if (facts.state.health == Health::unhealthy && !facts.worked.ever)
        facts.unknown.push_back(
            {"what was changed since it worked",
             fmt::format("opsd has not seen it work for {} in its history or in this boot",
                         human_duration(options.worked_after))});
    if (!facts.details_known) co_return;
    auto questions = questions_of(facts);
    auto answers = co_await sources.look(std::move(questions));
    if (!answers) co_return say_unknown(facts, "its files and packages", answers.error());
    take(facts, std::move(*answers));
}

/// The state of a unit that the module may not watch.
UnitState state_of(const Sources& sources, const Dependency& one)
{
    if (const auto known = sources.state(one.id)) return *known;
    Context context;
    context.expected = true;
    const auto verdict = opsd::health::judge(one.facts, context);
    UnitState state;
    state.id = state.name = one.id;
    state.health = verdict.health == Health::healthy ? Health::unhealthy : verdict.health;
    state.state = verdict.state;
    state.reason = verdict.reason;
    state.since = one.facts.state_change_time;
    state.journal_complete = true;
    return state;
}

Task<> explain_culprit(const Sources& sources, const ExplainOptions& options, Facts& facts,
                       const std::map<std::string, systemd::UnitDetails>& found)
{
    const auto* first = first_cause(facts.dependencies);
    if (first == nullptr || !found.contains(first->id)) co_return;
    auto culprit = std::make_shared<Facts>();
    culprit->state = state_of(sources, *first);
    culprit->details = found.at(first->id);
    culprit->details_known = true;
    culprit->now = facts.now;
    culprit->restart_window = facts.restart_window;
    facts.culprit = culprit;  // as far as it is known when time is up
    co_await read_history(sources, *culprit);
    co_await read_journal(sources, options, *culprit);
    co_await look_around(sources, options, *culprit);
}

}  // namespace

Gathering begin(const UnitState& state, bool systemd_readable, WallTime now, Duration window)
{
    Gathering gathering;
    gathering.facts.state = state;
    gathering.facts.systemd_readable = systemd_readable;
    if (state.facts) gathering.facts.details.facts = *state.facts;
    gathering.facts.restart_window = window;
    gathering.facts.now = now;
    gathering.left.assign(all_parts.begin(), all_parts.end());
    return gathering;
}

Facts Gathering::ended(std::string_view why) &&
{
    if (!part.empty()) left.insert(left.begin(), part);
    for (const auto& name : left)
        facts.unknown.push_back({name, std::string{why}});
    return std::move(facts);
}

Task<> gather(const Sources& sources, const ExplainOptions& options, Gathering& gathering)
{
    auto& facts = gathering.facts;
    const auto next = [&gathering] {
        gathering.part = gathering.left.empty() ? std::string{} : gathering.left.front();
        if (!gathering.left.empty()) gathering.left.erase(gathering.left.begin());
    };
    next();
    co_await read_details(sources, facts);
    next();
    std::map<std::string, systemd::UnitDetails> found;
    const bool may_depend =
        facts.state.health != Health::healthy && facts.details.facts.active_state == "inactive";
    if (may_depend && facts.details_known) co_await follow_dependencies(sources, options, facts, found);
    next();
    co_await read_history(sources, facts);
    next();
    co_await read_journal(sources, options, facts);
    next();
    co_await look_around(sources, options, facts);
    if (!found.empty()) {
        gathering.part = "the unit that failed first";
        co_await explain_culprit(sources, options, facts, found);
    }
    gathering.part.clear();
}

}  // namespace opsd::health::explain
