// A reload: all or nothing, and certificates all the same.

#include "daemon/reload.hpp"

#include "daemon_support.hpp"
#include "io/files/files.hpp"
#include "temp_dir.hpp"
#include "unit/http/tls_support.hpp"

#include <fstream>
#include <future>

using namespace opsd;
using namespace opsd::daemon;
using namespace std::chrono_literals;
using opsd::test::Certificate;
using opsd::test::TempDir;

namespace {

/// The parts of a daemon with one listener with TLS and one module, that of section health.
struct ReloadedHouse {
    explicit ReloadedHouse(Executor on)
      : executor{std::move(on)}
      , access{executor, {}, dir.path(), clock, metrics, log.named("auth")}
      , supervisor{Environment{executor, clock, board, feeds, store, metrics, paths, log},
                   std::vector{test::scripted_entry("health", script)}}
      , server{executor, {}, access.authenticator(), access.audit(), clock, metrics, log.named("http")}
    {
        options.sources.file = dir / "opsd.yaml";
        options.sources.directory = dir / "conf.d";
        listener.port = 0;
        listener.certificate_file = dir / "node.pem";
        listener.key_file = dir / "node.key";
        renew(24h);
        const auto tls = http::read_certificate(listener);
        EXPECT_TRUE(tls && server.listen(listener, *tls));
        first_end = end_shown();
        config::Mistakes mistakes;
        supervisor.create(config::Value::map(), mistakes);
        supervisor.start();
    }
    void renew(std::chrono::hours until)
    {
        const Certificate made{{.name = "node", .valid_until = until}};
        made.write(listener.certificate_file, listener.key_file);
    }
    void configure(std::string_view text) { std::ofstream{options.sources.file} << text; }
    Task<Reloaded> reload()
    {
        const Running running{server, access, supervisor, files};
        auto done = co_await daemon::reload(options, running);
        co_return done;
    }
    /// When the certificate in use ends.
    [[nodiscard]] std::string end_shown() const
    {
        const auto page = metrics.render();
        const auto at = page.find("\nopsd_tls_certificate_not_after_seconds{");
        return at == std::string::npos ? "" : page.substr(at, page.find('\n', at + 1) - at);
    }
    [[nodiscard]] http::Role anonymous()
    {
        http::Credentials nobody;
        nobody.loopback = true;
        return access.authenticator().identify(nobody)->role;
    }
    Task<> end()
    {
        co_await supervisor.stop();
        co_await access.stop();
    }

    Executor executor;
    TempDir dir;
    ManualClock clock{WallTime{std::chrono::hours{480000}}};
    telemetry::Registry metrics;
    Board board{executor};
    Feeds feeds{executor};
    test::NoStore store;
    Paths paths;
    std::shared_ptr<test::Lines> lines = std::make_shared<test::Lines>();
    Log log{lines, "test"};
    test::Script script;
    DaemonOptions options;
    http::Listener listener;
    WorkerThread files{"opsd-files", 16};
    AccessControl access;
    Supervisor supervisor;
    http::Server server;
    std::string first_end;
};

constexpr auto changed = "http: {anonymous: viewer}\nhealth: {units: [new.service]}\n";

std::string text_of(const config::Mistakes& mistakes)
{
    std::string all;
    for (const auto& mistake : mistakes)
        all += mistake.to_string() + "\n";
    return all;
}

}  // namespace

TEST(Reload, PutsEverythingInForce)
{
    test::run([]() -> Task<> {
        ReloadedHouse house{co_await asio::this_coro::executor};
        house.configure(changed);
        house.renew(1000h);
        const auto done = co_await house.reload();
        EXPECT_TRUE(done) << text_of(done.error());
        EXPECT_EQ(done->http.anonymous, "viewer");
        EXPECT_EQ(house.anonymous(), http::Role::viewer);
        EXPECT_EQ(house.script.started, 2);
        EXPECT_EQ(house.access.damage(), "");
        EXPECT_NE(house.end_shown(), house.first_end);
        co_await house.end();
    });
}

TEST(Reload, ARefusedSectionChangesNothingButRenewedCertificates)
{
    test::run([]() -> Task<> {
        ReloadedHouse house{co_await asio::this_coro::executor};
        const auto before = house.anonymous();
        house.configure(changed);
        house.renew(1000h);
        house.script.refuses = true;
        const auto done = co_await house.reload();
        EXPECT_FALSE(done);
        EXPECT_NE(text_of(done.error()).find("cannot use this section"), std::string::npos);
        EXPECT_EQ(house.script.started, 1);
        EXPECT_EQ(house.anonymous(), before);
        EXPECT_NE(house.end_shown(), house.first_end) << "it may end tonight";
        co_await house.end();
    });
}

TEST(Reload, AFileThatIsNoConfigurationHoldsUpNoCertificate)
{
    test::run([]() -> Task<> {
        ReloadedHouse house{co_await asio::this_coro::executor};
        house.configure("http: [");
        house.renew(1000h);
        const auto done = co_await house.reload();
        EXPECT_FALSE(done);
        EXPECT_NE(house.end_shown(), house.first_end);
        co_await house.end();
    });
}

TEST(Reload, ABadCertificateChangesNothing)
{
    test::run([]() -> Task<> {
        ReloadedHouse house{co_await asio::this_coro::executor};
        const auto before = house.anonymous();
        house.configure(changed);
        std::ofstream{house.listener.certificate_file} << "rubbish";
        const auto done = co_await house.reload();
        EXPECT_FALSE(done);
        EXPECT_NE(text_of(done.error()).find("node.pem"), std::string::npos) << text_of(done.error());
        EXPECT_EQ(house.script.started, 1);
        EXPECT_EQ(house.anonymous(), before);
        EXPECT_EQ(house.end_shown(), house.first_end);

        house.script.refuses = true;
        const auto both = co_await house.reload();
        EXPECT_EQ(both.error().size(), 2U) << "all mistakes at once: " << text_of(both.error());
        co_await house.end();
    });
}

TEST(Reload, ADamagedAuthFileRefusesTokensAndNotTheConfiguration)
{
    test::run([]() -> Task<> {
        ReloadedHouse house{co_await asio::this_coro::executor};
        house.configure(changed);
        EXPECT_TRUE(files::write_atomic(house.dir / "auth.json", "{", 0600));
        const auto done = co_await house.reload();
        EXPECT_TRUE(done) << text_of(done.error());
        EXPECT_EQ(house.anonymous(), http::Role::viewer);
        EXPECT_EQ(house.script.started, 2);
        EXPECT_NE(house.access.damage().find("is damaged"), std::string::npos) << house.access.damage();
        co_await house.end();
    });
}

TEST(Reload, LetsGoOfADiskThatHangsWhenItIsCancelled)
{
    test::run([]() -> Task<> {
        ReloadedHouse house{co_await asio::this_coro::executor};
        house.configure(changed);
        std::promise<void> answer;
        const auto hang = [&house, reading = answer.get_future().share()]() -> Task<> {
            auto job = [reading]() -> Result<> {
                reading.wait();
                return {};
            };
            [[maybe_unused]] const auto done = co_await house.files.run(job);
        };
        bool ended = false;
        const auto reload = [&house, &ended]() -> Task<> {
            [[maybe_unused]] const auto done = co_await house.reload();
            ended = true;
        };
        TaskGroup group{house.executor,
                        [](std::string_view, std::exception_ptr e) { ADD_FAILURE() << describe(e).what; }};
        group.spawn("hang", hang());
        group.spawn("reload", reload());
        co_await test::sleep(1ms);
        group.cancel();
        co_await group.join();
        EXPECT_FALSE(ended);
        EXPECT_EQ(house.script.started, 1);
        answer.set_value();
        co_await house.end();
    });
}
