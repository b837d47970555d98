// What was found about a unit, as sentences with their data.

#include "modules/health/explain/rows.hpp"
#include "modules/health/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace opsd::health::explain {
namespace {

using List = std::vector<Evidence>;
using rows::when;

std::string plural(std::uint64_t count, std::string_view one)
{
    return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

void add_result(const Case& c, List& list)
{
    const auto& u = c.unit;
    if (!u.result.empty() && u.result != "success")
        list.push_back(
            {"result", fmt::format("systemd's Result is {}", u.result), {}, {{"result", u.result}}});
    if (u.main_code != 0)
        list.push_back({"exit",
                        fmt::format("the main process {}", how_it_ended(u)),
                        c.details.main_ended,
                        {{"code", std::to_string(u.main_code)}, {"status", std::to_string(u.main_status)}}});
    if (c.control != nullptr) {
        UnitFacts ended;
        ended.main_code = c.control->code;
        ended.main_status = c.control->status;
        list.push_back({"control-process",
                        fmt::format("{}={} {}", c.control->setting, fmt::join(c.control->arguments, " "),
                                    how_it_ended(ended)),
                        c.control->ended,
                        {{"setting", c.control->setting}}});
    }
    const auto restarts = c.facts.state.restarts_in_window;
    if (restarts > 0)
        list.push_back({"restarts",
                        fmt::format("systemd restarted it {} within {}", plural(restarts, "time"),
                                    human_duration(c.facts.restart_window)),
                        {},
                        {{"restarts", std::to_string(restarts)}}});
}

void add_loading(const Case& c, List& list)
{
    const auto& u = c.unit;
    if (!u.load_state.empty() && u.load_state != "loaded")
        list.push_back({"load-state",
                        fmt::format("systemd's load state of it is {}{}{}", u.load_state,
                                    u.load_error.empty() ? "" : ": ", u.load_error),
                        {},
                        {{"load_state", u.load_state}}});
    if (c.details.need_daemon_reload)
        list.push_back({"daemon-reload",
                        "its unit file or a drop-in was changed on disk, and systemd has not read it yet",
                        {},
                        {}});
    for (const auto* checks : {&c.details.conditions, &c.details.asserts}) {
        for (const auto& one : *checks) {
            if (one.result >= 0) continue;
            list.push_back(
                {"condition",
                 fmt::format("{}={}{} is not met", one.type, one.negated ? "!" : "", one.parameter),
                 c.details.condition_at,
                 {{"type", one.type}, {"parameter", one.parameter}}});
        }
    }
}

void add_dependencies(const Case& c, List& list)
{
    for (const auto& one : c.facts.dependencies) {
        if (!one.bad && !one.idle) continue;
        auto text =
            fmt::format("{} ({}= of {}) is {}", one.id, one.via, one.required_by,
                        one.facts.load_state == "loaded" ? one.facts.active_state : one.facts.load_state);
        if (one.facts.main_code != 0 && one.bad) text += fmt::format(": it {}", how_it_ended(one.facts));
        list.push_back({"dependency",
                        std::move(text),
                        one.facts.state_change_time,
                        {{"unit", one.id},
                         {"via", one.via},
                         {"required_by", one.required_by},
                         {"depth", std::to_string(one.depth)},
                         {"first_cause", &one == c.first_cause ? "true" : "false"}}});
    }
}

void add_memory(const Case& c, List& list)
{
    const auto& d = c.details;
    if (const auto oom = rows::kernel_oom(c); !oom.empty()) list.push_back({"oom-kill", oom, {}, {}});
    const bool limited = d.memory_max != systemd::no_limit;
    const bool about_memory =
        c.unit.result == "oom-kill" || (c.unit.main_code == 2 && c.unit.main_status == 9);
    if (limited && about_memory) {
        auto text = fmt::format("MemoryMax= is {}", human_bytes(d.memory_max));
        if (d.memory_peak != systemd::no_limit)
            text += fmt::format(", its peak was {}", human_bytes(d.memory_peak));
        if (d.memory_current != systemd::no_limit)
            text += fmt::format(", in use are {}", human_bytes(d.memory_current));
        if (c.unit.result != "oom-kill")
            text += "; a kill at the limit looks like this where the kernel does "
                    "not tell systemd";
        list.push_back({"memory", std::move(text), {}, {{"memory_max", std::to_string(d.memory_max)}}});
    }
}

void add_time_limits(const Case& c, List& list)
{
    const auto text = [](std::string_view setting, std::uint64_t usec) {
        const auto time = std::chrono::milliseconds{static_cast<std::int64_t>(usec / 1000)};
        return fmt::format("{}= is {}", setting, human_duration(time));
    };
    const auto& d = c.details;
    if (c.unit.result == "timeout" && d.timeout_start_usec != systemd::no_limit)
        list.push_back({"limit", text("TimeoutStartSec", d.timeout_start_usec), {}, {}});
    if (c.unit.result == "timeout" && d.timeout_stop_usec != systemd::no_limit)
        list.push_back({"limit", text("TimeoutStopSec", d.timeout_stop_usec), {}, {}});
    if (c.unit.result == "watchdog" && d.watchdog_usec != systemd::no_limit)
        list.push_back({"limit", text("WatchdogSec", d.watchdog_usec), {}, {}});
}

void add_file(const FileFact& file, List& list)
{
    const auto say = [&](std::string text) {
        list.push_back({"file", std::move(text), {}, {{"path", file.path}, {"role", file.role}}});
    };
    if (file.state == FileState::missing && file.role != "argument" && file.role != "drop-in directory")
        say(fmt::format("its {} {} does not exist", file.role, file.path));
    if (file.state == FileState::broken)
        say(fmt::format("its {} {} cannot be looked at: {}", file.role, file.path, file.problem));
    if (file.state == FileState::present && file.role == "program" && !file.executable)
        say(fmt::format("its program {} is not executable", file.path));
    if (file.interpreter_missing)
        say(fmt::format("the interpreter {} of {} does not exist", file.interpreter, file.path));
}

void add_surroundings(const Case& c, List& list)
{
    for (const auto& file : c.facts.files)
        add_file(file, list);
    for (const auto& one : c.facts.accounts) {
        if (one.exists) continue;
        const auto* kind = one.group ? "group" : "user";
        list.push_back(
            {"account", fmt::format("there is no {} {}", kind, one.name), {}, {{"name", one.name}}});
    }
    for (const auto& one : c.facts.full) {
        list.push_back({"space",
                        fmt::format("the file system of {} is full: {} of {} free, {}", one.path,
                                    human_bytes(one.free_bytes), human_bytes(one.total_bytes),
                                    one.total_files == 0 ? "no count of files"
                                                         : plural(one.free_files, "file") + " more fit"),
                        {},
                        {{"path", one.path}, {"free_bytes", std::to_string(one.free_bytes)}}});
    }
}

void add_people(const Case& c, List& list)
{
    if (c.facts.state.acknowledged) {
        const auto& ack = *c.facts.state.acknowledged;
        list.push_back(
            {"acknowledged",
             fmt::format("planned work, says {}, until {}: {}", ack.by, when(ack.until), ack.reason),
             ack.at,
             {}});
    }
    if (c.facts.state.state != "stopped") return;
    for (const auto& line : c.facts.commands)
        list.push_back({"command", fmt::format("{}: {}", line.identifier, line.message), line.at, {}});
}

}  // namespace

std::vector<Evidence> evidence_of(const Case& c)
{
    List list;
    add_result(c, list);
    add_loading(c, list);
    add_dependencies(c, list);
    if (c.clue && rows::failing(c))
        list.push_back({"line",
                        fmt::format("it said: {}", c.clue->line->message),
                        c.clue->line->at,
                        {{"identifier", c.clue->line->identifier}}});
    const auto* words = rows::failing(c) ? rows::last_words(c) : nullptr;
    if (words != nullptr && (!c.clue || c.clue->line != words))
        list.push_back({"last-line",
                        fmt::format("its last line: {}", words->message),
                        words->at,
                        {{"identifier", words->identifier}}});
    add_memory(c, list);
    add_time_limits(c, list);
    if (c.facts.state.health != Health::healthy) add_surroundings(c, list);
    add_people(c, list);
    return list;
}

Explanation explain(const Facts& facts)
{
    const Case one{facts};
    const auto& cause = cause_of(one);
    Explanation answer;
    answer.unit = facts.state.id;
    answer.health = facts.systemd_readable ? facts.state.health : Health::unknown;
    answer.state = facts.state.state;
    answer.verdict = cause.sentence(one);
    answer.cause = cause.name;
    answer.since = facts.state.since;
    answer.at = facts.now;
    answer.worked = facts.worked;
    answer.evidence = evidence_of(one);
    answer.journal = facts.journal;
    answer.changed = one.changed;
    answer.packages = facts.packages;
    for (auto& command : cause.next(one)) {
        if (std::ranges::find(answer.next, command) == answer.next.end()) answer.next.push_back(command);
    }
    answer.unknown = facts.unknown;
    if (facts.culprit) {
        const Case culprit{*facts.culprit};
        for (auto& found : evidence_of(culprit)) {
            found.text = facts.culprit->state.id + ": " + found.text;
            found.data.emplace_back("unit", facts.culprit->state.id);
            answer.evidence.push_back(std::move(found));
        }
        for (const auto& change : culprit.changed)
            answer.changed.push_back(change);
        answer.journal.clear();
        std::ranges::merge(facts.journal, facts.culprit->journal, std::back_inserter(answer.journal), {},
                           &systemd::JournalLine::at, &systemd::JournalLine::at);
        for (const auto& one_unknown : facts.culprit->unknown)
            answer.unknown.push_back({facts.culprit->state.id + ": " + one_unknown.what, one_unknown.why});
    }
    return answer;
}

}  // namespace opsd::health::explain
