#include "no_failure.hpp"
#include "opsd/queue.hpp"
#include "opsd/task_group.hpp"
#include "support.hpp"

using namespace opsd;
using opsd::test::no_failure;
using namespace std::chrono_literals;
using asio::experimental::awaitable_operators::operator||;

namespace {

Task<> take_all(BoundedQueue<int>& queue, std::vector<int>& into)
{
    for (;;) {
        auto item = co_await queue.pop();
        if (!item) co_return;
        into.push_back(*item);
    }
}

Task<> put(BoundedQueue<int>& queue, int from, int to, std::vector<bool>& in)
{
    for (int i = from; i < to; ++i) {
        const bool accepted = co_await queue.push(i);
        in.push_back(accepted);
    }
}

Task<> timeout(std::chrono::milliseconds time)
{
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, time};
    co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

TEST(BoundedQueue, KeepsTheOrder)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        BoundedQueue<int> queue{executor, 3, WhenFull::wait};
        TaskGroup group{executor, no_failure};
        std::vector<int> got;
        std::vector<bool> in;
        group.spawn("put", put(queue, 0, 1000, in));
        group.spawn("take", take_all(queue, got));
        while (got.size() < 1000)
            co_await test::sleep(0ms);
        queue.close();
        co_await group.join();
        EXPECT_TRUE(std::ranges::is_sorted(got));
        EXPECT_EQ(queue.dropped(), 0U);
    });
}

TEST(BoundedQueue, TheOldestOrTheNewestIsDroppedAndCounted)
{
    asio::io_context io;
    BoundedQueue<int> newest{io.get_executor(), 2, WhenFull::drop_newest};
    BoundedQueue<int> oldest{io.get_executor(), 2, WhenFull::drop_oldest};
    for (int i = 1; i <= 5; ++i) {
        EXPECT_EQ(newest.try_push(i), i <= 2);
        EXPECT_TRUE(oldest.try_push(i));
    }
    EXPECT_EQ(newest.dropped(), 3U);
    EXPECT_EQ(oldest.dropped(), 3U);
    test::run([&]() -> Task<> {
        const auto first = co_await newest.pop_batch(9);
        const auto last = co_await oldest.pop_batch(9);
        EXPECT_EQ(first, (std::vector<int>{1, 2}));
        EXPECT_EQ(last, (std::vector<int>{4, 5}));
    });
}

TEST(BoundedQueue, ACancelledReceiveLosesNothing)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        BoundedQueue<int> queue{executor, 8, WhenFull::drop_newest};
        for (int round = 0; round < 3; ++round) {
            auto either = co_await (queue.pop() || timeout(1ms));
            EXPECT_EQ(either.index(), 1U) << "nothing was there to receive";
            for (int i = 0; i < 8; ++i)
                EXPECT_TRUE(queue.try_push(i)) << "the capacity is all there again";
            const auto batch = co_await queue.pop_batch(100);
            EXPECT_EQ(batch.size(), 8U);
        }
        EXPECT_EQ(queue.dropped(), 0U);
    });
}

TEST(BoundedQueue, AWakeUpIsNotLostWithTheReceiverThatGotIt)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        BoundedQueue<int> queue{executor, 8, WhenFull::wait};
        TaskGroup first{executor, no_failure};
        TaskGroup second{executor, no_failure};
        std::vector<int> dead;
        std::vector<int> alive;
        first.spawn("dead", take_all(queue, dead));
        co_await test::sleep(1ms);
        second.spawn("alive", take_all(queue, alive));
        co_await test::sleep(1ms);
        queue.try_push(7);
        first.cancel();  // before the woken one ran
        co_await first.join();
        co_await test::sleep(1ms);
        EXPECT_EQ(dead.size() + alive.size(), 1U);
        EXPECT_EQ(alive, std::vector<int>{7});
        queue.close();
        co_await second.join();
    });
}

TEST(BoundedQueue, AFullQueueHoldsTheWriterUntilThereIsRoom)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        BoundedQueue<int> queue{executor, 2, WhenFull::wait};
        TaskGroup group{executor, no_failure};
        std::vector<bool> in;
        group.spawn("put", put(queue, 0, 4, in));
        co_await test::sleep(1ms);
        EXPECT_EQ(in.size(), 2U);
        auto item = co_await queue.pop();
        EXPECT_EQ(item, 0);
        co_await test::sleep(1ms);
        EXPECT_EQ(in.size(), 3U);
        queue.close();
        co_await group.join();
        EXPECT_EQ(in, (std::vector<bool>{true, true, true, false})) << "closing wakes the writer with false";
    });
}

TEST(BoundedQueue, AClosedQueueHandsOutWhatIsInside)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        BoundedQueue<int> queue{executor, 4, WhenFull::wait};
        queue.try_push(1);
        queue.close();
        EXPECT_FALSE(queue.try_push(2));
        const auto first = co_await queue.pop();
        const auto second = co_await queue.pop();
        const auto batch = co_await queue.pop_batch(5);
        EXPECT_EQ(first, 1);
        EXPECT_EQ(second, std::nullopt);
        EXPECT_TRUE(batch.empty());
        EXPECT_EQ(queue.dropped(), 0U) << "a closed queue refuses, it does not drop";
    });
}

TEST(BoundedQueue, ACapacityOfZeroIsOne)
{
    asio::io_context io;
    BoundedQueue<int> queue{io.get_executor(), 0, WhenFull::drop_oldest};
    EXPECT_TRUE(queue.try_push(1));
    EXPECT_TRUE(queue.try_push(2));
    EXPECT_EQ(queue.size(), 1U);
}
