// What a caller may do is asked anew for every request, and while a stream runs.

#include "io/net/client.hpp"
#include "server_support.hpp"
#include "tls_support.hpp"

using namespace opsd;
using namespace opsd::test;

namespace {

/// A chunk whenever it is told to.
struct Source {
    bool wanted = false;
    int written = 0;
    std::string error;
};

Task<> on_demand(Source& source, http::StreamWriter& out)
{
    for (;;) {
        co_await becomes_true(source.wanted);
        source.wanted = false;
        auto written = co_await out.write("news\n");
        if (!written) {
            source.error = written.error().message;
            co_return;
        }
        ++source.written;
    }
}

http::Route following(Source& source)
{
    return test_route([&source](const http::Request&) -> Task<http::Response> {
        co_return http::Response::stream(
            "text/plain", [&source](http::StreamWriter& out) { return on_demand(source, out); });
    });
}

Task<int> ask_again(net::Transport& client, std::string authorization)
{
    [[maybe_unused]] auto written =
        co_await client.write_all(get("/read", "Authorization: " + authorization + "\r\n"));
    auto answer = co_await read_until(client, "\r\n\r\n");
    co_return status_of(answer);
}

}  // namespace

TEST(HttpRoles, ARevokedTokenIsRefusedOnItsOpenConnection)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        auto client = co_await dial(live.start());
        auto status = co_await ask_again(*client, "Bearer viewer");
        EXPECT_EQ(status, 200);
        live.around.authenticator.revoked = "Bearer viewer";
        status = co_await ask_again(*client, "Bearer viewer");
        EXPECT_EQ(status, 401);
        client.reset();
        co_await live.stop();
    });
}

TEST(HttpRoles, APeersGroupIsLookedUpForEveryRequest)
{
    const TempFolder folder;
    const auto path = folder / "opsd.sock";
    run([&path]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        LiveServer live{executor, basic_routes()};
        live.start({.kind = http::Listener::Kind::unix_socket, .address = path});
        auto client = co_await dial(*net::unix_endpoint(path));
        for (const auto& [role, expected] :
             {std::pair{http::Role::viewer, 200}, std::pair{http::Role::local, 403}}) {
            live.around.authenticator.peer_role = role;
            [[maybe_unused]] auto written = co_await client->write_all(get("/read"));
            const std::string_view end = expected == 200 ? "GET /read\n" : "}\n";
            auto answer = co_await read_until(*client, end);
            EXPECT_EQ(status_of(answer), expected);
        }
        client.reset();
        co_await live.stop();
    });
}

TEST(HttpRoles, AStreamEndsWhenItsCallerLosesTheRole)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Source source;
        LiveServer live{executor, {following(source)}};
        auto client = co_await dial(live.start());
        [[maybe_unused]] auto written =
            co_await client->write_all(get("/test", "Authorization: Bearer viewer\r\n"));
        source.wanted = true;
        [[maybe_unused]] auto first = co_await read_until(*client, "news\n");
        live.around.clock.advance(2s, [] {});
        source.wanted = true;
        [[maybe_unused]] auto second = co_await read_until(*client, "news\n");
        live.around.authenticator.revoked = "Bearer viewer";
        live.around.clock.advance(2s, [] {});
        source.wanted = true;
        auto rest = co_await read_to_end(*client);
        EXPECT_TRUE(rest.ends_with("0\r\n\r\n")) << rest;
        EXPECT_EQ(rest.find("news"), std::string::npos) << "nothing after the revocation";
        EXPECT_EQ(source.error, "cannot write to the stream: its caller may no longer read it");
        EXPECT_TRUE(
            live.around.lines->contains("a stream to 127.0.0.1 ends: cannot accept the token: revoked"));
        co_await live.stop();
    });
}

TEST(HttpRoles, ARefusedCertificateEndsItsConnectionSoThatANewOneCanBeShown)
{
    Conversation conversation;
    conversation.certificate = "CN=agent";
    conversation.around.authenticator.certificate_role = http::Role::none;
    const auto answer = conversation.say(get("/read") + get("/read"));
    EXPECT_EQ(status_of(answer), 401);
    EXPECT_TRUE(has_header(answer, "Connection: close"));
    EXPECT_EQ(answer.find("HTTP/1.1", 9), std::string::npos) << "there is no second answer: " << answer;
}

TEST(HttpRoles, AReloadOfCertificatesEndsConnectionsThatShowedOne)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const TempFolder folder;
        const Certificate authority{{.name = "authority", .authority = true}};
        const Certificate node{{.name = "node"}, &authority};
        const Certificate ada{{.name = "ada", .address = ""}, &authority};
        authority.write(folder / "ca.pem", "");
        node.write(folder / "node.pem", folder / "node.key");
        ada.write(folder / "ada.pem", folder / "ada.key");
        LiveServer live{executor, basic_routes()};
        const auto port = live.start({.port = 0,
                                      .certificate_file = folder / "node.pem",
                                      .key_file = folder / "node.key",
                                      .client_ca_file = folder / "ca.pem"});
        net::HttpClient certified{executor,
                                  {.ca_file = folder / "ca.pem",
                                   .certificate_file = folder / "ada.pem",
                                   .key_file = folder / "ada.key"}};
        net::HttpClient plain{executor, {.ca_file = folder / "ca.pem"}};
        net::ClientRequest request;
        request.url = "https://127.0.0.1:" + std::to_string(port) + "/echo";
        auto one = co_await certified.send(request);
        EXPECT_TRUE(one.has_value());
        EXPECT_LT(live.around.authenticator.seen.certificate_not_after, WallTime::max());
        auto two = co_await plain.send(request);
        EXPECT_TRUE(two.has_value());
        EXPECT_EQ(live.server.connections(), 2U);
        // From now on another authority is trusted.
        const Certificate other{{.name = "other", .authority = true}};
        other.write(folder / "ca.pem", "");
        EXPECT_TRUE(live.reload_certificates().has_value());
        co_await live.connections_become(1);
        auto again = co_await certified.send(request);
        EXPECT_FALSE(again.has_value() && again->status == 200) << "ada is not trusted any more";
        auto still = co_await plain.send(request);
        EXPECT_TRUE(still.has_value()) << "who showed no certificate goes on";
        co_await live.stop();
    });
}
