#include "core/fill_page.hpp"

#include "opsd/model.hpp"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace opsd {
namespace {

struct Page {
    std::vector<Transition> rows;
    std::int64_t last_id = 0;
    bool more = false;
};

std::map<std::int64_t, Transition> rows_of(std::int64_t count)
{
    std::map<std::int64_t, Transition> rows;
    for (std::int64_t id = 1; id <= count; ++id)
        rows[id].id = id;
    return rows;
}

Page filled(std::int64_t count, std::size_t limit, bool newest_first)
{
    Page page;
    page.last_id = 3;  // the last one of the store
    fill_page(page, rows_of(count), limit, newest_first);
    return page;
}

}  // namespace

TEST(FillPage, OldestFirstWhatIsTooMuchIsForTheNextPage)
{
    const auto page = filled(5, 2, false);
    ASSERT_EQ(page.rows.size(), 2U);
    EXPECT_EQ(page.rows.back().id, 2);
    EXPECT_TRUE(page.more);
    EXPECT_EQ(page.last_id, 2);
}

TEST(FillPage, NewestFirstTheOldestAreLeftOut)
{
    const auto page = filled(5, 2, true);
    ASSERT_EQ(page.rows.size(), 2U);
    EXPECT_EQ(page.rows.front().id, 5);
    EXPECT_FALSE(page.more);
}

TEST(FillPage, WhatFitsIsAll)
{
    const auto page = filled(5, 5, false);
    EXPECT_EQ(page.rows.size(), 5U);
    EXPECT_FALSE(page.more);
    EXPECT_EQ(page.last_id, 3);
}

}  // namespace opsd
