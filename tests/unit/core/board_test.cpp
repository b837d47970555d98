#include "no_failure.hpp"
#include "opsd/board.hpp"
#include "opsd/feed.hpp"
#include "opsd/task_group.hpp"
#include "support.hpp"

using namespace opsd;
using opsd::test::no_failure;
using namespace std::chrono_literals;

namespace {

Task<> watch(Latest<int>& cell, std::vector<std::uint64_t>& seen)
{
    std::uint64_t version = 0;
    for (;;) {
        const auto snapshot = co_await cell.next(version);
        version = snapshot->version;
        seen.push_back(version);
    }
}

Task<> listen(Feed<int>::Subscription& subscription, std::vector<int>& got)
{
    for (;;) {
        const auto item = co_await subscription.next();
        got.push_back(item.event ? *item.event : -static_cast<int>(item.missed));
    }
}

}  // namespace

TEST(Latest, IsEmptyUntilTheFirstPublish)
{
    asio::io_context io;
    Latest<int> cell{io.get_executor()};
    EXPECT_EQ(cell.get(), nullptr);
    EXPECT_EQ(cell.version(), 0U);
    cell.publish(5, WallTime{1s});
    EXPECT_EQ(cell.get()->value, 5);
    EXPECT_EQ(cell.get()->version, 1U);
    EXPECT_EQ(cell.get()->at, WallTime{1s});
}

TEST(Latest, AReaderKeepsItsSnapshot)
{
    asio::io_context io;
    Latest<std::string> cell{io.get_executor()};
    cell.publish("old", {});
    const auto mine = cell.get();
    cell.publish("new", {});
    EXPECT_EQ(mine->value, "old");
    EXPECT_EQ(cell.get()->value, "new");
}

TEST(Latest, WatchersSeeTheNewestVersionAndMaySkipSome)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Latest<int> cell{executor};
        TaskGroup group{executor, no_failure};
        std::vector<std::uint64_t> first;
        std::vector<std::uint64_t> second;
        group.spawn("first", watch(cell, first));
        group.spawn("second", watch(cell, second));
        co_await test::sleep(1ms);
        cell.publish(1, {});
        co_await test::sleep(1ms);
        cell.publish(2, {});
        cell.publish(3, {});
        co_await test::sleep(1ms);
        EXPECT_EQ(first, (std::vector<std::uint64_t>{1, 3}));
        EXPECT_EQ(second, first);
        group.cancel();
        co_await group.join();
    });
}

TEST(Feed, EverySubscriberGetsEveryEvent)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Feed<int> feed{executor};
        auto first = feed.subscribe(8);
        auto second = feed.subscribe(8);
        TaskGroup group{executor, no_failure};
        std::vector<int> got_first;
        std::vector<int> got_second;
        group.spawn("first", listen(*first, got_first));
        group.spawn("second", listen(*second, got_second));
        feed.publish(1);
        co_await test::sleep(1ms);
        feed.publish(2);
        feed.publish(3);
        co_await test::sleep(1ms);
        EXPECT_EQ(got_first, (std::vector<int>{1, 2, 3}));
        EXPECT_EQ(got_second, got_first);
        group.cancel();
        co_await group.join();
    });
}

TEST(Feed, ASlowSubscriberIsToldHowManyItMissed)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Feed<int> feed{executor};
        auto slow = feed.subscribe(2);
        auto fast = feed.subscribe(100);
        for (int i = 1; i <= 5; ++i)
            feed.publish(i);
        const auto gap = co_await slow->next();
        EXPECT_EQ(gap.event, nullptr);
        EXPECT_EQ(gap.missed, 3U) << "the gap comes before the events that follow it";
        const auto fourth = co_await slow->next();
        EXPECT_EQ(*fourth.event, 4);
        EXPECT_EQ(fourth.missed, 0U);
        const auto fifth = co_await slow->next();
        EXPECT_EQ(*fifth.event, 5);
        EXPECT_TRUE(slow->empty());
        const auto first = co_await fast->next();
        EXPECT_EQ(*first.event, 1) << "nobody else pays for the slow one";
        EXPECT_EQ(feed.missed_total(), 3U);
    });
}

TEST(Feed, ASubscriptionEndsWhenDestroyed)
{
    asio::io_context io;
    Feed<int> feed{io.get_executor()};
    feed.publish(1);
    auto first = feed.subscribe(1);
    auto second = feed.subscribe(1);
    EXPECT_TRUE(first->empty()) << "what was before is not ours";
    first.reset();
    EXPECT_EQ(feed.subscribers(), 1U);
    feed.publish(2);
    EXPECT_FALSE(second->empty());
    second.reset();
    EXPECT_EQ(feed.subscribers(), 0U);
}

TEST(Feed, ACapacityOfZeroIsOne)
{
    asio::io_context io;
    Feed<int> feed{io.get_executor()};
    auto subscription = feed.subscribe(0);
    feed.publish(1);
    feed.publish(2);
    EXPECT_EQ(feed.missed_total(), 1U);
}
