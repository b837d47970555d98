// Queue, ids, folding and writing. Reading and pruning are in history_rows.cpp.

#include "modules/health/history.hpp"

#include "modules/health/history_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

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
{}

Task<Result<History::Loaded>> History::load()
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
    query = {"SELECT MAX(COALESCE((SELECT MAX(seq) FROM health_transitions), 0), "
             "COALESCE((SELECT value FROM health_meta WHERE key = 'reserved'), 0))",
             {}};
    auto last = co_await store_.read(std::move(query), 1);
    if (!last) co_return fail(std::move(last).error());
    // Ids given while the store could not be read came from the clock; they stay ahead.
    // An empty store may be a new one in the place of a lost one, whose ids were given: the clock's stay.
    const auto next = last->empty() ? 1 : as_integer(last->front().at(0)) + 1;
    const bool given = transitions_ > 0 || next == 1;
    next_id_ = given ? std::max(next_id_, next) : next;
    reserved_ = next_id_;
    loaded_ = true;
    auto reserved = co_await reserve();
    if (!reserved) report_(fmt::format("the history is incomplete: {}", reserved.error().message));
    bell_.ring();
    co_return loaded;
}

/// Ids are used for events before their rows are durable: after a kill they must not be given again.
Task<Result<>> History::reserve()
{
    const auto end = next_id_ + id_block;
    std::vector<Statement> one{reserve_ids(end)};
    auto written = co_await store_.write(std::move(one));
    if (!written) co_return fail(std::move(written).error());
    reserved_ = std::max(reserved_, end);
    co_return Result<>{};
}

std::int64_t History::take_id() { return next_id_++; }

std::optional<Transition> History::add(Record record)
{
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
        replaces = same->row.id;
        transition.at = same->row.at;
        transition.count = same->row.count + 1;
        folds.erase(same);
    }
    folds.push_back({transition, now});
    if (folds.size() > folds_of_a_unit) folds.pop_front();
    return transition;
}

void History::push(Op op)
{
    if (queue_.size() >= most_queued) {
        ++dropped_;
        queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(in_flight_));
    }
    queue_.push_back(std::move(op));
    bell_.ring();
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
        while (!queue_.empty()) {
            const bool written = co_await write_batch();
            if (written) {
                retry = first_retry;
                continue;
            }
            co_await clock_.sleep_for(retry);
            retry = std::min(retry * 2, longest_retry);
        }
    }
}

Task<bool> History::write_batch()
{
    in_flight_ = std::min(queue_.size(), batch);
    std::vector<Statement> all;
    for (std::size_t i = 0; i < in_flight_; ++i)
        std::ranges::move(statements(queue_[i]), std::back_inserter(all));
    auto written = co_await store_.write(std::move(all));
    if (!written) {
        in_flight_ = 0;
        const auto* lost = dropped_ > 0 ? ", and records are lost" : "";
        report_(fmt::format("the history is incomplete: {}{}", written.error().message, lost));
        co_return false;
    }
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(in_flight_));
    in_flight_ = 0;
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
    while (!queue_.empty()) {
        const bool written = co_await write_batch();
        if (!written) co_return;
    }
}

std::vector<Statement> History::statements(const Op& op)
{
    std::vector<Statement> all;
    if (op.reserve > 0) all.push_back(reserve_ids(op.reserve));
    if (op.replaces > 0) all.push_back({"DELETE FROM health_transitions WHERE seq = ?1", {op.replaces}});
    if (op.row) all.push_back(insert_transition(*op.row));
    if (!op.unit.empty()) all.push_back(upsert_known(op.unit, op.known));
    return all;
}

Task<Result<>> History::acknowledge(std::string unit, std::optional<Acknowledgement> ack)
{
    if (!loaded_)
        co_return fail(Errc::unavailable,
                       "cannot keep the acknowledgement: the store is not ready; try again later");
    std::vector<Statement> all;
    if (ack)
        all.push_back(upsert_acknowledgement(unit, *ack));
    else
        all.push_back({"DELETE FROM health_acks WHERE unit = ?1", {std::move(unit)}});
    auto written = co_await store_.write(std::move(all));
    if (!written) co_return fail(std::move(written).error());
    co_return Result<>{};
}

}  // namespace opsd::health
