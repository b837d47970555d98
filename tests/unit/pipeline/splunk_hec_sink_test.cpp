// Splunk's event collector: what it is sent, what it says, and when a batch counts as delivered.

#include "pipeline/delivery.hpp"
#include "pipeline/sinks/splunk_hec_sink.hpp"
#include "wire.hpp"

#include <fmt/format.h>

#include <regex>
#include <set>

using namespace opsd;
using namespace opsd::test;

namespace {

const std::string success = R"({"text":"Success","code":0})";
constexpr std::string_view secret = "11111111-aaaa-bbbb-cccc-222222222222";

std::string received(int id) { return fmt::format(R"({{"text":"Success","code":0,"ackId":{}}})", id); }
WebReply acks(int id, bool value) { return says(200, fmt::format(R"({{"acks":{{"{}":{}}}}})", id, value)); }
bool asks(const WebRequest& request) { return request.path.starts_with("/services/collector/ack?"); }
std::string channel(const WebRequest& request) { return request.header("X-Splunk-Request-Channel"); }

struct HecRig {
    HecRig(const Executor& executor, WebServer::How how, net::TlsContext tls = {})
      : server{executor, std::move(how), std::move(tls)}
    {
        options.target.urls = {server.url() + "/"};
        options.target.timeout = 60s;
        options.target.headers.emplace_back("Authorization", "Splunk " + std::string{secret});
        options.ack_timeout = 60s;
        options.ack_interval = 2ms;
        on = executor;
    }
    /// Asks once, when the time is up, and waits for that answer: however slow the machine is.
    void one_question_after(std::chrono::milliseconds time)
    {
        options.ack_timeout = time;
        options.ack_interval = 60s;
    }
    SplunkHecSink& sink()
    {
        if (!sink_) sink_ = std::make_unique<SplunkHecSink>(on, options, clock);
        return *sink_;
    }
    Task<Verdict> send(std::uint64_t first = 1)
    {
        const auto batch = batch_of(first, 2, as_document);
        co_return co_await sink().send(batch);
    }

    SystemClock clock;
    WebServer server;
    HecSinkOptions options;
    Executor on;

private:
    std::unique_ptr<SplunkHecSink> sink_;
};

}  // namespace

TEST(HecSink, SendsEventsWithTokenAndChannelAndKeepsBothConnectionAndChannel)
{
    run([]() -> Task<> {
        HecRig rig{co_await asio::this_coro::executor, [](const WebRequest&) { return says(200, success); }};
        const auto one = co_await rig.send(1);
        const auto two = co_await rig.send(3);
        EXPECT_EQ(one.kind, Kind::accepted) << one.reason;
        EXPECT_EQ(two.kind, Kind::accepted) << two.reason;
        const auto& asked = rig.server.requests;
        EXPECT_EQ(asked.size(), 2U);
        EXPECT_EQ(asked.at(0).path, "/services/collector/event");
        EXPECT_EQ(asked.at(0).body, R"({"n":1}{"n":2})");
        EXPECT_EQ(asked.at(1).body, R"({"n":3}{"n":4})");
        EXPECT_TRUE(asked.at(0).has("Authorization: Splunk " + std::string{secret})) << asked.at(0).head;
        EXPECT_TRUE(asked.at(0).has("Content-Type: application/json")) << asked.at(0).head;
        EXPECT_EQ(asked.at(0).header("Content-Encoding"), "");
        const std::regex guid{"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"};
        EXPECT_TRUE(std::regex_match(channel(asked.at(0)), guid)) << channel(asked.at(0));
        EXPECT_EQ(channel(asked.at(0)), channel(asked.at(1)));
        EXPECT_EQ(rig.server.connections, 1U);
        EXPECT_TRUE(rig.sink().acknowledged_means().contains("no indexer acknowledgement so far"));
        co_await rig.server.stop();
    });
}

TEST(HecSink, WaitsUntilAnIndexerHasTheBatch)
{
    run([]() -> Task<> {
        int questions = 0;
        HecRig rig{co_await asio::this_coro::executor, [&](const WebRequest& request) {
                       if (!asks(request)) return says(200, received(7));
                       return acks(7, ++questions == 3);
                   }};
        const auto verdict = co_await rig.send();
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        EXPECT_EQ(questions, 3);
        const auto& asked = rig.server.requests;
        EXPECT_EQ(asked.back().body, R"({"acks":[7]})");
        EXPECT_EQ(asked.back().path, "/services/collector/ack?channel=" + channel(asked.front()));
        EXPECT_EQ(channel(asked.back()), channel(asked.front()));
        EXPECT_TRUE(asked.back().has("Authorization: Splunk " + std::string{secret}));
        EXPECT_EQ(rig.sink().acknowledged_means(), "an indexer has acknowledged it");
        const auto batch = batch_of(3, 2, as_document);
        const auto again = co_await send_within(rig.sink(), batch, rig.clock, 300ms);
        EXPECT_EQ(again.kind, Kind::retry) << "7 is never acknowledged again";
        co_await rig.server.stop();
    });
}

TEST(HecSink, WhatNoIndexerAcknowledgesIsSentAgainOnAnotherChannel)
{
    run([]() -> Task<> {
        bool kept = false;
        HecRig rig{co_await asio::this_coro::executor, [&](const WebRequest& request) {
                       if (!asks(request)) return says(200, received(0));
                       if (kept) return acks(0, true);
                       return says(200, R"({"acks":{}})");
                   }};
        rig.one_question_after(50ms);
        const auto lost = co_await rig.send();
        EXPECT_EQ(lost.kind, Kind::retry);
        EXPECT_EQ(lost.reason, "it has received them, but no indexer acknowledged them within 50 ms; they "
                               "are sent again");
        const auto first = channel(rig.server.requests.front());
        kept = true;
        const auto there = co_await rig.send();
        EXPECT_EQ(there.kind, Kind::accepted) << there.reason;
        EXPECT_NE(channel(rig.server.requests.back()), first) << "its ids are not to be believed any more";
        co_await rig.server.stop();
    });
}

TEST(HecSink, BatchesInFlightHaveAChannelEach)
{
    run([]() -> Task<> {
        // A collector that counts from 0 on each channel, and acknowledges only the second batch: on one
        // channel for both the first would be taken for it.
        std::map<std::string, int> ids;
        std::string second;
        HecRig rig{co_await asio::this_coro::executor, [&](const WebRequest& request) {
                       if (asks(request)) return acks(0, channel(request) == second);
                       if (request.body.contains("{\"n\":3}")) second = channel(request);
                       return says(200, received(ids[channel(request)]++));
                   }};
        rig.one_question_after(200ms);
        using asio::experimental::awaitable_operators::operator&&;
        const auto [one, two] = co_await (rig.send(1) && rig.send(3));
        EXPECT_EQ(one.kind, Kind::retry);
        EXPECT_EQ(two.kind, Kind::accepted) << two.reason;
        EXPECT_EQ(ids.size(), 2U);
        co_await rig.server.stop();
    });
}

TEST(HecSink, Code14StopsTheQuestions)
{
    run([]() -> Task<> {
        int questions = 0;
        HecRig rig{co_await asio::this_coro::executor, [&](const WebRequest& request) {
                       if (!asks(request)) return says(200, received(1));
                       ++questions;
                       return says(400, R"({"text":"ACK is disabled","code":14})");
                   }};
        for (int i = 0; i < 3; ++i) {
            const auto verdict = co_await rig.send();
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        }
        EXPECT_EQ(questions, 1);
        EXPECT_TRUE(rig.sink().acknowledged_means().contains("disabled for this token"));
        co_await rig.server.stop();
    });
}

TEST(HecSink, WithoutAcknowledgementNothingIsAskedAndNoChannelNamed)
{
    run([]() -> Task<> {
        HecRig rig{co_await asio::this_coro::executor,
                   [](const WebRequest&) { return says(200, received(3)); }};
        rig.options.acknowledge = false;
        const auto verdict = co_await rig.send();
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        EXPECT_EQ(rig.server.requests.size(), 1U);
        EXPECT_EQ(channel(rig.server.requests.at(0)), "");
        EXPECT_LT(rig.options.deadline(), rig.options.ack_timeout + rig.options.target.deadline());
        rig.options.acknowledge = true;
        EXPECT_GE(rig.options.deadline(),
                  rig.options.target.timeout + rig.options.ack_timeout + rig.options.ack_interval)
            << "the last question is within it, too";
        co_await rig.server.stop();
    });
}

TEST(HecSink, TroubleWithQuestionsIsNoVerdictOnTheBatch)
{
    run([]() -> Task<> {
        int questions = 0;
        HecRig rig{co_await asio::this_coro::executor, [&](const WebRequest& request) -> WebReply {
                       if (!asks(request)) return says(200, received(5));
                       switch (++questions) {
                       case 1:
                           return says(503, "busy");
                       case 2:
                           return {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"acks\":", Then::close};
                       case 3:
                           return {"", Then::reset};
                       case 4:
                           return says(200, "<html>");
                       case 5:
                           return says(403, R"({"text":"Invalid token","code":4})");
                       default:
                           return acks(5, true);
                       }
                   }};
        const auto verdict = co_await rig.send();
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        EXPECT_EQ(questions, 6);
        EXPECT_EQ(std::ranges::count_if(rig.server.requests, [](const auto& one) { return !asks(one); }), 1);
        co_await rig.server.stop();
    });
}

TEST(HecSink, AnIndexerThatMayNotBeAskedIsSomebodysBusiness)
{
    run([]() -> Task<> {
        HecRig rig{co_await asio::this_coro::executor, [&](const WebRequest& request) {
                       if (!asks(request)) return says(200, received(5));
                       return says(403, R"({"text":"Token disabled","code":1})");
                   }};
        rig.one_question_after(50ms);
        const auto verdict = co_await rig.send();
        EXPECT_EQ(verdict.kind, Kind::keep);
        EXPECT_TRUE(verdict.reason.contains("Token disabled")) << verdict.reason;
        EXPECT_TRUE(verdict.reason.contains("check the token")) << verdict.reason;
        co_await rig.server.stop();
    });
}

TEST(HecSink, EachAnswerHasItsMeaning)
{
    struct Case {
        int status;
        std::string body;
        Kind kind;
    };
    const auto code = [](int number) { return fmt::format(R"({{"text":"some text","code":{}}})", number); };
    const std::vector<Case> cases{
        {403, code(1), Kind::keep},     {401, code(2), Kind::keep},    {401, code(3), Kind::keep},
        {403, code(4), Kind::keep},     {400, code(5), Kind::refused}, {400, code(6), Kind::refused},
        {400, code(7), Kind::keep},     {500, code(8), Kind::retry},   {503, code(9), Kind::retry},
        {400, code(10), Kind::keep},    {400, code(11), Kind::keep},   {400, code(12), Kind::refused},
        {400, code(13), Kind::refused}, {400, code(14), Kind::keep},   {400, code(16), Kind::keep},
        {503, "", Kind::retry},         {413, "", Kind::too_large},    {429, "", Kind::retry},
        {404, "", Kind::keep},          {302, "", Kind::keep},         {200, "{}", Kind::retry}};
    for (const auto& one : cases) {
        run([&one]() -> Task<> {
            HecRig rig{co_await asio::this_coro::executor,
                       [&](const WebRequest&) { return says(one.status, one.body, "Retry-After: 7\r\n"); }};
            const auto verdict = co_await rig.send();
            EXPECT_EQ(verdict.kind, one.kind) << one.status << one.body << verdict.reason;
            EXPECT_FALSE(verdict.reason.contains(secret)) << verdict.reason;
            EXPECT_TRUE(verdict.reason.contains(std::to_string(one.status))) << verdict.reason;
            if (one.body.contains("text")) EXPECT_TRUE(verdict.reason.contains("some text"));
            if (verdict.kind == Kind::retry) EXPECT_EQ(verdict.after, 7s) << one.status;
            co_await rig.server.stop();
        });
    }
}

TEST(HecSink, GoesBackToWhereABalancerPutIt)
{
    run([]() -> Task<> {
        HecRig rig{co_await asio::this_coro::executor, [](const WebRequest& request) {
                       if (asks(request)) return acks(1, request.has("Cookie: LB=indexer-2; A=b"));
                       return says(200, received(1),
                                   "Set-Cookie: LB=indexer-2; Path=/; HttpOnly\r\n"
                                   "Set-Cookie: A=b\r\nSet-Cookie: =none\r\n");
                   }};
        const auto verdict = co_await rig.send();
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        co_await rig.server.stop();
    });
}

TEST(HecSink, CompressesWhatIsWorthIt)
{
    run([]() -> Task<> {
        HecRig rig{co_await asio::this_coro::executor, [](const WebRequest&) { return says(200, success); }};
        bool able = true;
        rig.options.compress = [&able](std::string plain) {
            return able ? "packed " + std::to_string(plain.size()) : std::string{};
        };
        const auto large = [](std::string& out, std::uint64_t) { out += std::string(2'000, 'x'); };
        const auto batch = batch_of(1, 2, large);
        auto verdict = co_await rig.sink().send(batch);
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        able = false;
        verdict = co_await rig.sink().send(batch);
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        verdict = co_await rig.send();
        const auto& asked = rig.server.requests;
        EXPECT_EQ(asked.at(0).body, "packed 4000");
        EXPECT_TRUE(asked.at(0).has("Content-Encoding: gzip"));
        EXPECT_EQ(asked.at(1).body, std::string(4'000, 'x')) << "what cannot be packed goes as it is";
        EXPECT_EQ(asked.at(1).header("Content-Encoding"), "");
        EXPECT_EQ(asked.at(2).body, R"({"n":1}{"n":2})") << "nor what is small";
        co_await rig.server.stop();
    });
}

TEST(HecSink, ACertificateOfAnotherHostIsNotAccepted)
{
    run([]() -> Task<> {
        const Pki pki;
        HecRig rig{co_await asio::this_coro::executor, [](const WebRequest&) { return says(200, success); },
                   pki.context("elsewhere")};
        rig.options.target.tls = pki.trusting();
        const auto verdict = co_await rig.send();
        EXPECT_EQ(verdict.kind, Kind::keep);
        EXPECT_TRUE(verdict.reason.contains("certificate")) << verdict.reason;
        EXPECT_TRUE(rig.server.requests.empty()) << "the token was shown to a stranger";
        co_await rig.server.stop();
    });
}

TEST(HecSink, SpeaksTlsWithWhomItKnows)
{
    run([]() -> Task<> {
        const Pki pki;
        HecRig rig{co_await asio::this_coro::executor, [](const WebRequest&) { return says(200, success); },
                   pki.context("server")};
        rig.options.target.tls = pki.trusting(true);
        const auto verdict = co_await rig.send();
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        EXPECT_EQ(rig.server.peer, "CN=node-7,O=opsd");
        co_await rig.server.stop();
    });
}
