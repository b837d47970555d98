// Following whole journals, against a real journald that rotates below us.

#include "journal_log.hpp"

#include "opsd/task_group.hpp"

#include <deque>
#include <functional>

using namespace opsd;
using namespace opsd::systemd;
using namespace opsd::systemd::test;
using namespace std::chrono_literals;

namespace {

class JournalFollow : public JournalLog {};

/// A follower with its thread, for a test's coroutine.
struct Following {
    Following(const Executor& executor, const std::string& directory, FollowerLimits limits = {})
      : follower{directory, limits}
      , group{executor, [](std::string_view, std::exception_ptr e) {
                  try {
                      std::rethrow_exception(e);
                  } catch (const std::exception& error) {
                      ADD_FAILURE() << error.what();
                  }
              }}
    {
        group.spawn("follower", follower.run());
    }
    Task<> end()
    {
        group.cancel();
        co_await group.join();
    }
    JournalFollower follower;
    TaskGroup group;
};

JournalFollower::MakeWriter messages()
{
    return [] { return std::make_unique<Messages>(); };
}

/// Chunks until so many numbers came.
Task<std::vector<int>> take(Subscription& subscription, std::size_t count)
{
    std::vector<int> all;
    while (all.size() < count) {
        const auto chunk = co_await subscription.next();
        if (!chunk) break;
        std::ranges::copy(numbers(*chunk->text), std::back_inserter(all));
    }
    co_return all;
}

}  // namespace

TEST_F(JournalFollow, FollowersGetWhatIsNewFromTheirPositionOn)
{
    say(1, 10);
    JournalSlice at;
    (void)read({.limit = 7}, {}, "", &at);
    opsd::test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Following here{executor, directory};
            co_await opsd::test::sleep(1ms);
            const FollowKey key{ours(), "messages"};
            auto early = co_await here.follower.join(key, messages(), at.position);
            EXPECT_TRUE(early) << early.error().message;
            if (!early) co_return;
            auto first = co_await take(**early, 3);
            EXPECT_EQ(first, from_to(8, 10));
            say(11, 13);
            auto late = co_await here.follower.join(key, messages(), at.position);
            EXPECT_TRUE(late) << late.error().message;
            if (!late) co_return;
            EXPECT_EQ(here.follower.handles(), 1U) << "both share one";
            auto both = co_await take(**late, 6);
            EXPECT_EQ(both, from_to(8, 13));
            first = co_await take(**early, 3);
            EXPECT_EQ(first, from_to(11, 13));
            say(14, 15);
            first = co_await take(**early, 2);
            both = co_await take(**late, 2);
            EXPECT_EQ(first, from_to(14, 15));
            EXPECT_EQ(both, from_to(14, 15));
            late->reset();
            early->reset();
            EXPECT_EQ(here.follower.handles(), 0U);
            EXPECT_EQ(here.follower.subscribers(), 0U);
            co_await here.end();
        },
        30s);
}

TEST_F(JournalFollow, WhoJoinsLaterDoesNotMakeTheOthersHearTwice)
{
    say(1, 5);
    JournalSlice at;
    (void)read({.limit = 2}, {}, "", &at);
    say(1, 3, "somebody-else");
    // Where nothing more matches, the place is an entry of somebody else.
    JournalSlice end;
    EXPECT_EQ(read({.from = From::tail}, {}, "", &end), std::vector<int>{});
    opsd::test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Following here{executor, directory};
            co_await opsd::test::sleep(1ms);
            const FollowKey key{ours(), "messages"};
            auto early = co_await here.follower.join(key, messages(), end.position);
            EXPECT_TRUE(early) << early.error().message;
            if (!early) co_return;
            auto late = co_await here.follower.join(key, messages(), at.position);
            EXPECT_TRUE(late) << late.error().message;
            if (!late) co_return;
            auto got = co_await take(**late, 3);
            EXPECT_EQ(got, from_to(3, 5));
            say(6, 7);
            got = co_await take(**early, 2);
            EXPECT_EQ(got, from_to(6, 7)) << "nothing that the newcomer alone lacked";
            got = co_await take(**late, 2);
            EXPECT_EQ(got, from_to(6, 7));
            early->reset();
            late->reset();
            co_await here.end();
        },
        30s);
}

TEST_F(JournalFollow, FollowingMissesAndDoublesNothingWhileItRotatesAndPeopleJoin)
{
    say(1, 1);
    JournalSlice at;
    (void)read({}, {}, "", &at);
    constexpr int last = 3000;
    const auto script =
        fmt::format("sh -c 'i=2; while [ $i -le {0} ]; do seq $i $((i+99)) | head -n $(({0}-i+1)) | "
                    "systemd-cat -t {1}; journalctl --rotate; i=$((i+100)); done'",
                    last, tag);
    opsd::test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Following here{executor, directory, {.catch_up = 100'000}};
            co_await opsd::test::sleep(1ms);
            const FollowKey key{ours(), "messages"};
            FILE* writer = ::popen(node->command(script).c_str(), "re");
            std::vector<std::vector<int>> got(6);
            std::size_t ended = 0;
            std::deque<std::function<Task<>()>> followers;
            for (std::size_t i = 0; i < got.size(); ++i) {
                auto follow = [&, i]() -> Task<> {
                    co_await opsd::test::sleep(std::chrono::milliseconds{i * 150});
                    auto subscription = co_await here.follower.join(key, messages(), at.position);
                    EXPECT_TRUE(subscription) << subscription.error().message;
                    if (subscription) got[i] = co_await take(**subscription, last - 1);
                    ++ended;
                };
                followers.emplace_back(follow);  // its captures live as long as the coroutine
                asio::co_spawn(executor, followers.back()(), [](const std::exception_ptr& e) {
                    if (e) ADD_FAILURE() << describe(e).what;
                });
            }
            while (ended < got.size())
                co_await opsd::test::sleep(20ms);
            ::pclose(writer);
            for (const auto& one : got)
                EXPECT_EQ(one, from_to(2, last));
            co_await here.end();
        },
        60s);
}

TEST_F(JournalFollow, WhoDoesNotKeepUpIsCutOffAndReadsOn)
{
    say(1, 1);
    JournalSlice at;
    (void)read({}, {}, "", &at);
    opsd::test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Following here{executor, directory, {.queue_bytes = 200}};
            co_await opsd::test::sleep(1ms);
            const FollowKey key{ours(), "messages"};
            auto slow = co_await here.follower.join(key, messages(), at.position);
            EXPECT_TRUE(slow);
            if (!slow) co_return;
            for (int i = 0; i < 10; ++i) {
                say(2 + i * 20, 21 + i * 20);
                co_await opsd::test::sleep(50ms);
            }
            std::vector<int> all;
            std::string position;
            for (;;) {
                const auto chunk = co_await (*slow)->next();
                if (!chunk) break;
                std::ranges::copy(numbers(*chunk->text), std::back_inserter(all));
                position = chunk->position;
            }
            EXPECT_LT(all.size(), 200U);
            EXPECT_FALSE((*slow)->why().empty());
            JournalReaders readers{directory, 1};
            JournalRange range{.matches = ours(), .from = From::cursor, .cursor = position};
            const auto rest =
                co_await drain(readers, JournalReaders::open(range, std::make_unique<Messages>()));
            std::ranges::copy(numbers(rest.text), std::back_inserter(all));
            EXPECT_EQ(all, from_to(2, 201));
            co_await here.end();
        },
        30s);
}

TEST_F(JournalFollow, WhoIsTooFarFromTheEndReadsOnFirst)
{
    say(1, 200);
    JournalSlice at;
    (void)read({.limit = 1}, {}, "", &at);
    opsd::test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Following here{executor, directory, {.subscribers = 1, .catch_up = 100}};
            co_await opsd::test::sleep(1ms);
            const FollowKey key{ours(), "messages"};
            auto far = co_await here.follower.join(key, messages(), at.position);
            EXPECT_TRUE(!far && far.error().code == Errc::timeout);
            EXPECT_EQ(here.follower.subscribers(), 0U);
            JournalReaders readers{directory, 1};
            JournalRange range{.matches = ours(), .from = From::cursor, .cursor = at.position};
            const auto rest =
                co_await drain(readers, JournalReaders::open(range, std::make_unique<Messages>()));
            auto near = co_await here.follower.join(key, messages(), rest.position);
            EXPECT_TRUE(near);
            auto more = co_await here.follower.join(key, messages(), rest.position);
            EXPECT_TRUE(!more && more.error().code == Errc::unavailable);
            say(201, 202);
            if (near) {
                const auto news = co_await take(**near, 2);
                EXPECT_EQ(news, from_to(201, 202));
            }
            co_await here.end();
        },
        30s);
}

TEST_F(JournalFollow, WhatLiesBetweenIsTooFarAlsoByItsLength)
{
    say(1, 60);
    JournalSlice first;
    JournalSlice fiftieth;
    (void)read({.limit = 1}, {}, "", &first);
    (void)read({.limit = 50}, {}, "", &fiftieth);
    opsd::test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Following here{executor, directory, {.queue_bytes = 100}};
            co_await opsd::test::sleep(1ms);
            const FollowKey key{ours(), "messages"};
            auto near = co_await here.follower.join(key, messages(), fiftieth.position);
            EXPECT_TRUE(near) << near.error().message;
            if (!near) co_return;
            auto far = co_await here.follower.join(key, messages(), first.position);
            EXPECT_TRUE(!far && far.error().code == Errc::timeout) << "59 lines are 169 bytes";
            auto got = co_await take(**near, 10);
            EXPECT_EQ(got, from_to(51, 60));
            say(61, 63);
            got = co_await take(**near, 3);
            EXPECT_EQ(got, from_to(61, 63)) << "who is there misses nothing by it";
            near->reset();
            co_await here.end();
        },
        30s);
}
