// Answers that are read piece by piece.

#include "io/net/incoming.hpp"

#include "unit/mesos/stub.hpp"

namespace opsd::net {
namespace {

using namespace opsd::test;

ClientRequest asking(const HttpStub& stub, std::chrono::milliseconds timeout = 5s)
{
    ClientRequest request;
    request.url = stub.url() + "/logs?skip=-1";
    request.timeout = timeout;
    request.headers.emplace_back("Accept", "text/plain");
    return request;
}

/// All of a body, or why there is no more of it after `text`.
Task<Result<>> read_all(Incoming& answer, std::string& text)
{
    for (;;) {
        auto piece = co_await answer.next();
        if (!piece) co_return fail(std::move(piece).error());
        if (piece->empty()) co_return Result<>{};
        text += *piece;
    }
}

const std::string chunked = "HTTP/1.1 200 OK\r\nX-Journal-Lost: 7\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST(Incoming, TheHeadComesBeforeTheBody)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub stub{executor,
                      [](const Asked&) { return Reply{chunked + "4\r\none \r\n", Reply::Then::hang}; }};
        StreamClient client;
        auto answer = co_await client.open(asking(stub), 50ms);
        EXPECT_TRUE(answer.has_value());
        if (!answer) co_return;
        EXPECT_EQ((*answer)->status, 200U);
        EXPECT_EQ((*answer)->header("x-journal-lost"), "7");
        EXPECT_EQ(stub.asked.back().path, "/logs?skip=-1");
        EXPECT_TRUE(stub.asked.back().has("Accept: text/plain"));
        std::string text;
        const auto ended = co_await read_all(**answer, text);
        EXPECT_EQ(text, "one ");
        EXPECT_EQ(ended.error().code, Errc::timeout) << "the longest silence";
        answer->reset();
        co_await stub.stop();
    });
}

TEST(Incoming, WholeAndTornAnswersAreToldApart)
{
    struct Row {
        std::string reply;
        std::string text;
        bool whole;
    };
    const Row rows[] = {
        {chunked + "4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n", "one two", true},
        {chunked + "4\r\none \r\n3\r\ntw", "one tw", false},
        {chunked + "4\r\none \r\n", "one ", false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", "12345", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n12345", "12345", false},
        {"HTTP/1.1 200 OK\r\n\r\nto the end", "to the end", true},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "no", true},
        {"HTTP/1.1 204 No Content\r\n\r\n", "", true},
    };
    for (const auto& row : rows) {
        run([&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            HttpStub stub{executor, [&](const Asked&) { return Reply{row.reply, Reply::Then::close}; }};
            StreamClient client;
            auto answer = co_await client.open(asking(stub), 0ms);
            EXPECT_TRUE(answer.has_value()) << row.reply;
            if (!answer) co_return;
            std::string text;
            const auto ended = co_await read_all(**answer, text);
            EXPECT_EQ(text, row.text) << row.reply;
            EXPECT_EQ(ended.has_value(), row.whole) << row.reply;
            if (!ended) EXPECT_EQ(ended.error().code, Errc::unavailable) << ended.error().message;
            answer->reset();
            co_await stub.stop();
        });
    }
}

TEST(Incoming, WhatNeverBeginsEndsInTime)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub stub{executor, [](const Asked&) { return Reply{"HTTP/1.1 200", Reply::Then::hang}; }};
        StreamClient client;
        const auto begun = std::chrono::steady_clock::now();
        auto answer = co_await client.open(asking(stub, 50ms), 0ms);
        EXPECT_FALSE(answer.has_value());
        EXPECT_EQ(answer.error().code, Errc::timeout) << answer.error().message;
        EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
        stub.how = [](const Asked&) { return Reply{"no HTTP\r\n\r\n"}; };
        answer = co_await client.open(asking(stub), 0ms);
        EXPECT_EQ(answer.error().code, Errc::protocol) << answer.error().message;
        stub.how = [](const Asked&) { return Reply{""}; };
        answer = co_await client.open(asking(stub), 0ms);
        EXPECT_EQ(answer.error().code, Errc::unavailable) << answer.error().message;
        stub.die();
        answer = co_await client.open(asking(stub), 0ms);
        EXPECT_EQ(answer.error().code, Errc::unavailable) << answer.error().message;
        co_await stub.stop();
    });
}

TEST(Incoming, NoMoreIsReadThanIsAskedFor)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub stub{executor, [](const Asked&) {
                          return Reply{"HTTP/1.1 200 OK\r\n\r\n" + std::string(100'000, 'x'),
                                       Reply::Then::endless};
                      }};
        StreamClient client;
        auto answer = co_await client.open(asking(stub), 0ms);
        EXPECT_TRUE(answer.has_value());
        if (!answer) co_return;
        auto piece = co_await (*answer)->next();
        EXPECT_LE(piece->size(), 64U * 1024) << "a piece, of an answer without end";
        answer->reset();
        co_await stub.stop();
    });
}

}  // namespace
}  // namespace opsd::net
