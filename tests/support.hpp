#pragma once
// What every test of coroutines needs. gtest's ASSERT_* returns and cannot be used in a coroutine: EXPECT_*
// and co_return there.

#include "opsd/async.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace opsd::test {

/// Runs one coroutine to its end; fails the test when it throws or hangs.
template <class Body>
void run(Body body, std::chrono::milliseconds limit = std::chrono::seconds{60})
{
    asio::io_context io{1};
    bool finished = false;
    asio::co_spawn(io, body(), [&](std::exception_ptr e) {
        finished = true;
        if (!e) return;
        try {
            std::rethrow_exception(e);
        } catch (const std::exception& error) {
            ADD_FAILURE() << "coroutine threw: " << error.what();
        }
    });
    io.run_for(limit);
    EXPECT_TRUE(finished) << "coroutine did not finish in " << limit.count() << " ms";
}

inline Task<> sleep(std::chrono::milliseconds time)
{
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, time};
    [[maybe_unused]] auto [ec] = co_await timer.async_wait(tuple);
}

}  // namespace opsd::test
