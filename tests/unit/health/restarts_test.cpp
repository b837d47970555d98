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

TEST(RestartWindow, WhatWasSavedCountsInTheNextRunWithWhatHappenedMeanwhile)
{
    RestartWindow before{10min};
    before.observe(5, 1h);
    before.observe(7, 1h + 1min);
    ASSERT_TRUE(before.worth_saving(1h + 1min));
    const auto saved = before.save(1h + 1min);
    ASSERT_TRUE(saved);
    EXPECT_FALSE(before.unsaved());

    RestartWindow after{10min};
    after.restore(*saved);
    after.observe(8, 1h + 5min, 1h + 3min);
    EXPECT_EQ(after.count(1h + 5min), 3U);
    EXPECT_EQ(after.count(1h + 11min), 1U) << "each leaves at its own time";
    EXPECT_EQ(after.count(1h + 13min), 0U) << "and the unit's last start dates what nobody saw";

    RestartWindow late{10min};  // the store answered after systemd
    late.observe(8, 1h + 5min, 1h + 3min);
    late.observe(9, 1h + 6min);
    late.restore(*saved);
    EXPECT_EQ(late.count(1h + 6min), 4U);
}

TEST(RestartWindow, WhatWasSavedDoesNotCountAfterAStartByHandOrALongTime)
{
    const SavedRestarts saved{7, 1h, {{1h - 1min, 1h, 3}}};
    RestartWindow by_hand{10min};
    by_hand.restore(saved);
    by_hand.observe(0, 1h + 1min);
    EXPECT_EQ(by_hand.count(1h + 1min), 0U);

    RestartWindow long_ago{10min};
    long_ago.restore(saved);
    long_ago.observe(90, 1h + 11min);
    EXPECT_EQ(long_ago.count(1h + 11min), 0U) << "when these 83 happened nobody knows";

    RestartWindow fell{10min};
    fell.observe(8, 1h + 1min);
    fell.observe(0, 1h + 2min);
    fell.restore(saved);
    EXPECT_EQ(fell.count(1h + 2min), 0U);
}

TEST(RestartWindow, TheFirstConnectionToSystemdForgetsNothingSaved)
{
    RestartWindow window{10min};
    window.restore({7, 1h, {{1h - 1min, 1h, 3}}});
    window.rebase();
    window.observe(7, 1h + 1min);
    EXPECT_EQ(window.count(1h + 1min), 3U);
}

TEST(RestartWindow, AnAutoRestartSeenBeforeTheFirstReadingIsNotCountedTwice)
{
    RestartWindow window{10min};
    window.restore({7, 1h, {{1h - 1min, 1h, 2}}});
    window.saw_auto_restart(1h + 1min);
    window.observe(8, 1h + 1min + 1s);
    EXPECT_EQ(window.count(1h + 1min + 1s), 3U);
}

TEST(RestartWindow, SavesAreSeldomAndBounded)
{
    RestartWindow window{10min};
    window.observe(0, 1h);
    std::uint32_t restarts = 0;
    int saves = 0;
    for (Monotonic now = 1h; now < 2h; now += 1s) {
        window.observe(++restarts, now);
        if (!window.worth_saving(now)) continue;
        ++saves;
        const auto saved = window.save(now);
        EXPECT_LE(saved->buckets.size(), 128U);
        RestartWindow next{10min};  // opsd restarts again and again
        next.restore(*saved);
        next.observe(restarts, now);
        EXPECT_EQ(next.count(now), window.count(now));
        window = next;
    }
    EXPECT_LE(saves, 3600) << "a restart of opsd saves anew";
    RestartWindow steady{10min};
    steady.observe(0, 1h);
    saves = 0;
    restarts = 0;
    for (Monotonic now = 1h; now < 2h; now += 1s) {
        steady.observe(++restarts, now);
        if (steady.worth_saving(now)) ++saves, (void)steady.save(now);
    }
    EXPECT_EQ(saves, 36);
}

}  // namespace
}  // namespace opsd::health
