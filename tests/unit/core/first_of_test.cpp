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
