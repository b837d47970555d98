#include "opsd/log.hpp"

#include "core/repeat.hpp"

#include <gtest/gtest.h>

using namespace opsd;
using namespace std::chrono_literals;

namespace {

/// What the lines look like on stderr.
template <class Body>
std::string written(Level level, bool journald, Body body)
{
    ::testing::internal::CaptureStderr();
    {
        const Log log{make_stderr_sink(level, journald), "health"};
        body(log);
    }
    return ::testing::internal::GetCapturedStderr();
}

}  // namespace

TEST(RepeatFilter, WritesALineOnceAndCountsTheRest)
{
    RepeatFilter filter;
    const RepeatFilter::Time start{1h};
    EXPECT_TRUE(filter.next("a", start).write);
    for (int i = 1; i <= 5; ++i)
        EXPECT_FALSE(filter.next("a", start + i * 1s).write);
    const auto other = filter.next("b", start + 6s);
    EXPECT_TRUE(other.write);
    EXPECT_EQ(other.folded, 5U);
    const auto third = filter.next("c", start + 7s);
    EXPECT_TRUE(third.write);
    EXPECT_EQ(third.folded, 0U) << "said once";
}

TEST(RepeatFilter, ALineThatGoesOnIsWrittenEveryTenSeconds)
{
    RepeatFilter filter;
    const RepeatFilter::Time start{};
    int lines = 0;
    std::uint64_t folded = 0;
    for (int i = 0; i < 6000; ++i) {  // a minute, 100 times a second
        const auto decision = filter.next("again", start + i * 10ms);
        lines += decision.write ? 1 : 0;
        folded += decision.folded;
    }
    EXPECT_EQ(lines, 6);
    EXPECT_EQ(folded, 5U * 999);
}

TEST(RepeatFilter, TheFirstLineMayBeEmpty)
{
    RepeatFilter filter;
    EXPECT_TRUE(filter.next("", RepeatFilter::Time{}).write);
}

TEST(Log, UnderJournaldALineHasItsPriority)
{
    EXPECT_EQ(written(Level::info, true,
                      [](const Log& log) {
                          log.error("cannot do {}", 5);
                          log.warning("coped");
                          log.info("changed");
                          log.debug("not wanted");
                          log.named("http").info("other");
                      }),
              "<3>health: cannot do 5\n<4>health: coped\n<6>health: changed\n<6>http: other\n");
}

TEST(Log, RepeatedLinesAreFolded)
{
    EXPECT_EQ(written(Level::info, true,
                      [](const Log& log) {
                          for (int i = 0; i < 100; ++i)
                              log.warning("disk is full");
                          log.info("disk has room");
                      }),
              "<4>health: disk is full\n<4>the line before came 99 more times\n<6>health: disk has room\n");
}

TEST(Log, ATextOfOthersCannotForgeALine)
{
    EXPECT_EQ(written(Level::info, true, [](const Log& log) { log.info("unit {}", "a\n<3>b\x1b[31m\tc"); }),
              "<6>health: unit a\\x0a<3>b\\x1b[31m c\n");
}

TEST(Log, OnATerminalALineHasTimeAndLevel)
{
    const auto text = written(Level::debug, false, [](const Log& log) { log.debug("x {{}}"); });
    EXPECT_TRUE(text.ends_with(" debug health: x {}\n")) << text;
    EXPECT_EQ(text.substr(4, 1), "-") << text;
}

TEST(Log, TheLevelCanChangeWhileRunning)
{
    EXPECT_EQ(written(Level::error, true, [](const Log& log) { log.info("quiet"); }), "");
    const auto sink = make_stderr_sink(Level::error, true);
    EXPECT_FALSE(sink->wants(Level::info));
    sink->set_level(Level::info);
    EXPECT_TRUE(sink->wants(Level::info));
    EXPECT_FALSE(sink->wants(Level::debug));
}
