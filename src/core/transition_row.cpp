#include "core/transition_row.hpp"

#include <fmt/format.h>

#include <utility>

namespace opsd {

int small_integer(const Cell& cell) noexcept { return static_cast<int>(as_integer(cell)); }

Health health_from(const Cell& cell) noexcept
{
    const auto number = as_integer(cell);
    if (number == 0) return Health::healthy;
    return number == 1 ? Health::unhealthy : Health::unknown;
}

void append_values(std::vector<Cell>& cells, const Transition& t)
{
    const Cell values[] = {t.unit,
                           micros(t.at),
                           micros(t.last_at),
                           std::int64_t{t.count},
                           t.from,
                           t.to,
                           std::int64_t{std::to_underlying(t.from_health)},
                           std::int64_t{std::to_underlying(t.to_health)},
                           t.result,
                           std::int64_t{t.main_code},
                           std::int64_t{t.main_status},
                           t.invocation_id,
                           t.reason};
    cells.insert(cells.end(), std::begin(values), std::end(values));
}

Transition transition_at(const Row& row, std::size_t first)
{
    const auto cell = [&row, first](std::size_t index) -> const Cell& { return row.at(first + index); };
    Transition t;
    t.unit = as_text(cell(0));
    t.at = wall_time(cell(1));
    t.last_at = wall_time(cell(2));
    t.count = static_cast<std::uint32_t>(as_integer(cell(3)));
    t.from = as_text(cell(4));
    t.to = as_text(cell(5));
    t.from_health = health_from(cell(6));
    t.to_health = health_from(cell(7));
    t.result = as_text(cell(8));
    t.main_code = small_integer(cell(9));
    t.main_status = small_integer(cell(10));
    t.invocation_id = as_text(cell(11));
    t.reason = as_text(cell(12));
    return t;
}

std::vector<Statement> lose_transitions(std::string_view owner, const std::string& which,
                                        const std::vector<Cell>& values)
{
    const auto note =
        fmt::format("INSERT INTO {0}_meta (key, value) SELECT 'lost', MAX(seq) FROM {0}_transitions "
                    "WHERE seq IN ({1}) HAVING COUNT(*) > 0 "
                    "ON CONFLICT (key) DO UPDATE SET value = MAX(value, excluded.value)",
                    owner, which);
    return {{note, values},
            {fmt::format("DELETE FROM {}_transitions WHERE seq IN ({})", owner, which), values}};
}

Statement note_lost(std::string_view owner, std::int64_t id)
{
    return {fmt::format("INSERT INTO {}_meta (key, value) VALUES ('lost', ?1) "
                        "ON CONFLICT (key) DO UPDATE SET value = MAX(value, excluded.value)",
                        owner),
            {id}};
}

Statement select_lost(std::string_view owner)
{
    return {fmt::format("SELECT value FROM {}_meta WHERE key = 'lost'", owner), {}};
}

std::vector<Statement> reserve_ids(std::string_view owner, std::int64_t end)
{
    return {{fmt::format("INSERT INTO {}_meta (key, value) VALUES ('reserved', ?1) "
                         "ON CONFLICT (key) DO UPDATE SET value = MAX(value, excluded.value)",
                         owner),
             {end}},
            {fmt::format("DELETE FROM {}_meta WHERE key = 'ended'", owner), {}}};
}

std::vector<Statement> note_end(std::string_view owner, std::int64_t lost)
{
    std::vector<Statement> all;
    if (lost > 0) all.push_back(note_lost(owner, lost));
    all.push_back(
        {fmt::format("INSERT OR REPLACE INTO {}_meta (key, value) VALUES ('ended', 1)", owner), {}});
    return all;
}

Statement select_given_ids(std::string_view owner)
{
    return {fmt::format("SELECT MAX(COALESCE((SELECT MAX(seq) FROM {0}_transitions), 0), "
                        "COALESCE((SELECT value FROM {0}_meta WHERE key = 'reserved'), 0)), "
                        "EXISTS (SELECT 1 FROM {0}_meta WHERE key = 'ended')",
                        owner),
            {}};
}

GivenIds given_ids(const std::vector<Row>& rows)
{
    if (rows.empty()) return {};
    return {.last = as_integer(rows.front().at(0)), .ended = as_integer(rows.front().at(1)) != 0};
}

Ids go_on(Ids now, const GivenIds& given, std::int64_t first, bool any) noexcept
{
    const bool empty = given.last == 0;
    now.next = any || empty ? std::max(now.next, given.last + 1) : given.last + 1;
    if (empty) now.lost = std::max(now.lost, first - 1);
    if (!empty && !given.ended) now.lost = std::max(now.lost, given.last);
    return now;
}

std::string placeholders(std::size_t count)
{
    std::string all;
    for (std::size_t i = 1; i <= count; ++i)
        all += fmt::format("{}?{}", i == 1 ? "" : ", ", i);
    return all;
}

}  // namespace opsd
