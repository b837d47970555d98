#include "modules/health/restarts.hpp"

#include <gtest/gtest.h>

namespace opsd::health {
namespace {

using namespace std::chrono_literals;

TEST(RestartWindow, TheFirstReadingIsTheBaseLine)
{
    RestartWindow window{10min};
    window.observe(500, 1h);
    EXPECT_EQ(window.count(1h), 0U);
    EXPECT_FALSE(window.next_change());
}

TEST(RestartWindow, CountsRisesAlsoWhenSeveralAreSeenAtOnce)
{
    RestartWindow window{10min};
    window.observe(0, 1h);
    window.observe(1, 1h + 1s);
    window.observe(4, 1h + 30s);
    EXPECT_EQ(window.count(1h + 30s), 4U);
}

TEST(RestartWindow, RestartsLeaveTheWindowWithTime)
{
    RestartWindow window{10min};
    window.observe(0, 1h);
    window.observe(1, 1h + 1min);
    window.observe(2, 1h + 5min);
    ASSERT_TRUE(window.next_change());
    EXPECT_EQ(*window.next_change(), 1h + 11min);
    EXPECT_EQ(window.count(1h + 11min - 1us), 2U);
    EXPECT_EQ(window.count(1h + 11min), 1U);
    EXPECT_EQ(window.count(1h + 15min), 0U);
    EXPECT_FALSE(window.next_change());
}

TEST(RestartWindow, AManualStartBeginsAnew)
{
    RestartWindow window{10min};
    window.observe(0, 1h);
    window.observe(7, 1h + 1s);
    window.observe(0, 1h + 2s);
    EXPECT_EQ(window.count(1h + 2s), 0U);
    window.observe(1, 1h + 3s);
    EXPECT_EQ(window.count(1h + 3s), 1U);
}

TEST(RestartWindow, WhatHappenedWhileNobodyWatchedIsNotCounted)
{
    RestartWindow window{10min};
    window.observe(0, 1h);
    window.rebase();
    window.observe(90, 2h);
    EXPECT_EQ(window.count(2h), 0U);
}

TEST(RestartWindow, StaysSmallWhateverTheUnitDoes)
{
    RestartWindow window{10min};
    window.observe(0, 1h);
    Monotonic now = 1h;
    for (std::uint32_t i = 1; i <= 100'000; ++i) {
        now += 20ms;
        window.observe(i, now);
    }
    const auto count = window.count(now);  // 10 min of 50 a second, give or take a sixtieth
    EXPECT_GE(count, 29'500U);
    EXPECT_LE(count, 30'600U);
    std::size_t steps = 0;
    while (const auto next = window.next_change()) {
        (void)window.count(*next);
        ++steps;
    }
    EXPECT_LE(steps, 62U);
}

TEST(RestartWindow, AutoRestartsCountUntilTheCounterIsKnown)
{
    RestartWindow window{10min};
    window.saw_auto_restart(1h);
    EXPECT_EQ(window.count(1h), 1U);
    window.observe(5, 1h);
    window.saw_auto_restart(1h + 1s);
    EXPECT_EQ(window.count(1h + 1s), 1U);
}

}  // namespace
}  // namespace opsd::health
