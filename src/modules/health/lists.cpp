// What the source does with systemd's lists: what to watch, what is there, what was missed.

#include "modules/health/source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <tuple>

namespace opsd::health {
namespace {

using namespace std::chrono_literals;

constexpr Monotonic files_retry = 10s;  // after a list of unit files that failed
// Making that list keeps PID 1 busy (230 ms for 500 files): it hears READY=1 before it.
constexpr Monotonic files_after = 100ms;
constexpr Monotonic wants_retry = 10s;  // after a directory that could not be read: no signal tells
constexpr const char* missing_units = "not all expected units are known: ";
constexpr std::size_t most_early = 10'000;    // ids signalled before the selection is made
constexpr std::size_t most_refused = 10'000;  // beyond it they are not counted

/// Would asking for fewer names fail the same way?
bool hopeless(const Error& error)
{
    return error.retryable() || error.code == Errc::denied || error.code == Errc::cancelled;
}

}  // namespace

Task<Result<>> Source::take_inventory(systemd::Manager& manager)
{
    looking_ = true;
    take_wants();
    // Names and targets are complete without any list.
    const bool open = Selection::needs_files(parts_.options, inventory_);
    if (!open) {
        files_problem_.clear();
    } else if (counters_.connected) {
        auto listed = co_await list_files(manager);
        if (!listed) co_return listed;
    } else {
        list_files_later();
    }
    report_incomplete();
    if (open) {  // last, so that of all lists it is the newest
        auto units = co_await manager.list_units();
        if (!units) co_return fail(std::move(units).error());
        inventory_.units = std::move(*units);
    }
    selection_ = Selection{parts_.options, inventory_};
    inventory_.units = {};
    looking_ = false;
    refused_.clear();
    for (const auto& [id, failed] : std::exchange(early_, {}))
        adopt(id, failed);
    co_return Result<>{};
}

/// A directory that cannot be read is not an empty one: what it was known to want stays expected, and the
/// node is not healthy before the rest is known.
void Source::take_wants()
{
    auto wants = parts_.read_wants();
    auto known = std::exchange(inventory_.wants, std::move(wants.entries));
    wants_problem_ = std::move(wants.problem);
    inventory_.wants_known = wants_problem_.empty();
    wants_at_.reset();
    auto& now = inventory_.wants;
    if (!inventory_.wants_known) {
        wants_at_ = clock_.monotonic() + wants_retry;
        now.insert(now.end(), std::make_move_iterator(known.begin()), std::make_move_iterator(known.end()));
        const auto order = [](const WantsEntry& e) { return std::tie(e.target, e.name); };
        std::ranges::sort(now, {}, order);
        now.erase(std::ranges::unique(now).begin(), now.end());
        if (now.size() > most_wants) now.resize(most_wants);
    }
    parts_.report("wants", inventory_.wants_known ? std::string{} : missing_units + wants_problem_);
}

/// What the node answers while units may be missing.
void Source::report_incomplete()
{
    auto why = wants_problem_;
    if (!files_problem_.empty()) why += (why.empty() ? "" : "; ") + files_problem_;
    if (!why.empty()) why.insert(0, missing_units);
    const auto left_out = left_out_sentence();
    if (!why.empty() && !left_out.empty()) why += "; ";
    tracker_.incomplete(why + left_out);
}

void Source::look_at_wants_again()
{
    wants_at_ = clock_.monotonic() + wants_retry;
    if (parts_.read_wants().problem != wants_problem_) refresh_by(clock_.monotonic());
}

/// What the selection could not judge yet, because it was not made.
void Source::remember_early(std::string_view id, bool failed)
{
    if (!looking_ || early_.size() >= most_early) return;
    early_.try_emplace(std::string{id}, failed).first->second |= failed;
}

/// Watches a unit that turned up outside the lists. False: it is watched already, or is not to be.
bool Source::adopt(const std::string& id, bool failed)
{
    // What is named is asked for by name with the lists.
    if (tracker_.contains(id) || selection_.names().contains(id) || !selection_.watches(id, failed))
        return false;
    if (!watch_unnamed(id)) return false;
    to_confirm_.insert(id);
    bell_.ring();
    return true;
}

/// False: no room. report_left_out() follows: the node is not healthy then.
bool Source::watch_unnamed(std::string_view id)
{
    if (tracker_.watch(id, false, false)) return true;
    if (refused_.size() < most_refused) refused_.emplace(id);
    return false;
}

/// The first look does without: what is loaded is shown at once, with the files as they were before, if at
/// all.
void Source::list_files_later()
{
    if (!files_known_) {
        files_problem_ = "the list of unit files is not read yet";
        refresh_everything_ = true;  // a timer that it brings triggers what is read already; no signal tells
    }
    refresh_by(clock_.monotonic() + files_after);
    first_files_wait_ = true;
}

/// Errors other than a lost connection are reported, the list we had stays, and it is asked for again soon.
Task<Result<>> Source::list_files(systemd::Manager& manager)
{
    auto files = co_await manager.list_unit_files();
    if (files) {
        inventory_.files = std::move(*files);
        files_known_ = true;
        files_problem_.clear();
        parts_.report("files", "");
    } else if (files.error().code == Errc::unavailable) {
        co_return fail(std::move(files).error());
    } else {  // what is loaded is still right; what is enabled but not loaded may be missing
        if (!files_known_) files_problem_ = files.error().message;
        parts_.report("files", files.error().message);
        refresh_by(clock_.monotonic() + files_retry);
    }
    co_return Result<>{};
}

Task<Result<>> Source::refresh(systemd::Manager& manager, bool everything)
{
    ++counters_.refreshes;
    auto taken = co_await take_inventory(manager);
    if (!taken) co_return taken;
    std::vector<std::string> names;
    std::vector<std::uint64_t> signals;
    for (const auto& [name, wanted] : selection_.names()) {
        if (!wanted.problem.empty()) continue;
        names.push_back(name);
        signals.push_back(tracker_.signals(name));
    }
    Rows rows;
    auto asked = co_await ask(manager, names, rows);
    if (!asked) co_return asked;
    named_left_out_ = selection_.left_out();
    drop_others(rows);
    take_rows(rows, signals, everything);
    report_left_out();
    parts_.publisher.confirmed();
    parts_.publisher.announce();
    bell_.ring();
    co_return Result<>{};
}

/// Asks for units by name. One bad name fails the whole call, so a refused list is asked in halves; a single
/// name that is refused gets a row that says nothing but the error.
Task<Result<>> Source::ask(systemd::Manager& manager, std::vector<std::string> names, Rows& rows)
{
    if (names.empty()) co_return Result<>{};
    note_asked(names);
    auto listed = co_await manager.list_units_by_names(names);
    if (listed && listed->size() == names.size()) {
        for (std::size_t i = 0; i < names.size(); ++i)
            rows.emplace_back(std::move(names[i]), std::move((*listed)[i]));
        co_return Result<>{};
    }
    const bool refused = !listed && !hopeless(listed.error());
    if (!listed && !refused) co_return fail(std::move(listed).error());
    if (names.size() == 1) {
        const auto reason = listed ? fmt::format("cannot ask systemd for {}: it does not list it", names[0])
                                   : listed.error().message;
        watch_named(names[0], names[0]);
        tracker_.unreadable(names[0], reason);
        rows.emplace_back(names[0], systemd::ListedUnit{});
        co_return Result<>{};
    }
    const auto half = names.begin() + static_cast<std::ptrdiff_t>(names.size() / 2);
    std::vector<std::string> first{names.begin(), half};
    std::vector<std::string> second{half, names.end()};
    auto done = co_await ask(manager, std::move(first), rows);
    if (!done) co_return done;
    done = co_await ask(manager, std::move(second), rows);
    co_return done;
}

void Source::watch_named(const std::string& name, const std::string& id)
{
    const auto& names = selection_.names();
    const auto wanted = names.find(name);
    const auto own = names.find(id);
    const bool expected =
        (wanted != names.end() && wanted->second.expected) || (own != names.end() && own->second.expected);
    if (!tracker_.watch(id, expected, true)) {
        ++named_left_out_;
        return;
    }
    if (id != name) tracker_.add_alias(id, name);
}

/// A row, unless a signal came after the question: then the row is older than what is known.
bool Source::take_row(const systemd::ListedUnit& row, std::uint64_t signals_before)
{
    if (tracker_.signals(row.id) != signals_before) {
        want_read(row.id);
        return false;
    }
    const bool differs = tracker_.listed(row, clock_.monotonic());
    if (differs) held_.erase(systemd::unit_path(row.id));
    // A read that waits (after one that failed) comes in its own time.
    if (differs && !reads_.contains(row.id)) want_read(row.id);
    return differs;
}

void Source::take_rows(const Rows& rows, const std::vector<std::uint64_t>& signals_before, bool everything)
{
    std::map<std::string_view, std::string_view> file_states;
    for (const auto& file : inventory_.files) {
        const auto slash = file.path.rfind('/');
        file_states.insert_or_assign(std::string_view{file.path}.substr(slash + 1), file.state);
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto& [name, row] = rows[i];
        if (row.id.empty()) continue;
        watch_named(name, row.id);
        const bool alias = row.id != name;
        take_row(row, alias ? tracker_.signals(row.id) : signals_before.at(i));
        const auto state = file_states.find(row.id);
        const bool moved = state != file_states.end() && state->second != tracker_.file_state(row.id);
        if (everything || moved) want_read(row.id);
    }
}

/// Lets go what is no longer selected, and shows what is selected but is no unit.
void Source::drop_others(const Rows& rows)
{
    std::set<std::string_view> stay;
    for (const auto& [name, row] : rows)
        stay.insert(row.id.empty() ? std::string_view{name} : std::string_view{row.id});
    for (const auto& [name, wanted] : selection_.names()) {
        if (wanted.problem.empty()) continue;
        stay.insert(name);
        if (!tracker_.watch(name, wanted.expected, true, wanted.problem)) ++named_left_out_;
    }
    if (!inventory_.wants_known) return;  // any of them may be expected
    const Moment now{clock_.monotonic(), clock_.now()};
    for (const auto& id : tracker_.ids()) {
        if (stay.contains(id) || to_confirm_.contains(id)) continue;  // announced while the lists were read
        if (named_left_out_ > 0)                                      // it may be one of those
            tracker_.forget(id);
        else
            tracker_.leave(id, "it is no longer selected, or no longer loaded", now);
        reads_.erase(id);
    }
}

/// Units that systemd announced or unloaded: their rows, and details where those differ.
Task<Result<>> Source::confirm(systemd::Manager& manager)
{
    std::vector<std::string> names;
    std::vector<std::uint64_t> signals;
    for (const auto& id : to_confirm_) {
        if (!tracker_.contains(id)) continue;
        names.push_back(id);
        signals.push_back(tracker_.signals(id));
    }
    to_confirm_.clear();
    Rows rows;
    auto asked = co_await ask(manager, std::move(names), rows);
    if (!asked) co_return asked;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto& row = rows[i].second;
        if (row.id.empty()) continue;
        if (row.id == rows[i].first) {
            take_row(row, signals.at(i));
        } else {  // it became an alias: the lists must be looked at again
            refresh_by(clock_.monotonic());
        }
    }
    parts_.publisher.confirmed();
    parts_.publisher.wake();
    co_return Result<>{};
}

/// The cheap comparison: what differs without a signal having said so was missed.
Task<Result<>> Source::resync(systemd::Manager& manager)
{
    ++counters_.resyncs;
    std::vector<std::string> names;
    std::vector<std::uint64_t> signals;
    for (auto& id : tracker_.ids()) {
        if (!tracker_.is_unit(id)) continue;
        signals.push_back(tracker_.signals(id));
        names.push_back(std::move(id));
    }
    Rows rows;
    auto asked = co_await ask(manager, std::move(names), rows);
    if (!asked) co_return asked;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto& [name, row] = rows[i];
        if (row.id != name) continue;
        const bool knew =
            tracker_.detailed(name) && !held_.contains(systemd::unit_path(name));  // held: one did say so
        const bool differs = take_row(row, signals.at(i));
        if (differs && knew) ++counters_.corrections;
    }
    auto found = co_await find_missed(manager);
    if (!found) co_return fail(std::move(found).error());
    counters_.corrections += *found;
    parts_.publisher.confirmed();
    parts_.publisher.wake();
    co_return Result<>{};
}

/// Where units are watched that nobody named: those whose signal was missed. How many.
Task<Result<std::size_t>> Source::find_missed(systemd::Manager& manager)
{
    std::size_t found = 0;
    if (!selection_.open()) co_return found;
    auto units = co_await manager.list_units();
    if (!units) co_return fail(std::move(units).error());
    refused_.clear();
    for (const auto& unit : *units)
        if (adopt(unit.id, unit.active_state == "failed")) ++found;
    report_left_out();
    co_return found;
}

/// The lists are looked at again not later than at `at`.
void Source::refresh_by(Monotonic at)
{
    refresh_at_ = refresh_at_ ? std::min(*refresh_at_, at) : at;
    bell_.ring();
}

bool Source::asked_lately(std::string_view id) const
{
    const auto it = asked_.find(std::string{id});
    return it != asked_.end() && clock_.monotonic() - it->second < echo_time;
}

void Source::note_asked(const std::vector<std::string>& names)
{
    const auto now = clock_.monotonic();
    std::erase_if(asked_, [now](const auto& entry) { return now - entry.second >= echo_time; });
    for (const auto& name : names)
        asked_.insert_or_assign(name, now);
}

std::string Source::left_out_sentence() const
{
    if (counters_.left_out == 0) return {};
    return fmt::format("cannot watch {} further units: health.max_units is {}; raise it or select fewer",
                       counters_.left_out, parts_.options.max_units);
}

void Source::report_left_out()
{
    const auto left_out = named_left_out_ + refused_.size();
    if (std::exchange(counters_.left_out, left_out) == left_out) return;
    parts_.report("units", left_out_sentence());
    report_incomplete();
    parts_.publisher.announce();
}

}  // namespace opsd::health
