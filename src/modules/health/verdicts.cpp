// What follows from what the tracker was told: verdicts, transitions, wishes for evidence, the node's health.

#include "core/timeline.hpp"
#include "modules/health/tracker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace opsd::health {
namespace {

/// These come back on every cycle of a unit that keeps restarting.
bool cyclic(std::string_view state) { return state == flapping_state || state == "restarting"; }

/// These say no more than that a unit is not in use.
bool inert(std::string_view state) { return state == "off" || state == "absent" || state == gone_state; }

constexpr std::size_t most_gone = 10'000;  // units that may come again; names made for one run never do

bool at_rest(const UnitFacts& facts)
{
    return facts.active_state == "inactive" || facts.active_state == "failed";
}

/// May the verdict enter the history? What was not read yet may look different in a moment.
bool settled(const UnitFacts& facts, const std::string& problem, const std::string& unreadable)
{
    return facts.details || !problem.empty() || !unreadable.empty();
}

}  // namespace

Context Tracker::context_of(Entry& entry, Monotonic now) const
{
    Context context;
    context.now = now;
    context.seen_at = entry.seen_at;
    context.job_since = entry.job_since;
    context.expected = entry.expected || enabled(entry.facts.unit_file_state);
    context.restarts = entry.restarts.count(now);
    context.job_result = entry.job_result;
    context.problem = entry.problem;
    context.unreadable = entry.unreadable;
    context.flapping = options_.flapping;
    context.stuck_after = options_.stuck_after;
    return context;
}

Effects Tracker::evaluate(const Moment& now, std::size_t max)
{
    auto effects = std::exchange(left_, {});
    for (std::size_t done = 0; done < max && !dirty_.empty(); ++done) {
        auto& entry = *dirty_.front();
        dirty_.pop_front();
        entry.dirty = false;
        judge_entry(entry, now, effects);
        effects.changed = true;
    }
    return effects;
}

void Tracker::judge_entry(Entry& entry, const Moment& now, Effects& effects)
{
    if (entry.ack && now.monotonic >= entry.ack_until) {
        entry.ack.reset();
        early_acks_.erase(entry.facts.id);
    }
    const auto context = context_of(entry, now.monotonic);
    if (!readable_ && entry.judged) {  // the last known state stays until systemd speaks again
        publish(entry, entry.published->reason, context.restarts);
        schedule(entry, context);
        return;
    }
    auto verdict = judge(entry.facts, context);
    const auto health_before = entry.health;
    set_verdict(entry, verdict, now);
    if (remembers_ && readable_ && settled(entry.facts, entry.problem, entry.unreadable))
        record(entry, verdict, now, effects);
    if (entry.restarts.worth_saving(now.monotonic)) save_restarts(entry, now, effects);
    if (entry.health == Health::unhealthy) {
        wish(entry, effects);
    } else {
        if (health_before == Health::unhealthy) effects.recovered.push_back(entry.facts.id);
        entry.journal.clear();
        entry.wished_key.clear();
        entry.journal_complete = true;
    }
    publish(entry, std::move(verdict.reason), context.restarts);
    schedule(entry, context);
}

void Tracker::set_verdict(Entry& entry, const Verdict& verdict, const Moment& now)
{
    const auto& facts = entry.facts;
    const bool same = entry.judged && entry.state == verdict.state && entry.health == verdict.health;
    const bool same_run = facts.invocation_id == entry.judged_invocation || cyclic(verdict.state);
    if (same && same_run) return;
    entry.judged_invocation = facts.invocation_id;
    // systemd's own time, unless the verdict changed without a change of state: stuck, flapping, expected
    // now.
    const bool moved = !entry.judged || !same_run || facts.state_change_at != entry.judged_change_at;
    const bool timed = facts.state_change_time != WallTime{} && !cyclic(verdict.state);
    entry.since = moved && timed ? facts.state_change_time : now.wall;
    entry.judged = true;
    entry.judged_change_at = facts.state_change_at;
    entry.state = verdict.state;
    entry.health = verdict.health;
}

Known Tracker::known_of(const Entry& entry) const
{
    const auto& facts = entry.facts;
    return {.state = entry.state,
            .health = entry.health,
            .since = entry.since,
            .boot_id = boot_id_,
            .result = facts.result,
            .main_code = facts.main_code,
            .main_status = facts.main_status,
            .invocation_id = facts.invocation_id,
            .job_result = entry.job_result,
            .started = ever_started(facts)};
}

void Tracker::record(Entry& entry, const Verdict& verdict, const Moment& now, Effects& effects)
{
    const bool first = !entry.recorded;
    const bool same =
        !first && entry.recorded->state == entry.state && entry.recorded->health == entry.health;
    if (!first && entry.recorded->state == gone_state && inert(entry.state)) return;
    const auto& run = entry.facts.invocation_id;
    // Not while a new run begins: its Result, which is "success", is told before its ActiveState.
    const bool failed_anew = same && entry.state == "failed" && !run.empty()
                             && run != entry.recorded->invocation_id && entry.facts.result != "success";
    if (same && !failed_anew) {
        // The same state as before a restart of ours: it began when we first saw it, if nothing happened
        // since.
        if (entry.recorded->since > entry.since && entry.recorded->since <= now.wall)
            entry.since = entry.recorded->since;
        return;
    }
    Record made{.unit = entry.facts.id, .known = known_of(entry), .transition = std::nullopt};
    if (!first || entry.health != Health::healthy) {
        Transition t;
        t.unit = entry.facts.id;
        t.at = t.last_at = entry.since;
        t.to = entry.state;
        t.to_health = entry.health;
        if (!first) {
            t.from = entry.recorded->state;
            t.from_health = entry.recorded->health;
        }
        t.result = entry.facts.result;
        t.main_code = entry.facts.main_code;
        t.main_status = entry.facts.main_status;
        t.invocation_id = entry.facts.invocation_id;
        t.reason = verdict.reason;
        made.transition = std::move(t);
    }
    entry.recorded = made.known;
    memory_.insert_or_assign(made.unit, made.known);
    made.known.restarts = entry.restarts.save(now.monotonic);
    effects.records.push_back(std::move(made));
}

void Tracker::record_gone(Entry& entry, std::string_view why, const Moment& now, Effects& effects)
{
    Transition t;
    t.unit = entry.facts.id;
    t.at = t.last_at = now.wall;
    t.from = entry.recorded->state;
    t.from_health = entry.recorded->health;
    t.to = gone_state;
    t.to_health = Health::healthy;  // what is not there and not expected counts no more than one that is off
    t.reason = why;
    Known known;
    known.state = t.to;
    known.health = t.to_health;
    known.since = t.at;
    known.boot_id = boot_id_;
    entry.recorded = known;
    effects.records.push_back({.unit = t.unit, .known = std::move(known), .transition = std::move(t)});
}

void Tracker::leave(std::string_view id, std::string_view why, const Moment& now)
{
    auto* entry = find(id);
    if (entry == nullptr) return;
    // No more will be read of it, and a failure needs no more than its signal said.
    if (entry->facts.active_state == "failed") entry->facts.details = true;
    Effects last;
    judge_entry(*entry, now, last);
    if (entry->recorded && !inert(entry->recorded->state)) record_gone(*entry, why, now, last);
    std::ranges::move(last.records, std::back_inserter(left_.records));
    std::ranges::move(last.recovered, std::back_inserter(left_.recovered));
    const auto name = entry->facts.id;
    auto known = std::move(entry->recorded);
    forget(name);
    if (known) remember_left(name, std::move(*known));
}

void Tracker::remember_left(const std::string& id, Known known)
{
    memory_.insert_or_assign(id, std::move(known));
    gone_.push_back(id);
    if (gone_.size() <= most_gone) return;
    memory_.erase(gone_.front());
    gone_.pop_front();
}

void Tracker::save_restarts(Entry& entry, const Moment& now, Effects& effects)
{
    if (!remembers_ || !entry.recorded) return;
    auto known = *entry.recorded;
    known.boot_id = boot_id_;
    known.restarts = entry.restarts.save(now.monotonic);
    effects.records.push_back(
        {.unit = entry.facts.id, .known = std::move(known), .transition = std::nullopt});
}

Effects Tracker::last_words(const Moment& now)
{
    auto effects = std::exchange(left_, {});
    for (auto& [id, entry] : entries_)
        if (entry.restarts.unsaved()) save_restarts(entry, now, effects);
    return effects;
}

void Tracker::wish(Entry& entry, Effects& effects)
{
    const auto& facts = entry.facts;
    // No lines of its own were ever written by what is no unit or has no file.
    if (!entry.problem.empty()) {
        entry.journal_complete = true;
        return;
    }
    const bool any = cyclic(entry.state);
    auto key =
        any ? fmt::format("cycle {} {}", facts.restarts, facts.invocation_id)
            : fmt::format("{} {} {} {}", entry.state, facts.invocation_id, facts.result, facts.main_status);
    if (key == entry.wished_key) return;
    if (!any || entry.journal.empty()) entry.journal_complete = false;
    entry.wished_key = key;
    effects.evidence.push_back({facts.id, std::move(key), any ? std::string{} : facts.invocation_id});
}

void Tracker::publish(Entry& entry, std::string reason, std::uint32_t restarts)
{
    auto state = std::make_shared<UnitState>();
    auto title = titles(entry.facts.id, entry.facts.description);
    state->id = entry.facts.id;
    state->name = std::move(title.name);
    state->description = std::move(title.description);
    state->aliases = entry.aliases;
    state->health = entry.health;
    state->state = entry.state;
    state->reason = std::move(reason);
    state->since = entry.since;
    state->restarts_in_window = restarts;
    state->journal = entry.journal;
    state->journal_complete = entry.journal_complete;
    state->acknowledged = entry.ack;
    const bool same_facts = entry.published && *entry.published->facts == entry.facts;
    state->facts = same_facts ? entry.published->facts : std::make_shared<const UnitFacts>(entry.facts);
    entry.published = std::move(state);
}

void Tracker::schedule(Entry& entry, const Context& context)
{
    deadlines_.erase({entry.deadline, &entry});
    entry.deadline = Monotonic{};
    const auto consider = [&entry](Monotonic at) {
        if (at.count() > 0 && (entry.deadline.count() == 0 || at < entry.deadline)) entry.deadline = at;
    };
    if (readable_) {  // until then nothing changes by time
        if (const auto at = stuck_at(entry.facts, context); at > context.now) consider(at);
        if (const auto at = queued_at(entry.facts, context); at > context.now) consider(at);
        if (const auto at = entry.restarts.next_change()) consider(*at);
        if (const auto at = between_runs_until(entry.facts, context);
            context.restarts > 0 && at_rest(entry.facts) && at > context.now)
            consider(at);
    }
    if (entry.ack) consider(entry.ack_until);
    if (entry.deadline.count() > 0) deadlines_.insert({entry.deadline, &entry});
}

void Tracker::tick(Monotonic now)
{
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        auto* entry = deadlines_.begin()->second;
        deadlines_.erase(deadlines_.begin());
        entry->deadline = Monotonic{};
        mark(*entry);
    }
}

std::optional<Monotonic> Tracker::next_deadline() const
{
    if (deadlines_.empty()) return std::nullopt;
    return deadlines_.begin()->first;
}

NodeHealth Tracker::node(WallTime read_at) const
{
    NodeHealth node;
    node.systemd_readable = readable_;
    node.read_at = read_at;
    node.units.reserve(entries_.size());
    node.health = Health::healthy;
    for (const auto& [id, entry] : entries_) {
        if (!entry.published) continue;
        node.health = worse(node.health, entry.published->health);
        node.units.push_back(entry.published);
    }
    if (!readable_) {
        node.health = Health::unknown;
        node.reason = lost_reason_;
    } else if (node.units.empty() && incomplete_.empty()) {
        node.health = Health::unknown;
        node.reason = "no unit is watched: name some in health.units, health.globs or health.targets";
    } else {
        node.reason = node_reason(node.units);
    }
    if (readable_ && !incomplete_.empty()) {
        node.health = worse(node.health, Health::unknown);
        node.reason += (node.reason.empty() ? "" : "; ") + incomplete_;
        node.incomplete = incomplete_;
    }
    return node;
}

std::string node_reason(const std::vector<std::shared_ptr<const UnitState>>& units)
{
    constexpr std::size_t named = 5;
    const auto sentence = [&units](Health health, std::string_view word) {
        std::string names;
        std::size_t count = 0;
        for (const auto& unit : units) {
            if (unit->health != health) continue;
            if (++count <= named) names += (names.empty() ? "" : ", ") + unit->id;
        }
        if (count == 0) return std::string{};
        if (count > named) names += fmt::format(" and {} more", count - named);
        return fmt::format("{} of {} units {} {}: {}", count, units.size(), count == 1 ? "is" : "are", word,
                           names);
    };
    auto text = sentence(Health::unhealthy, "unhealthy");
    const auto unknowns = sentence(Health::unknown, "in an unknown state");
    if (!text.empty() && !unknowns.empty()) text += "; ";
    return text + unknowns;
}

}  // namespace opsd::health
