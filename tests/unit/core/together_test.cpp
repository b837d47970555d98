#include "core/together.hpp"

#include "support.hpp"

#include <stdexcept>

using namespace opsd;
using namespace std::chrono_literals;

namespace {

Task<> count_after(std::chrono::milliseconds time, int& count)
{
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, time};
    co_await timer.async_wait(asio::use_awaitable);
    ++count;
}

Task<> count_the_end(int& ended)
{
    struct Ended {
        int& number;
        ~Ended() { ++number; }
    };
    const Ended at_the_end{ended};
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, never};
    co_await wait_event(timer);
}

Task<> breaks_later()
{
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, 1ms};
    co_await timer.async_wait(asio::use_awaitable);
    throw std::runtime_error{"a bug"};
}

}  // namespace

TEST(Together, AllAreAwaitedAtTheSameTime)
{
    test::run([]() -> Task<> {
        for (const int many : {0, 1, 2, 7, 1'000}) {
            int done = 0;
            std::vector<Task<>> tasks;
            tasks.reserve(static_cast<std::size_t>(many));
            for (int i = 0; i < many; ++i)
                tasks.push_back(count_after(20ms, done));
            const auto begun = std::chrono::steady_clock::now();
            co_await all_of(std::span{tasks});
            EXPECT_EQ(done, many);
            EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s) << "not one after the other";
        }
    });
}

TEST(Together, TheFirstOfManyEndsTheOthers)
{
    test::run([]() -> Task<> {
        for (const int many : {0, 1, 6, 500}) {
            int ended = 0;
            int done = 0;
            std::vector<Task<>> tasks;
            for (int i = 0; i < many; ++i)
                tasks.push_back(count_the_end(ended));
            tasks.push_back(count_after(1ms, done));
            co_await first_of(std::span{tasks});
            EXPECT_EQ(done, 1);
            EXPECT_EQ(ended, many) << "cancelled and awaited";
        }
    });
}

TEST(Together, AnExceptionComesWhenAllHaveEnded)
{
    test::run([]() -> Task<> {
        int done = 0;
        std::string what;
        std::vector<Task<>> tasks;
        tasks.push_back(count_after(20ms, done));
        tasks.push_back(breaks_later());
        tasks.push_back(count_after(20ms, done));
        try {
            co_await all_of(std::span{tasks});
        } catch (const std::runtime_error& e) {
            what = e.what();
        }
        EXPECT_EQ(what, "a bug");
        EXPECT_EQ(done, 2);
    });
}

TEST(Together, AnExceptionOfOneEndsARace)
{
    test::run([]() -> Task<> {
        int ended = 0;
        std::string what;
        std::vector<Task<>> tasks;
        tasks.push_back(count_the_end(ended));
        tasks.push_back(breaks_later());
        tasks.push_back(count_the_end(ended));
        try {
            co_await first_of(std::span{tasks});
        } catch (const std::runtime_error& e) {
            what = e.what();
        }
        EXPECT_EQ(what, "a bug");
        EXPECT_EQ(ended, 2);
    });
}
