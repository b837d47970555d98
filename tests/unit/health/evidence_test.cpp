#include "modules/health/evidence.hpp"

#include <gtest/gtest.h>

namespace opsd::health {
namespace {

using namespace std::chrono_literals;

EvidenceWish wish(std::string unit, std::string key) { return {std::move(unit), std::move(key), "inv"}; }

TEST(EvidencePlan, AFailureIsReadAtOnceAndAgainWhenItsLinesHaveSettled)
{
    EvidencePlan plan{1s};
    plan.want(wish("a", "1"), 10s);
    const auto first = plan.next(10s);
    ASSERT_TRUE(first);
    EXPECT_FALSE(first->last);
    plan.done(*first, 10s + 300ms);
    EXPECT_FALSE(plan.next(11s - 1ms));
    EXPECT_EQ(plan.next_due(), 11s) << "from the failure on, however long the reading took";
    const auto second = plan.next(11s);
    ASSERT_TRUE(second);
    EXPECT_TRUE(second->last);
    plan.done(*second, 11s + 10ms);
    EXPECT_FALSE(plan.next_due());
    plan.want(wish("a", "1"), 12s);  // the same evidence
    EXPECT_FALSE(plan.next_due());
}

TEST(EvidencePlan, TheNewestFailureIsReadFirst)
{
    EvidencePlan plan{1s};
    plan.want(wish("a", "1"), 10s);
    plan.want(wish("b", "1"), 10s);
    EXPECT_EQ(plan.next(10s)->unit, "b");
}

TEST(EvidencePlan, AFlapperIsReadLessAndLessOften)
{
    EvidencePlan plan{1s};
    int reads = 0;
    for (Monotonic now = 0s; now < 10min; now += 100ms) {
        plan.want(wish("a", std::to_string(now.count())), now);  // something new ten times a second
        while (const auto job = plan.next(now)) {
            ++reads;
            plan.done(*job, now);
        }
    }
    EXPECT_GE(reads, 10);
    EXPECT_LE(reads, 20);
}

TEST(EvidencePlan, OnlyWhatMayBeDueEarlierIsWorthAWakeUp)
{
    EvidencePlan plan{1s};
    EXPECT_TRUE(plan.want(wish("a", "1"), 10s));
    EXPECT_FALSE(plan.want(wish("a", "1"), 10s)) << "the same";
    plan.done(*plan.next(10s), 10s);
    EXPECT_FALSE(plan.want(wish("a", "2"), 10s)) << "it is read again anyway";
    plan.done(*plan.next(12s), 12s);
    EXPECT_TRUE(plan.want(wish("a", "3"), 13s)) << "a further series";
    EXPECT_FALSE(plan.want(wish("a", "4"), 14s)) << "which waits for its pause";
}

TEST(EvidencePlan, WhatChangedDuringTheReadingIsReadAfterAPause)
{
    EvidencePlan plan{1s};
    plan.want(wish("a", "1"), 10s);
    plan.done(*plan.next(10s), 10s);
    const auto second = plan.next(11s);
    plan.want(wish("a", "2"), 11s);
    plan.done(*second, 11s);
    ASSERT_TRUE(plan.next_due());
    const auto third = plan.next(*plan.next_due());
    EXPECT_EQ(third->key, "2");
    EXPECT_TRUE(third->last);
}

TEST(EvidencePlan, ForgottenUnitsAreNotRead)
{
    EvidencePlan plan{1s};
    plan.want(wish("a", "1"), 10s);
    const auto job = plan.next(10s);
    plan.forget("a");
    plan.done(*job, 10s);
    EXPECT_FALSE(plan.next_due());
    plan.want(wish("a", "1"), 11s);
    plan.done(*job, 11s);  // the old reading says nothing about the new wish
    EXPECT_FALSE(plan.next(11s)->last);
}

TEST(EvidencePlan, LinesBecomeText)
{
    systemd::JournalLine line;
    line.at = WallTime{1'700'000'000'123'456us};
    line.identifier = "vault";
    line.pid = 71;
    line.message = "cannot open";
    systemd::JournalLine other = line;
    other.identifier.clear();
    other.pid = 0;
    const std::vector lines{line, other};
    EXPECT_EQ(journal_text(lines), "2023-11-14T22:13:20.123Z vault[71]: cannot open\n"
                                   "2023-11-14T22:13:20.123Z ?: cannot open\n");
}

}  // namespace
}  // namespace opsd::health
