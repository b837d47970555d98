#include "modules/cluster/archive_rows.hpp"

#include "modules/cluster/archive.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

namespace opsd::cluster {
namespace {

std::int64_t micros(WallTime time) { return time.time_since_epoch().count(); }
WallTime wall(const Cell& cell) { return WallTime{std::chrono::microseconds{as_integer(cell)}}; }
int small(const Cell& cell) { return static_cast<int>(as_integer(cell)); }
std::int64_t number(Health health) { return static_cast<int>(health); }

Health health_of(const Cell& cell)
{
    const auto word = as_integer(cell);
    if (word == 0) return Health::healthy;
    return word == 1 ? Health::unhealthy : Health::unknown;
}

bool wanted(const ClusterTransition& row, const ArchiveQuery& query)
{
    if (!query.node.empty() && row.address != query.node && row.hostname != query.node) return false;
    if (!query.unit.empty() && row.transition.unit != query.unit) return false;
    if (row.id <= query.after) return false;
    if (query.since && row.transition.last_at < *query.since) return false;
    return !query.until || row.transition.at < *query.until;
}

Statement select_rows(const ArchiveQuery& query)
{
    Statement select{"SELECT " + transition_columns() + " FROM cluster_transitions WHERE seq > ?1",
                     {query.after}};
    const auto also = [&select](std::string_view condition, Cell value) {
        select.values.push_back(std::move(value));
        select.sql += " AND " + fmt::format(fmt::runtime(condition), select.values.size());
    };
    if (!query.node.empty()) also("(address = ?{0} OR hostname = ?{0})", query.node);
    if (!query.unit.empty()) also("unit = ?{0}", query.unit);
    if (query.since) also("last_at >= ?{0}", micros(*query.since));
    if (query.until) also("first_at < ?{0}", micros(*query.until));
    select.sql += query.newest_first ? " ORDER BY seq DESC" : " ORDER BY seq";
    select.sql += fmt::format(" LIMIT {}", query.limit);
    return select;
}

/// Is `newer` the same row as `older`, folded further?
bool supersedes(const ClusterTransition& newer, const ClusterTransition& older)
{
    const auto& a = newer.transition;
    const auto& b = older.transition;
    return a.count > 1 && newer.id > older.id && newer.address == older.address && a.unit == b.unit
           && a.at == b.at && a.from == b.from && a.to == b.to && !a.unit.empty();
}

}  // namespace

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
    };
}

std::string transition_columns()
{
    return "seq, address, hostname, seen_at, member_seq, unit, first_at, last_at, count, from_state, "
           "to_state, "
           "from_health, to_health, result, code, status, invocation, reason";
}

ClusterTransition transition_from(const Row& row)
{
    ClusterTransition all;
    all.id = as_integer(row.at(0));
    all.address = as_text(row.at(1));
    all.hostname = as_text(row.at(2));
    all.seen_at = wall(row.at(3));
    auto& t = all.transition;
    t.id = as_integer(row.at(4));
    t.unit = as_text(row.at(5));
    t.at = wall(row.at(6));
    t.last_at = wall(row.at(7));
    t.count = static_cast<std::uint32_t>(as_integer(row.at(8)));
    t.from = as_text(row.at(9));
    t.to = as_text(row.at(10));
    t.from_health = health_of(row.at(11));
    t.to_health = health_of(row.at(12));
    t.result = as_text(row.at(13));
    t.main_code = small(row.at(14));
    t.main_status = small(row.at(15));
    t.invocation_id = as_text(row.at(16));
    t.reason = as_text(row.at(17));
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
    all.push_back(
        {"INSERT OR REPLACE INTO cluster_transitions (" + transition_columns()
             + ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, "
               "?18)",
         {row.id, row.address, row.hostname, micros(row.seen_at), t.id, t.unit, micros(t.at),
          micros(t.last_at), std::int64_t{t.count}, t.from, t.to, number(t.from_health), number(t.to_health),
          t.result, std::int64_t{t.main_code}, std::int64_t{t.main_status}, t.invocation_id, t.reason}});
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

Statement reserve_ids(std::int64_t end)
{
    return {"INSERT INTO cluster_meta (key, value) VALUES ('reserved', ?1) "
            "ON CONFLICT (key) DO UPDATE SET value = MAX(value, excluded.value)",
            {end}};
}

// --- reading: rows of the store, with what is queued but not written yet laid over them

Task<Result<Archive::Page>> Archive::read(ArchiveQuery query)
{
    // Taken before the store is asked: what is written meanwhile is then seen twice, never missed.
    std::vector<ClusterTransition> queued;
    for (const auto& op : queue_)
        queued.push_back(op.row);
    std::map<std::int64_t, ClusterTransition> rows;
    Page page;
    if (loaded_) {
        auto stored = co_await store_.read(select_rows(query), query.limit);
        if (!stored) co_return fail(std::move(stored).error());
        for (const auto& row : *stored) {
            auto transition = transition_from(row);
            page.last_id = transition.id;
            rows.insert_or_assign(transition.id, std::move(transition));
        }
        page.more = !query.newest_first && stored->size() == query.limit;
    }
    for (auto& row : queued) {
        std::erase_if(rows, [&row](const auto& old) { return supersedes(row, old.second); });
        const bool later_page = page.more && row.id > page.last_id;
        if (wanted(row, query) && !later_page) rows.insert_or_assign(row.id, std::move(row));
    }
    for (auto& row : std::views::values(rows))
        page.rows.push_back(std::move(row));
    if (query.newest_first) {
        std::ranges::reverse(page.rows);
        if (page.rows.size() > query.limit) page.rows.resize(query.limit);
    }
    co_return page;
}

Task<Result<std::map<std::string, Archive::Around>>> Archive::around(WallTime time, std::string node)
{
    constexpr std::size_t most_rows = 400'000;
    std::map<std::string, Around> all;
    const auto take = [&all](ClusterTransition row) {
        auto& place = all[row.address];
        place.hostname = row.hostname;
        place.rows.push_back(std::move(row.transition));
    };
    for (const auto& op : queue_)
        if (node.empty() || op.row.address == node || op.row.hostname == node) take(op.row);
    if (loaded_) {
        const std::string_view only = node.empty() ? "" : "(address = ?2 OR hostname = ?2) AND ";
        // Times are milliseconds: of two rows of the same one the id decides.
        const auto sql = fmt::format(
            "SELECT {0} FROM cluster_transitions WHERE {1} first_at <= ?1 AND last_at > ?1 "
            "UNION ALL SELECT {0} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY address, unit "
            "ORDER BY last_at DESC, seq DESC) AS place FROM cluster_transitions WHERE {1} last_at <= ?1) "
            "WHERE place = 1 "
            "UNION ALL SELECT {0} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY address, unit "
            "ORDER BY first_at, seq) AS place FROM cluster_transitions WHERE {1} first_at > ?1) WHERE place "
            "= 1",
            transition_columns(), only);
        Statement query{sql, {micros(time)}};
        if (!node.empty()) query.values.emplace_back(node);
        auto rows = co_await store_.read(std::move(query), most_rows);
        if (!rows) co_return fail(std::move(rows).error());
        for (const auto& row : *rows)
            take(transition_from(row));
        query = {"SELECT address, MIN(last_at) FROM cluster_transitions WHERE unit <> '' GROUP BY address",
                 {}};
        auto first = co_await store_.read(std::move(query), most_rows);
        if (!first) co_return fail(std::move(first).error());
        for (const auto& row : *first) {
            const auto known = all.find(as_text(row.at(0)));
            if (known != all.end()) known->second.begins = wall(row.at(1));
        }
    }
    for (auto& around : std::views::values(all)) {
        for (const auto& row : around.rows)
            if (!row.unit.empty()) around.begins = std::min(around.begins.value_or(row.last_at), row.last_at);
    }
    co_return all;
}

}  // namespace opsd::cluster
