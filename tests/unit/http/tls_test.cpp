#include "io/net/client.hpp"
#include "io/net/tls.hpp"
#include "server_support.hpp"
#include "tls_support.hpp"

#include <openssl/ssl.h>

#include <fstream>

using namespace opsd;
using namespace opsd::test;

namespace {

/// An authority, a server certificate and two clients', in files.
struct Pki {
    Pki()
    {
        authority.write(ca, "");
        server.write(certificate, key);
        client.write(folder / "client.pem", folder / "client.key");
        expired.write(folder / "expired.pem", folder / "expired.key");
    }
    [[nodiscard]] http::Listener listener() const
    {
        return {.port = 0, .certificate_file = certificate, .key_file = key, .client_ca_file = ca};
    }
    [[nodiscard]] net::TlsClientOptions trusting(std::string_view who = {}) const
    {
        if (who.empty()) return {.ca_file = ca};
        const std::string name{who};
        return {.ca_file = ca,
                .certificate_file = folder / (name + ".pem"),
                .key_file = folder / (name + ".key")};
    }

    TempFolder folder;
    Certificate authority{{.name = "authority", .authority = true}};
    Certificate server{{.name = "node"}, &authority};
    Certificate client{{.name = "ada", .address = ""}, &authority};
    Certificate expired{{.name = "old",
                         .address = "",
                         .valid_from = std::chrono::hours{-48},
                         .valid_until = std::chrono::hours{-1}},
                        &authority};
    std::string ca = folder / "ca.pem";
    std::string certificate = folder / "server.pem";
    std::string key = folder / "server.key";
};

Task<Result<net::ClientResponse>> ask(std::uint16_t port, net::TlsClientOptions options,
                                      std::string path = "/echo")
{
    const auto executor = co_await asio::this_coro::executor;
    net::HttpClient client{executor, std::move(options)};
    net::ClientRequest request;
    request.url = "https://127.0.0.1:" + std::to_string(port) + path;
    request.headers.emplace_back("Connection-Hint", "none");
    co_return co_await client.send(std::move(request));
}

}  // namespace

TEST(HttpTls, ServesAndIsVerified)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const Pki pki;
        LiveServer live{executor, basic_routes()};
        const auto port = live.start(pki.listener());
        auto answer = co_await ask(port, pki.trusting(), "/data");
        EXPECT_TRUE(answer.has_value()) << answer.error().message;
        EXPECT_EQ(answer->status, 200U);
        EXPECT_EQ(answer->body.size(), 2013U);
        EXPECT_EQ(live.around.authenticator.seen.certificate_subject, "");
        const net::TlsClientOptions defaults;
        auto stranger = co_await ask(port, defaults);
        EXPECT_EQ(stranger.error().code, Errc::denied) << "the system's authorities do not know ours";
        EXPECT_NE(stranger.error().message.find("cannot accept the certificate of the peer"),
                  std::string::npos);
        const net::TlsClientOptions trusting_anybody{.verify = false};
        auto blind = co_await ask(port, trusting_anybody);
        EXPECT_TRUE(blind.has_value());
        co_await live.stop();
    });
}

TEST(HttpTls, KnowsTheSubjectOfAVerifiedClient)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const Pki pki;
        LiveServer live{executor, basic_routes()};
        const auto port = live.start(pki.listener());
        auto answer = co_await ask(port, pki.trusting("client"), "/read");
        EXPECT_TRUE(answer.has_value()) << answer.error().message;
        EXPECT_EQ(answer->status, 200U);
        EXPECT_EQ(live.around.authenticator.seen.certificate_subject, "CN=ada,O=opsd");
        co_await live.stop();
    });
}

TEST(HttpTls, RefusesExpiredAndForeignClientCertificates)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const Pki pki;
        const Certificate foreign{{.name = "eve", .address = ""}};
        foreign.write(pki.folder / "foreign.pem", pki.folder / "foreign.key");
        LiveServer live{executor, basic_routes()};
        const auto port = live.start(pki.listener());
        for (const auto* who : {"expired", "foreign"}) {
            auto answer = co_await ask(port, pki.trusting(who), "/read");
            EXPECT_FALSE(answer.has_value()) << who << " was served";
        }
        co_await live.metrics_say("refused_total{reason=\"client_certificate\"} 2");
        co_await live.stop();
    });
}

TEST(HttpTls, VerifiesTheNameOfTheServer)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const Pki pki;
        const Certificate elsewhere{{.name = "elsewhere", .address = "127.0.0.9"}, &pki.authority};
        elsewhere.write(pki.certificate, pki.key);
        LiveServer live{executor, basic_routes()};
        auto answer = co_await ask(live.start(pki.listener()), pki.trusting());
        EXPECT_EQ(answer.error().code, Errc::denied);
        EXPECT_NE(answer.error().message.find("IP address mismatch"), std::string::npos)
            << answer.error().message;
        co_await live.stop();
    });
}

TEST(HttpTls, APinnedAuthorityIsTheOnlyOneTrusted)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const Pki pki;
        const auto append = [&](const std::string& file) {
            std::ofstream{pki.certificate, std::ios::app} << std::ifstream{file}.rdbuf();
        };
        LiveServer live{executor, basic_routes()};
        append(pki.ca);  // leaf first, then its authority, as `opsd cluster` writes it
        const auto port = live.start(pki.listener());
        const auto right = pki.authority.fingerprint();
        auto answer = co_await ask(port, net::TlsClientOptions{.ca_fingerprint = right}, "/data");
        EXPECT_TRUE(answer.has_value()) << answer.error().message;
        auto wrong = right;
        wrong.back() = wrong.back() == '0' ? '1' : '0';
        // not this authority, the leaf itself, and one that is not presented
        for (const auto& pin : {wrong, pki.server.fingerprint(), pki.client.fingerprint()}) {
            live.around.authenticator.seen.address.clear();
            auto refused = co_await ask(port, net::TlsClientOptions{.ca_fingerprint = pin});
            EXPECT_EQ(refused.error().code, Errc::denied) << pin;
            EXPECT_EQ(live.around.authenticator.seen.address, "") << "no request may leave before the check";
        }
        for (const auto* odd : {"sha256:", "sha1:00", "x", "sha256:zz"}) {
            auto refused = co_await ask(port, net::TlsClientOptions{.ca_fingerprint = odd});
            EXPECT_EQ(refused.error().code, Errc::invalid_argument) << odd;
        }
        co_await live.stop();
    });
}

TEST(HttpTls, APinnedAuthorityMustHaveSignedTheServerForItsName)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const Pki pki;
        LiveServer live{executor, basic_routes()};
        const Certificate elsewhere{{.name = "elsewhere", .address = "127.0.0.9"}, &pki.authority};
        elsewhere.write(pki.certificate, pki.key);
        std::ofstream{pki.certificate, std::ios::app} << std::ifstream{pki.ca}.rdbuf();
        const net::TlsClientOptions pinned{.ca_fingerprint = pki.authority.fingerprint()};
        const auto port = live.start(pki.listener());
        auto misnamed = co_await ask(port, pinned);
        EXPECT_EQ(misnamed.error().code, Errc::denied);
        EXPECT_NE(misnamed.error().message.find("IP address mismatch"), std::string::npos);

        const Certificate impostor{{.name = "node"}};  // shows the authority, is not signed by it
        impostor.write(pki.certificate, pki.key);
        std::ofstream{pki.certificate, std::ios::app} << std::ifstream{pki.ca}.rdbuf();
        EXPECT_TRUE(live.reload_certificates());
        auto refused = co_await ask(port, pinned);
        EXPECT_EQ(refused.error().code, Errc::denied);
        co_await live.stop();
    });
}

TEST(HttpTls, ReloadChangesNewConnectionsAndKeepsTheOldOnError)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const Pki pki;
        LiveServer live{executor, basic_routes()};
        const auto port = live.start(pki.listener());
        net::HttpClient kept{executor, pki.trusting()};
        net::ClientRequest request;
        request.url = "https://127.0.0.1:" + std::to_string(port) + "/echo";
        auto before = co_await kept.send(request);
        EXPECT_TRUE(before.has_value()) << before.error().message;

        const Certificate other_authority{{.name = "other", .authority = true}};
        const Certificate replaced{{.name = "new", .valid_until = std::chrono::hours{1000}},
                                   &other_authority};
        replaced.write(pki.certificate, pki.folder / "new.key");
        auto mismatch = live.reload_certificates();
        EXPECT_FALSE(mismatch.has_value());
        EXPECT_NE(mismatch.error().message.find("that belongs to the certificate"), std::string::npos)
            << mismatch.error().message;
        auto still = co_await ask(port, pki.trusting());
        EXPECT_TRUE(still.has_value()) << "the old certificate stays in use";

        replaced.write(pki.certificate, pki.key);
        other_authority.write(pki.folder / "other.pem", "");
        auto reloaded = live.reload_certificates();
        EXPECT_TRUE(reloaded.has_value());
        const net::TlsClientOptions trusting_other{.ca_file = pki.folder / "other.pem"};
        auto after = co_await ask(port, trusting_other);
        EXPECT_TRUE(after.has_value()) << after.error().message;
        auto old = co_await ask(port, pki.trusting());
        EXPECT_EQ(old.error().code, Errc::denied);
        auto on_old_connection = co_await kept.send(request);
        EXPECT_TRUE(on_old_connection.has_value()) << "an open connection goes on";
        co_await live.stop();
    });
}

TEST(HttpTls, SaysWhatIsWrongWithTheFiles)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const Pki pki;
        LiveServer live{executor, basic_routes()};
        const auto refusal = [&](http::Listener listener) {
            auto refused = live.listen(listener);
            return refused ? std::string{"accepted"} : refused.error().message;
        };
        auto listener = pki.listener();
        listener.certificate_file = pki.folder / "none.pem";
        EXPECT_NE(
            refusal(listener).find("cannot use certificate " + listener.certificate_file + ": No such file"),
            std::string::npos)
            << refusal(listener);
        listener = pki.listener();
        listener.key_file = pki.folder / "client.key";
        EXPECT_NE(refusal(listener).find("key values mismatch"), std::string::npos) << refusal(listener);
        listener = pki.listener();
        std::ofstream{pki.folder / "text.pem"} << "not PEM\n";
        listener.client_ca_file = pki.folder / "text.pem";
        EXPECT_NE(refusal(listener).find("cannot use client CA"), std::string::npos) << refusal(listener);
        co_await live.stop();
    });
}

TEST(HttpTls, ServesAnExpiredCertificateAndSaysSo)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const Pki pki;
        const Certificate stale{
            {.name = "stale", .valid_from = std::chrono::hours{-48}, .valid_until = std::chrono::hours{-1}},
            &pki.authority};
        stale.write(pki.certificate, pki.key);
        LiveServer live{executor, basic_routes()};
        live.around.clock.step_wall(std::chrono::duration_cast<std::chrono::microseconds>(
            std::chrono::system_clock::now() - live.around.clock.now()));
        const auto port = live.start(pki.listener());
        EXPECT_TRUE(live.around.lines->contains("(CN=stale,O=opsd) expired at"));
        EXPECT_NE(
            live.around.metrics.render().find("opsd_tls_certificate_not_after_seconds{listener=\"127.0.0.1:"
                                              + std::to_string(port) + "\"}"),
            std::string::npos);
        auto answer = co_await ask(port, pki.trusting());
        EXPECT_EQ(answer.error().code, Errc::denied);
        EXPECT_NE(answer.error().message.find("expired"), std::string::npos);
        co_await live.stop();
    });
}

TEST(HttpTls, GivesUpOnAHandshakeThatDoesNotCome)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const Pki pki;
        http::Limits limits;
        limits.header_timeout = 50ms;
        LiveServer live{executor, basic_routes(), limits};
        const auto port = live.start(pki.listener());
        auto silent = co_await dial(port);
        auto nothing = co_await read_to_end(*silent);
        EXPECT_EQ(nothing, "");
        auto plain = co_await fetch(port, get_and_close("/echo"));
        EXPECT_EQ(plain.find("HTTP/1.1 200"), std::string::npos);
        co_await live.metrics_say("refused_total{reason=\"handshake\"} 2");
        co_await live.stop();
    });
}

TEST(HttpTls, SpeaksNothingOlderThanTls12)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const Pki pki;
        LiveServer live{executor, basic_routes()};
        const auto port = live.start(pki.listener());
        for (const auto& [version, accepted] :
             {std::pair{TLS1_1_VERSION, false}, std::pair{TLS1_2_VERSION, true},
              std::pair{TLS1_3_VERSION, true}}) {
            auto context = net::load_tls_client(pki.trusting(), false).value();
            SSL_CTX_set_security_level(context.get(), 0);
            SSL_CTX_set_cipher_list(context.get(), "ALL");
            SSL_CTX_set_min_proto_version(context.get(), version);
            SSL_CTX_set_max_proto_version(context.get(), version);
            auto fd = co_await net::connect_socket(*net::ip_endpoint("127.0.0.1", port),
                                                   std::chrono::steady_clock::now() + 5s);
            auto transport = net::TlsTransport::client(executor, *fd, context, "127.0.0.1").value();
            transport->expires_after(5s);
            auto shaken = co_await transport->handshake();
            EXPECT_EQ(shaken.has_value(), accepted) << std::hex << version;
        }
        co_await live.stop();
    });
}

TEST(HttpTls, CarriesStreamsAndLargeBodies)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const Pki pki;
        auto produce = [](http::StreamWriter& out) -> Task<> {
            for (int i = 0; i < 50; ++i) {
                auto written = co_await out.write(std::string(100'000, 'a'));
                if (!written) co_return;
            }
        };
        auto handler = [produce](const http::Request&) -> Task<http::Response> {
            co_return http::Response::stream("text/plain", produce);
        };
        auto large = [](const http::Request&) -> Task<http::Response> {
            co_return http::Response::text(std::string(8U << 20U, 'b'));
        };
        auto second = test_route(large);
        second.pattern = "/large";
        LiveServer live{executor, {test_route(handler), second}};
        const auto port = live.start(pki.listener());
        auto streamed = co_await ask(port, pki.trusting(), "/test");
        EXPECT_TRUE(streamed.has_value()) << streamed.error().message;
        EXPECT_EQ(streamed->body.size(), 5'000'000U);
        auto whole = co_await ask(port, pki.trusting(), "/large");
        EXPECT_TRUE(whole.has_value()) << whole.error().message;
        EXPECT_EQ(whole->body, std::string(8U << 20U, 'b'));
        co_await live.stop();
    });
}
