#include "io/systemd/journal_run.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

using opsd::systemd::RunFilter;

namespace {

/// Entries as "time's arrow" letters, oldest first: a letter names its run, '.' names none. Returns those
/// taken for run `wanted`, as positions. `limit`: entries looked at, at most.
std::string taken(const std::string& journal, const std::string& wanted, std::size_t limit = 100)
{
    RunFilter filter{wanted};
    std::string kept;
    bool exhausted = true;
    for (std::size_t i = journal.size(); i-- > 0;) {
        if (limit-- == 0) {
            exhausted = false;
            break;
        }
        const std::string invocation = journal[i] == '.' ? "" : std::string(1, journal[i]);
        const auto verdict = filter.judge(invocation);
        if (verdict == RunFilter::Verdict::stop) break;
        if (verdict == RunFilter::Verdict::restart)
            kept.clear();
        else
            kept += journal[i];
    }
    kept.resize(filter.belonging(exhausted));
    std::ranges::reverse(kept);
    return kept;
}

}  // namespace

TEST(JournalRun, TakesWhatNamesTheRunAndTheUnnamedAfterIt)
{
    EXPECT_EQ(taken("aabbb", "b"), "bbb");
    EXPECT_EQ(taken("aab.b", "b"), "b.b");
    EXPECT_EQ(taken("aabb..", "b"), "bb..");  // a process's last words often come last and unnamed
}

TEST(JournalRun, LeavesTheUnnamedToTheRunBeforeThem)
{
    EXPECT_EQ(taken("aa.bb", "b"), "bb");
    EXPECT_EQ(taken("aa.bb.", "a"), "aa.");
    EXPECT_EQ(taken("..bb", "b"), "bb");
}

TEST(JournalRun, SkipsLaterRunsAndStopsAtEarlierOnes)
{
    EXPECT_EQ(taken("aabb.cc.", "b"), "bb.");
    EXPECT_EQ(taken("babb", "b"), "bb");
    EXPECT_EQ(taken("aa..bb.", "x"), "");
    EXPECT_EQ(taken("....", "x"), "");
    EXPECT_EQ(taken("", "x"), "");
}

TEST(JournalRun, ALimitBeforeAnyNameKeepsTheUnnamed)
{
    EXPECT_EQ(taken("b.....", "b", 3), "...");
    EXPECT_EQ(taken("ab...c.", "b", 3), "");
}

TEST(JournalRun, WithoutARunEverythingIsTaken) { EXPECT_EQ(taken("a.b.", ""), "a.b."); }
