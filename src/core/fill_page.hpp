#pragma once
// The end of reading a page of transitions: what the store has and what is queued are together in one map.

#include <algorithm>
#include <cstddef>
#include <ranges>
#include <utility>

namespace opsd {

/// Moves rows, sorted by id, into the page; at most `limit`. Oldest first, what is cut off is for the next
/// page.
template <class Page, class Rows>
void fill_page(Page& page, Rows rows, std::size_t limit, bool newest_first)
{
    for (auto& row : std::views::values(rows))
        page.rows.push_back(std::move(row));
    if (newest_first) std::ranges::reverse(page.rows);
    if (page.rows.size() <= limit) return;
    page.rows.resize(limit);
    if (newest_first) return;
    page.more = true;
    page.last_id = page.rows.back().id;
}

}  // namespace opsd
