#include "opsd/clock.hpp"
#include "opsd/task_group.hpp"
#include "support.hpp"

using namespace opsd;
using namespace std::chrono_literals;

namespace {

WallTime wall(std::int64_t microseconds) { return WallTime{std::chrono::microseconds{microseconds}}; }

std::string reread(std::string_view text)
{
    const auto time = parse_rfc3339(text);
    return time ? rfc3339(*time) : time.error().message;
}

/// Notes when it ran, `rounds` times.
Task<> every(Clock& clock, std::chrono::milliseconds period, int rounds, std::vector<Monotonic>& at)
{
    for (int i = 0; i < rounds; ++i) {
        co_await clock.sleep_for(period);
        at.push_back(clock.monotonic());
    }
}

}  // namespace

TEST(Rfc3339, IsUtcWithMilliseconds)
{
    EXPECT_EQ(rfc3339(wall(0)), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(rfc3339(wall(1'795'369'145'123'999)), "2026-11-22T17:39:05.123Z");
    EXPECT_EQ(rfc3339(wall(-1)), "1970-01-01T00:00:00.000Z") << "before the epoch prints as the epoch";
    EXPECT_EQ(rfc3339(wall(951'782'400'000'000)), "2000-02-29T00:00:00.000Z");
}

TEST(Rfc3339, ReadsOffsetsAndFractions)
{
    EXPECT_EQ(reread("2026-11-22T17:39:05Z"), "2026-11-22T17:39:05.000Z");
    EXPECT_EQ(reread("2026-11-22t17:39:05.5z"), "2026-11-22T17:39:05.500Z");
    EXPECT_EQ(reread("2026-11-22 17:39:05.123456789Z"), "2026-11-22T17:39:05.123Z");
    EXPECT_EQ(reread("2026-11-22T17:39:05+01:30"), "2026-11-22T16:09:05.000Z");
    EXPECT_EQ(reread("2026-12-31T23:30:00-00:45"), "2027-01-01T00:15:00.000Z");
    EXPECT_EQ(reread("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00.000Z") << "a leap second";
    EXPECT_EQ(parse_rfc3339("2026-11-22T17:39:05.000001Z").value()
                  - parse_rfc3339("2026-11-22T17:39:05Z").value(),
              1us);
}

TEST(Rfc3339, RefusesEverythingElseWithAnExample)
{
    EXPECT_EQ(parse_rfc3339("yesterday").error().code, Errc::invalid_argument);
    EXPECT_EQ(reread("yesterday"), "cannot read the time \"yesterday\": write it like 2026-11-22T17:39:05Z");
    for (const auto* bad :
         {"", "2026-11-22", "2026-11-22T17:39Z", "2026-11-22T17:39:05", "2026-13-01T00:00:00Z",
          "2026-02-29T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T17:60:00Z", "2026-11-22T17:39:61Z",
          "2026-11-22T17:39:05.Z", "2026-11-22T17:39:05.1234567890Z", "2026-11-22T17:39:05+1:30",
          "2026-11-22T17:39:05+24:00", "2026-11-22T-0:39:05Z", "2026-11-22T17:39:05Z ",
          " 2026-11-22T17:39:05Z", "26-11-22T17:39:05Z", "2026-11-22T17:39:05+00:60"}) {
        EXPECT_FALSE(parse_rfc3339(bad)) << bad;
    }
    EXPECT_LT(reread(std::string(10'000, 'x')).size(), 200U) << "a sentence, not an echo";
}

TEST(HumanDuration, HasTwoUnitsAtMost)
{
    EXPECT_EQ(human_duration(0ms), "0 ms");
    EXPECT_EQ(human_duration(250ms), "250 ms");
    EXPECT_EQ(human_duration(12'900ms), "12 s");
    EXPECT_EQ(human_duration(60s), "1 min");
    EXPECT_EQ(human_duration(90s), "1 min 30 s");
    EXPECT_EQ(human_duration(184min), "3 h 4 min");
    EXPECT_EQ(human_duration(24h), "1 d");
    EXPECT_EQ(human_duration(49h + 59min), "2 d 1 h");
    EXPECT_EQ(human_duration(-90s), "1 min 30 s");
}

TEST(ManualClock, ADayOfTenSecondRoundsPassesAtOnce)
{
    asio::io_context io{1};
    ManualClock clock{wall(0), 0us};
    TaskGroup group{io.get_executor(), [](auto, auto) { FAIL(); }};
    std::vector<Monotonic> at;
    group.spawn("rounds", every(clock, 10s, 8640, at));
    clock.advance(24h, [&] {
        io.restart();
        io.poll();
    });
    ASSERT_EQ(at.size(), 8640U);
    EXPECT_EQ(at.front(), 10s);
    EXPECT_EQ(at.back(), 24h);
    EXPECT_EQ(clock.now(), wall(0) + 24h);
    EXPECT_EQ(group.size(), 0U);
}

TEST(ManualClock, RingsAlarmsInOrderAndOnlyThoseDue)
{
    asio::io_context io{1};
    ManualClock clock{wall(0), 0us};
    TaskGroup group{io.get_executor(), [](auto, auto) { FAIL(); }};
    std::vector<Monotonic> at;
    group.spawn("slow", every(clock, 3s, 2, at));
    group.spawn("fast", every(clock, 2s, 3, at));
    const auto settle = [&] {
        io.restart();
        io.poll();
    };
    clock.advance(5s, settle);
    EXPECT_EQ(at, (std::vector<Monotonic>{2s, 3s, 4s}));
    clock.advance(1s, settle);
    EXPECT_EQ(at, (std::vector<Monotonic>{2s, 3s, 4s, 6s, 6s}));
    EXPECT_EQ(group.size(), 0U);
}

TEST(ManualClock, ASleeperCancelledAtItsAlarmLeavesNothingBehind)
{
    asio::io_context io{1};
    ManualClock clock{wall(0), 0us};
    TaskGroup group{io.get_executor(), [](auto, auto) { FAIL(); }};
    std::vector<Monotonic> at;
    group.spawn("rung", every(clock, 1s, 1, at));
    group.spawn("asleep", every(clock, 9s, 1, at));
    bool first = true;
    // The alarm has rung, the sleeper has not run yet: now its group ends.
    clock.advance(1s, [&] {
        if (std::exchange(first, false))
            io.poll();
        else
            group.cancel();
    });
    io.restart();
    io.poll();
    EXPECT_EQ(group.size(), 0U);
    clock.advance(1h, [&] {
        io.restart();
        io.poll();
    });
    EXPECT_TRUE(at.empty());
}

TEST(ManualClock, AWaitForAnEventEndsWithItOrWithTheTime)
{
    asio::io_context io{1};
    ManualClock clock{wall(0)};
    asio::steady_timer event{io, never};
    std::vector<Monotonic> at;
    const auto begin = clock.monotonic();
    auto wait_twice = [](Clock& c, asio::steady_timer& e, std::vector<Monotonic>& ends) -> Task<> {
        for (int i = 0; i < 2; ++i) {
            co_await c.wait_for(e, 10s);
            ends.push_back(c.monotonic());
        }
    };
    asio::co_spawn(io, wait_twice(clock, event, at), [](const std::exception_ptr& e) { EXPECT_FALSE(e); });
    const auto settle = [&io] { io.restart(), io.poll(); };
    clock.advance(3s, settle);
    EXPECT_TRUE(at.empty());
    event.cancel();
    clock.advance(20s, settle);
    const std::vector<Monotonic> expected{begin + 3s, begin + 13s};
    EXPECT_EQ(at, expected);
}

TEST(SystemClock, AWaitForAnEventEndsWithItOrWithTheTime)
{
    asio::io_context io{1};
    SystemClock clock;
    asio::steady_timer event{io, never};
    auto wait = [](Clock& c, asio::steady_timer& e, std::chrono::milliseconds time, bool& done) -> Task<> {
        co_await c.wait_for(e, time);
        done = true;
    };
    bool by_time = false;
    asio::co_spawn(io, wait(clock, event, 1ms, by_time),
                   [](const std::exception_ptr& e) { EXPECT_FALSE(e); });
    io.run();
    EXPECT_TRUE(by_time);
    bool by_event = false;
    asio::co_spawn(io, wait(clock, event, 1h, by_event),
                   [](const std::exception_ptr& e) { EXPECT_FALSE(e); });
    io.restart();
    io.poll();
    EXPECT_FALSE(by_event);
    event.cancel();
    io.run();
    EXPECT_TRUE(by_event);
}

TEST(ManualClock, AStepOfTheWallClockIsNoDuration)
{
    asio::io_context io{1};
    ManualClock clock{wall(0), 0us};
    TaskGroup group{io.get_executor(), [](auto, auto) { FAIL(); }};
    std::vector<Monotonic> at;
    group.spawn("sleeper", every(clock, 10s, 1, at));
    const auto settle = [&] {
        io.restart();
        io.poll();
    };
    settle();
    clock.step_wall(1h);
    settle();
    EXPECT_TRUE(at.empty());
    EXPECT_EQ(clock.now(), wall(0) + 1h);
    clock.step_wall(-2h);
    clock.advance(10s, settle);
    EXPECT_EQ(at.size(), 1U);
    EXPECT_EQ(clock.monotonic(), 10s);
}

TEST(SystemClock, SleepsAndCanBeWoken)
{
    test::run([]() -> Task<> {
        SystemClock clock;
        const auto executor = co_await asio::this_coro::executor;
        const auto before = clock.monotonic();
        co_await clock.sleep_for(2ms);
        EXPECT_GE(clock.monotonic() - before, 2ms);
        TaskGroup group{executor, [](auto, auto) { ADD_FAILURE(); }};
        std::vector<Monotonic> at;
        group.spawn("long", every(clock, 1h, 1, at));
        co_await test::sleep(1ms);
        group.cancel();
        co_await group.join();
        EXPECT_TRUE(at.empty());
    });
}
