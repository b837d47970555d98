// What every sink promises, whatever it speaks: accepted is accepted, a request ends within its deadline and
// can be cancelled at any moment, nothing half written is left on a connection that is used again, passing
// trouble is tried again and a refusal is one.

#include "far_sides.hpp"

#include <algorithm>
#include <numeric>
#include <set>

using namespace opsd;
using namespace opsd::test;

namespace {

class SinkContract : public ::testing::TestWithParam<Speaker> {
protected:
    /// Runs `body` with a far side and stops that afterwards.
    template <class Body>
    static void with_far_side(Body body)
    {
        run(
            [&body]() -> Task<> {
                const auto executor = co_await asio::this_coro::executor;
                const auto far = GetParam().far_side(executor);
                co_await body(*far);
                co_await far->stop();
            },
            600s);
    }
};

Batch batch(const FarSide& far, std::uint64_t first, std::uint64_t count)
{
    return batch_of(first, count, [&far](std::string& out, std::uint64_t n) { far.render(out, n); });
}

Task<> send_into(Sink& sink, const Batch& records, std::vector<Verdict>& verdicts)
{
    auto verdict = co_await sink.send(records);
    verdicts.push_back(std::move(verdict));
}

/// Until it is accepted, as a delivery does.
Task<> deliver(Sink& sink, const Batch& records)
{
    Verdict verdict;
    for (int i = 0; i < 20 && verdict.kind != Kind::accepted; ++i) {
        if (i > 0) co_await sleep(50ms);
        verdict = co_await sink.send(records);
    }
    EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
}

Numbers count_up(std::uint64_t first, std::uint64_t count)
{
    Numbers all(count);
    std::iota(all.begin(), all.end(), first);
    return all;
}

}  // namespace

TEST_P(SinkContract, WhatIsAcceptedIsThereOnceAndInOrder)
{
    with_far_side([](FarSide& far) -> Task<> {
        const auto sink = far.sink();
        for (std::uint64_t first = 1; first <= 25; first += 5) {
            const auto records = batch(far, first, 5);
            const auto verdict = co_await sink->send(records);
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
            EXPECT_EQ(verdict.reason, "");
        }
        const auto taken = co_await far.taken(25);
        EXPECT_EQ(taken, count_up(1, 25));
    });
}

TEST_P(SinkContract, SeveralMayBeInFlight)
{
    with_far_side([](FarSide& far) -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const auto sink = far.sink();
        std::vector<Verdict> verdicts;
        TaskGroup group{executor,
                        [](std::string_view, std::exception_ptr e) { ADD_FAILURE() << describe(e).what; }};
        const std::array<Batch, 4> batches{batch(far, 1, 5), batch(far, 6, 5), batch(far, 11, 5),
                                           batch(far, 16, 5)};
        for (const auto& records : batches)
            group.spawn("send", send_into(*sink, records, verdicts));
        co_await group.join();
        EXPECT_EQ(verdicts.size(), 4U);
        for (const auto& verdict : verdicts)
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        auto taken = co_await far.taken(20);
        std::ranges::sort(taken);
        EXPECT_EQ(taken, count_up(1, 20));
    });
}

TEST_P(SinkContract, ADroppedConnectionIsTriedAgain)
{
    with_far_side([](FarSide& far) -> Task<> {
        const auto sink = far.sink();
        far.set(Mood::dropping);
        const auto first = batch(far, 1, 3);
        const auto verdict = co_await sink->send(first);
        if (!far.tries_by_itself) {
            EXPECT_EQ(verdict.kind, Kind::retry);
            EXPECT_NE(verdict.reason, "");
        }
        far.set(Mood::well);
        const auto again = batch(far, 1, 3);
        if (verdict.kind != Kind::accepted) co_await deliver(*sink, again);
        const auto taken = co_await far.taken(3);
        const std::set<std::uint64_t> distinct{taken.begin(), taken.end()};
        EXPECT_EQ(distinct.size(), 3U);
    });
}

TEST_P(SinkContract, BusyIsNoRefusal)
{
    with_far_side([](FarSide& far) -> Task<> {
        if (!far.can_be_busy) co_return;
        const auto sink = far.sink();
        far.set(Mood::busy);
        const auto records = batch(far, 1, 3);
        const auto verdict = co_await sink->send(records);
        if (!far.tries_by_itself) {
            EXPECT_EQ(verdict.kind, Kind::retry);
            EXPECT_EQ(verdict.after, 2s);
            EXPECT_TRUE(verdict.reason.contains("503: <html>busy</html>")) << verdict.reason;
        }
        far.set(Mood::well);
        if (verdict.kind != Kind::accepted) co_await deliver(*sink, records);
        const auto taken = co_await far.taken(3);
        EXPECT_EQ(taken, count_up(1, 3));
    });
}

TEST_P(SinkContract, SilenceEndsAtTheDeadlineAndHarmsNothingAfterwards)
{
    with_far_side([](FarSide& far) -> Task<> {
        const auto sink = far.sink();
        SystemClock clock;
        far.set(Mood::silent);
        const auto records = batch(far, 1, 3);
        const auto begun = std::chrono::steady_clock::now();
        const auto verdict = co_await send_within(*sink, records, clock, 150ms);
        EXPECT_LT(std::chrono::steady_clock::now() - begun, 15s) << "its own time limits are longer";
        EXPECT_EQ(verdict.kind, Kind::retry);
        EXPECT_EQ(verdict.reason, "no answer within 150 ms");
        far.set(Mood::well);
        const auto others = batch(far, 10, 3);
        co_await deliver(*sink, others);
        const auto taken = co_await far.taken(3);
        for (const auto number : count_up(10, 3))
            EXPECT_EQ(std::ranges::count(taken, number), 1) << number;
    });
}

TEST_P(SinkContract, MayBeCancelledAtAnyMoment)
{
    with_far_side([](FarSide& far) -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const auto sink = far.sink();
        std::uint64_t number = 1;
        Numbers delivered;
        for (const auto delay : {0ms, 0ms, 1ms, 2ms, 3ms, 5ms, 8ms, 13ms, 21ms}) {
            for (const auto mood : {Mood::well, Mood::silent}) {
                far.set(mood);
                std::vector<Verdict> verdicts;
                TaskGroup group{executor, [](std::string_view, std::exception_ptr e) {
                                    ADD_FAILURE() << describe(e).what;
                                }};
                const auto records = batch(far, number, 2);
                group.spawn("send", send_into(*sink, records, verdicts));
                if (delay > 0ms) co_await sleep(delay);
                group.cancel();
                co_await group.join();
                EXPECT_LE(verdicts.size(), 1U);
                number += 2;
            }
            far.set(Mood::well);
            const auto records = batch(far, number, 2);
            co_await deliver(*sink, records);
            for (int i = 0; i < 2; ++i)
                delivered.push_back(number++);
        }
        Numbers taken;
        for (int i = 0; i < 1'000 && std::ranges::find(taken, delivered.back()) == taken.end(); ++i) {
            if (i > 0) co_await sleep(20ms);
            taken = co_await far.taken(delivered.size());
        }
        for (const auto one : delivered)
            EXPECT_GE(std::ranges::count(taken, one), 1) << one;
    });
}

TEST_P(SinkContract, ARefusalIsNeverAnAcceptance)
{
    with_far_side([](FarSide& far) -> Task<> {
        if (!far.can_refuse) co_return;
        const auto sink = far.sink();
        far.set(Mood::refusing);
        const auto bad = batch(far, 1, 1);
        const auto verdict = co_await sink->send(bad);
        const bool refused =
            verdict.kind == Kind::refused
            || (verdict.kind == Kind::records && verdict.fates == std::vector{Fate::refused});
        EXPECT_TRUE(refused) << static_cast<int>(verdict.kind) << verdict.reason;
        far.set(Mood::well);
        const auto good = batch(far, 2, 1);
        co_await deliver(*sink, good);
        const auto taken = co_await far.taken(1);
        EXPECT_EQ(taken, count_up(2, 1));
    });
}

TEST_P(SinkContract, NobodyThereIsTriedAgain)
{
    with_far_side([](FarSide& far) -> Task<> {
        far.tries_for = 1'500ms;
        const auto sink = far.sink();
        far.die();
        const auto records = batch(far, 1, 1);
        const auto verdict = co_await sink->send(records);
        EXPECT_EQ(verdict.kind, Kind::retry);
        EXPECT_TRUE(verdict.reason.contains("127.0.0.1")) << verdict.reason;
    });
}

INSTANTIATE_TEST_SUITE_P(All, SinkContract, all_speakers(), [](const auto& info) { return info.param.name; });
