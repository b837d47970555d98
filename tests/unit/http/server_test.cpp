#include "server_support.hpp"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

using namespace opsd;
using namespace opsd::test;

namespace {

/// Says that it runs, and finishes when told.
struct Gate {
    bool entered = false;
    bool open = false;
    bool cancelled = false;
};
Task<http::Response> pass(Gate& gate)
{
    gate.entered = true;
    try {
        for (int i = 0; i < 2000 && !gate.open; ++i) {
            const auto executor = co_await asio::this_coro::executor;
            asio::steady_timer timer{executor, 5ms};
            co_await timer.async_wait(asio::use_awaitable);
        }
    } catch (const boost::system::system_error&) {
        gate.cancelled = true;
        throw;
    }
    co_return http::Response::text("passed\n");
}
http::Route gated(Gate& gate)
{
    return test_route([&gate](const http::Request&) { return pass(gate); });
}

std::size_t anonymous_kilobytes()
{
    std::ifstream status{"/proc/self/status"};
    std::string word;
    while (status >> word) {
        if (word != "RssAnon:") continue;
        std::size_t kilobytes = 0;
        status >> kilobytes;
        return kilobytes;
    }
    return 0;
}

/// Room for the descriptors of both ends.
struct Descriptors {
    explicit Descriptors(rlim_t wanted)
    {
        ::getrlimit(RLIMIT_NOFILE, &before);
        rlimit now{std::min(wanted, before.rlim_max), before.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &now);
    }
    ~Descriptors() { ::setrlimit(RLIMIT_NOFILE, &before); }
    rlimit before{};
};

}  // namespace

TEST(HttpServer, AnswersOnBothFamiliesAndKnowsLoopback)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        const auto port = live.start();
        auto answer = co_await fetch(port, get_and_close("/local"));
        EXPECT_EQ(status_of(answer), 200) << answer;
        EXPECT_EQ(live.around.authenticator.seen.address, "127.0.0.1");
        EXPECT_TRUE(live.around.authenticator.seen.loopback);
        auto six =
            live.server.listen({.address = "::1", .port = 0});  // while it runs; not every machine has IPv6
        if (six) {
            auto client = co_await dial(*net::ip_endpoint("::1", *six));
            [[maybe_unused]] auto written = co_await client->write_all(get_and_close("/local"));
            answer = co_await read_to_end(*client);
            EXPECT_EQ(status_of(answer), 200) << answer;
            EXPECT_EQ(live.around.authenticator.seen.address, "::1");
        }
        co_await live.stop();
    });
}

TEST(HttpServer, SaysWhyItCannotListen)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        const auto port = live.start();
        auto again = live.server.listen({.port = port});
        EXPECT_FALSE(again.has_value());
        EXPECT_EQ(again.error().message,
                  "cannot listen on 127.0.0.1:" + std::to_string(port)
                      + ": Address already in use; another process listens there: stop it (\"ss -ltnp\" "
                        "shows it) or configure another address");
        EXPECT_FALSE(live.server.listen({.address = "localhost"}).has_value());
        EXPECT_FALSE(live.server.listen({.address = "192.0.2.1"}).has_value());
        const http::Listener nowhere{.kind = http::Listener::Kind::unix_socket,
                                     .address = "/nonexistent/opsd.sock"};
        EXPECT_NE(live.server.listen(nowhere).error().message.find("create the directory first"),
                  std::string::npos);
        const http::Listener endless{.kind = http::Listener::Kind::unix_socket,
                                     .address = "/" + std::string(200, 'a')};
        EXPECT_EQ(live.server.listen(endless).error().code, Errc::invalid_argument);
        const http::Listener passed{.kind = http::Listener::Kind::passed, .fd = 0};
        EXPECT_NE(live.server.listen(passed).error().message.find("ListenStream="), std::string::npos);
        co_await live.stop();
    });
}

TEST(HttpServer, KnowsWhoCallsOnTheUnixSocket)
{
    const TempFolder folder;
    const auto path = folder / "opsd.sock";
    run([&path]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        live.start({.kind = http::Listener::Kind::unix_socket, .address = path, .mode = 0660});
        struct stat file{};
        EXPECT_EQ(::stat(path.c_str(), &file), 0);
        EXPECT_EQ(file.st_mode & 0777U, 0660U);
        auto client = co_await dial(*net::unix_endpoint(path));
        [[maybe_unused]] auto written = co_await client->write_all(get_and_close("/local"));
        auto answer = co_await read_to_end(*client);
        EXPECT_EQ(status_of(answer), 200) << answer;
        const auto& seen = live.around.authenticator.seen;
        EXPECT_EQ(seen.address, "unix");
        EXPECT_TRUE(seen.peer.has_value());
        EXPECT_EQ(seen.peer->uid, ::getuid());
        EXPECT_EQ(seen.peer->pid, ::getpid());

        LiveServer second{executor, basic_routes()};
        auto refused = second.server.listen({.kind = http::Listener::Kind::unix_socket, .address = path});
        EXPECT_NE(refused.error().message.find("another process listens there"), std::string::npos)
            << refused.error().message;
        client.reset();
        co_await live.stop();
        EXPECT_NE(::stat(path.c_str(), &file), 0) << "the socket file is removed";
    });
}

TEST(HttpServer, TakesOverADeadSocketFileButNoOtherFile)
{
    const TempFolder folder;
    const auto path = folder / "opsd.sock";
    const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
    const auto endpoint = *net::unix_endpoint(path);
    ASSERT_EQ(::bind(dead, reinterpret_cast<const sockaddr*>(&endpoint.address), endpoint.length), 0);
    ::close(dead);
    std::ofstream{folder / "file"} << "precious";
    run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        live.start({.kind = http::Listener::Kind::unix_socket, .address = path});
        auto refused =
            live.server.listen({.kind = http::Listener::Kind::unix_socket, .address = folder / "file"});
        EXPECT_EQ(refused.error().code, Errc::invalid_argument);
        EXPECT_TRUE(std::filesystem::exists(folder / "file"));
        co_await live.stop();
    });
}

TEST(HttpServer, AcceptsAPassedSocket)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    const auto endpoint = *net::ip_endpoint("127.0.0.1", 0);
    ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&endpoint.address), endpoint.length), 0);
    ASSERT_EQ(::listen(fd, 10), 0);
    run([fd]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        const auto port = live.start({.kind = http::Listener::Kind::passed, .fd = fd});
        auto answer = co_await fetch(port, get_and_close("/echo"));
        EXPECT_EQ(status_of(answer), 200) << answer;
        co_await live.stop();
    });
}

TEST(HttpServer, InvitesTheBodyOfAClientThatWaits)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto asked =
            co_await client->write_all("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: "
                                       "100-continue\r\nConnection: close\r\n\r\n");
        auto invitation = co_await read_until(*client, "\r\n\r\n");
        EXPECT_EQ(invitation, "HTTP/1.1 100 Continue\r\n\r\n");
        [[maybe_unused]] auto given = co_await client->write_all("hello");
        auto answer = co_await read_to_end(*client);
        EXPECT_TRUE(answer.ends_with("[hello]\n")) << answer;
        client.reset();
        co_await live.stop();
    });
}

TEST(HttpServer, DrainLetsTheRequestInFlightFinish)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Gate gate;
        LiveServer live{executor, {gated(gate)}};
        const auto port = live.start();
        auto busy = co_await dial(port);
        auto idle = co_await dial(port);
        [[maybe_unused]] auto written = co_await busy->write_all(get("/test"));
        co_await becomes_true(gate.entered);
        co_await live.connections_become(2);
        live.server.drain();
        auto nothing = co_await read_to_end(*idle);
        EXPECT_EQ(nothing, "") << "an idle connection ends at once and without a word";
        co_await live.connections_become(1);
        gate.open = true;
        auto answer = co_await read_to_end(*busy);
        EXPECT_TRUE(answer.ends_with("passed\n")) << answer;
        EXPECT_TRUE(has_header(answer, "Connection: close"));
        co_await live.server.joined();
        co_await live.stop();
    });
}

TEST(HttpServer, AbortCutsAHandlerThatHangs)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Gate gate;
        LiveServer live{executor, {gated(gate)}};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto written = co_await client->write_all(get("/test"));
        co_await becomes_true(gate.entered);
        live.server.drain();
        live.server.abort();
        co_await live.server.joined();
        EXPECT_TRUE(gate.cancelled);
        auto answer = co_await read_to_end(*client);
        EXPECT_EQ(answer, "");
        co_await live.stop();
    });
}

TEST(HttpServer, ATimeoutAnswersEvenWhenTheHandlerIgnoresIt)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        bool finished = false;
        auto stubborn = [](bool& done) -> Task<http::Response> {
            co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
            co_await sleep(300ms);
            done = true;
            co_return http::Response::text("too late\n");
        };
        http::Limits limits;
        limits.handler_timeout = 20ms;
        LiveServer live{
            executor, {test_route([&](const http::Request&) { return stubborn(finished); })}, limits};
        auto answer = co_await fetch(live.start(), get("/test"));
        EXPECT_EQ(status_of(answer), 504) << answer;
        EXPECT_FALSE(finished) << "the answer did not wait for it";
        co_await live.stop();
        EXPECT_TRUE(finished) << "but the stop did: it still uses the request";
    });
}

TEST(HttpServer, RefusesConnectionsBeyondTheLimit)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        http::Limits limits;
        limits.connections = 2;
        LiveServer live{executor, basic_routes(), limits};
        const auto port = live.start();
        auto one = co_await dial(port);
        auto two = co_await dial(port);
        co_await live.connections_become(2);
        auto refused = co_await fetch(port, "");
        EXPECT_EQ(status_of(refused), 503) << refused;
        EXPECT_TRUE(has_header(refused, "Retry-After: 1"));
        EXPECT_NE(
            live.around.metrics.render().find("opsd_http_connections_refused_total{reason=\"total\"} 1"),
            std::string::npos);
        one.reset();
        co_await live.connections_become(1);
        auto answer = co_await fetch(port, get_and_close("/echo"));
        EXPECT_EQ(status_of(answer), 200);
        two.reset();
        co_await live.stop();
    });
}

TEST(HttpServer, SurvivesRunningOutOfDescriptors)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        const auto port = live.start();
        auto first = co_await fetch(port, get_and_close("/echo"));  // everything lazily opened is open now
        const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        {
            const Descriptors none{static_cast<rlim_t>(probe) + 1};
            const auto endpoint = *net::ip_endpoint("127.0.0.1", port);
            ::connect(probe, reinterpret_cast<const sockaddr*>(&endpoint.address), endpoint.length);
            co_await live.log_says("Too many open files");
        }
        EXPECT_TRUE(!live.server.degraded().empty()
                    && live.server.degraded().at(0).starts_with("cannot accept a connection: Too many open"));
        live.around.clock.advance(31s, [] {});
        EXPECT_TRUE(live.server.degraded().empty()) << "it is said for a while";
        ::close(probe);
        auto answer = co_await fetch(port, get_and_close("/echo"));
        EXPECT_EQ(status_of(answer), 200);
        EXPECT_NE(live.around.metrics.render().find("refused_total{reason=\"descriptors\"} 1\n"),
                  std::string::npos);
        co_await live.stop();
    });
}

TEST(HttpServer, DropsAClientThatDoesNotReadItsAnswer)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        auto large = [](const http::Request&) -> Task<http::Response> {
            co_return http::Response::text(std::string(64U << 20U, 'a'));
        };
        http::Limits limits;
        limits.write_timeout = 100ms;
        LiveServer live{executor, {test_route(large)}, limits};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto written = co_await client->write_all(get("/test"));
        co_await live.metrics_say("opsd_http_requests_total");
        co_await live.connections_become(0);
        client.reset();
        co_await live.stop();
    });
}

TEST(HttpServer, HoldsTwoThousandIdleConnectionsInLittleMemory)
{
    const Descriptors room{5000};
    run(
        []() -> Task<> {
            constexpr std::size_t count = 2000;
            const auto executor = co_await asio::this_coro::executor;
            LiveServer live{executor, basic_routes()};
            const auto port = live.start();
            const auto before = anonymous_kilobytes();
            std::vector<std::unique_ptr<net::Transport>> clients;
            for (std::size_t i = 0; i < count; ++i) {
                auto client = co_await dial(port);
                if (!client) break;
                [[maybe_unused]] auto asked = co_await client->write_all(get("/echo"));
                [[maybe_unused]] auto answer = co_await read_until(*client, "GET /echo\n");
                clients.push_back(std::move(client));
            }
            EXPECT_EQ(live.server.connections(), count);
            const auto each = (anonymous_kilobytes() - before) * 1024 / count;
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
            EXPECT_LT(each, 8192U) << "bytes per connection, both ends";
#endif
            RecordProperty("bytes_per_connection_both_ends", static_cast<int>(each));
            auto answer = co_await fetch(port, get_and_close("/echo"));
            EXPECT_EQ(status_of(answer), 200);
            live.server.drain();
            co_await live.server.joined();
            clients.clear();
            co_await live.stop();
        },
        std::chrono::seconds{60});
}

TEST(HttpServer, FinishesARequestWithTheTableItBeganWith)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Gate gate;
        LiveServer live{executor, {gated(gate)}};
        const auto port = live.start();
        auto client = co_await dial(port);
        [[maybe_unused]] auto written = co_await client->write_all(get_and_close("/test"));
        co_await becomes_true(gate.entered);
        live.server.set_routes(build(basic_routes()));
        auto other = co_await fetch(port, get_and_close("/test"));
        EXPECT_EQ(status_of(other), 404);
        gate.open = true;
        auto answer = co_await read_to_end(*client);
        EXPECT_TRUE(answer.ends_with("passed\n")) << answer;
        client.reset();
        co_await live.stop();
    });
}
