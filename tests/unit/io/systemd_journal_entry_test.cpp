#include "io/systemd/journal_entry.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace opsd::systemd {
namespace {

std::string cursor(char sequence_id, int number, char boot, int monotonic, int realtime = 1)
{
    return fmt::format("s={};i={:x};b={};m={:x};t={:x};x=1", std::string(32, sequence_id), number,
                       std::string(32, boot), monotonic, realtime);
}

TEST(JournalEntry, OfOneSequenceTheNumberTellsWhichCameBefore)
{
    EXPECT_TRUE(surely_before(cursor('a', 1, 'b', 50, 900), cursor('a', 2, 'c', 10, 100)));
    EXPECT_FALSE(surely_before(cursor('a', 2, 'b', 10, 100), cursor('a', 1, 'b', 50, 900)));
    EXPECT_FALSE(surely_before(cursor('a', 2, 'b', 10), cursor('a', 2, 'b', 50)));
}

TEST(JournalEntry, OfOneBootTheTimeSinceItTells)
{
    EXPECT_TRUE(surely_before(cursor('a', 9, 'b', 10, 900), cursor('c', 1, 'b', 11, 100)));
    EXPECT_FALSE(surely_before(cursor('a', 1, 'b', 11, 100), cursor('c', 9, 'b', 10, 900)));
    EXPECT_FALSE(surely_before(cursor('a', 1, 'b', 10), cursor('c', 9, 'b', 10)));
}

TEST(JournalEntry, OtherwiseNothingTells)
{
    EXPECT_FALSE(surely_before(cursor('a', 1, 'b', 1, 1), cursor('c', 2, 'd', 2, 2)));
    EXPECT_FALSE(surely_before("", cursor('a', 2, 'b', 2)));
    EXPECT_FALSE(surely_before(cursor('a', 1, 'b', 1), "@12"));
}

TEST(JournalEntry, ACopyInAnotherFileIsTheSameEntry)
{
    EXPECT_TRUE(same_entry(cursor('a', 1, 'b', 5, 7), cursor('c', 9, 'b', 5, 7)));
    EXPECT_FALSE(same_entry(cursor('a', 1, 'b', 5, 7), cursor('a', 1, 'b', 6, 7)));
}

TEST(JournalEntry, ReadsEachPartOfACursor)
{
    const auto parts = parse_cursor(cursor('a', 0x35dd9, 'b', 0x16e360, 0x60a2341));
    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->sequence_id, std::string(32, 'a'));
    EXPECT_EQ(parts->sequence, 0x35dd9U);
    EXPECT_EQ(parts->boot_id, std::string(32, 'b'));
    EXPECT_EQ(parts->monotonic, 0x16e360U);
    EXPECT_EQ(parts->realtime, 0x60a2341);
    EXPECT_FALSE(parse_cursor(cursor('a', 1, 'b', 1) + ";"));
    EXPECT_FALSE(parse_cursor("s=1;i=1;b=1;m=1;t=1;x=1"));
    EXPECT_FALSE(parse_cursor(cursor('g', 1, 'b', 1)));
}

}  // namespace
}  // namespace opsd::systemd
