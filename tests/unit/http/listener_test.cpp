// Places in reserve, and listeners that are lost.

#include "server_support.hpp"

#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace opsd;
using namespace opsd::test;

namespace {

http::Listener unix_listener(const std::string& path)
{
    return {.kind = http::Listener::Kind::unix_socket, .address = path};
}

/// The descriptor of this process that listens at a port: to break it under the server.
int listening_descriptor(std::uint16_t port)
{
    for (int fd = 3; fd < 1024; ++fd) {
        int listening = 0;
        socklen_t size = sizeof listening;
        sockaddr_in address{};
        socklen_t length = sizeof address;
        const bool listens = ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0
                             && listening != 0
                             && ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
        if (listens && address.sin_family == AF_INET && ntohs(address.sin_port) == port) return fd;
    }
    ADD_FAILURE() << "nobody listens at port " << port;
    return -1;
}

std::string up(std::uint16_t port, int value)
{
    return fmt::format("opsd_http_listener_up{{listener=\"127.0.0.1:{}\"}} {}\n", port, value);
}

Task<std::string> ask(std::string path)
{
    auto client = co_await dial(*net::unix_endpoint(path));
    if (!client) co_return "";
    [[maybe_unused]] auto written = co_await client->write_all(get_and_close("/echo"));
    co_return co_await read_to_end(*client);
}

}  // namespace

TEST(HttpListener, WhenAllPlacesAreTakenOperatorsOnTheSocketGetIn)
{
    const TempFolder folder;
    const auto path = folder / "opsd.sock";
    run([&path]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        http::Limits limits;
        limits.connections = 2;
        limits.reserved_connections = 1;
        LiveServer live{executor, basic_routes(), limits};
        auto& role = live.around.authenticator.peer_role;
        const auto port = live.start();
        auto also = live.server.listen(unix_listener(path));
        EXPECT_TRUE(also.has_value());
        auto one = co_await dial(port);
        auto two = co_await dial(*net::unix_endpoint(path));
        co_await live.connections_become(2);

        for (const auto stranger : {http::Role::local, http::Role::viewer}) {
            role = stranger;
            auto refused = co_await ask(path);
            EXPECT_EQ(status_of(refused), 503) << to_string(stranger);
        }
        role = http::Role::operator_;
        auto answer = co_await ask(path);
        EXPECT_EQ(status_of(answer), 200) << answer;
        co_await live.metrics_say("opsd_http_reserved_connections_total 1\n");
        auto remote = co_await fetch(port, get("/echo", "Authorization: Bearer admin\r\n"));
        EXPECT_EQ(status_of(remote), 503) << "a token does not tell who knocks before it is read";

        co_await live.connections_become(2);
        auto in_reserve = co_await dial(*net::unix_endpoint(path));
        co_await live.connections_become(3);
        answer = co_await ask(path);
        EXPECT_EQ(status_of(answer), 503) << "the reserve has an end, too";
        one.reset();
        two.reset();
        in_reserve.reset();
        co_await live.stop();
    });
}

TEST(HttpListener, NoMoreConnectionsAreTakenThanDescriptorsAllow)
{
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit now{700, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &now);
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        live.start();
        EXPECT_NE(live.around.metrics.render().find("\nopsd_http_connections_limit 156\n"), std::string::npos)
            << "700 - 512 for all else - 32 in reserve";
        EXPECT_TRUE(live.around.lines->contains("only 156 of the 10000 connections"));
        http::Limits few;
        few.connections = 100;
        live.server.set_limits(few);
        EXPECT_NE(live.around.metrics.render().find("\nopsd_http_connections_limit 100\n"),
                  std::string::npos);
        co_await live.stop();
    });
    ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST(HttpListener, ALostListenerIsSaidAndOpenedAgain)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        const auto port = live.start();
        const auto other = live.server.listen({.port = 0}).value();
        co_await live.metrics_say(up(port, 1));
        ::shutdown(listening_descriptor(port), SHUT_RDWR);
        co_await live.metrics_say(up(port, 0));
        const auto degraded = live.server.degraded();
        EXPECT_EQ(degraded.size(), 1U);
        EXPECT_EQ(degraded.at(0),
                  fmt::format("127.0.0.1:{} is no longer listened on: cannot accept connections: "
                              "Invalid argument",
                              port));
        auto answer = co_await fetch(other, get_and_close("/echo"));
        EXPECT_EQ(status_of(answer), 200) << "the other one goes on";
        co_await live.metrics_say(up(port, 1));
        EXPECT_TRUE(live.server.degraded().empty());
        answer = co_await fetch(port, get_and_close("/echo"));
        EXPECT_EQ(status_of(answer), 200);
        co_await live.stop();
    });
}

TEST(HttpListener, ItIsTriedAgainUntilTheAddressIsFree)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        const auto port = live.start();
        [[maybe_unused]] auto other = live.server.listen({.port = 0});
        co_await live.metrics_say(up(port, 1));
        ::shutdown(listening_descriptor(port), SHUT_RDWR);
        co_await live.metrics_say(up(port, 0));
        // Somebody is quicker.
        const int thief = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int yes = 1;
        ::setsockopt(thief, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        const auto endpoint = *net::ip_endpoint("127.0.0.1", port);
        EXPECT_EQ(::bind(thief, reinterpret_cast<const sockaddr*>(&endpoint.address), endpoint.length), 0);
        EXPECT_EQ(::listen(thief, 1), 0);
        co_await live.log_says("Address already in use; another process listens there");
        EXPECT_TRUE(live.server.degraded().at(0).ends_with("; trying again")) << live.server.degraded().at(0);
        ::close(thief);
        co_await live.metrics_say(up(port, 1));
        co_await live.stop();
    });
}

TEST(HttpListener, ARemovedSocketFileIsMadeAgain)
{
    const TempFolder folder;
    const auto path = folder / "opsd.sock";
    run(
        [&path]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            LiveServer live{executor, basic_routes()};
            live.start(unix_listener(path));
            std::filesystem::remove(path);
            for (int i = 0; i < 2000 && !std::filesystem::exists(path); ++i)
                co_await sleep(5ms);
            auto answer = co_await ask(path);
            EXPECT_EQ(status_of(answer), 200) << answer;
            EXPECT_TRUE(live.around.lines->contains("its socket file was removed"));
            co_await live.stop();
        },
        std::chrono::seconds{20});
}

TEST(HttpListener, WhenTheLastOneIsLostForGoodTheServerEnds)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    const auto endpoint = *net::ip_endpoint("127.0.0.1", 0);
    ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&endpoint.address), endpoint.length), 0);
    ASSERT_EQ(::listen(fd, 10), 0);
    run([fd]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Surroundings around;
        http::Server server{executor,       {},        around.authenticator, around.audit, around.clock,
                            around.metrics, around.log};
        EXPECT_TRUE(server.listen({.kind = http::Listener::Kind::passed, .fd = fd}).has_value());
        std::string failure;
        TaskGroup group{executor,
                        [&failure](std::string_view, std::exception_ptr e) { failure = describe(e).what; }};
        group.spawn("http", server.run());
        ::shutdown(fd, SHUT_RDWR);
        co_await group.join();
        EXPECT_TRUE(failure.starts_with("no listener is left: ")) << failure;
        EXPECT_TRUE(failure.ends_with("it was passed by systemd: restart opsd to get it back")) << failure;
        server.drain();
        co_await server.joined();
    });
}
