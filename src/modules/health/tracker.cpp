// What goes into the tracker. What follows from it is in verdicts.cpp.

#include "modules/health/tracker.hpp"

#include <algorithm>
#include <utility>

namespace opsd::health {

Tracker::Entry* Tracker::find(std::string_view id)
{
    const auto it = entries_.find(id);
    return it == entries_.end() ? nullptr : &it->second;
}

void Tracker::mark(Entry& entry)
{
    if (entry.dirty) return;
    entry.dirty = true;
    dirty_.push_back(&entry);
}

bool Tracker::watch(std::string_view id, bool expected, bool kept, std::string problem)
{
    auto* entry = find(id);
    if (entry == nullptr) {
        if (entries_.size() >= options_.max_units) return false;
        entry = &entries_.try_emplace(std::string{id}, options_.flapping.window).first->second;
        entry->facts.id = id;
        if (const auto early = early_acks_.find(id); early != early_acks_.end()) {
            entry->ack = early->second.first;
            entry->ack_until = early->second.second;
        }
        recall(*entry);
        if (memory_.contains(id)) std::erase(gone_, id);
        mark(*entry);
    }
    if (entry->expected != expected || entry->problem != problem) mark(*entry);
    entry->expected = expected;
    entry->kept = kept;
    entry->problem = std::move(problem);
    return true;
}

void Tracker::add_alias(std::string_view id, std::string_view alias)
{
    auto* entry = find(id);
    if (entry == nullptr || id == alias || std::ranges::find(entry->aliases, alias) != entry->aliases.end())
        return;
    entry->aliases.emplace_back(alias);
    aliases_.insert_or_assign(std::string{alias}, std::string{id});
    mark(*entry);
}

void Tracker::forget(std::string_view id)
{
    const auto it = entries_.find(id);
    if (it == entries_.end()) return;
    auto& entry = it->second;
    if (!entry.wished_key.empty()) left_.recovered.emplace_back(id);
    deadlines_.erase({entry.deadline, &entry});
    std::erase(dirty_, &entry);
    for (const auto& alias : entry.aliases)
        aliases_.erase(alias);
    if (const auto known = memory_.find(id); known != memory_.end()) memory_.erase(known);
    entries_.erase(it);
}

std::vector<std::string> Tracker::ids() const
{
    std::vector<std::string> all;
    all.reserve(entries_.size());
    for (const auto& [id, entry] : entries_)
        all.push_back(id);
    return all;
}

std::string Tracker::resolve(std::string_view name) const
{
    if (entries_.contains(name)) return std::string{name};
    const auto alias = aliases_.find(name);
    return alias == aliases_.end() ? std::string{} : alias->second;
}

std::uint64_t Tracker::signals(std::string_view id) const
{
    const auto it = entries_.find(id);
    return it == entries_.end() ? 0 : it->second.signals;
}

bool Tracker::detailed(std::string_view id) const
{
    const auto it = entries_.find(id);
    return it != entries_.end() && it->second.facts.details;
}

bool Tracker::is_unit(std::string_view id) const
{
    const auto it = entries_.find(id);
    return it != entries_.end() && it->second.problem.empty();
}

std::optional<bool> Tracker::triggered_by(std::string_view id, std::string_view trigger) const
{
    const auto it = entries_.find(id);
    if (it == entries_.end() || !it->second.facts.details) return std::nullopt;
    const auto& triggers = it->second.facts.triggered_by;
    return std::ranges::find(triggers, trigger) != triggers.end();
}

std::vector<std::string> Tracker::all_triggered_by(std::string_view trigger) const
{
    std::vector<std::string> all;
    for (const auto& [id, entry] : entries_)
        if (triggered_by(id, trigger).value_or(false)) all.push_back(id);
    return all;
}

std::string_view Tracker::file_state(std::string_view id) const
{
    const auto it = entries_.find(id);
    return it == entries_.end() ? std::string_view{} : std::string_view{it->second.facts.unit_file_state};
}

std::optional<systemd::MainProcess> Tracker::main_process(std::string_view id,
                                                          std::string_view invocation) const
{
    const auto it = entries_.find(id);
    if (it == entries_.end()) return std::nullopt;
    const auto& f = it->second.facts;
    if (!invocation.empty() && invocation != f.invocation_id) return std::nullopt;
    return systemd::ended_main(f);
}

void Tracker::observe(Entry& entry, const std::string& active_before, const std::string& sub_before,
                      std::uint32_t restarts_before, Monotonic now)
{
    const auto& facts = entry.facts;
    if (facts.active_state != active_before) entry.seen_at = now;
    if (facts.active_state == "active") entry.job_result.clear();
    const bool pending = !facts.job_type.empty();
    if (pending && !std::exchange(entry.job_pending, pending)) entry.job_since = now;
    entry.job_pending = pending;
    const bool entered = facts.sub_state != sub_before && facts.sub_state.starts_with("auto-restart");
    if (entered) entry.restarts.saw_auto_restart(now);
    // Before the details are read, the 0 of a value never seen is no base line.
    if (facts.details || facts.restarts != restarts_before)
        entry.restarts.observe(facts.restarts, now, std::max(facts.inactive_exit_at, facts.active_enter_at));
    mark(entry);
}

bool Tracker::listed(const systemd::ListedUnit& row, Monotonic now)
{
    auto* entry = find(row.id);
    if (entry == nullptr) return false;
    auto& facts = entry->facts;
    const bool same = facts.load_state == row.load_state && facts.active_state == row.active_state
                      && facts.sub_state == row.sub_state;
    const bool same_job = std::exchange(facts.job_type, row.job_type) == row.job_type;
    if (!entry->unreadable.empty() && !entry->until_read) {
        entry->unreadable.clear();
        mark(*entry);
    }
    if (same && same_job && facts.description == row.description) return !facts.details;
    const auto active = std::exchange(facts.active_state, row.active_state);
    const auto sub = std::exchange(facts.sub_state, row.sub_state);
    facts.load_state = row.load_state;
    facts.description = row.description;
    if (!same) facts.details = false;
    observe(*entry, active, sub, facts.restarts, now);
    return !facts.details;
}

/// Some fourteen signals come with every restart, and the verdict is the same after each of them. A unit at
/// rest is another matter: it may have been stopped, or given up.
bool Tracker::goes_on_flapping(const Entry& entry) const
{
    const auto& facts = entry.facts;
    return options_.flapping.gather.count() > 0 && readable_ && entry.state == flapping_state && facts.details
           && entry.unreadable.empty() && facts.active_state != "inactive" && facts.active_state != "failed";
}

Tracker::Heard Tracker::signal(const systemd::UnitChange& change, Monotonic now, bool kept)
{
    auto* entry = find(systemd::unit_id(change.object_path()));
    if (entry == nullptr) return Heard::unwatched;
    if (!kept && goes_on_flapping(*entry)) return Heard::can_wait;
    auto& facts = entry->facts;
    const auto active = facts.active_state;
    const auto sub = facts.sub_state;
    const auto restarts = facts.restarts;
    ++entry->signals;
    const bool complete = change.apply_to(facts);
    observe(*entry, active, sub, restarts, now);
    return complete && facts.details ? Heard::applied : Heard::must_read;
}

void Tracker::read(std::string_view id, UnitFacts facts, Monotonic now, bool overtaken)
{
    auto* entry = find(id);
    if (entry == nullptr) return;
    if (overtaken) {
        facts.active_state = entry->facts.active_state;
        facts.sub_state = entry->facts.sub_state;
        facts.restarts = std::max(facts.restarts, entry->facts.restarts);
    }
    const auto before = std::exchange(entry->facts, {});
    entry->facts = keep_memory(before, std::move(facts));
    entry->facts.id = id;  // the name it is watched by
    entry->facts.details = true;
    entry->unreadable.clear();
    entry->until_read = false;
    recall(*entry);
    observe(*entry, before.active_state, before.sub_state, before.restarts, now);
}

void Tracker::unreadable(std::string_view id, std::string reason, bool until_read)
{
    auto* entry = find(id);
    if (entry == nullptr) return;
    entry->until_read = until_read;
    if (entry->unreadable == reason) return;
    entry->unreadable = std::move(reason);
    mark(*entry);
}

void Tracker::job_ended(std::string_view id, std::string_view result)
{
    auto* entry = find(id);
    if (entry == nullptr) return;
    // The result of a reload or of a second start says nothing about how the unit started.
    const auto& state = entry->facts.active_state;
    if (state == "active" || state == "reloading") return;
    entry->job_result = result;
    if (!goes_on_flapping(*entry)) mark(*entry);
}

Tracker::Removed Tracker::removed(std::string_view id, const Moment& now)
{
    auto* entry = find(id);
    if (entry == nullptr) return Removed::unwatched;
    if (!entry->kept) {
        leave(id, "systemd unloaded it, and nothing expects it to be there", now);
        return Removed::dropped;
    }
    const auto& state = entry->facts.active_state;
    const bool at_rest = entry->facts.details && (state == "inactive" || state == "failed");
    return at_rest ? Removed::kept : Removed::must_ask;
}

void Tracker::systemd_lost(std::string reason, Monotonic now)
{
    if (readable_) lost_at_ = now;
    readable_ = false;
    lost_reason_ = std::move(reason);
}

void Tracker::systemd_back(Monotonic now)
{
    if (readable_) return;
    readable_ = true;
    const bool long_gone = now - lost_at_ > options_.flapping.window;
    for (auto& [id, entry] : entries_) {
        if (long_gone) entry.restarts.rebase();
        mark(entry);
    }
}

void Tracker::remember(std::map<std::string, Known, std::less<>> known, std::string boot_id)
{
    memory_ = std::move(known);
    boot_id_ = std::move(boot_id);
    remembers_ = true;
    for (auto& [id, entry] : entries_) {
        recall(entry);
        mark(entry);
    }
}

void Tracker::remember_restarts(std::map<std::string, Known, std::less<>> known)
{
    for (auto& [unit, past] : known) {
        auto* entry = find(unit);
        const bool this_boot = !boot_id_.empty() && past.boot_id == boot_id_;
        if (entry == nullptr || !this_boot || !past.restarts) continue;
        entry->restarts.restore(std::move(*past.restarts));
        mark(*entry);
    }
}

/// What an earlier run of the daemon saw in this boot and systemd forgot when it unloaded the unit.
void Tracker::recall(Entry& entry)
{
    const auto it = memory_.find(entry.facts.id);
    if (it == memory_.end()) return;
    auto& known = it->second;
    auto restarts = std::exchange(known.restarts, std::nullopt);
    if (restarts && known.boot_id == boot_id_ && !boot_id_.empty())
        entry.restarts.restore(std::move(*restarts));
    if (!entry.recorded) entry.recorded = known;
    auto& facts = entry.facts;
    const bool forgotten = facts.details && facts.active_state == "inactive" && !ever_started(facts)
                           && facts.condition_at.count() == 0;
    if (!forgotten || known.boot_id != boot_id_) return;
    if (entry.job_result.empty()) entry.job_result = known.job_result;
    if (!known.started || known.health == Health::unknown) return;
    if (known.state == "failed") return;  // systemd keeps failed units loaded until somebody resets them
    facts.inactive_exit_at = Monotonic{1};
    facts.result = known.result;
    facts.main_code = known.main_code;
    facts.main_status = known.main_status;
    facts.invocation_id = known.invocation_id;
    if (known.state == "skipped") {
        facts.condition_at = Monotonic{1};
        facts.condition_result = false;
    }
    if (facts.state_change_time == WallTime{}) facts.state_change_time = known.since;
}

void Tracker::journal(std::string_view id, const std::string& key, std::string lines, bool complete)
{
    auto* entry = find(id);
    if (entry == nullptr || entry->health != Health::unhealthy) return;
    // Lines of an older run are shown until those of this one come. A unit that keeps restarting has no such
    // run.
    complete = complete && (key == entry->wished_key || key.starts_with("cycle "));
    if (entry->journal == lines && entry->journal_complete == complete) return;
    entry->journal = std::move(lines);
    entry->journal_complete = complete;
    mark(*entry);
}

void Tracker::acknowledge(std::string_view id, std::optional<Acknowledgement> ack, Monotonic until)
{
    if (ack)
        early_acks_.insert_or_assign(std::string{id}, std::pair{*ack, until});
    else if (const auto early = early_acks_.find(id); early != early_acks_.end())
        early_acks_.erase(early);
    auto* entry = find(id);
    if (entry == nullptr) return;
    entry->ack = std::move(ack);
    entry->ack_until = until;
    mark(*entry);
}

UnitFacts keep_memory(const UnitFacts& before, UnitFacts fresh)
{
    const bool knew = ever_started(before) || before.condition_at.count() > 0;
    const bool forgot =
        fresh.active_state == "inactive" && !ever_started(fresh) && fresh.condition_at.count() == 0;
    if (!knew || !forgot) return fresh;
    if (before.active_state != "failed") {  // a failed unit that is unloaded was reset by somebody
        fresh.result = before.result;
        fresh.main_code = before.main_code;
        fresh.main_status = before.main_status;
    }
    fresh.type = fresh.type.empty() ? before.type : fresh.type;
    fresh.condition_at = before.condition_at;
    fresh.condition_result = before.condition_result;
    fresh.assert_result = before.assert_result;
    fresh.invocation_id = before.invocation_id;
    fresh.state_change_at = before.state_change_at;
    fresh.state_change_time = before.state_change_time;
    fresh.active_enter_at = before.active_enter_at;
    fresh.active_exit_at = before.active_exit_at;
    fresh.inactive_enter_at = before.inactive_enter_at;
    fresh.inactive_exit_at = before.inactive_exit_at;
    return fresh;
}

}  // namespace opsd::health
