#include "modules/cluster/archive_rows.hpp"

#include "core/fill_page.hpp"
#include "core/transition_row.hpp"
#include "modules/cluster/archive.hpp"

#include <fmt/format.h>

namespace opsd::cluster {
namespace {

/// Times of rows are the member's own, by which they are known again; whoever looks for a time means ours.
constexpr std::string_view first_at = "first_at - clock_offset";
constexpr std::string_view last_at = "last_at - clock_offset";

bool wanted(const ClusterTransition& row, const ArchiveQuery& query)
{
    if (!query.node.empty() && row.address != query.node && row.hostname != query.node) return false;
    if (!query.unit.empty() && row.transition.unit != query.unit) return false;
    if (row.id <= query.after) return false;
    if (query.since && row.transition.last_at - row.clock_offset < *query.since) return false;
    return !query.until || row.transition.at - row.clock_offset < *query.until;
}

Statement select_rows(const ArchiveQuery& query)
{
    Statement select{"SELECT " + transition_columns() + " FROM cluster_transitions WHERE seq > ?1",
                     {query.after}};
    const auto bind = [&select](Cell value) {
        select.values.push_back(std::move(value));
        return select.values.size();
    };
    if (!query.node.empty())
        select.sql += fmt::format(" AND (address = ?{0} OR hostname = ?{0})", bind(query.node));
    if (!query.unit.empty()) select.sql += fmt::format(" AND unit = ?{}", bind(query.unit));
    if (query.since) select.sql += fmt::format(" AND {} >= ?{}", last_at, bind(micros(*query.since)));
    if (query.until) select.sql += fmt::format(" AND {} < ?{}", first_at, bind(micros(*query.until)));
    select.sql += query.newest_first ? " ORDER BY seq DESC" : " ORDER BY seq";
    select.sql += fmt::format(" LIMIT {}", query.limit);
    return select;
}

std::unexpected<Error> not_read_yet()
{
    return fail(Errc::unavailable, "cannot read the cluster's history: the store has not been read yet; try "
                                   "again when /-/ready says that it was");
}

}  // namespace

bool supersedes(const ClusterTransition& newer, const ClusterTransition& older)
{
    const auto& a = newer.transition;
    const auto& b = older.transition;
    return a.count > 1 && newer.id > older.id && newer.address == older.address && a.unit == b.unit
           && a.at == b.at && a.from == b.from && a.to == b.to && !a.unit.empty();
}

std::vector<std::string> archive_schema_steps()
{
    return {
        "CREATE TABLE cluster_members (address TEXT PRIMARY KEY, picture TEXT NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE cluster_transitions ("
        "seq INTEGER PRIMARY KEY, address TEXT NOT NULL, hostname TEXT NOT NULL, seen_at INTEGER NOT NULL, "
        "member_seq INTEGER NOT NULL, unit TEXT NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT "
        "NULL, "
        "count INTEGER NOT NULL, from_state TEXT NOT NULL, to_state TEXT NOT NULL, from_health INTEGER NOT "
        "NULL, "
        "to_health INTEGER NOT NULL, result TEXT NOT NULL, code INTEGER NOT NULL, status INTEGER NOT NULL, "
        "invocation TEXT NOT NULL, reason TEXT NOT NULL);"
        "CREATE INDEX cluster_transitions_unit ON cluster_transitions (address, unit, first_at);"
        "CREATE INDEX cluster_transitions_age ON cluster_transitions (seen_at);"
        "CREATE TABLE cluster_positions (address TEXT PRIMARY KEY, node_id TEXT NOT NULL, last_id INTEGER "
        "NOT NULL) "
        "WITHOUT ROWID;"
        "CREATE TABLE cluster_meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;",
        // Microseconds that the member's clock was before ours when its transition was learned.
        "ALTER TABLE cluster_transitions ADD COLUMN clock_offset INTEGER NOT NULL DEFAULT 0;",
        // From when to when an opsd of this node watched: one row for each run of it.
        "CREATE TABLE cluster_watch (began INTEGER PRIMARY KEY, ended INTEGER NOT NULL);",
    };
}

std::string transition_columns()
{
    return fmt::format("seq, address, hostname, seen_at, member_seq, clock_offset, {}",
                       transition_value_columns);
}

ClusterTransition transition_from(const Row& row)
{
    ClusterTransition all;
    all.id = as_integer(row.at(0));
    all.address = as_text(row.at(1));
    all.hostname = as_text(row.at(2));
    all.seen_at = wall_time(row.at(3));
    const std::chrono::microseconds offset{as_integer(row.at(5))};
    all.clock_offset = std::chrono::duration_cast<std::chrono::milliseconds>(offset);
    all.transition = transition_at(row, 6);
    all.transition.id = as_integer(row.at(4));
    return all;
}

void append_statements(std::vector<Statement>& all, const ClusterTransition& row, const std::string& node_id)
{
    const auto& t = row.transition;
    if (t.count > 1 && !t.unit.empty()) {
        all.push_back({"DELETE FROM cluster_transitions WHERE address = ?1 AND unit = ?2 AND first_at = ?3 "
                       "AND from_state = ?4 AND to_state = ?5 AND seq < ?6",
                       {row.address, t.unit, micros(t.at), t.from, t.to, row.id}});
    }
    const std::chrono::microseconds offset{row.clock_offset};
    Statement insert{
        {}, {row.id, row.address, row.hostname, micros(row.seen_at), t.id, std::int64_t{offset.count()}}};
    append_values(insert.values, t);
    insert.sql = fmt::format("INSERT OR REPLACE INTO cluster_transitions ({}) VALUES ({})",
                             transition_columns(), placeholders(insert.values.size()));
    all.push_back(std::move(insert));
    if (t.unit.empty() || t.id == 0) return;
    all.push_back(
        {"INSERT INTO cluster_positions (address, node_id, last_id) VALUES (?1, ?2, ?3) "
         "ON CONFLICT (address) DO UPDATE SET last_id = CASE WHEN node_id = excluded.node_id "
         "THEN MAX(last_id, excluded.last_id) ELSE excluded.last_id END, node_id = excluded.node_id",
         {row.address, node_id, t.id}});
}

void append_member(std::vector<Statement>& all, const std::string& address, const Member* member)
{
    if (member != nullptr) {
        all.push_back({"INSERT OR REPLACE INTO cluster_members (address, picture) VALUES (?1, ?2)",
                       {address, member_text(*member)}});
        return;
    }
    all.push_back({"DELETE FROM cluster_members WHERE address = ?1", {address}});
    all.push_back({"DELETE FROM cluster_positions WHERE address = ?1", {address}});
}

Statement watched(WallTime began, WallTime now)
{
    return {"INSERT INTO cluster_watch (began, ended) VALUES (?1, ?2) "
            "ON CONFLICT (began) DO UPDATE SET ended = MAX(ended, excluded.ended)",
            {micros(began), micros(std::max(began, now))}};
}

// --- reading: rows of the store, with what is queued but not written yet laid over them

Task<Result<Archive::Page>> Archive::read(ArchiveQuery query)
{
    if (!begun_) co_return not_read_yet();
    // Taken before the store is asked: what is written meanwhile is then seen twice, never missed.
    auto queued = waiting();
    auto stored = co_await store_.read(select_rows(query), query.limit);
    if (!stored) co_return fail(std::move(stored).error());
    std::map<std::int64_t, ClusterTransition> rows;
    Page page;
    for (const auto& row : *stored) {
        auto transition = transition_from(row);
        page.last_id = transition.id;
        rows.insert_or_assign(transition.id, std::move(transition));
    }
    page.more = !query.newest_first && stored->size() == query.limit;
    for (auto& row : queued) {
        std::erase_if(rows, [&row](const auto& old) { return supersedes(row, old.second); });
        const bool later_page = page.more && row.id > page.last_id;
        if (wanted(row, query) && !later_page) rows.insert_or_assign(row.id, std::move(row));
    }
    fill_page(page, std::move(rows), query.limit, query.newest_first);
    co_return page;
}

Task<Result<std::int64_t>> Archive::lost_through()
{
    if (!begun_) co_return not_read_yet();
    auto rows = co_await store_.read(select_lost("cluster"), 1);
    if (!rows) co_return fail(std::move(rows).error());
    co_return std::max(lost_, rows->empty() ? std::int64_t{0} : as_integer(rows->front().at(0)));
}

std::vector<ClusterTransition> Archive::waiting() const
{
    std::vector<ClusterTransition> rows;
    rows.reserve(queue_.size());
    for (const auto& op : queue_)
        rows.push_back(op.row);
    return rows;
}

Task<Result<std::vector<std::string>>> Archive::addresses(std::string node)
{
    if (!begun_) co_return not_read_yet();
    Statement query{"SELECT DISTINCT address FROM cluster_transitions", {}};
    if (!node.empty()) query = {query.sql + " WHERE address = ?1 OR hostname = ?1", {std::move(node)}};
    query.sql += " ORDER BY address";
    constexpr std::size_t most = 200'000;  // twice cluster.max_members
    auto rows = co_await store_.read(std::move(query), most + 1);
    if (!rows) co_return fail(std::move(rows).error());
    if (rows->size() > most)
        co_return fail(Errc::unavailable,
                       fmt::format("cannot tell how all were: more than {} members are in the history; ask "
                                   "for one node",
                                   most));
    std::vector<std::string> all;
    for (const auto& row : *rows)
        all.push_back(as_text(row.at(0)));
    co_return all;
}

Task<Result<WallTime>> Archive::kept_since()
{
    if (!begun_) co_return not_read_yet();
    const auto now = clock_.now();
    Statement query{"SELECT COALESCE((SELECT MIN(seen_at) FROM cluster_transitions), ?1)", {micros(now)}};
    auto rows = co_await store_.read(std::move(query), 1);
    if (!rows) co_return fail(std::move(rows).error());
    const auto oldest = rows->empty() ? now : wall_time(rows->front().at(0));
    co_return std::max(oldest, now - options_.max_age);
}

Task<Result<std::optional<Unwatched>>> Archive::unwatched(WallTime time)
{
    if (!begun_) co_return not_read_yet();
    if (time >= began_) co_return std::nullopt;
    // What was seen a little later than it said of itself was seen by that run, too.
    constexpr std::chrono::microseconds little{longest_gap};
    Statement query{"WITH last AS (SELECT MAX(ended) AS ended FROM cluster_watch WHERE began <= ?1), "
                    "next AS (SELECT MIN(began) AS began FROM cluster_watch WHERE began > ?1) "
                    "SELECT (SELECT ended FROM last), (SELECT began FROM next), "
                    "(SELECT MAX(seen_at) FROM cluster_transitions WHERE seen_at < (SELECT began FROM next) "
                    "AND seen_at <= (SELECT ended FROM last) + ?2)",
                    {micros(time), std::int64_t{little.count()}}};
    auto rows = co_await store_.read(std::move(query), 1);
    if (!rows) co_return fail(std::move(rows).error());
    const auto told = [&rows](std::size_t column) -> std::optional<WallTime> {
        const bool there = !rows->empty() && std::holds_alternative<std::int64_t>(rows->front().at(column));
        return there ? std::optional{wall_time(rows->front().at(column))} : std::nullopt;
    };
    Unwatched gap{.since = told(0), .until = told(1).value_or(began_)};
    if (gap.since) gap.since = std::max(*gap.since, told(2).value_or(*gap.since));
    if (gap.since && *gap.since >= time) co_return std::nullopt;
    co_return gap;
}

Task<Result<Archive::Around>> Archive::around(WallTime time, std::string first, std::string last,
                                              std::size_t most_rows)
{
    if (!begun_) co_return not_read_yet();
    // Times are milliseconds: of two rows of the same one the id decides.
    const auto sql = fmt::format(
        "WITH members AS NOT MATERIALIZED (SELECT *, {1} AS begun, {2} AS ended FROM cluster_transitions "
        "WHERE address BETWEEN ?2 AND ?3) "
        "SELECT {0} FROM members WHERE begun <= ?1 AND ended > ?1 "
        "UNION ALL SELECT {0} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY address, unit "
        "ORDER BY ended DESC, seq DESC) AS place FROM members WHERE ended <= ?1) WHERE place = 1 "
        "UNION ALL SELECT {0} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY address, unit "
        "ORDER BY begun, seq) AS place FROM members WHERE begun > ?1) WHERE place = 1",
        transition_columns(), first_at, last_at);
    Statement query{sql, {micros(time), first, last}};
    auto rows = co_await store_.read(std::move(query), most_rows + 1);
    if (!rows) co_return fail(std::move(rows).error());
    if (rows->size() > most_rows)
        co_return fail(
            Errc::unavailable,
            fmt::format("cannot tell how all were: more than {} transitions of {} to {} lie around "
                        "that time; ask for one node",
                        most_rows, first, last));
    query = {fmt::format("SELECT address, MIN({}) FROM cluster_transitions WHERE address BETWEEN ?1 AND ?2 "
                         "AND unit <> '' GROUP BY address",
                         last_at),
             {first, last}};
    auto begins = co_await store_.read(std::move(query), most_rows);
    if (!begins) co_return fail(std::move(begins).error());
    co_return Around{std::move(*rows), std::move(*begins)};
}

}  // namespace opsd::cluster
