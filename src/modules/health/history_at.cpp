// The rows around a time. Queue and pages are in history.cpp and history_rows.cpp.

#include "modules/health/history.hpp"
#include "modules/health/history_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::health {
namespace {

constexpr std::size_t most_rows = 100'000;  // three of each unit

/// Of each unit the newest row that ended by ?1, the first that began later, and those that span it.
std::string around_sql()
{
    const auto columns = transition_columns();
    return fmt::format(
        "SELECT {0} FROM health_transitions WHERE first_at <= ?1 AND last_at > ?1 "
        "UNION ALL SELECT {0} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY unit ORDER BY last_at DESC, "
        "seq DESC) AS place FROM health_transitions WHERE last_at <= ?1) WHERE place = 1 "
        "UNION ALL SELECT {0} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY unit ORDER BY first_at, seq) "
        "AS place FROM health_transitions WHERE first_at > ?1) WHERE place = 1",
        columns);
}

}  // namespace

Task<Result<History::Around>> History::around(WallTime time)
{
    if (!loaded_) co_return not_loaded();
    Around around;
    for (const auto& op : queue_)
        if (op.row) around.rows.push_back(*op.row);
    Statement query{around_sql(), {time.time_since_epoch().count()}};
    auto rows = co_await store_.read(std::move(query), most_rows);
    if (!rows) co_return fail(std::move(rows).error());
    for (const auto& row : *rows)
        around.rows.push_back(transition_from(row));
    query = {"SELECT MIN(last_at) FROM health_transitions HAVING COUNT(*) > 0", {}};
    auto first = co_await store_.read(std::move(query), 1);
    if (!first) co_return fail(std::move(first).error());
    if (!first->empty())
        around.begins = WallTime{std::chrono::microseconds{as_integer(first->front().at(0))}};
    for (const auto& row : around.rows)
        around.begins = std::min(around.begins.value_or(row.last_at), row.last_at);
    co_return around;
}

}  // namespace opsd::health
