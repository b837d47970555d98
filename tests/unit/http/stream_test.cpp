#include "server_support.hpp"

using namespace opsd;
using namespace opsd::test;
using namespace boost::asio::experimental::awaitable_operators;

namespace {

/// What a producer saw.
struct Seen {
    int written = 0;
    bool closed = false;
    bool finished = false;
    std::string error;
};

/// Two chunks, then waits for news that never come, as a follower of events does.
Task<> two_then_wait(Seen& seen, http::StreamWriter& out)
{
    for (const auto* chunk : {"one\n", "", "two\n"}) {
        auto written = co_await out.write(chunk);
        if (!written) co_return;
        ++seen.written;
    }
    co_await out.closed();
    seen.closed = true;
    auto late = co_await out.write("late\n");
    seen.error = late ? "" : late.error().message;
    seen.finished = true;
}

Task<> flood(Seen& seen, http::StreamWriter& out)
{
    const std::string chunk(100'000, 'a');
    for (;;) {
        auto written = co_await out.write(chunk);
        if (!written) {
            seen.error = std::string{to_string(written.error().code)};
            break;
        }
        ++seen.written;
    }
    seen.finished = true;
}

/// Never looks at closed().
Task<> deaf(Seen& seen, http::StreamWriter& out)
{
    auto written = co_await out.write("x");
    ++seen.written;
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, 1h};
    co_await timer.async_wait(asio::use_awaitable);
    seen.finished = true;
}

/// Ends before all is said, or is ended.
Task<> never_whole(Seen& seen, http::StreamWriter& out)
{
    out.set_whole(false);
    co_await two_then_wait(seen, out);
}

/// Takes back that it is not whole.
Task<> whole_after_all(Seen& seen, http::StreamWriter& out)
{
    out.set_whole(false);
    auto written = co_await out.write("all\n");
    out.set_whole(written.has_value());
    seen.finished = true;
}

using Producer = Task<> (*)(Seen&, http::StreamWriter&);
http::Route streaming(Producer producer, Seen& seen)
{
    return test_route([producer, &seen](const http::Request&) -> Task<http::Response> {
        co_return http::Response::stream(
            "text/event-stream", [producer, &seen](http::StreamWriter& out) { return producer(seen, out); });
    });
}

}  // namespace

TEST(HttpStream, IsChunkedUnbufferedAndEndsWithItsLastChunkOnDrain)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Seen seen;
        LiveServer live{executor, {streaming(two_then_wait, seen)}};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto asked = co_await client->write_all(get("/test"));
        auto answer = co_await read_until(*client, "two\n\r\n");
        EXPECT_TRUE(has_header(answer, "Transfer-Encoding: chunked"));
        EXPECT_TRUE(has_header(answer, "X-Accel-Buffering: no"));
        EXPECT_TRUE(has_header(answer, "Content-Type: text/event-stream"));
        EXPECT_EQ(answer.find("Content-Length"), std::string::npos);
        EXPECT_EQ(body_of(answer), "4\r\none\n\r\n4\r\ntwo\n\r\n");
        EXPECT_NE(live.around.metrics.render().find("\nopsd_http_streams 1\n"), std::string::npos);
        live.server.drain();
        auto rest = co_await read_to_end(*client);
        EXPECT_EQ(rest, "0\r\n\r\n");
        co_await live.server.joined();
        EXPECT_TRUE(seen.closed);
        EXPECT_NE(seen.error.find("cannot write"), std::string::npos);
        co_await live.stop();
        EXPECT_NE(live.around.metrics.render().find("\nopsd_http_streams 0\n"), std::string::npos);
    });
}

TEST(HttpStream, OneThatIsNotWholeEndsTorn)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Seen seen;
        LiveServer live{executor, {streaming(never_whole, seen)}};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto asked = co_await client->write_all(get("/test"));
        [[maybe_unused]] auto answer = co_await read_until(*client, "two\n\r\n");
        live.server.drain();
        auto rest = co_await read_to_end(*client);
        EXPECT_EQ(rest, "");
        EXPECT_TRUE(seen.finished);
        co_await live.stop();
    });
}

TEST(HttpStream, OneThatBecameWholeHasItsLastChunk)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Seen seen;
        LiveServer live{executor, {streaming(whole_after_all, seen)}};
        const auto answer = co_await fetch(live.start(), get_and_close("/test"));
        EXPECT_EQ(body_of(answer), "4\r\nall\n\r\n0\r\n\r\n");
        co_await live.stop();
    });
}

TEST(HttpStream, TellsItsProducerWhenTheClientLeaves)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Seen seen;
        LiveServer live{executor, {streaming(two_then_wait, seen)}};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto asked = co_await client->write_all(get("/test"));
        [[maybe_unused]] auto answer = co_await read_until(*client, "two\n");
        client.reset();
        co_await becomes_true(seen.finished);
        co_await live.connections_become(0);
        co_await live.stop();
    });
}

TEST(HttpStream, WaitsForASlowClientAndGivesUpAtTheWriteTimeout)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Seen seen;
        http::Limits limits;
        limits.write_timeout = 100ms;
        LiveServer live{executor, {streaming(flood, seen)}, limits};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto asked = co_await client->write_all(get("/test"));
        co_await becomes_true(seen.finished);
        EXPECT_EQ(seen.error, "timeout");
        EXPECT_LT(seen.written, 1000) << "what the kernel buffers, and no more";
        co_await live.connections_become(0);
        client.reset();
        co_await live.stop();
    });
}

TEST(HttpStream, AProducerThatDoesNotListenIsCancelled)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Seen seen;
        LiveServer live{executor, {streaming(deaf, seen)}};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto asked = co_await client->write_all(get("/test"));
        [[maybe_unused]] auto answer = co_await read_until(*client, "x\r\n");
        live.server.drain();
        auto rest = co_await read_to_end(*client);
        EXPECT_EQ(rest, "0\r\n\r\n");
        co_await live.server.joined();
        EXPECT_FALSE(seen.finished);
        co_await live.stop();
    });
}

TEST(HttpStream, AreLimitedInNumber)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Seen seen;
        http::Limits limits;
        limits.streams = 1;
        LiveServer live{executor, {streaming(two_then_wait, seen)}, limits};
        const auto port = live.start();
        auto first = co_await dial(port);
        [[maybe_unused]] auto asked = co_await first->write_all(get("/test"));
        [[maybe_unused]] auto head = co_await read_until(*first, "two\n");
        auto second = co_await fetch(port, get_and_close("/test"));
        EXPECT_EQ(status_of(second), 503);
        EXPECT_TRUE(has_header(second, "Retry-After: 5"));
        auto only_head = co_await fetch(port, "HEAD /test HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        EXPECT_EQ(status_of(only_head), 503);
        first.reset();
        co_await live.connections_become(0);
        only_head = co_await fetch(port, "HEAD /test HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        EXPECT_EQ(status_of(only_head), 200);
        EXPECT_EQ(body_of(only_head), "");
        co_await live.stop();
    });
}

TEST(HttpStream, AFailingProducerLeavesNoFalseEnd)
{
    Conversation conversation;
    auto broken = [](http::StreamWriter& out) -> Task<> {
        [[maybe_unused]] auto written = co_await out.write("half");
        throw std::runtime_error{"a bug"};
    };
    conversation.hold_open = true;
    conversation.router = build({test_route([broken](const http::Request&) -> Task<http::Response> {
        co_return http::Response::stream("text/plain", broken);
    })});
    const auto answer = conversation.say(get("/test"));
    EXPECT_TRUE(answer.ends_with("4\r\nhalf\r\n")) << answer;
    EXPECT_TRUE(conversation.around.lines->contains("a stream failed: a bug"));
}

namespace {

/// As TLS with half a record: soon readable, and yet no byte comes.
struct HalfRecord final : net::Transport {
    explicit HalfRecord(net::Transport& given) : inner{given} {}
    Task<Result<std::size_t>> read_some(std::span<char> into) override { return inner.read_some(into); }
    Task<Result<>> write_all(std::string_view bytes, std::string_view more) override
    {
        written.append(bytes).append(more);
        co_return Result<>{};
    }
    Task<Result<>> wait_readable() override
    {
        if (written.empty()) co_return co_await inner.wait_readable();
        co_await opsd::test::sleep(10ms);
        co_return Result<>{};
    }
    void expires_at(net::Deadline when) override { inner.expires_at(when); }
    bool quiet() override { return inner.quiet(); }
    void cancel() override { inner.cancel(); }
    void close() override { inner.close(); }
    net::Transport& inner;
    std::string written;
};

Task<> pause_and_go_on(http::StreamWriter& out)
{
    [[maybe_unused]] auto first = co_await out.write("one");
    co_await opsd::test::sleep(100ms);
    [[maybe_unused]] auto second = co_await out.write("two");
}

}  // namespace

TEST(HttpStream, ALimitOfItsWritesDoesNotEndTheWaitForTheClient)
{
    Surroundings around;
    run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const http::Limits limits{.write_timeout = 30ms};
        http::Service service{executor,       limits,    around.authenticator, around.audit, around.clock,
                              around.metrics, around.log};
        const auto router = build({test_route([](const http::Request&) -> Task<http::Response> {
            co_return http::Response::stream("text/plain", pause_and_go_on);
        })});
        service.table = std::make_shared<http::Table>(router, around.metrics);
        auto [client, server] = net::make_memory_pair(executor);
        HalfRecord half{*server};
        http::Session session{half, service, {}};
        [[maybe_unused]] auto sent = co_await client->write_all(get("/test"));
        co_await session.run();
        EXPECT_TRUE(half.written.ends_with("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")) << half.written;
    });
}

TEST(HttpStream, IsDelimitedByTheEndForHttp10)
{
    Conversation conversation;
    auto once = [](http::StreamWriter& out) -> Task<> {
        [[maybe_unused]] auto written = co_await out.write("all");
    };
    conversation.hold_open = true;
    conversation.router = build({test_route([once](const http::Request&) -> Task<http::Response> {
        co_return http::Response::stream("text/plain", once);
    })});
    const auto answer = conversation.say("GET /test HTTP/1.0\r\n\r\n");
    EXPECT_EQ(body_of(answer), "all");
    EXPECT_EQ(answer.find("Transfer-Encoding"), std::string::npos);
}
