#include "core/first_of.hpp"

#include "support.hpp"

#include <stdexcept>

using namespace opsd;
using namespace std::chrono_literals;

namespace {

Task<int> after(std::chrono::milliseconds time, int value)
{
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, time};
    co_await timer.async_wait(asio::use_awaitable);
    co_return value;
}

Task<int> broken()
{
    const auto waited = co_await after(1ms, 0);
    if (waited == 0) throw std::runtime_error{"a bug"};
    co_return waited;
}

Task<> forever(bool& ended)
{
    struct Ended {
        bool& flag;
        ~Ended() { flag = true; }
    };
    const Ended at_the_end{ended};
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, never};
    co_await wait_event(timer);
}

Task<> nothing() { co_return; }

}  // namespace

TEST(FirstOf, TheFirstToEndCounts)
{
    test::run([]() -> Task<> {
        const auto first = co_await first_of(after(10s, 1), after(1ms, 2));
        EXPECT_EQ(first, 2);
        bool ended = false;
        co_await first_of(forever(ended), nothing());
        EXPECT_TRUE(ended) << "the other is cancelled and awaited";
    });
}

TEST(FirstOf, OneThatEndsBecauseItIsCancelledDoesNotCount)
{
    test::run([]() -> Task<> {
        const auto patient = []() -> Task<int> {
            try {
                co_return co_await after(10s, 2);
            } catch (const boost::system::system_error&) {
                co_return 3;
            }
        };
        EXPECT_EQ(co_await first_of(patient(), after(1ms, 1)), 1);
        EXPECT_EQ(co_await first_of(after(1ms, 1), patient()), 1);
    });
}

TEST(FirstOf, BothMayEndInTheSameTurn)
{
    test::run([]() -> Task<> {
        const auto at_once = [](int value) -> Task<int> { co_return value; };
        EXPECT_EQ(co_await first_of(at_once(1), at_once(2)), 1);
        co_await first_of(nothing(), nothing());
    });
}

TEST(FirstOf, ItsOwnCancellationEndsBoth)
{
    test::run([]() -> Task<> {
        bool inner = false;
        bool other = false;
        const auto executor = co_await asio::this_coro::executor;
        asio::steady_timer timer{executor, std::chrono::milliseconds{1}};
        co_await first_of(first_of(forever(inner), forever(other)), wait_event(timer));
        EXPECT_TRUE(inner);
        EXPECT_TRUE(other);
    });
}

TEST(FirstOf, AnExceptionEndsItToo)
{
    test::run([]() -> Task<> {
        std::string what;
        try {
            [[maybe_unused]] const auto value = co_await first_of(after(10s, 1), broken());
        } catch (const std::runtime_error& e) {
            what = e.what();
        }
        EXPECT_EQ(what, "a bug");
    });
}
