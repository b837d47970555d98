// One audit line for every call that began, however it ends.

#include "server_support.hpp"

using namespace opsd;
using namespace opsd::test;

namespace {

using Lines = std::vector<std::string>;

/// Changes something half-way, until it is cancelled.
Task<http::Response> endless(bool& entered)
{
    entered = true;
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, 1h};
    co_await timer.async_wait(asio::use_awaitable);
    co_return http::Response::no_content();
}

/// Cannot be cancelled, and succeeds.
Task<http::Response> stubborn(bool& entered, milliseconds time, unsigned status)
{
    entered = true;
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await sleep(time);
    co_return http::Response::json("{}", status);
}

http::Route audited(http::Handler handler)
{
    auto route = test_route(std::move(handler));
    route.method = http::Method::post;
    route.audited = true;
    return route;
}

std::string post() { return "POST /test HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"; }

/// Posts, and stops the server in the middle of it.
Lines after_abort(http::Handler handler, bool& entered)
{
    Lines lines;
    run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, {audited(std::move(handler))}};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto written = co_await client->write_all(post());
        co_await becomes_true(entered);
        live.server.drain();
        live.server.abort();
        co_await live.server.joined();
        lines = live.around.audit.lines;
        client.reset();
        co_await live.stop();
    });
    return lines;
}

Lines after_deadline(http::Handler handler, int& status)
{
    Lines lines;
    run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        http::Limits limits;
        limits.handler_timeout = 20ms;
        LiveServer live{executor, {audited(std::move(handler))}, limits};
        auto answer = co_await fetch(live.start(), post());
        status = status_of(answer);
        co_await live.stop();
        lines = live.around.audit.lines;
    });
    return lines;
}

}  // namespace

TEST(HttpAudit, ACallThatAStopCutsLeavesOneLine)
{
    bool entered = false;
    const auto lines = after_abort([&](const http::Request&) { return endless(entered); }, entered);
    EXPECT_EQ(lines,
              Lines{"POST /test by : 0 cut: opsd was stopping before it ended; whether it took effect is "
                    "unknown"});
}

TEST(HttpAudit, ACallThatEndsAlthoughItWasCutSaysHow)
{
    bool entered = false;
    auto lines = after_abort([&](const http::Request&) { return stubborn(entered, 50ms, 201); }, entered);
    EXPECT_EQ(lines,
              Lines{"POST /test by : 0 cut: opsd was stopping, but it ended with status 201; the client "
                    "was not told so"});
    entered = false;
    lines = after_abort([&](const http::Request&) { return stubborn(entered, 50ms, 503); }, entered);
    EXPECT_EQ(lines,
              Lines{"POST /test by : 0 cut: opsd was stopping before it ended; whether it took effect is "
                    "unknown"})
        << "who gives up when cancelled does not know either";
}

TEST(HttpAudit, ACallThatIgnoresItsEndIsNotWaitedForForEver)
{
    bool entered = false;
    const auto lines =
        after_abort([&](const http::Request&) { return stubborn(entered, 1500ms, 201); }, entered);
    EXPECT_EQ(lines,
              Lines{"POST /test by : 0 cut: opsd was stopping before it ended; whether it took effect is "
                    "unknown"});
}

TEST(HttpAudit, ACallThatTakesTooLongLeavesOneLine)
{
    bool entered = false;
    int status = 0;
    auto lines = after_deadline([&](const http::Request&) { return endless(entered); }, status);
    EXPECT_EQ(status, 504);
    EXPECT_EQ(lines,
              Lines{"POST /test by : 504 cut: its time was up before it ended; whether it took effect is "
                    "unknown"});
    lines = after_deadline([&](const http::Request&) { return stubborn(entered, 100ms, 201); }, status);
    EXPECT_EQ(status, 504);
    EXPECT_EQ(lines,
              Lines{"POST /test by : 504 cut: its time was up, but it ended with status 201; the client "
                    "was not told so"});
}

TEST(HttpAudit, AClientThatLeavesDoesNotEndTheCallAndTheLineSaysThatItWasNotTold)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        bool entered = false;
        bool open = false;
        auto handler = [](bool& in, const bool& go) -> Task<http::Response> {
            in = true;
            co_await becomes_true(go);
            co_return http::Response::text(std::string(64U << 20U, 'a'));  // more than any socket takes
        };
        http::Limits limits;
        limits.write_timeout = 200ms;
        LiveServer live{
            executor, {audited([&](const http::Request&) { return handler(entered, open); })}, limits};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto written = co_await client->write_all(post());
        co_await becomes_true(entered);
        client.reset();
        open = true;
        co_await live.connections_become(0);
        EXPECT_EQ(live.around.audit.lines,
                  Lines{"POST /test by : 200 not told: the client left, or opsd stopped, "
                        "before the answer was out"});
        co_await live.stop();
    });
}

TEST(HttpAudit, ACallWhoseBodyNeverCameDidNotBegin)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        bool entered = false;
        LiveServer live{executor, {audited([&](const http::Request&) { return endless(entered); })}};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto written = co_await client->write_all(post().substr(0, post().size() - 1));
        co_await live.connections_become(1);
        client.reset();
        co_await live.connections_become(0);
        EXPECT_FALSE(entered);
        EXPECT_EQ(live.around.audit.lines, Lines{});
        co_await live.stop();
    });
}
