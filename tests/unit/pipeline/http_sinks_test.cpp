// Logstash's http input and systemd-journal-remote: what they are sent and what their answers mean.

#include "pipeline/sinks/export_format.hpp"
#include "pipeline/sinks/journal_upload_sink.hpp"
#include "pipeline/sinks/logstash_http_sink.hpp"
#include "wire.hpp"

using namespace opsd;
using namespace opsd::test;

namespace {

HttpTarget target_of(const WebServer& server, std::string path = {})
{
    HttpTarget target;
    target.urls = {server.url() + path};
    target.timeout = 60s;
    return target;
}

}  // namespace

TEST(LogstashHttpSink, SendsAnArrayOrLines)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const SystemClock clock;
        WebServer server{executor, [](const WebRequest&) { return says(200, "ok"); }};
        LogstashHttpOptions options;
        options.target = target_of(server, "/logs");
        options.target.headers = {{"Authorization", "Basic dTpw"}};
        LogstashHttpSink array{executor, options, clock};
        options.lines = true;
        LogstashHttpSink lines{executor, options, clock};
        const auto batch = batch_of(1, 3, as_document);
        auto verdict = co_await array.send(batch);
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        verdict = co_await lines.send(batch);
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        EXPECT_EQ(server.requests.at(0).path, "/logs");
        EXPECT_EQ(server.requests.at(0).body, R"([{"n":1},{"n":2},{"n":3}])");
        EXPECT_TRUE(server.requests.at(0).has("Content-Type: application/json"));
        EXPECT_TRUE(server.requests.at(0).has("Authorization: Basic dTpw"));
        EXPECT_EQ(server.requests.at(1).body, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
        EXPECT_TRUE(server.requests.at(1).has("Content-Type: application/x-ndjson"));
        co_await server.stop();
    });
}

TEST(LogstashHttpSink, AFullOneIsAskedLater)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const SystemClock clock;
        WebServer server{executor, [](const WebRequest&) { return says(429, "busy", "Retry-After: 3\r\n"); }};
        LogstashHttpOptions options;
        options.target = target_of(server);
        LogstashHttpSink sink{executor, options, clock};
        options.target.timeout = 100ms;
        LogstashHttpSink hasty{executor, options, clock};
        const auto batch = batch_of(1, 3, as_document);
        auto verdict = co_await sink.send(batch);
        EXPECT_EQ(verdict.kind, Kind::retry);
        EXPECT_EQ(verdict.after, 3s);
        EXPECT_EQ(verdict.reason, "it answered 429: busy");
        server.how = [](const WebRequest&) { return WebReply{"", Then::hang}; };
        verdict = co_await hasty.send(batch);
        EXPECT_EQ(verdict.kind, Kind::retry);
        EXPECT_TRUE(verdict.reason.contains("deadline")) << verdict.reason;
        server.how = [](const WebRequest&) { return says(413); };
        verdict = co_await sink.send(batch);
        EXPECT_EQ(verdict.kind, Kind::too_large);
        co_await server.stop();
    });
}

TEST(JournalUploadSink, PostsTheExportFormat)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const SystemClock clock;
        WebServer server{executor, [](const WebRequest&) { return says(202, "OK.\n"); }};
        JournalUploadOptions options;
        options.target = target_of(server, "/");
        JournalUploadSink sink{executor, options, clock};
        const auto render = [](std::string& out, std::uint64_t n) {
            out += "MESSAGE=" + std::to_string(n) + "\n\n";
        };
        const auto batch = batch_of(1, 2, render);
        auto verdict = co_await sink.send(batch);
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        EXPECT_EQ(server.requests.at(0).path, "/upload");
        EXPECT_EQ(server.requests.at(0).body, "MESSAGE=1\n\nMESSAGE=2\n\n");
        EXPECT_TRUE(server.requests.at(0).has("Content-Type: application/vnd.fdo.journal"));
        server.how = [](const WebRequest&) { return says(422, "Processing failed: Bad message"); };
        verdict = co_await sink.send(batch);
        EXPECT_EQ(verdict.kind, Kind::refused);
        EXPECT_EQ(verdict.reason, "it answered 422: Processing failed: Bad message");
        server.how = [](const WebRequest&) { return says(413, "Entry is too large"); };
        verdict = co_await sink.send(batch);
        EXPECT_EQ(verdict.kind, Kind::too_large);
        server.how = [](const WebRequest&) { return says(404); };
        verdict = co_await sink.send(batch);
        EXPECT_EQ(verdict.kind, Kind::keep);
        EXPECT_EQ(server.connections, 1U);
        co_await server.stop();
    });
}

TEST(JournalUploadSink, WhatIsRefusedWithoutAWordIsToldFromARestart)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const SystemClock clock;
        int closings = 0;
        // What it does to bad entries; `closings` more times to all others, too.
        const auto how = [&closings](const WebRequest& request) {
            const bool bad = request.body.contains("poison");
            if (bad || closings-- > 0) return WebReply{"", Then::close};
            return says(202, "OK.\n");
        };
        WebServer server{executor, how};
        JournalUploadOptions options;
        options.target = target_of(server);
        JournalUploadSink sink{executor, options, clock};
        const auto good = batch_of(1, 1, as_document);
        const auto bad = batch_of(2, 1, [](std::string& out, std::uint64_t) { out += "poison"; });
        auto verdict = co_await sink.send(bad);
        EXPECT_EQ(verdict.kind, Kind::refused);
        EXPECT_TRUE(verdict.reason.contains("without an answer")) << verdict.reason;
        for (const int before : {1, 2}) {
            closings = before;
            verdict = co_await sink.send(good);
            EXPECT_EQ(verdict.kind, before == 1 ? Kind::accepted : Kind::retry) << verdict.reason;
        }
        co_await server.stop();
    });
}

TEST(HttpPoster, KeepsFewAndSmallCookies)
{
    Cookies cookies;
    EXPECT_EQ(cookies.text(), "");
    cookies.set("A=1; Path=/");
    cookies.set("B=");
    cookies.set("A=2");
    cookies.set("nothing");
    cookies.set("=x");
    cookies.set("big=" + std::string(5'000, 'x'));
    EXPECT_EQ(cookies.text(), "A=2; B=");
    for (int i = 0; i < 100; ++i)
        cookies.set("c" + std::to_string(i) + "=x");
    EXPECT_EQ(cookies.text(), "A=2; B=; c0=x; c1=x; c2=x; c3=x; c4=x; c5=x");
}

TEST(HttpPoster, SettingsThatCannotWorkAreKept)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const SystemClock clock;
        WebServer server{executor, [](const WebRequest&) { return says(200); }};
        for (const auto& url : {"ftp://x"s, "http://user:password@x/"s, "https" + server.url().substr(4)}) {
            LogstashHttpOptions options;
            options.target.urls = {url};
            options.target.tls.ca_file = "/nonexistent/ca.pem";
            options.target.headers = {{"Authorization", "Basic c2VjcmV0"}};
            LogstashHttpSink sink{executor, options, clock};
            const auto batch = batch_of(1, 1, as_document);
            const auto verdict = co_await sink.send(batch);
            EXPECT_EQ(verdict.kind, Kind::keep) << verdict.reason;
            EXPECT_TRUE(verdict.reason.contains("cannot ")) << verdict.reason;
            EXPECT_FALSE(verdict.reason.contains("c2VjcmV0")) << verdict.reason;
        }
        co_await server.stop();
    });
}
