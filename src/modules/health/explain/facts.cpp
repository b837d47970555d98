#include "modules/health/explain/facts.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <tuple>

namespace opsd::health::explain {
namespace {

/// State words of a unit that does its job.
bool works(std::string_view word)
{
    constexpr auto words = std::to_array<std::string_view>(
        {"running", "done", "listening", "waiting", "mounted", "plugged", "elapsed", "active", "reloading"});
    return std::ranges::find(words, word) != words.end();
}

/// systemd starts a process and enters the new state afterwards, later on a busy machine.
constexpr std::chrono::milliseconds spawning{500};

struct Run {
    std::optional<WallTime> since;
    WallTime until{};
    std::string_view known_from;
};

/// The runs that the history knows, oldest first. A folded row stands for its newest repetition.
std::vector<Run> runs_of(const std::vector<Transition>& newest_first)
{
    std::vector<Run> runs;
    std::optional<WallTime> open;
    bool first = true;
    for (auto row = newest_first.rbegin(); row != newest_first.rend(); ++row) {
        const bool worked = open.has_value() || (first && works(row->from));
        first = false;
        if (works(row->to)) {
            if (!open) open = row->last_at;
            continue;
        }
        if (worked) runs.push_back({open, row->last_at, "history"});
        open.reset();
    }
    return runs;
}

bool lasted(const Run& run, Duration steady) { return !run.since || run.until - *run.since >= steady; }

}  // namespace

WallTime turned_at(const Facts& facts)
{
    return facts.state.since == WallTime{} ? facts.now : facts.state.since;
}

WallTime attempt_began(const systemd::UnitDetails& details)
{
    // A unit that gave up or waits for its restart has left its inactive state after the run, not before it.
    const auto& unit = details.facts;
    const bool after_run = unit.sub_state.starts_with("auto-restart")
                           || unit.result.ends_with("start-limit-hit") || unit.restarts > 0;
    const auto began = after_run ? details.main_began : details.inactive_exit;
    return began == WallTime{} ? began : began - spawning;
}

Worked last_worked(const Facts& facts, Duration steady)
{
    if (facts.state.health == Health::healthy && works(facts.state.state))
        return {true, facts.state.since, facts.now, "systemd"};
    auto runs = runs_of(facts.history);
    const auto& d = facts.details;
    if (d.active_enter != WallTime{} && d.active_exit > d.active_enter)
        runs.push_back({d.active_enter, d.active_exit, "systemd"});
    const Run* best = nullptr;
    for (const auto& run : runs) {
        if (lasted(run, steady) && (best == nullptr || run.until > best->until)) best = &run;
    }
    if (best == nullptr) return {};
    Worked worked{true, best->since.value_or(WallTime{}), best->until, std::string{best->known_from}};
    if (best->since) return worked;
    // It ran before anybody watched: PID 1 said when it was started.
    for (const auto at : facts.starts) {
        if (at + steady <= best->until) worked.since = at;
    }
    if (worked.since != WallTime{}) worked.known_from = "journal";
    return worked;
}

const Dependency* first_cause(const std::vector<Dependency>& dependencies)
{
    // Bad before idle, deep before near, early before late.
    const auto rank = [](const Dependency& one) {
        return std::tuple{one.bad, one.depth, -one.facts.state_change_at.count()};
    };
    const Dependency* first = nullptr;
    for (const auto& one : dependencies) {
        if ((one.bad || one.idle) && (first == nullptr || rank(one) > rank(*first))) first = &one;
    }
    return first;
}

}  // namespace opsd::health::explain
