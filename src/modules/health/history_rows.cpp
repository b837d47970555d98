#include "modules/health/history_rows.hpp"

#include "core/fill_page.hpp"
#include "core/transition_row.hpp"
#include "modules/health/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ranges>

namespace opsd::health {
namespace {

using namespace std::chrono_literals;

/// "from to count from to count ...", microseconds since boot.
std::string text_of(const std::vector<RestartBucket>& buckets)
{
    std::string text;
    for (const auto& bucket : buckets)
        text += fmt::format("{} {} {} ", bucket.from.count(), bucket.to.count(), bucket.count);
    return text;
}

std::vector<RestartBucket> buckets_from(std::string_view text)
{
    std::vector<RestartBucket> all;
    const auto number = [&text]() -> std::optional<std::int64_t> {
        std::int64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc{} || value < 0) return std::nullopt;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        if (text.starts_with(' ')) text.remove_prefix(1);
        return value;
    };
    while (!text.empty()) {
        const auto from = number();
        const auto to = number();
        const auto count = number();
        if (!from || !to || !count) return {};
        all.push_back({Monotonic{*from}, Monotonic{*to}, static_cast<std::uint32_t>(*count)});
    }
    return all;
}

std::optional<SavedRestarts> restarts_from(const Row& row)
{
    const auto last = as_integer(row.at(11));
    if (last < 0) return std::nullopt;
    return SavedRestarts{.last = static_cast<std::uint32_t>(last),
                         .at = Monotonic{as_integer(row.at(12))},
                         .buckets = buckets_from(as_text(row.at(13)))};
}

bool wanted(const Transition& row, const HistoryQuery& query)
{
    if (!query.unit.empty() && row.unit != query.unit) return false;
    if (row.id <= query.after) return false;
    if (query.since && row.last_at < *query.since) return false;
    return !query.until || row.at < *query.until;
}

Statement select_rows(const HistoryQuery& query)
{
    Statement select{"SELECT " + transition_columns() + " FROM health_transitions WHERE seq > ?1",
                     {query.after}};
    const auto also = [&select](const char* condition, Cell value) {
        select.values.push_back(std::move(value));
        select.sql += fmt::format(" AND {} ?{}", condition, select.values.size());
    };
    if (!query.unit.empty()) also("unit =", query.unit);
    if (query.since) also("last_at >=", micros(*query.since));
    if (query.until) also("first_at <", micros(*query.until));
    select.sql += query.newest_first ? " ORDER BY seq DESC" : " ORDER BY seq";
    select.sql += fmt::format(" LIMIT {}", query.limit);
    return select;
}

constexpr std::int64_t chunk = 500;  // rows deleted in one transaction
constexpr int most_chunks = 400;     // in one round
constexpr std::size_t most_units_looked_at = 1'000;

}  // namespace

/// Lowers the units to one level, the highest that frees `total` rows; one row each is left to those looked
/// at as long as others may have more than that.
std::vector<RowsOfUnit> fair_surplus(std::vector<RowsOfUnit> noisiest, std::int64_t total,
                                     std::int64_t max_per_unit, bool all)
{
    const auto floor = all || noisiest.empty() ? std::int64_t{0} : noisiest.back().rows - 1;
    auto level = noisiest.empty() ? std::int64_t{0} : noisiest.front().rows;
    std::int64_t freed = 0;
    std::size_t above = 0;  // units that have more rows than the level
    while (freed < total && level > floor) {
        while (above < noisiest.size() && noisiest[above].rows >= level)
            ++above;
        const auto next = above < noisiest.size() ? std::max(noisiest[above].rows, floor) : floor;
        const auto width = static_cast<std::int64_t>(above);
        const auto steps = std::min(level - next, (total - freed + width - 1) / width);
        freed += steps * width;
        level -= steps;
    }
    auto spare = std::max<std::int64_t>(freed - total, 0);  // the last step may free more than is asked for
    std::vector<RowsOfUnit> surplus;
    for (auto& unit : noisiest) {
        auto rows = std::max<std::int64_t>(unit.rows - level, 0);
        if (rows > 0 && spare > 0) --rows, --spare;
        rows = std::max(rows, unit.rows - max_per_unit);
        if (rows > 0) surplus.push_back({std::move(unit.unit), rows});
    }
    return surplus;
}

std::vector<std::string> history_schema_steps()
{
    return {
        "CREATE TABLE health_transitions ("
        "seq INTEGER PRIMARY KEY, unit TEXT NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, "
        "count INTEGER NOT NULL, from_state TEXT NOT NULL, to_state TEXT NOT NULL, from_health INTEGER NOT "
        "NULL, "
        "to_health INTEGER NOT NULL, result TEXT NOT NULL, code INTEGER NOT NULL, status INTEGER NOT NULL, "
        "invocation TEXT NOT NULL, reason TEXT NOT NULL);"
        "CREATE INDEX health_transitions_unit ON health_transitions (unit, seq);"
        "CREATE INDEX health_transitions_age ON health_transitions (last_at);"
        "CREATE TABLE health_units (unit TEXT PRIMARY KEY, state TEXT NOT NULL, health INTEGER NOT NULL, "
        "since INTEGER NOT NULL, boot TEXT NOT NULL, result TEXT NOT NULL, code INTEGER NOT NULL, "
        "status INTEGER NOT NULL, invocation TEXT NOT NULL, job TEXT NOT NULL, started INTEGER NOT NULL) "
        "WITHOUT ROWID;"
        "CREATE TABLE health_acks (unit TEXT PRIMARY KEY, by_whom TEXT NOT NULL, reason TEXT NOT NULL, "
        "at INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE health_meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;",
        // Automatic restarts within the window; -1: not known.
        "ALTER TABLE health_units ADD COLUMN restarts INTEGER NOT NULL DEFAULT -1;"
        "ALTER TABLE health_units ADD COLUMN restarts_at INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE health_units ADD COLUMN restart_times TEXT NOT NULL DEFAULT '';",
    };
}

std::string transition_columns() { return fmt::format("seq, {}", transition_value_columns); }

Transition transition_from(const Row& row)
{
    auto transition = transition_at(row, 1);
    transition.id = as_integer(row.at(0));
    return transition;
}

Statement insert_transition(const Transition& transition)
{
    Statement insert{{}, {transition.id}};
    append_values(insert.values, transition);
    insert.sql = fmt::format("INSERT OR REPLACE INTO health_transitions ({}) VALUES ({})",
                             transition_columns(), placeholders(insert.values.size()));
    return insert;
}

std::string known_columns()
{
    return "unit, state, health, since, boot, result, code, status, invocation, job, started, restarts, "
           "restarts_at, restart_times";
}

Known known_from(const Row& row)
{
    return {.state = as_text(row.at(1)),
            .health = health_from(row.at(2)),
            .since = wall_time(row.at(3)),
            .boot_id = as_text(row.at(4)),
            .result = as_text(row.at(5)),
            .main_code = small_integer(row.at(6)),
            .main_status = small_integer(row.at(7)),
            .invocation_id = as_text(row.at(8)),
            .job_result = as_text(row.at(9)),
            .started = as_integer(row.at(10)) != 0,
            .restarts = restarts_from(row)};
}

Statement upsert_known(const std::string& unit, const Known& k)
{
    return {"INSERT OR REPLACE INTO health_units (" + known_columns()
                + ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            {unit, k.state, std::int64_t{static_cast<int>(k.health)}, micros(k.since), k.boot_id, k.result,
             std::int64_t{k.main_code}, std::int64_t{k.main_status}, k.invocation_id, k.job_result,
             std::int64_t{k.started ? 1 : 0}, k.restarts ? std::int64_t{k.restarts->last} : -1,
             k.restarts ? std::int64_t{k.restarts->at.count()} : 0,
             k.restarts ? text_of(k.restarts->buckets) : std::string{}}};
}

Acknowledgement acknowledgement_from(const Row& row)
{
    return {.by = as_text(row.at(1)),
            .reason = as_text(row.at(2)),
            .at = wall_time(row.at(3)),
            .until = wall_time(row.at(4))};
}

Statement upsert_acknowledgement(const std::string& unit, const Acknowledgement& ack)
{
    return {
        "INSERT OR REPLACE INTO health_acks (unit, by_whom, reason, at, until) VALUES (?1, ?2, ?3, ?4, ?5)",
        {unit, ack.by, ack.reason, micros(ack.at), micros(ack.until)}};
}

bool same_transition(const Transition& a, const Transition& b)
{
    return a.unit == b.unit && a.from == b.from && a.to == b.to && a.from_health == b.from_health
           && a.to_health == b.to_health && a.result == b.result && a.main_code == b.main_code
           && a.main_status == b.main_status;
}

// --- reading: rows of the store, with what is queued but not written yet laid over them

std::vector<History::Op> History::queued_for(const HistoryQuery& query) const
{
    std::vector<Op> ops;
    for (const auto& op : queue_) {
        if (op.row && (query.unit.empty() || op.unit == query.unit)) ops.push_back(op);
    }
    return ops;
}

std::unexpected<Error> History::not_loaded() const
{
    return fail(Errc::unavailable,
                fmt::format("cannot read the history: what is on disk is not open yet: {}; try again later",
                            store_problem_));
}

Task<Result<History::Page>> History::read(HistoryQuery query)
{
    if (!loaded_) co_return not_loaded();
    // Taken before the store is asked: what is written meanwhile is then seen twice, never missed.
    const auto queued = queued_for(query);
    std::map<std::int64_t, Transition> rows;
    Page page;
    auto stored = co_await store_.read(select_rows(query), query.limit);
    if (!stored) co_return fail(std::move(stored).error());
    for (const auto& row : *stored) {
        auto transition = transition_from(row);
        page.last_id = transition.id;
        rows.insert_or_assign(transition.id, std::move(transition));
    }
    page.more = !query.newest_first && stored->size() == query.limit;
    for (const auto& op : queued) {
        rows.erase(op.replaces);
        const bool later_page = page.more && op.row->id > page.last_id;
        if (wanted(*op.row, query) && !later_page) rows.insert_or_assign(op.row->id, *op.row);
    }
    fill_page(page, std::move(rows), query.limit, query.newest_first);
    co_return page;
}

Task<Result<std::int64_t>> History::lost_through()
{
    if (!loaded_) co_return not_loaded();
    auto rows = co_await store_.read(select_lost("health"), 1);
    if (!rows) co_return fail(std::move(rows).error());
    co_return std::max(lost_, rows->empty() ? std::int64_t{0} : as_integer(rows->front().at(0)));
}

// --- pruning: by age, by unit, in total; in small transactions, so that nobody waits long for the store

Task<> History::prune_loop()
{
    auto pause = Duration{1min};
    for (;;) {
        co_await clock_.sleep_for(pause);
        pause = 10min;
        forget_old_folds();
        if (!loaded_) continue;
        auto pruned = co_await prune();
        if (!pruned) log_.warning("cannot shorten the history: {}", pruned.error().message);
    }
}

void History::forget_old_folds()
{
    const auto now = clock_.monotonic();
    for (auto& folds : std::views::values(folds_))
        std::erase_if(folds, [&](const Fold& f) { return now - f.at > options_.fold_window; });
    std::erase_if(folds_, [](const auto& unit) { return unit.second.empty(); });
}

/// Repeats a deletion of at most `chunk` rows until it finds no more.
Task<Result<>> History::remove(std::vector<Statement> statements)
{
    for (int round = 0; round < most_chunks; ++round) {
        auto again = statements;
        auto written = co_await store_.write(std::move(again));
        if (!written) co_return fail(std::move(written).error());
        if (written->rows < chunk) break;
    }
    co_return Result<>{};
}

Task<Result<std::int64_t>> History::count_rows()
{
    Statement query{"SELECT COUNT(*) FROM health_transitions", {}};
    auto rows = co_await store_.read(std::move(query), 1);
    if (!rows) co_return fail(std::move(rows).error());
    co_return rows->empty() ? std::int64_t{0} : as_integer(rows->front().at(0));
}

/// Deletes the oldest rows of each of these units: few transactions, none of them long.
Task<Result<>> History::remove_oldest(std::vector<RowsOfUnit> surplus)
{
    std::vector<Statement> one;
    std::int64_t rows = 0;
    for (auto it = surplus.begin(); it != surplus.end();) {
        const auto now = std::min(it->rows, chunk - rows);
        std::ranges::move(
            lose_transitions("health",
                             "SELECT seq FROM health_transitions WHERE unit = ?2 ORDER BY seq LIMIT ?1",
                             {now, it->unit}),
            std::back_inserter(one));
        rows += now;
        it->rows -= now;
        if (it->rows == 0) ++it;
        if (rows < chunk && it != surplus.end()) continue;
        auto full = std::exchange(one, {});
        auto written = co_await store_.write(std::move(full));
        if (!written) co_return fail(std::move(written).error());
        rows = 0;
    }
    co_return Result<>{};
}

/// By unit, then in total: from the units that have most, so that the noisy pay and a quiet one keeps its
/// only row. A look at a thousand units at a time bounds the memory.
Task<Result<>> History::prune_units()
{
    for (int round = 0; round < most_chunks; ++round) {
        auto total = co_await count_rows();
        if (!total) co_return fail(std::move(total).error());
        Statement query{
            "SELECT unit, COUNT(*) AS n FROM health_transitions GROUP BY unit ORDER BY n DESC, unit", {}};
        auto rows = co_await store_.read(std::move(query), most_units_looked_at);
        if (!rows) co_return fail(std::move(rows).error());
        std::vector<RowsOfUnit> noisiest;
        for (const auto& row : *rows)
            noisiest.push_back({as_text(row.at(0)), as_integer(row.at(1))});
        const bool all = noisiest.size() < most_units_looked_at;
        auto surplus =
            fair_surplus(std::move(noisiest), *total - options_.max_rows, options_.max_rows_per_unit, all);
        if (surplus.empty()) break;
        auto removed = co_await remove_oldest(std::move(surplus));
        if (!removed) co_return removed;
        if (all) break;
    }
    co_return Result<>{};
}

Task<Result<>> History::prune()
{
    const auto oldest = clock_.now() - options_.max_age;
    auto by_age = lose_transitions(
        "health", "SELECT seq FROM health_transitions WHERE last_at < ?1 ORDER BY last_at, seq LIMIT 500",
        {micros(oldest)});
    auto aged = co_await remove(std::move(by_age));
    if (!aged) co_return aged;
    auto pruned = co_await prune_units();
    if (!pruned) co_return pruned;
    std::vector<Statement> states;
    states.push_back(
        {"DELETE FROM health_units WHERE unit IN (SELECT unit FROM health_units ORDER BY since DESC "
         "LIMIT 500 OFFSET 20000)",
         {}});
    auto forgotten = co_await remove(std::move(states));
    if (!forgotten) co_return forgotten;
    std::vector<Statement> acks;
    acks.push_back(
        {"DELETE FROM health_acks WHERE unit IN (SELECT unit FROM health_acks WHERE until < ?1 LIMIT 500)",
         {micros(clock_.now() - std::chrono::hours{24})}});
    auto expired = co_await remove(std::move(acks));
    co_return expired;
}

}  // namespace opsd::health
