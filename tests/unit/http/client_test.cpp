#include "io/net/client.hpp"
#include "io/net/connection.hpp"
#include "io/net/memory.hpp"
#include "io/net/url.hpp"
#include "server_support.hpp"

#include <sys/socket.h>
#include <unistd.h>

using namespace opsd;
using namespace opsd::test;

namespace {

/// Accepts connections and gives each the next answer, whatever it asks; then closes, or stays silent.
class Scripted {
public:
    Scripted(Executor executor, std::vector<std::string> answers, bool silent = false)
      : group_{executor, [](std::string_view, std::exception_ptr e) { ADD_FAILURE() << describe(e).what; }}
      , answers_{std::move(answers)}
      , silent_{silent}
    {
        fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        auto endpoint = *net::ip_endpoint("127.0.0.1", 0);
        ::bind(fd_, reinterpret_cast<const sockaddr*>(&endpoint.address), endpoint.length);
        ::listen(fd_, 10);
        endpoint.length = sizeof endpoint.address;
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&endpoint.address), &endpoint.length);
        address_ = net::describe_endpoint(endpoint.address, endpoint.length).text;
        group_.spawn("scripted", serve());
    }
    ~Scripted() { ::close(fd_); }
    [[nodiscard]] std::string url(std::string_view path) const
    {
        return "http://" + address_ + std::string{path};
    }
    [[nodiscard]] const std::vector<std::string>& asked() const { return asked_; }
    Task<> stop()
    {
        group_.cancel();
        co_await group_.join();
    }

private:
    Task<> serve()
    {
        const auto executor = co_await asio::this_coro::executor;
        for (const auto& answer : answers_) {
            int fd = -1;
            while ((fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0) {
                asio::steady_timer pause{executor, 1ms};
                co_await pause.async_wait(asio::use_awaitable);
            }
            kept_.push_back(net::make_socket_transport(executor, fd));
            auto request = co_await read_until(*kept_.back(), "\r\n\r\n");
            asked_.push_back(std::move(request));
            [[maybe_unused]] auto written = co_await kept_.back()->write_all(answer);
            if (!silent_) kept_.pop_back();
        }
    }

    TaskGroup group_;
    std::vector<std::string> answers_;
    std::vector<std::string> asked_;
    std::vector<std::unique_ptr<net::Transport>> kept_;
    std::string address_;
    bool silent_;
    int fd_ = -1;
};

net::ClientRequest to(std::string url, milliseconds timeout = 5s)
{
    net::ClientRequest request;
    request.url = std::move(url);
    request.timeout = timeout;
    return request;
}

std::string at(std::uint16_t port, std::string_view path)
{
    return "http://127.0.0.1:" + std::to_string(port) + std::string{path};
}

}  // namespace

TEST(Url, UnderstandsThreeKinds)
{
    const auto plain = net::parse_url("http://Node.example:8080/a%20b?x=1#y").value();
    EXPECT_EQ(plain.host, "node.example");
    EXPECT_EQ(plain.port, 8080);
    EXPECT_EQ(plain.target, "/a%20b?x=1");
    EXPECT_EQ(plain.authority(), "node.example:8080");
    const auto six = net::parse_url("https://[::1]").value();
    EXPECT_EQ(six.host, "::1");
    EXPECT_EQ(six.port, 443);
    EXPECT_EQ(six.target, "/");
    EXPECT_EQ(six.authority(), "[::1]");
    const auto local = net::parse_url("unix:/run/opsd/opsd.sock:/api/v1/units?x=:/").value();
    EXPECT_EQ(local.host, "/run/opsd/opsd.sock");
    EXPECT_EQ(local.target, "/api/v1/units?x=:/");
    EXPECT_EQ(local.authority(), "localhost");
    EXPECT_EQ(net::parse_url("unix:/run/x.sock").value().target, "/");
}

TEST(Url, RefusesTheRestWithAReason)
{
    for (const auto* bad :
         {"", "node.example", "ftp://x/", "http://", "http://a:b@c/", "http://x:99999/", "http://x:0/",
          "http://x/ y", "http://x/\r\nA: b", "unix:relative:/x", "unix:/a:/b c", "http://a%20b/"}) {
        const auto url = net::parse_url(bad);
        ASSERT_FALSE(url.has_value()) << bad;
        EXPECT_TRUE(url.error().message.starts_with("cannot use ")) << url.error().message;
    }
}

TEST(Url, ResolvesLocations)
{
    const auto base = net::parse_url("http://a/b/c?d").value();
    EXPECT_EQ(net::resolve_location(base, "e").value().target, "/b/e");
    EXPECT_EQ(net::resolve_location(base, "/f?g").value().target, "/f?g");
    EXPECT_EQ(net::resolve_location(base, "../e?f=%20#g").value().target, "/e?f=%20") << "asserted in Boost";
    EXPECT_EQ(net::resolve_location(base, "//h/i").value().origin(), "http://h");
    EXPECT_EQ(net::resolve_location(base, "//h/i/../j").value().target, "/j");
    EXPECT_EQ(net::resolve_location(base, "../../%2e%2e/./x").value().origin(), "http://a");
    EXPECT_EQ(net::resolve_location(base, "https://h:1/").value().origin(), "https://h:1");
    EXPECT_FALSE(net::resolve_location(base, "unix:/run/x.sock:/").has_value())
        << "from the network into a local socket";
    const auto local = net::parse_url("unix:/run/x.sock:/a").value();
    EXPECT_EQ(net::resolve_location(local, "/b").value().target, "/b");
    EXPECT_FALSE(net::resolve_location(local, "http://h/").has_value());
    EXPECT_FALSE(net::resolve_location(local, "//h/").has_value());
}

TEST(HttpClient, SendsAndReceivesAndKeepsTheConnection)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        const auto port = live.start();
        net::HttpClient client{executor};
        auto request = to(at(port, "/echo/a%20b?x=%26"));
        auto answer = co_await client.send(request);
        EXPECT_EQ(answer->status, 200U);
        EXPECT_EQ(answer->body, "GET /echo/a b {name=a b} ?x=&\n");
        EXPECT_EQ(answer->header("server"), "opsd");
        EXPECT_EQ(answer->header("nothing"), "");
        request = to(at(port, "/echo"));
        request.method = "POST";
        request.body = "hello";
        answer = co_await client.send(request);
        EXPECT_EQ(answer->body, "POST /echo [hello]\n");
        request.method = "HEAD";
        request.body.clear();
        answer = co_await client.send(request);
        EXPECT_EQ(answer->status, 200U);
        EXPECT_EQ(answer->body, "");
        answer = co_await client.send(to(at(port, "/nowhere")));
        EXPECT_EQ(answer->status, 404U) << "any status is a success";
        EXPECT_EQ(live.server.connections(), 1U) << "one connection served all";
        co_await live.stop();
    });
}

TEST(HttpClient, LooksNamesUp)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        const auto port = live.start();
        net::HttpClient client{executor};
        auto answer = co_await client.send(to("http://localhost:" + std::to_string(port) + "/echo"));
        EXPECT_TRUE(answer.has_value()) << answer.error().message;
        const auto name = std::string(70, 'a') + ".invalid";  // no label is that long: nobody is asked
        auto unknown = co_await client.send(to("http://" + name + "/"));
        EXPECT_EQ(unknown.error().code, Errc::unavailable);
        EXPECT_NE(unknown.error().message.find("cannot look up " + name), std::string::npos)
            << unknown.error().message;
        co_await live.stop();
    });
}

TEST(HttpClient, SpeaksToAUnixSocket)
{
    const TempFolder folder;
    const auto path = folder / "opsd.sock";
    run([&path]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        live.start({.kind = http::Listener::Kind::unix_socket, .address = path});
        net::HttpClient client{executor};
        auto answer = co_await client.send(to("unix:" + path + ":/local"));
        EXPECT_TRUE(answer.has_value()) << answer.error().message;
        EXPECT_EQ(answer->body, "GET /local\n");
        auto nobody = co_await client.send(to("unix:" + path + ".none:/local"));
        EXPECT_EQ(nobody.error().code, Errc::unavailable);
        EXPECT_NE(nobody.error().message.find("cannot connect to " + path + ".none: No such file"),
                  std::string::npos)
            << nobody.error().message;
        co_await live.stop();
    });
}

TEST(HttpClient, TriesAgainWhenAKeptConnectionDied)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Scripted server{executor,
                        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none",
                         "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo"}};
        net::HttpClient client{executor};
        auto answer = co_await client.send(to(server.url("/")));
        EXPECT_EQ(answer->body, "one");
        answer = co_await client.send(to(server.url("/")));
        EXPECT_TRUE(answer.has_value()) << answer.error().message;
        EXPECT_EQ(answer->body, "two");
        co_await server.stop();
    });
}

TEST(HttpClient, ReadsEveryKindOfBody)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const std::pair<std::string, std::string> rows[] = {
            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nT: "
             "u\r\n\r\n",
             "abcd"},
            {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end"},
            {"HTTP/1.0 200 OK\r\n\r\nold", "old"},
            {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
             "1\r\n\r\nx",
             "x"},
            {"HTTP/1.1 204 No Content\r\n\r\n", ""},
            {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ""},
        };
        for (const auto& [script, body] : rows) {
            Scripted server{executor, std::vector<std::string>(1, script)};
            net::HttpClient client{executor};
            auto answer = co_await client.send(to(server.url("/")));
            EXPECT_TRUE(answer.has_value()) << script << answer.error().message;
            if (answer) EXPECT_EQ(answer->body, body);
            co_await server.stop();
        }
    });
}

TEST(HttpClient, NamesWhatWentWrong)
{
    struct Row {
        std::string_view what;
        std::string script;
        Errc code;
    };
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const Row rows[] = {
            {"nothing", "", Errc::unavailable},
            {"half a head", "HTTP/1.1 200 OK\r\nA: ", Errc::unavailable},
            {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", Errc::unavailable},
            {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
             Errc::unavailable},
            {"garbage", "SSH-2.0-OpenSSH\r\n\r\n", Errc::protocol},
            {"only an interim answer", "HTTP/1.1 100 Continue\r\n\r\n", Errc::unavailable},
            {"no status", "HTTP/1.1 051 OK\r\n\r\n", Errc::protocol},
            {"bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", Errc::protocol},
            {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
             Errc::protocol},
            {"too large", "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", Errc::protocol},
            {"too large in chunks",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + std::string(2000, 'a'),
             Errc::protocol},
            {"too large to the end", "HTTP/1.1 200 OK\r\n\r\n" + std::string(2000, 'a'), Errc::protocol},
            {"endless head", "HTTP/1.1 200 OK\r\nA: " + std::string(100'000, 'a'), Errc::protocol},
        };
        for (const auto& row : rows) {
            Scripted server{executor, std::vector<std::string>(1, row.script)};
            net::HttpClient client{executor};
            auto request = to(server.url("/path?secret=1"));
            request.max_body = 1000;
            request.method = "POST";  // not repeated
            auto answer = co_await client.send(request);
            EXPECT_FALSE(answer.has_value()) << row.what;
            if (answer) continue;
            EXPECT_EQ(answer.error().code, row.code) << row.what << ": " << answer.error().message;
            EXPECT_TRUE(answer.error().message.starts_with("POST http://127.0.0.1:"))
                << answer.error().message;
            EXPECT_EQ(answer.error().message.find("secret"), std::string::npos) << answer.error().message;
            co_await server.stop();
        }
        net::HttpClient client{executor};
        auto refused = co_await client.send(to("http://127.0.0.1:1/"));
        EXPECT_EQ(refused.error().code, Errc::unavailable);
        EXPECT_NE(refused.error().message.find("cannot connect to 127.0.0.1:1: Connection refused"),
                  std::string::npos);
        auto request = to("http://127.0.0.1:1/");
        request.headers.emplace_back("A", "b\r\nC: d");
        auto injected = co_await client.send(request);
        EXPECT_EQ(injected.error().code, Errc::invalid_argument);
    });
}

TEST(HttpClient, EndsAtItsDeadline)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        for (const auto* script : {"", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"}) {
            Scripted server{executor, std::vector<std::string>(1, script), true};
            net::HttpClient client{executor};
            const auto begin = std::chrono::steady_clock::now();
            auto answer = co_await client.send(to(server.url("/"), 60ms));
            EXPECT_EQ(answer.error().code, Errc::timeout) << answer.error().message;
            EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
            co_await server.stop();
        }
    });
}

TEST(HttpClient, FollowsRedirectsOnlyAsFarAsAllowed)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const std::string circle = "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n";
        Scripted server{executor, {circle, circle, circle, circle}};
        net::HttpClient client{executor};
        auto request = to(server.url("/"));
        auto answer = co_await client.send(request);
        EXPECT_EQ(answer->status, 302U) << "none unless asked for";
        request.max_redirects = 2;
        answer = co_await client.send(request);
        EXPECT_EQ(answer->status, 302U);
        EXPECT_EQ(server.asked().size(), 4U);
        EXPECT_TRUE(server.asked().back().starts_with("GET /again HTTP/1.1\r\n"));
        co_await server.stop();
    });
}

TEST(HttpClient, KeepsCredentialsAtHome)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Scripted stranger{executor, {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}};
        Scripted home{executor,
                      {"HTTP/1.1 307 Temporary Redirect\r\nLocation: /here\r\nContent-Length: 0\r\n\r\n",
                       "HTTP/1.1 303 See Other\r\nLocation: " + stranger.url("/there")
                           + "\r\nContent-Length: 0\r\n\r\n"}};
        net::HttpClient client{executor};
        auto request = to(home.url("/"));
        request.method = "POST";
        request.body = "payload";
        request.max_redirects = 5;
        request.headers = {{"authorization", "Bearer secret"},
                           {"COOKIE", "secret"},
                           {"Host", "home.example"},
                           {"X-Kept", "yes"}};
        auto answer = co_await client.send(request);
        EXPECT_TRUE(answer.has_value()) << answer.error().message;
        EXPECT_EQ(answer->body, "ok");
        EXPECT_NE(home.asked().at(1).find("Bearer secret"), std::string::npos)
            << "the same host sees them again";
        EXPECT_TRUE(home.asked().at(1).starts_with("POST /here "));
        const auto& abroad = stranger.asked().at(0);
        EXPECT_TRUE(abroad.starts_with("GET /there ")) << abroad;
        EXPECT_EQ(abroad.find("secret"), std::string::npos) << abroad;
        EXPECT_EQ(abroad.find("home.example"), std::string::npos) << abroad;
        EXPECT_EQ(abroad.find("payload"), std::string::npos) << abroad;
        EXPECT_NE(abroad.find("X-Kept: yes"), std::string::npos);
        co_await home.stop();
        co_await stranger.stop();
    });
}

TEST(HttpClient, StreamsUntilSomebodyHasEnough)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        auto ticks = [](http::StreamWriter& out) -> Task<> {
            for (int i = 0; i < 1000; ++i) {
                auto written = co_await out.write(http::sse(std::to_string(i), "tick", "now"));
                if (!written) co_return;
                co_await sleep(1ms);
            }
        };
        LiveServer live{executor, {test_route([ticks](const http::Request&) -> Task<http::Response> {
                            co_return http::Response::stream("text/event-stream", ticks);
                        })}};
        const auto port = live.start();
        net::HttpClient client{executor};
        std::string seen;
        auto enough = [&seen](std::string_view chunk) {
            seen += chunk;
            return seen.find("id: 5\n") == std::string::npos;
        };
        auto answer = co_await client.stream(to(at(port, "/test")), 1s, enough);
        EXPECT_TRUE(answer.has_value()) << answer.error().message;
        EXPECT_EQ(answer->header("content-type"), "text/event-stream");
        EXPECT_TRUE(seen.starts_with("id: 0\nevent: tick\ndata: now\n\n"));
        co_await live.connections_become(0);
        seen.clear();
        auto missing = co_await client.stream(to(at(port, "/nowhere")), 1s, enough);
        EXPECT_EQ(missing->status, 404U);
        EXPECT_NE(missing->body.find("cannot find"), std::string::npos) << "an error is no stream";
        EXPECT_EQ(seen, "");
        co_await live.stop();
    });
}

TEST(HttpClient, AStreamMayBeLongButNotSilent)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Scripted server{executor, {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"}, true};
        net::HttpClient client{executor};
        std::string seen;
        auto keep = [&seen](std::string_view chunk) { return seen += chunk, true; };
        auto answer = co_await client.stream(to(server.url("/")), 50ms, keep);
        EXPECT_EQ(answer.error().code, Errc::timeout);
        EXPECT_EQ(seen, "a");
        co_await server.stop();
    });
}

TEST(HttpClient, OutlivesItselfForARequestInFlight)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        const auto port = live.start();
        auto client = std::make_unique<net::HttpClient>(executor);
        auto pending = client->send(to(at(port, "/echo")));
        client.reset();
        auto answer = co_await std::move(pending);
        EXPECT_EQ(answer->status, 200U);
        co_await live.stop();
    });
}

TEST(HttpClient, GivesUpOnASilentServerBeforeTheDeadlineOfTheWhole)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Scripted silent{executor, {""}, true};
        net::HttpClient client{executor};
        auto request = to(silent.url("/"), 8s);
        request.first_byte_timeout = 50ms;
        const auto begin = std::chrono::steady_clock::now();
        auto answer = co_await client.send(request);
        EXPECT_EQ(answer.error().code, Errc::timeout);
        EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s);
        co_await silent.stop();
    });
}

TEST(HttpClient, OnceAnAnswerHasBegunOnlyTheDeadlineOfTheWholeCounts)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, {test_route([](const http::Request&) -> Task<http::Response> {
                            co_return http::Response::stream("text/plain",
                                                             [](http::StreamWriter& out) -> Task<> {
                                                                 for (int i = 0; i < 8; ++i) {
                                                                     auto written = co_await out.write("x");
                                                                     if (!written) co_return;
                                                                     co_await sleep(30ms);
                                                                 }
                                                             });
                        })}};
        net::HttpClient client{executor};
        auto request = to(at(live.start(), "/test"));
        request.first_byte_timeout = 150ms;
        auto answer = co_await client.send(request);
        EXPECT_EQ(answer.value().body, "xxxxxxxx");
        request.timeout = 100ms;
        answer = co_await client.send(request);
        EXPECT_EQ(answer.error().code, Errc::timeout) << "a byte now and then does not move it";
        co_await live.stop();
    });
}

TEST(IdlePool, KeepsSoManyOfAHostAndInAllAndGivesTheNewestOfAHost)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        auto pool = std::make_shared<net::IdlePool>(
            executor, net::ConnectionOptions{.idle_per_host = 2, .idle_total = 3});
        std::vector<std::unique_ptr<net::Transport>> far;
        const auto put = [&](const std::string& key) {
            auto [near, other] = net::make_memory_pair(executor);
            const auto* raw = near.get();
            far.push_back(std::move(other));
            pool->put(key, std::move(near));
            return raw;
        };
        const auto* first = put("a");
        const auto* second = put("a");
        put("a");
        EXPECT_EQ(pool->size(), 2U);
        put("b");
        EXPECT_EQ(pool->take("a").get(), second);
        EXPECT_EQ(pool->take("a").get(), first);
        EXPECT_EQ(pool->take("a"), nullptr);
        put("c");
        put("d");
        put("e");
        EXPECT_EQ(pool->size(), 3U);
        EXPECT_EQ(pool->take("b"), nullptr) << "the oldest went";
        far.clear();  // the other ends close
        EXPECT_EQ(pool->take("c"), nullptr) << "a dead one is not given";
        EXPECT_EQ(pool->size(), 2U);
        pool->close();
        EXPECT_EQ(pool->size(), 0U);
        co_return;
    });
}
