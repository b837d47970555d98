#include "io/net/incoming.hpp"

#include "unit/mesos/stub.hpp"

namespace opsd::net {
namespace {

using namespace test;

ClientRequest request_to(const HttpStub& stub, std::string path = "/x")
{
    ClientRequest request;
    request.url = stub.url() + path;
    request.timeout = 2s;
    return request;
}

/// Everything, or why not.
Task<Result<std::string>> rest(Incoming& incoming)
{
    std::string all;
    for (;;) {
        auto piece = co_await incoming.next();
        if (!piece) co_return piece;
        if (piece->empty()) co_return all;
        all += *piece;
    }
}

void expect_error(const auto& result, Errc code, std::string_view part)
{
    EXPECT_FALSE(result.has_value());
    if (result) return;
    EXPECT_EQ(result.error().code, code) << result.error().message;
    EXPECT_TRUE(result.error().message.contains(part)) << result.error().message;
}

TEST(Incoming, HandsOverTheHeadOfAnyStatusAndThenTheBodyInEachFraming)
{
    const std::pair<std::string, std::string> answers[]{
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: 1\r\n\r\nhello", "hello"},
        {"HTTP/1.1 200 OK\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
         "hello"},
        {"HTTP/1.1 200 OK\r\nX-One: 1\r\n\r\nuntil the end", "until the end"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-One: 1\r\nContent-Length: 2\r\n\r\nhi", "hi"},
        {"HTTP/1.1 200 OK\r\nX-One: 1\r\nContent-Length: 0\r\n\r\n", ""},
    };
    for (const auto& [text, body] : answers) {
        for (const auto then : {Reply::Then::close, Reply::Then::drip}) {
            run([&]() -> Task<> {
                const auto executor = co_await asio::this_coro::executor;
                HttpStub stub{executor, [&](const Asked&) { return Reply{text, then}; }};
                // A dripping peer keeps the connection, which does not end a body without a length.
                const bool endless = then == Reply::Then::drip && body.starts_with("until");
                const milliseconds silence = endless ? 300ms : 2'000ms;
                HttpClient client{executor};
                auto opened = co_await client.open(request_to(stub), silence);
                EXPECT_TRUE(opened.has_value());
                if (!opened) co_return;
                EXPECT_EQ((*opened)->head().status, 200U);
                EXPECT_EQ((*opened)->head().header("x-one"), "1");
                EXPECT_TRUE((*opened)->head().body.empty());
                const auto all = co_await rest(**opened);
                if (endless)
                    expect_error(all, Errc::timeout, "");
                else
                    EXPECT_EQ(all.value_or("(none)"), body) << text;
                co_await stub.stop();
            });
        }
    }
}

TEST(Incoming, RefusalsAreAnswersToo)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub stub{executor, [](const Asked&) { return answer(404, "none"); }};
        HttpClient client{executor};
        auto opened = co_await client.open(request_to(stub), 1s);
        EXPECT_EQ((*opened)->head().status, 404U);
        EXPECT_EQ((*opened)->length(), 4U);
        const auto all = co_await rest(**opened);
        EXPECT_EQ(all.value_or(""), "none");
        co_await stub.stop();
    });
}

TEST(Incoming, WhatBreaksOffIsNeverAnEnd)
{
    const std::string length = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
    const std::string chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for (const auto& text : {length, chunks}) {
        for (const auto then : {Reply::Then::close, Reply::Then::reset, Reply::Then::hang}) {
            run([&]() -> Task<> {
                const auto executor = co_await asio::this_coro::executor;
                HttpStub stub{executor, [&](const Asked&) { return Reply{text, then}; }};
                HttpClient client{executor};
                auto opened = co_await client.open(request_to(stub), 200ms);
                if (opened) {
                    const auto all = co_await rest(**opened);
                    expect_error(all, then == Reply::Then::hang ? Errc::timeout : Errc::unavailable,
                                 "cannot ");
                } else {
                    EXPECT_EQ(then, Reply::Then::reset) << opened.error().message;
                }
                co_await stub.stop();
            });
        }
    }
}

TEST(Incoming, TheHeadHasADeadlineAndTheBodyABound)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Reply reply{"HTTP/1.1 200 OK\r\nX: 1\r\n", Reply::Then::hang};
        HttpStub stub{executor, [&](const Asked&) { return reply; }};
        HttpClient client{executor};
        auto request = request_to(stub);
        request.timeout = 100ms;
        auto opened = co_await client.open(request, 5s);
        expect_error(opened, Errc::timeout, "GET " + stub.url() + "/x: cannot ");
        reply = {"no HTTP at all\r\n\r\n"};
        opened = co_await client.open(request_to(stub), 5s);
        expect_error(opened, Errc::protocol, "cannot read the answer");
        reply = {"HTTP/1.1 200 OK\r\n\r\n" + std::string(5'000, 'x'), Reply::Then::endless};
        request = request_to(stub);
        request.max_body = 100'000;
        opened = co_await client.open(request, 5s);
        const auto all = co_await rest(**opened);
        expect_error(all, Errc::protocol, "more than 100000 bytes");
        request.url = "http://127.0.0.1:1/";
        opened = co_await client.open(request, 5s);
        expect_error(opened, Errc::unavailable, "cannot ");
        co_await stub.stop();
    });
}

TEST(Incoming, NothingIsReadBeforeItIsWanted)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub stub{executor, [](const Asked&) {
                          return Reply{"HTTP/1.1 200 OK\r\n\r\n" + std::string(100'000, 'x'),
                                       Reply::Then::endless};
                      }};
        HttpClient client{executor};
        auto opened = co_await client.open(request_to(stub), 5s);
        co_await sleep(100ms);
        const auto piece = co_await (*opened)->next();
        EXPECT_LE(piece->size(), 64U * 1024) << "what one read of the connection brings, not what has come";
        opened->reset();
        co_await sleep(50ms);
        co_await stub.stop();
    });
}

}  // namespace
}  // namespace opsd::net
