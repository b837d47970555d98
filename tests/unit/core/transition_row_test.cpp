#include "core/transition_row.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace opsd {

TEST(TransitionRow, WhatIsWrittenIsReadBack)
{
    Transition t;
    t.id = 7;  // a column of the table's own
    t.unit = "a.service";
    t.at = WallTime{std::chrono::microseconds{1'795'000'000'000'001}};
    t.last_at = t.at + std::chrono::seconds{3};
    t.from = "running";
    t.to = "failed";
    t.from_health = Health::healthy;
    t.to_health = Health::unhealthy;
    t.result = "exit-code";
    t.main_code = 1;
    t.main_status = 203;
    t.invocation_id = "abc";
    t.reason = "it ended";
    t.count = 4;
    Row row{std::int64_t{1}, std::string{"address"}};
    append_values(row, t);
    const auto columns = std::ranges::count(transition_value_columns, ',') + 1;
    EXPECT_EQ(row.size(), 2 + static_cast<std::size_t>(columns));
    const auto read = transition_at(row, 2);
    EXPECT_EQ(read.id, 0);
    EXPECT_EQ(read.at, t.at);
    EXPECT_EQ(read.last_at, t.last_at);
    EXPECT_EQ(read.from_health, t.from_health);
    EXPECT_EQ(read.to_health, t.to_health);
    EXPECT_EQ(read.main_status, t.main_status);
    Row again{std::int64_t{1}, std::string{"address"}};
    append_values(again, read);
    EXPECT_EQ(again, row);
}

TEST(TransitionRow, WhatIsNeitherHealthyNorUnhealthyIsUnknown)
{
    EXPECT_EQ(health_from(std::int64_t{0}), Health::healthy);
    EXPECT_EQ(health_from(std::int64_t{1}), Health::unhealthy);
    EXPECT_EQ(health_from(std::int64_t{2}), Health::unknown);
    EXPECT_EQ(placeholders(3), "?1, ?2, ?3");
    EXPECT_EQ(placeholders(0), "");
}

}  // namespace opsd
