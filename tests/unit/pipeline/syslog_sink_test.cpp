// Syslog over TCP and TLS: best effort, but a server that left is noticed.

#include "pipeline/sinks/syslog_sink.hpp"
#include "wire.hpp"

using namespace opsd;
using namespace opsd::test;

namespace {

void as_frame(std::string& out, std::uint64_t n)
{
    const auto message = "<30>1 - - - - - - " + std::to_string(n);
    out += std::to_string(message.size()) + " " + message;
}

void as_large_frame(std::string& out, std::uint64_t)
{
    out += "4000006 <30>1 -" + std::string(3'999'999, 'x');
}

struct SyslogRig {
    explicit SyslogRig(const Executor& executor, net::TlsContext tls = {}) : server{executor, tls}
    {
        options.target.host = "127.0.0.1";
        options.target.port = server.port();
        options.target.secure = tls != nullptr;
        options.timeout = 60s;
    }
    SyslogSink& sink()
    {
        if (!sink_) sink_.emplace(options, clock);
        return *sink_;
    }
    Task<Verdict> send(std::uint64_t first = 1, std::uint64_t count = 3)
    {
        const auto batch = batch_of(first, count, as_frame);
        co_return co_await sink().send(batch);
    }
    Task<bool> arrived(std::size_t count)
    {
        co_return co_await comes_true([&] { return server.messages.size() >= count; });
    }

    SystemClock clock;
    SyslogServer server;
    SyslogSinkOptions options;

private:
    std::optional<SyslogSink> sink_;
};

}  // namespace

TEST(SyslogSink, SendsMessagesBehindTheirLengthsOnOneConnection)
{
    run([]() -> Task<> {
        SyslogRig rig{co_await asio::this_coro::executor};
        for (std::uint64_t first = 1; first <= 9; first += 3) {
            const auto verdict = co_await rig.send(first);
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        }
        const bool all = co_await rig.arrived(9);
        EXPECT_TRUE(all);
        EXPECT_EQ(rig.server.messages.front(), "<30>1 - - - - - - 1");
        EXPECT_EQ(rig.server.messages.back(), "<30>1 - - - - - - 9");
        EXPECT_EQ(rig.server.connections, 1U);
        EXPECT_TRUE(rig.sink().acknowledged_means().starts_with("best effort"));
        co_await rig.server.stop();
    });
}

TEST(SyslogSink, AServerThatLeftIsNoticedBeforeWriting)
{
    run([]() -> Task<> {
        SyslogRig rig{co_await asio::this_coro::executor};
        auto verdict = co_await rig.send(1);
        const bool first = co_await rig.arrived(3);
        EXPECT_TRUE(first);
        rig.server.drop_all();
        co_await sleep(20ms);
        verdict = co_await rig.send(4);
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        const bool all = co_await rig.arrived(6);
        EXPECT_TRUE(all) << "nothing was written into the void";
        EXPECT_EQ(rig.server.connections, 2U);
        co_await rig.server.stop();
    });
}

TEST(SyslogSink, AServerThatLeavesIsNoticedAfterWriting)
{
    run([]() -> Task<> {
        SyslogRig rig{co_await asio::this_coro::executor};
        rig.server.closes_after = 1;
        const auto batch = batch_of(1, 3, as_large_frame);
        auto verdict = co_await rig.sink().send(batch);
        EXPECT_EQ(verdict.kind, Kind::retry);
        EXPECT_TRUE(verdict.reason.contains("127.0.0.1:")) << verdict.reason;
        rig.server.closes_after = SIZE_MAX;
        rig.server.messages.clear();
        verdict = co_await rig.sink().send(batch);
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        const bool all = co_await rig.arrived(3);
        EXPECT_TRUE(all);
        co_await rig.server.stop();
    });
}

TEST(SyslogSink, BytesThatTheServersKernelDoesNotTakeAreNotDelivered)
{
    run([]() -> Task<> {
        SyslogRig rig{co_await asio::this_coro::executor};
        rig.server.reads = false;
        rig.options.timeout = 200ms;
        const auto batch = batch_of(1, 8, as_large_frame);
        const auto verdict = co_await rig.sink().send(batch);
        EXPECT_EQ(verdict.kind, Kind::retry);
        EXPECT_TRUE(verdict.reason.contains("deadline") || verdict.reason.contains("did not take all bytes"))
            << verdict.reason;
        co_await rig.server.stop();
    });
}

TEST(SyslogSink, WhatOnlyOurOwnKernelHasIsNotDeliveredEither)
{
    run([]() -> Task<> {
        SyslogRig rig{co_await asio::this_coro::executor};
        rig.server.reads = false;
        rig.options.timeout = 1s;
        // More than a server's kernel takes for a program that does not read, less than ours holds for it.
        const auto render = [](std::string& out, std::uint64_t) {
            out += "1200006 <30>1 -" + std::string(1'199'999, 'x');
        };
        const auto batch = batch_of(1, 1, render);
        const auto verdict = co_await rig.sink().send(batch);
        EXPECT_EQ(verdict.kind, Kind::retry);
        EXPECT_TRUE(verdict.reason.contains("did not take all bytes within 1 s")) << verdict.reason;
        co_await rig.server.stop();
    });
}

TEST(SyslogSink, WhatAServerSaysUnaskedIsDropped)
{
    run([]() -> Task<> {
        SyslogRig rig{co_await asio::this_coro::executor};
        rig.server.greets = "220 welcome to our log server\r\n";
        for (std::uint64_t first = 1; first <= 9; first += 3) {
            const auto verdict = co_await rig.send(first);
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
            const bool here = co_await rig.arrived(first + 2);
            EXPECT_TRUE(here);
        }
        EXPECT_EQ(rig.server.connections, 1U);
        co_await rig.server.stop();
    });
}

TEST(SyslogSink, SpeaksTlsAndWantsTheRightCertificate)
{
    run([]() -> Task<> {
        const Pki pki;
        const auto executor = co_await asio::this_coro::executor;
        SyslogRig good{executor, pki.context("server")};
        good.options.target.tls = pki.trusting(true);
        for (std::uint64_t first = 1; first <= 6; first += 3) {
            const auto verdict = co_await good.send(first);
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        }
        const bool all = co_await good.arrived(6);
        EXPECT_TRUE(all);
        EXPECT_EQ(good.server.connections, 1U);
        EXPECT_EQ(good.server.peer, "CN=node-7,O=opsd");
        co_await good.server.stop();
        SyslogRig bad{executor, pki.context("elsewhere")};
        bad.options.target.tls = pki.trusting();
        const auto verdict = co_await bad.send();
        EXPECT_EQ(verdict.kind, Kind::keep);
        EXPECT_TRUE(verdict.reason.contains("certificate")) << verdict.reason;
        co_await bad.server.stop();
    });
}

TEST(SyslogSink, SaysWhomItCannotReach)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        SyslogRig rig{executor};
        co_await rig.server.stop();
        rig.options.target.port = 1;
        const auto verdict = co_await rig.send();
        EXPECT_EQ(verdict.kind, Kind::retry);
        EXPECT_TRUE(verdict.reason.contains("127.0.0.1:1")) << verdict.reason;
        EXPECT_TRUE(verdict.reason.contains("refused")) << verdict.reason;
    });
}
