// A beats input that acknowledges in parts, late, wrongly or never.

#include "pipeline/sinks/lumberjack_sink.hpp"
#include "wire.hpp"

using namespace opsd;
using namespace opsd::test;

namespace {

struct LumberjackRig {
    explicit LumberjackRig(const Executor& executor, net::TlsContext tls = {}) : server{executor, tls}
    {
        options.target.host = "127.0.0.1";
        options.target.port = server.port();
        options.target.secure = tls != nullptr;
        options.timeout = 60s;
    }
    LumberjackSink& sink()
    {
        if (!sink_) sink_.emplace(options, clock);
        return *sink_;
    }
    Task<Verdict> send(std::uint64_t first = 1, std::uint64_t count = 5)
    {
        const auto batch = batch_of(first, count, as_document);
        co_return co_await sink().send(batch);
    }

    SystemClock clock;
    BeatsServer server;
    LumberjackOptions options;

private:
    std::optional<LumberjackSink> sink_;
};

}  // namespace

TEST(LumberjackSink, SendsWindowsOnOneConnection)
{
    run([]() -> Task<> {
        LumberjackRig rig{co_await asio::this_coro::executor};
        for (std::uint64_t first = 1; first <= 9; first += 3) {
            const auto verdict = co_await rig.send(first, 3);
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        }
        EXPECT_EQ(rig.server.records.size(), 9U);
        EXPECT_EQ(rig.server.records.front(), R"({"n":1})");
        EXPECT_EQ(rig.server.records.back(), R"({"n":9})");
        EXPECT_EQ(rig.server.connections, 1U);
        EXPECT_EQ(rig.sink().connections(), 1U);
        co_await rig.server.stop();
        EXPECT_EQ(rig.server.cut, 0U);
    });
}

TEST(LumberjackSink, PartialAcknowledgementsCountWhenTheConnectionBreaks)
{
    run([]() -> Task<> {
        LumberjackRig rig{co_await asio::this_coro::executor};
        for (const auto then : {Then::close, Then::reset}) {
            rig.server.how = [then](std::uint32_t) { return BeatsServer::Act{ack(1) + ack(2), then}; };
            const auto verdict = co_await rig.send();
            // An abort may overtake what was said before it.
            if (then == Then::reset && verdict.kind == Kind::retry) continue;
            EXPECT_EQ(verdict.kind, Kind::records) << verdict.reason;
            EXPECT_EQ(verdict.fates,
                      (std::vector{Fate::accepted, Fate::accepted, Fate::retry, Fate::retry, Fate::retry}));
            EXPECT_NE(verdict.reason, "");
        }
        rig.server.how = [](std::uint32_t count) { return BeatsServer::Act{ack(count)}; };
        const auto rest = co_await rig.send(3, 3);
        EXPECT_EQ(rest.kind, Kind::accepted) << rest.reason;
        EXPECT_EQ(rig.server.connections, 3U) << "a connection that failed is not used again";
        co_await rig.server.stop();
    });
}

TEST(LumberjackSink, AcknowledgementsMayComeInSteps)
{
    run([]() -> Task<> {
        LumberjackRig rig{co_await asio::this_coro::executor};
        rig.server.how = [](std::uint32_t) { return BeatsServer::Act{ack(0) + ack(2) + ack(0) + ack(5)}; };
        const auto verdict = co_await rig.send();
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        co_await rig.server.stop();
    });
}

TEST(LumberjackSink, WrongAcknowledgementsAreNotBelieved)
{
    run([]() -> Task<> {
        LumberjackRig rig{co_await asio::this_coro::executor};
        for (const auto& wrong :
             {ack(6), ack(3) + ack(2), "2B\0\0\0\5"s, "1A\0\0\0\5"s, "HTTP/1.1 400 Bad\r\n"s}) {
            rig.server.how = [&wrong](std::uint32_t) { return BeatsServer::Act{wrong}; };
            const auto connections = rig.server.connections;
            const auto verdict = co_await rig.send();
            const bool part = wrong.size() == 12;
            EXPECT_EQ(verdict.kind, part ? Kind::records : Kind::retry) << wrong;
            EXPECT_TRUE(verdict.reason.contains("cannot read an acknowledgement")) << verdict.reason;
            EXPECT_EQ(rig.server.connections, connections + 1);
        }
        co_await rig.server.stop();
    });
}

TEST(LumberjackSink, SignsOfLifeProlongTheWait)
{
    run([]() -> Task<> {
        LumberjackRig rig{co_await asio::this_coro::executor};
        rig.options.timeout = 1s;
        // Stuck: it reads nothing for longer than that, but says that it lives.
        rig.server.before = [](net::Transport& transport) -> Task<> {
            for (int i = 0; i < 13; ++i) {
                co_await sleep(100ms);
                const auto alive = ack(0);
                [[maybe_unused]] auto written = co_await transport.write_all(alive);
            }
        };
        const auto large = [](std::string& out, std::uint64_t) { out += std::string(4'000'000, 'x'); };
        const auto batch = batch_of(1, 3, large);
        const auto verdict = co_await rig.sink().send(batch);
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        EXPECT_EQ(rig.server.records.size(), 3U);
        co_await rig.server.stop();
    });
}

TEST(LumberjackSink, SilenceEndsTheWaitAndSoDoesAnEndlessOne)
{
    run([]() -> Task<> {
        LumberjackRig rig{co_await asio::this_coro::executor};
        rig.options.timeout = 500ms;
        rig.options.longest = 1s;
        rig.server.how = [](std::uint32_t) { return BeatsServer::Act{ack(1), Then::hang}; };
        const auto silent = co_await rig.send();
        EXPECT_EQ(silent.kind, Kind::records);
        EXPECT_TRUE(silent.reason.contains("no sign of life of 127.0.0.1:")) << silent.reason;
        rig.server.before = [](net::Transport& transport) -> Task<> {
            for (;;) {
                co_await sleep(10ms);
                const auto alive = ack(0);
                const auto written = co_await transport.write_all(alive);
                if (!written) co_return;
            }
        };
        const auto endless = co_await rig.send();
        EXPECT_EQ(endless.kind, Kind::retry);
        EXPECT_TRUE(endless.reason.contains("is still at it after 1 s")) << endless.reason;
        co_await rig.server.stop();
    });
}

TEST(LumberjackSink, AConnectionThatWasClosedMeanwhileIsReplacedWithoutATry)
{
    run([]() -> Task<> {
        LumberjackRig rig{co_await asio::this_coro::executor};
        auto verdict = co_await rig.send(1, 2);
        EXPECT_EQ(verdict.kind, Kind::accepted);
        rig.server.drop_all();
        co_await sleep(20ms);
        verdict = co_await rig.send(3, 2);
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        EXPECT_EQ(rig.server.connections, 2U);
        EXPECT_EQ(rig.server.records.size(), 4U);
        co_await rig.server.stop();
    });
}

TEST(LumberjackSink, AnAnswerThatComesLateIsNotTakenForTheNextOne)
{
    run([]() -> Task<> {
        LumberjackRig rig{co_await asio::this_coro::executor};
        int windows = 0;
        rig.server.before = [&windows](net::Transport& transport) -> Task<> {
            if (windows++ != 1) co_return;
            co_await sleep(5ms);
            const auto late = ack(2);
            [[maybe_unused]] auto written = co_await transport.write_all(late);
        };
        auto verdict = co_await rig.send(1, 2);
        EXPECT_EQ(verdict.kind, Kind::accepted);
        co_await sleep(20ms);
        rig.server.how = [](std::uint32_t) { return BeatsServer::Act{"", Then::close}; };
        verdict = co_await rig.send(3, 2);
        EXPECT_EQ(verdict.kind, Kind::retry) << "nobody acknowledged these";
        EXPECT_EQ(rig.server.connections, 2U) << "a connection with words nobody asked for is given up";
        co_await rig.server.stop();
    });
}

TEST(LumberjackSink, ShowsItsCertificateAndWantsTheRightOne)
{
    run([]() -> Task<> {
        const Pki pki;
        const auto executor = co_await asio::this_coro::executor;
        LumberjackRig good{executor, pki.context("server")};
        good.options.target.tls = pki.trusting(true);
        for (int i = 0; i < 2; ++i) {
            const auto verdict = co_await good.send();
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        }
        EXPECT_EQ(good.server.peer, "CN=node-7,O=opsd");
        EXPECT_EQ(good.server.connections, 1U);
        co_await good.server.stop();
        LumberjackRig bad{executor, pki.context("elsewhere")};
        bad.options.target.tls = pki.trusting(true);
        const auto verdict = co_await bad.send();
        EXPECT_EQ(verdict.kind, Kind::keep);
        EXPECT_TRUE(verdict.reason.contains("certificate")) << verdict.reason;
        EXPECT_TRUE(bad.server.records.empty());
        co_await bad.server.stop();
    });
}
