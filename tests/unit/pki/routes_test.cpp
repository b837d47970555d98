// The whole module on a directory, a store in memory and a hand-moved clock.

#include "io/files/files.hpp"
#include "io/store/sqlite_store.hpp"
#include "modules/pki/body.hpp"
#include "modules/pki/module.hpp"
#include "modules/pki/policy.hpp"
#include "opsd/task_group.hpp"

#include "support.hpp"
#include "temp_dir.hpp"

#include <nlohmann/json.hpp>

namespace opsd::pki {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

class Lines final : public LogSink {
public:
    void write(Level, std::string_view line) override { text += std::string{line} + "\n"; }
    [[nodiscard]] bool wants(Level) const noexcept override { return true; }
    void set_level(Level) override {}
    std::string text;
};

class Status final : public ModuleReporter {
public:
    void running() override { condition = "running"; }
    void degraded(std::string why) override { condition = "degraded: " + std::move(why); }
    void failed(std::string why) override { condition = "failed: " + std::move(why); }
    std::string condition;
};

class PkiRoutes : public ::testing::Test {
protected:
    PkiRoutes()
    {
        test::run([this]() -> Task<> {
            auto opened = co_await open_memory_store(metrics);
            store = std::move(opened->store);
        });
        options.directory = dir / "cluster";
    }

    /// What `opsd cluster init` leaves.
    void found()
    {
        authority = *found_cluster("dc1", clock.now());
        const auto own_key = *make_key();
        const auto own = *issue(authority, {*make_request(own_key, "master", {{}, {"198.18.0.2"}}), {}, {}},
                                clock.now(), 24h * 365);
        const NodeFiles files{options.directory};
        ASSERT_TRUE(files::make_directories(files.directory, 0755));
        for (const auto& [path, text] : {std::pair{files.authority, authority.certificate},
                                         {files.authority_key, authority.key},
                                         {files.certificate, own.certificate + authority.certificate},
                                         {files.issuer, std::string{"https://198.18.0.2:1050\n"}}})
            ASSERT_TRUE(files::write_atomic(path, text, 0600));
    }

    Task<http::Response> call(http::Method method, const std::string& path, std::string body = {},
                              std::string address = "198.18.0.3")
    {
        http::Request asked;
        asked.method = method;
        asked.path = path;
        asked.body = std::move(body);
        asked.caller = {"ann", http::Role::none, "", std::move(address)};
        for (const auto& route : routes_of(core))
            if (route.method == method && route.pattern == path) {
                auto response = co_await route.handler(asked);
                co_return response;
            }
        ADD_FAILURE() << "no route " << path;
        co_return http::Response{};
    }
    Task<json> token(std::string body = {})
    {
        const auto response = co_await call(http::Method::post, "/api/v1/cluster/tokens", std::move(body));
        EXPECT_EQ(response.status, 201U) << response.body;
        co_return json::parse(response.body);
    }
    Task<http::Response> join(std::string text, std::string asked, std::string address = "198.18.0.3")
    {
        const json body{{"token", std::move(text)}, {"request", std::move(asked)}};
        co_return co_await call(http::Method::post, "/api/v1/cluster/join", body.dump(), std::move(address));
    }
    static std::string text_of(const json& made) { return made.at("token").get<std::string>(); }
    [[nodiscard]] bool page_has(const std::string& line) const
    {
        return metrics.render().find("\n" + line + "\n") != std::string::npos;
    }
    void with_core(std::function<Task<>()> body)
    {
        test::run([&]() -> Task<> {
            services.emplace(Services{co_await asio::this_coro::executor, clock, *board, *feeds, *store,
                                      metrics, paths, status, Log{lines, "pki"}});
            core = std::make_shared<Core>(options, *services);
            co_await body();
            core.reset();
        });
    }

    test::TempDir dir;
    asio::io_context unused{1};
    ManualClock clock{WallTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}}};
    telemetry::Registry metrics;
    std::unique_ptr<Board> board = std::make_unique<Board>(unused.get_executor());
    std::unique_ptr<Feeds> feeds = std::make_unique<Feeds>(unused.get_executor());
    Paths paths;
    Status status;
    std::shared_ptr<Lines> lines = std::make_shared<Lines>();
    std::unique_ptr<Store> store;
    std::optional<Services> services;
    PkiOptions options;
    Authority authority;
    std::shared_ptr<Core> core;
    std::string key = *make_key();
    std::string request = *make_request(key, "agent1", {});
};

}  // namespace

TEST_F(PkiRoutes, ATokenAndARequestGiveACertificateOnce)
{
    found();
    with_core([this]() -> Task<> {
        const auto made = co_await token();
        EXPECT_EQ(made["url"], "https://198.18.0.2:1050");
        EXPECT_EQ(made["cluster"], "dc1");
        EXPECT_EQ(made["fingerprint"], inspect(authority.certificate)->fingerprint);
        const auto response = co_await join(text_of(made), request);
        EXPECT_EQ(response.status, 201U) << response.body;
        const auto answer = parse_certificate_answer(response.body);
        EXPECT_TRUE(verify(answer->certificate, authority.certificate, clock.now()));
        EXPECT_TRUE(check_key(answer->certificate, key));
        EXPECT_EQ(answer->authority, authority.certificate);
        EXPECT_EQ(inspect(answer->certificate)->names, (Names{{"agent1"}, {"198.18.0.3"}}));
        EXPECT_TRUE(page_has("opsd_pki_certificates_total{for=\"join\"} 1"));
        EXPECT_NE(lines->text.find("agent1 joined from 198.18.0.3"), std::string::npos);
        EXPECT_EQ(lines->text.find(text_of(made)), std::string::npos) << "no secret in the log";

        const auto again = co_await join(text_of(made), request);
        EXPECT_EQ(again.status, 403U);
        EXPECT_NE(again.body.find("used up or expired"), std::string::npos) << again.body;
        EXPECT_TRUE(page_has("opsd_pki_refused_total 1"));
    });
}

TEST_F(PkiRoutes, ATokenForTwoIsGoodForTwo)
{
    found();
    with_core([this]() -> Task<> {
        const auto made = co_await token(R"({"uses":2})");
        const std::string text = text_of(made);
        const auto first = co_await join(text, request);
        const auto second = co_await join(text, request);
        const auto third = co_await join(text, request);
        EXPECT_EQ(first.status, 201U);
        EXPECT_EQ(second.status, 201U);
        EXPECT_EQ(third.status, 403U);
    });
}

TEST_F(PkiRoutes, OfTwoCallsForTheLastUseOneIsRefused)
{
    found();
    with_core([this]() -> Task<> {
        const auto made = co_await token();
        const auto one = co_await core->tokens.check(text_of(made));
        const auto other = co_await core->tokens.check(text_of(made));
        EXPECT_EQ(*one, *other) << "both found it good";
        const auto first = co_await core->tokens.use(*one);
        const auto second = co_await core->tokens.use(*other);
        EXPECT_TRUE(first.has_value());
        EXPECT_EQ(second.error().code, Errc::denied);
    });
}

TEST_F(PkiRoutes, ATokenEndsWithItsTimeAndSurvivesARestart)
{
    found();
    std::string text;
    with_core([&]() -> Task<> {
        const auto made = co_await token(R"({"lifetime":"1h","uses":5})");
        text = text_of(made);
    });
    clock.step_wall(59min);
    with_core([&]() -> Task<> {
        const auto in_time = co_await join(text, request);
        EXPECT_EQ(in_time.status, 201U) << "another instance knows it";
        clock.step_wall(1min);
        const auto late = co_await join(text, request);
        EXPECT_EQ(late.status, 403U);
    });
}

TEST_F(PkiRoutes, WhatCannotBeSignedCostsNoToken)
{
    found();
    with_core([this]() -> Task<> {
        const auto made = co_await token();
        const std::string text = text_of(made);
        const auto garbage = co_await join(text, "rubbish");
        EXPECT_EQ(garbage.status, 400U);
        const auto taken = co_await join(text, *make_request(key, "master", {}));
        EXPECT_EQ(taken.status, 403U);
        EXPECT_NE(taken.body.find("signing node's own"), std::string::npos) << taken.body;
        const auto good = co_await join(text, request);
        EXPECT_EQ(good.status, 201U) << good.body;
    });
}

TEST_F(PkiRoutes, WrongTokensAreRefusedAndThenSlowedDown)
{
    found();
    with_core([this]() -> Task<> {
        const auto made = co_await token();
        const std::string text = text_of(made);
        auto changed = text;
        changed.back() = changed.back() == 'A' ? 'B' : 'A';
        std::vector<std::string> wrong{"",
                                       "x",
                                       "join_",
                                       "join_aaaaaaaa_x",
                                       changed,
                                       text.substr(0, 20),
                                       text + "x",
                                       std::string(1'000, 'j'),
                                       "opsd_" + text.substr(5)};
        for (const auto& one : wrong) {
            const auto refused = co_await join(one, request);
            EXPECT_EQ(refused.status, 403U) << one;
        }
        const auto body = co_await call(http::Method::post, "/api/v1/cluster/join", "no JSON");
        EXPECT_EQ(body.status, 400U) << "the tenth failure";
        const auto blocked = co_await join(text, request);
        EXPECT_EQ(blocked.status, 429U);
        const auto elsewhere = co_await join(text, request, "198.18.0.4");
        EXPECT_EQ(elsewhere.status, 201U) << "others are not held up";
        const auto another = co_await token();
        clock.advance(11s, [] {});
        const auto later = co_await join(text_of(another), request);
        EXPECT_EQ(later.status, 201U);
    });
}

TEST_F(PkiRoutes, RevokedTokensAreUselessAndTheirNumberIsBounded)
{
    found();
    options.join_tokens = 2;
    with_core([this]() -> Task<> {
        const auto one = co_await token();
        (void)co_await token();
        const auto full = co_await call(http::Method::post, "/api/v1/cluster/tokens");
        EXPECT_EQ(full.status, 503U);
        EXPECT_NE(full.body.find("pki.join_tokens"), std::string::npos) << full.body;
        const auto revoked = co_await call(http::Method::del, "/api/v1/cluster/tokens");
        EXPECT_EQ(revoked.status, 204U);
        const auto useless = co_await join(text_of(one), request);
        EXPECT_EQ(useless.status, 403U);
        (void)co_await token();
    });
}

TEST_F(PkiRoutes, ANodeRenewsWithItsKeyOnly)
{
    found();
    with_core([this]() -> Task<> {
        const auto made = co_await token();
        const auto joined = co_await join(text_of(made), request);
        const auto first = parse_certificate_answer(joined.body);
        clock.step_wall(24h * 300);
        json body{{"certificate", first->certificate}, {"request", request}};
        const auto renewed = co_await call(http::Method::post, "/api/v1/cluster/renew", body.dump());
        EXPECT_EQ(renewed.status, 201U) << renewed.body;
        const auto second = parse_certificate_answer(renewed.body);
        EXPECT_EQ(inspect(second->certificate)->not_after, clock.now() + options.certificate_lifetime);
        body["request"] = *make_request(*make_key(), "agent1", {});
        const auto thief = co_await call(http::Method::post, "/api/v1/cluster/renew", body.dump());
        EXPECT_EQ(thief.status, 403U);
        EXPECT_TRUE(page_has("opsd_pki_certificates_total{for=\"renew\"} 1"));
    });
}

TEST_F(PkiRoutes, ANodeWithoutAuthoritySaysWhoHasIt)
{
    with_core([this]() -> Task<> {
        const auto refused = co_await call(http::Method::post, "/api/v1/cluster/tokens");
        EXPECT_EQ(refused.status, 404U);
        EXPECT_NE(refused.body.find("opsd cluster init"), std::string::npos) << refused.body;
    });
}

TEST_F(PkiRoutes, AccessIsWhatTheTableSays)
{
    with_core([this]() -> Task<> {
        for (const auto& route : routes_of(core)) {
            EXPECT_TRUE(route.audited) << route.pattern;
            const auto wanted = route.pattern.ends_with("/join")    ? http::Access::open
                                : route.pattern.ends_with("/renew") ? http::Access::read
                                                                    : http::Access::admin;
            EXPECT_EQ(route.access, wanted) << route.pattern;
        }
        co_return;
    });
}

TEST_F(PkiRoutes, TheModuleIsDegradedBeforeACertificateEnds)
{
    found();
    with_core([this]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        PkiModule module{options, *services};
        TaskGroup group{executor,
                        [](std::string_view, std::exception_ptr e) { ADD_FAILURE() << describe(e).what; }};
        const auto seen = [this](std::string_view begin) { return status.condition.starts_with(begin); };
        group.spawn("module", module.run());
        while (!seen("running"))
            co_await test::sleep(1ms);
        EXPECT_NE(metrics.render().find("opsd_pki_certificate_not_after_seconds{certificate=\"node\"} 18"),
                  std::string::npos);
        clock.step_wall(24h * 340);
        clock.advance(1h, [] {});
        while (!seen("degraded"))
            co_await test::sleep(1ms);
        EXPECT_NE(status.condition.find("opsd cluster renew"), std::string::npos) << status.condition;
        group.cancel();
        co_await group.join();
    });
}

}  // namespace opsd::pki
