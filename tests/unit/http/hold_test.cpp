#include "server_support.hpp"

using namespace opsd;
using namespace opsd::test;

namespace {

/// Whoever waits for news, and how it ended.
struct Waiting {
    explicit Waiting(const Executor& executor) : news{executor, never} {}
    asio::steady_timer news;
    bool began = false;
    bool closed = false;
    bool told = false;
    bool deaf = false;
};

Task<> until_news(Waiting& waiting)
{
    while (!waiting.told)
        co_await wait_event(waiting.news);
}

Task<> until_closed(Waiting& waiting, http::Holder& holder)
{
    co_await holder.closed();
    waiting.closed = true;
}

Task<http::Response> later(Waiting& waiting, http::Holder& holder)
{
    using namespace boost::asio::experimental::awaitable_operators;
    waiting.began = true;
    if (waiting.deaf)
        co_await until_news(waiting);
    else
        co_await (until_news(waiting) || until_closed(waiting, holder));
    co_return http::Response::text(waiting.closed ? "closed\n" : "news\n");
}

http::Route held(Waiting& waiting)
{
    return test_route([&waiting](const http::Request&) -> Task<http::Response> {
        auto response = http::Response::text("at once\n");
        response.hold = [&waiting](http::Holder& holder) { return later(waiting, holder); };
        co_return response;
    });
}

void tell(Waiting& waiting)
{
    waiting.told = true;
    waiting.news.cancel();
}

}  // namespace

TEST(HeldAnswer, ComesWithTheNewsAndTheConnectionGoesOn)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Waiting waiting{executor};
        http::Limits limits;
        limits.handler_timeout = 20ms;
        LiveServer live{executor, {held(waiting)}, limits};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto asked = co_await client->write_all(get("/test"));
        co_await becomes_true(waiting.began);
        EXPECT_NE(live.around.metrics.render().find("\nopsd_http_streams 1\n"), std::string::npos);
        co_await sleep(60ms);  // the handler timeout is not for those who wait for news
        tell(waiting);
        auto answer = co_await read_until(*client, "news\n");
        EXPECT_EQ(body_of(answer), "news\n");
        EXPECT_FALSE(has_header(answer, "Connection: close"));
        EXPECT_NE(live.around.metrics.render().find("\nopsd_http_streams 0\n"), std::string::npos);
        asked = co_await client->write_all(get("/test"));
        answer = co_await read_until(*client, "news\n");
        EXPECT_EQ(body_of(answer), "news\n");
        co_await live.stop();
    });
}

TEST(HeldAnswer, TakesTheNextRequestWhileItWaits)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Waiting waiting{executor};
        LiveServer live{executor, {held(waiting)}};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto asked = co_await client->write_all(get("/test"));
        co_await becomes_true(waiting.began);
        asked = co_await client->write_all(get_and_close("/test"));
        co_await sleep(20ms);
        EXPECT_FALSE(waiting.closed);
        tell(waiting);
        const auto both = co_await read_to_end(*client);
        EXPECT_NE(both.find("news\n"), both.rfind("news\n"));
        co_await live.stop();
    });
}

TEST(HeldAnswer, EndsWhenTheClientLeaves)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Waiting waiting{executor};
        LiveServer live{executor, {held(waiting)}};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto asked = co_await client->write_all(get("/test"));
        co_await becomes_true(waiting.began);
        client.reset();
        co_await becomes_true(waiting.closed);
        co_await live.connections_become(0);
        co_await live.stop();
    });
}

TEST(HeldAnswer, IsGivenWhenTheServerDrains)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Waiting waiting{executor};
        LiveServer live{executor, {held(waiting)}};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto asked = co_await client->write_all(get("/test"));
        co_await becomes_true(waiting.began);
        live.server.drain();
        const auto answer = co_await read_to_end(*client);
        EXPECT_EQ(body_of(answer), "closed\n");
        EXPECT_TRUE(has_header(answer, "Connection: close"));
        co_await live.server.joined();
        co_await live.stop();
    });
}

TEST(HeldAnswer, IsGivenAtOnceWhenTooManyWait)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Waiting waiting{executor};
        http::Limits limits;
        limits.streams = 1;
        LiveServer live{executor, {held(waiting)}, limits};
        const auto port = live.start();
        auto first = co_await dial(port);
        [[maybe_unused]] auto asked = co_await first->write_all(get("/test"));
        co_await becomes_true(waiting.began);
        const auto answer = co_await fetch(port, get_and_close("/test"));
        EXPECT_EQ(body_of(answer), "at once\n");
        co_await live.stop();
    });
}

TEST(HeldAnswer, OfADeafHandlerIsCutAfterTheGrace)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Waiting waiting{executor};
        waiting.deaf = true;
        LiveServer live{executor, {held(waiting)}};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto asked = co_await client->write_all(get("/test"));
        co_await becomes_true(waiting.began);
        client.reset();
        co_await live.connections_become(0);
        co_await live.stop();
    });
}
