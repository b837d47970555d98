#include "no_failure.hpp"
#include "opsd/task_group.hpp"
#include "support.hpp"

using namespace opsd;
using opsd::test::no_failure;
using namespace std::chrono_literals;
using asio::experimental::awaitable_operators::operator||;

namespace {

/// Counts itself while it lives.
struct Alive {
    explicit Alive(int& all) : count{all} { ++count; }
    ~Alive() { --count; }
    Alive(const Alive&) = delete;
    Alive& operator=(const Alive&) = delete;
    int& count;
};

Task<> wait_for_ever(int& alive, int& started)
{
    const Alive me{alive};
    ++started;
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer event{executor, never};
    co_await wait_event(event);
    ADD_FAILURE() << "an event that never came";
}

Task<> wait_twice(int& alive, int& started)
{
    co_await (wait_for_ever(alive, started) || wait_for_ever(alive, started));
}

Task<> fail_with(std::string text)
{
    co_await test::sleep(0ms);
    throw std::runtime_error{text};
}

Task<> nap(std::chrono::milliseconds time) { co_await test::sleep(time); }

Task<> cancel_own_group(TaskGroup& group, int& alive)
{
    const Alive me{alive};
    co_await test::sleep(1ms);
    group.cancel();
    co_await test::sleep(1h);
    ADD_FAILURE() << "went on after its own cancellation";
}

}  // namespace

TEST(TaskGroup, AThousandTasksAreCancelledAndJoined)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        TaskGroup group{executor, no_failure};
        int alive = 0;
        int started = 0;
        for (int i = 0; i < 1000; ++i)
            group.spawn("task " + std::to_string(i), wait_for_ever(alive, started));
        while (started < 1000)
            co_await test::sleep(0ms);
        EXPECT_EQ(alive, 1000);
        EXPECT_EQ(group.size(), 1000U);
        group.cancel();
        group.cancel();
        co_await group.join();
        EXPECT_EQ(alive, 0);
        EXPECT_EQ(group.size(), 0U);
    });
}

TEST(TaskGroup, NamesAreOldestFirstAndOnlyOfThoseStillRunning)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        TaskGroup group{executor, no_failure};
        int alive = 0;
        int started = 0;
        group.spawn("first", wait_for_ever(alive, started));
        group.spawn("short", nap(1ms));
        group.spawn("last", wait_for_ever(alive, started));
        EXPECT_EQ(group.names(), (std::vector<std::string>{"first", "short", "last"}));
        while (group.size() > 2)
            co_await test::sleep(1ms);
        EXPECT_EQ(group.names(), (std::vector<std::string>{"first", "last"}));
        group.cancel();
        co_await group.join();
        EXPECT_TRUE(group.names().empty());
    });
}

TEST(TaskGroup, AFailureIsReportedOnceWithTheTasksName)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        std::vector<std::string> failures;
        TaskGroup group{executor, [&failures](std::string_view task, const std::exception_ptr& e) {
                            failures.push_back(std::string{task} + ": " + describe(e).what);
                        }};
        group.spawn("bad", fail_with("no luck"));
        group.spawn("good", nap(1ms));
        co_await group.join();
        EXPECT_EQ(failures, std::vector<std::string>{"bad: no luck"});
    });
}

TEST(TaskGroup, CancellationIsNoFailureAlsoWhenBothBranchesOfAnOrEnd)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        TaskGroup group{executor, no_failure};
        int alive = 0;
        int started = 0;
        group.spawn("either", wait_twice(alive, started));
        while (started < 2)
            co_await test::sleep(0ms);
        group.cancel();
        co_await group.join();
        EXPECT_EQ(alive, 0);
    });
}

TEST(TaskGroup, ATaskCancelledBeforeItsStartEnds)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        TaskGroup group{executor, no_failure};
        int alive = 0;
        int started = 0;
        group.spawn("task", wait_for_ever(alive, started));
        group.cancel();
        co_await group.join();
        EXPECT_EQ(alive, 0);
    });
}

TEST(TaskGroup, AfterCancelALateTaskNeverStarts)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        TaskGroup group{executor, no_failure};
        int alive = 0;
        int started = 0;
        group.cancel();
        group.spawn("late", wait_for_ever(alive, started));
        EXPECT_EQ(group.size(), 0U);
        co_await group.join();
        co_await test::sleep(1ms);
        EXPECT_EQ(started, 0);
    });
}

TEST(TaskGroup, ATaskMayCancelItsOwnGroup)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        TaskGroup group{executor, no_failure};
        int alive = 0;
        int started = 0;
        group.spawn("other", wait_for_ever(alive, started));
        group.spawn("ender", cancel_own_group(group, alive));
        co_await group.join();
        EXPECT_EQ(alive, 0);
    });
}

TEST(TaskGroup, MayBeCancelledOutsideTheLoopJustWhenATaskEnds)
{
    asio::io_context io{1};
    TaskGroup group{io.get_executor(), no_failure};
    group.spawn("ends", nap(0ms));
    io.run_one();
    group.cancel();
    io.run();
    EXPECT_EQ(group.size(), 0U);
}

TEST(Describe, TellsCancellationFromFailure)
{
    const auto thrown = [](const auto& error) { return describe(std::make_exception_ptr(error)); };
    EXPECT_TRUE(thrown(boost::system::system_error{asio::error::operation_aborted}).cancelled);
    EXPECT_FALSE(thrown(boost::system::system_error{asio::error::timed_out}).cancelled);
    EXPECT_EQ(thrown(std::runtime_error{"why"}).what, "why");
    EXPECT_EQ(thrown(5).what, "an exception that is not a std::exception");
}
