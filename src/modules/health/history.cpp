// Queue, ids, folding and writing. Reading and pruning are in history_rows.cpp.

#include "modules/health/history.hpp"

#include "core/transition_row.hpp"
#include "modules/health/history_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

namespace opsd::health {

using namespace std::chrono_literals;

namespace {

constexpr std::int64_t id_block = 1'000;  // ids are reserved in the store in blocks, ahead of their use
constexpr std::size_t batch = 500;        // records of one transaction
constexpr Duration gather = 100ms;        // a write waits this long for more to write with it
constexpr Duration first_retry = 1s;
constexpr Duration longest_retry = 30s;
constexpr std::size_t folds_of_a_unit = 16;

}  // namespace

History::History(Executor executor, Clock& clock, Store& store, const HistoryOptions& options, Report report,
                 Log log)
  : clock_{clock}
  , store_{store}
  , options_{options}
  , report_{std::move(report)}
  , log_{std::move(log)}
  , bell_{executor}
  // Far above any counter, so that ids ascend also if the store cannot be read until later.
  , next_id_{clock.now().time_since_epoch().count()}
  , first_id_{next_id_}
{}

Task<Result<History::Loaded>> History::load()
{
    loading_ = true;
    acked_while_loading_.clear();
    auto loaded = co_await read_all();
    loading_ = false;
    if (!loaded) {
        store_problem_ = loaded.error().message;
        co_return loaded;
    }
    store_problem_.clear();
    // What was acknowledged or withdrawn meanwhile is newer.
    for (const auto& unit : std::views::keys(waiting_acks_))
        loaded->acknowledgements.erase(unit);
    for (const auto& unit : acked_while_loading_)
        loaded->acknowledgements.erase(unit);
    co_return loaded;
}

Task<Result<History::Loaded>> History::read_all()
{
    auto migrated = co_await store_.migrate("health", history_schema_steps());
    if (!migrated) co_return fail(std::move(migrated).error());
    Loaded loaded;
    Statement query{"SELECT " + known_columns() + " FROM health_units", {}};
    auto known = co_await store_.read(std::move(query), most_known);
    if (!known) co_return fail(std::move(known).error());
    for (const auto& row : *known)
        loaded.known.insert_or_assign(as_text(row.at(0)), known_from(row));
    query = {"SELECT unit, by_whom, reason, at, until FROM health_acks", {}};
    auto acks = co_await store_.read(std::move(query), most_known);
    if (!acks) co_return fail(std::move(acks).error());
    for (const auto& row : *acks)
        loaded.acknowledgements.insert_or_assign(as_text(row.at(0)), acknowledgement_from(row));
    auto rows = co_await store_.read(select_given_ids("health"), 1);
    if (!rows) co_return fail(std::move(rows).error());
    const auto ids = go_on({.next = next_id_, .lost = lost_}, given_ids(*rows), first_id_, transitions_ > 0);
    next_id_ = ids.next;
    lost_ = ids.lost;
    reserved_ = next_id_;
    loaded_ = true;
    auto reserved = co_await reserve();
    // What cannot be reserved is taken from the clock: the next run would give it again.
    if (!reserved) next_id_ = reserved_ = std::max(next_id_, first_id_);
    if (!reserved) report_(fmt::format("the history is incomplete: {}", reserved.error().message));
    bell_.ring();
    co_return loaded;
}

/// Ids are used for events before their rows are durable: after a kill they must not be given again.
Task<Result<>> History::reserve()
{
    const auto end = next_id_ + id_block;
    auto all = reserve_ids("health", end);
    const auto lost = lost_;
    if (lost > 0) all.push_back(note_lost("health", lost));
    auto written = co_await store_.write(std::move(all));
    if (!written) co_return fail(std::move(written).error());
    reserved_ = std::max(reserved_, end);
    lost_written_ = lost;
    co_return Result<>{};
}

std::int64_t History::take_id() { return next_id_++; }

std::optional<Transition> History::add(Record record)
{
    if (ended_) return std::nullopt;  // the next run of the daemon sees it
    Op op{
        .row = std::nullopt, .replaces = 0, .unit = std::move(record.unit), .known = std::move(record.known)};
    if (record.transition) {
        ++transitions_;
        op.row = fold(std::move(*record.transition), op.replaces);
    }
    if (next_id_ + id_block / 2 > reserved_) op.reserve = reserved_ = next_id_ + id_block;
    auto made = op.row;
    push(std::move(op));
    return made;
}

/// The same transition of a unit again, soon after: one row with a count, under a new id.
Transition History::fold(Transition transition, std::int64_t& replaces)
{
    const auto now = clock_.monotonic();
    auto& folds = folds_[transition.unit];
    std::erase_if(folds, [&](const Fold& f) { return now - f.at > options_.fold_window; });
    const auto same =
        std::ranges::find_if(folds, [&](const Fold& f) { return same_transition(f.row, transition); });
    transition.id = take_id();
    if (same != folds.end()) {
        replaces = same->replaced;
        transition.at = same->row.at;
        transition.count = same->row.count + 1;
        folds.erase(same);
    }
    folds.push_back({transition, now, transition.id});
    if (folds.size() > folds_of_a_unit) folds.pop_front();
    return transition;
}

void History::push(Op op)
{
    queue_.push_back(std::move(op));
    wait_in_queue(std::prev(queue_.end()));
    if (queue_.size() > most_queued) drop_one();
    bell_.ring();
}

/// What waits and is outdated need not be written at all, neither a row that is replaced nor a unit's older
/// state: while the store cannot be written, a flapper must not push out what others did.
void History::wait_in_queue(Queue::iterator op)
{
    if (const auto row = waiting_rows_.find(op->replaces); row != waiting_rows_.end()) {
        op->replaces = row->second->replaces;
        take_over(*op, row->second);
    }
    if (const auto state = waiting_states_.find(op->unit); state != waiting_states_.end())
        take_over(*op, state->second);
    if (op->row)
        waiting_rows_.insert_or_assign(op->row->id, op);
    else
        waiting_states_.insert_or_assign(op->unit, op);
}

void History::take_over(Op& op, Queue::iterator outdated)
{
    op.reserve = std::max(op.reserve, outdated->reserve);
    if (outdated->row)
        waiting_rows_.erase(outdated->row->id);
    else
        waiting_states_.erase(outdated->unit);
    queue_.erase(outdated);
}

/// What was in flight and is not written; what came meanwhile may have outdated it.
void History::wait_again()
{
    in_flight_ = 0;
    waiting_rows_.clear();
    waiting_states_.clear();
    for (auto op = queue_.begin(); op != queue_.end(); ++op)
        wait_in_queue(op);
}

/// A state is lost before any transition: the next run of the daemon sees the unit anyway.
void History::drop_one()
{
    ++dropped_;
    auto lost = std::next(queue_.begin(), static_cast<std::ptrdiff_t>(in_flight_));
    if (!waiting_states_.empty())
        lost = std::ranges::find_if(lost, queue_.end(), [](const Op& op) { return !op.row; });
    // A repetition counts what is lost, so it replaces what that would have replaced.
    if (lost->row) {
        lost_ = std::max(lost_, lost->row->id);
        const auto folds = folds_.find(lost->unit);
        if (folds != folds_.end())
            for (auto& fold : folds->second)
                if (fold.row.id == lost->row->id) fold.replaced = lost->replaces;
    }
    const bool newest = std::next(lost) == queue_.end();
    auto& heir = newest ? *std::prev(lost) : queue_.back();
    take_over(heir, lost);
}

Task<> History::run() { co_await first_of(write_loop(), prune_loop()); }

Task<> History::write_loop()
{
    auto retry = first_retry;
    for (;;) {
        co_await bell_.wait(clock_, std::nullopt);
        bell_.reset();
        if (!loaded_) continue;
        co_await clock_.sleep_for(gather);
        bool failed = false;
        while (!queue_.empty() || !waiting_acks_.empty()) {
            bool written = co_await write_acks();
            if (written) written = co_await write_batch();
            failed = !written;
            if (written) {
                retry = first_retry;
                continue;
            }
            co_await clock_.sleep_for(retry);
            retry = std::min(retry * 2, longest_retry);
        }
        if (failed) report_("");  // keep() has written what was left
    }
}

Task<bool> History::write_batch()
{
    if (queue_.empty()) co_return true;
    in_flight_ = std::min(queue_.size(), batch);
    std::vector<Statement> all;
    auto end = queue_.begin();
    for (std::size_t i = 0; i < in_flight_; ++i, ++end) {
        if (end->row)
            waiting_rows_.erase(end->row->id);
        else
            waiting_states_.erase(end->unit);
        std::ranges::move(statements(*end), std::back_inserter(all));
    }
    const auto lost = lost_;
    if (lost > lost_written_) all.push_back(note_lost("health", lost));
    auto written = co_await store_.write(std::move(all));
    if (!written) {
        wait_again();
        const auto* more = dropped_ != dropped_reported_ ? ", and records are lost" : "";
        report_(fmt::format("the history is incomplete: {}{}", written.error().message, more));
        co_return false;
    }
    queue_.erase(queue_.begin(), std::next(queue_.begin(), static_cast<std::ptrdiff_t>(in_flight_)));
    in_flight_ = 0;
    lost_written_ = lost;
    if (dropped_ != dropped_reported_) {
        log_.warning("the history lost {} records while the store could not be written",
                     dropped_ - dropped_reported_);
        dropped_reported_ = dropped_;
    }
    report_("");
    co_return true;
}

Task<> History::flush()
{
    if (!loaded_) co_return;
    const bool acks_written = co_await write_acks();
    if (!acks_written) co_return;
    while (!queue_.empty()) {
        const bool written = co_await write_batch();
        if (!written) co_return;
    }
}

Task<> History::end()
{
    co_await flush();
    if (!loaded_ || !queue_.empty() || !waiting_acks_.empty()) co_return;
    ended_ = true;
    // Where that fails, the next run tells a gap that is none.
    (void)co_await store_.write(note_end("health", lost_));
}

std::vector<Statement> History::statements(const Op& op)
{
    std::vector<Statement> all;
    if (op.reserve > 0) all = reserve_ids("health", op.reserve);
    if (op.replaces > 0) all.push_back({"DELETE FROM health_transitions WHERE seq = ?1", {op.replaces}});
    if (op.row) all.push_back(insert_transition(*op.row));
    if (!op.unit.empty()) all.push_back(upsert_known(op.unit, op.known));
    return all;
}

Task<Result<>> History::write_ack(std::string unit, WaitingAck waiting)
{
    std::vector<Statement> all;
    if (waiting.ack)
        all.push_back(upsert_acknowledgement(unit, *waiting.ack));
    else
        all.push_back({"DELETE FROM health_acks WHERE unit = ?1", {unit}});
    auto written = co_await store_.write(std::move(all));
    const auto now = waiting_acks_.find(unit);
    const bool newest = now != waiting_acks_.end() && now->second.version == waiting.version;
    if (written && newest) waiting_acks_.erase(now);
    store_problem_ = written ? std::string{} : written.error().message;
    if (!written) co_return fail(std::move(written).error());
    co_return Result<>{};
}

Task<bool> History::write_acks()
{
    while (!waiting_acks_.empty()) {
        const auto [unit, waiting] = *waiting_acks_.begin();
        auto written = co_await write_ack(unit, waiting);
        if (written) continue;
        if (written.error().code == Errc::invalid_argument) {  // it never can be
            give_up_ack(unit, waiting, written.error().message);
            continue;
        }
        report_(fmt::format("an acknowledgement is not kept: {}", written.error().message));
        co_return false;
    }
    if (queue_.empty()) report_("");
    co_return true;
}

/// It stays in force, and is not called durable. One that came meanwhile is another matter.
void History::give_up_ack(const std::string& unit, const WaitingAck& waiting, const std::string& why)
{
    const auto now = waiting_acks_.find(unit);
    if (now == waiting_acks_.end() || now->second.version != waiting.version) return;
    log_.error("an acknowledgement of {} is not kept: {}", unit, why);
    waiting_acks_.erase(now);
    given_up_acks_.insert_or_assign(unit, why);
}

Result<> History::acknowledge(const std::string& unit, std::optional<Acknowledgement> ack)
{
    if (acks_waiting() >= most_acks_waiting && !waiting_acks_.contains(unit)
        && !given_up_acks_.contains(unit))
        return fail(Errc::unavailable,
                    fmt::format("cannot keep the acknowledgement: {} are not written already; {}",
                                acks_waiting(), store_problem_));
    given_up_acks_.erase(unit);
    waiting_acks_.insert_or_assign(unit, WaitingAck{std::move(ack), ++ack_version_});
    if (loading_) acked_while_loading_.insert(unit);
    bell_.ring();
    return {};
}

Task<Kept> History::keep(std::string unit)
{
    const auto waiting = waiting_acks_.find(unit);
    if (loaded_ && waiting != waiting_acks_.end()) {
        auto newest = waiting->second;
        (void)co_await write_ack(unit, std::move(newest));
    }
    co_return kept(unit);
}

Kept History::kept(const std::string& unit) const
{
    if (const auto given_up = given_up_acks_.find(unit); given_up != given_up_acks_.end())
        return {.durable = false, .reason = given_up->second};
    if (!waiting_acks_.contains(unit)) return {};
    return {.durable = false, .reason = store_problem_.empty() ? "it is being written" : store_problem_};
}

}  // namespace opsd::health
