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
        const auto own =
            *issue(authority, {*make_request(own_key, "master", {{}, {"198.18.0.2"}}), {}, {}, {}},
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
        const std::string certificates = "/api/v1/cluster/certificates/";
        http::Request asked;
        asked.method = method;
        asked.path = path;
        asked.body = std::move(body);
        asked.caller = {"ann", http::Role::none, "", std::move(address)};
        auto pattern = path;
        if (path.starts_with(certificates)) {
            asked.path_params.add("certificate", path.substr(certificates.size()));
            pattern = certificates + "{certificate}";
        }
        for (const auto& route : routes_of(core))
            if (route.method == method && route.pattern == pattern) {
                auto response = co_await route.handler(asked);
                audited = asked.object;
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
    /// Joins with a new key and a token made for that.
    Task<http::Response> join_as(std::string name, std::string address, std::string terms = {},
                                 Names names = {})
    {
        const auto made = co_await token(std::move(terms));
        auto asked = *make_request(*make_key(), name, names);
        co_return co_await join(text_of(made), std::move(asked), std::move(address));
    }
    Task<http::Response> renew(std::string certificate, std::string asked)
    {
        const json body{{"certificate", std::move(certificate)}, {"request", std::move(asked)}};
        co_return co_await call(http::Method::post, "/api/v1/cluster/renew", body.dump());
    }
    Task<http::Response> revoke(std::string which)
    {
        co_return co_await call(http::Method::del, "/api/v1/cluster/certificates/" + which);
    }
    /// A certificate that another opsd of this authority signed: the ledger does not know it.
    [[nodiscard]] std::string unknown_certificate() const
    {
        return issue(authority, {request, "198.18.0.3", {}, {}}, clock.now(), 24h * 365)->certificate;
    }
    static std::string certificate_in(const http::Response& response)
    {
        const auto answer = parse_certificate_answer(response.body);
        return answer ? answer->certificate : std::string{};
    }
    static std::string serial_in(const http::Response& response)
    {
        const auto found = inspect(certificate_in(response));
        return found ? found->serial : "none";
    }
    static bool says(const http::Response& response, std::string_view words)
    {
        return response.body.find(words) != std::string::npos;
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
    http::Params audited;  ///< by the last call
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
        EXPECT_EQ(one->id, other->id) << "both found it good";
        const auto first = co_await core->ledger.join(*inspect(unknown_certificate()), *one);
        const auto second = co_await core->ledger.join(*inspect(unknown_certificate()), *other);
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

TEST_F(PkiRoutes, ANameOrAddressOfARunningCertificateIsNotForAnotherKey)
{
    found();
    with_core([this]() -> Task<> {
        const auto first = co_await join_as("agent1", "198.18.0.3");
        EXPECT_EQ(first.status, 201U) << first.body;
        EXPECT_TRUE(page_has("opsd_pki_issued_certificates 1"));
        const auto made = co_await token();
        const auto thief = *make_request(*make_key(), "agent9", {{"AGENT1"}, {}});
        const auto by_name = co_await join(text_of(made), thief, "198.18.0.9");
        EXPECT_EQ(by_name.status, 403U);
        EXPECT_TRUE(says(by_name, "cannot sign for agent1: the certificate " + serial_in(first)))
            << by_name.body;
        EXPECT_TRUE(says(by_name, "opsd cluster revoke agent1")) << by_name.body;
        EXPECT_TRUE(says(by_name, "--for agent9 --replace")) << by_name.body;
        const auto again = co_await join_as("agent1", "198.18.0.4");
        EXPECT_EQ(again.status, 403U);
        EXPECT_TRUE(says(again, "`opsd cluster token create --for agent1 --replace`")) << again.body;
        EXPECT_FALSE(says(again, "revoke")) << again.body;
        const auto by_address = co_await join_as("agent2", "198.18.0.9", {}, {{}, {"198.18.0.3"}});
        EXPECT_EQ(by_address.status, 403U);
        EXPECT_TRUE(says(by_address, "cannot sign for 198.18.0.3")) << by_address.body;
        EXPECT_TRUE(page_has("opsd_pki_issued_certificates 1"));
        const auto other = *make_request(*make_key(), "agent9", {});
        const auto honest = co_await join(text_of(made), other, "198.18.0.9");
        EXPECT_EQ(honest.status, 201U) << "a refusal costs no token: " << honest.body;
    });
    with_core([this]() -> Task<> {
        const auto restarted = co_await join_as("agent1", "198.18.0.4");
        EXPECT_EQ(restarted.status, 403U) << "another instance knows it";
        clock.advance(options.certificate_lifetime + 1s, [] {});
        const auto expired = co_await join_as("agent1", "198.18.0.3");
        EXPECT_EQ(expired.status, 201U) << expired.body;
        EXPECT_TRUE(page_has("opsd_pki_issued_certificates 1")) << "what is expired is gone";
    });
}

TEST_F(PkiRoutes, ATokenToReplaceTakesANodesNameOverAndItsOldKeyRenewsNoMore)
{
    found();
    with_core([this]() -> Task<> {
        const auto made = co_await token();
        const auto first = co_await join(text_of(made), request);
        const auto bound = co_await join_as("agent1", "198.18.0.3", R"({"for":"agent1"})");
        EXPECT_EQ(bound.status, 403U) << "--for alone replaces nothing";
        const auto second = co_await join_as("agent1", "198.18.0.3", R"({"for":"agent1","replace":true})");
        EXPECT_EQ(second.status, 201U) << second.body;
        EXPECT_EQ(audited.get("replaced"), serial_in(first));
        EXPECT_NE(lines->text.find("certificate " + serial_in(first) + " of agent1 is replaced by"),
                  std::string::npos)
            << lines->text;
        const auto old = co_await renew(certificate_in(first), request);
        EXPECT_EQ(old.status, 403U);
        EXPECT_TRUE(says(old, "was replaced by " + serial_in(second))) << old.body;
        const auto third = co_await join_as("agent1", "198.18.0.3");
        EXPECT_EQ(third.status, 403U) << "the new one has the name";
    });
}

TEST_F(PkiRoutes, ATokenToReplaceTakesNothingOfAnotherNodeUnlessThatIsRevoked)
{
    found();
    with_core([this]() -> Task<> {
        const auto terms = R"({"for":"agent2","replace":true})";
        const auto first = co_await join_as("agent1", "198.18.0.3");
        EXPECT_EQ(first.status, 201U);
        const Names its{{}, {"198.18.0.3"}};
        const auto address = co_await join_as("agent2", "198.18.0.3", terms, its);
        EXPECT_EQ(address.status, 403U) << "the address is agent1's";
        const auto revoked = co_await revoke("agent1");
        EXPECT_EQ(revoked.status, 200U);
        const auto plain = co_await join_as("agent2", "198.18.0.3", {}, its);
        EXPECT_EQ(plain.status, 403U);
        EXPECT_TRUE(says(plain, ", though revoked")) << plain.body;
        const auto free = co_await join_as("agent2", "198.18.0.3", terms, its);
        EXPECT_EQ(free.status, 201U) << free.body;
        EXPECT_EQ(audited.get("replaced"), serial_in(first));
    });
}

TEST_F(PkiRoutes, ARevokedCertificateIsNotRenewed)
{
    found();
    with_core([this]() -> Task<> {
        const auto made = co_await token(R"({"uses":2})");
        const auto first = co_await join(text_of(made), request);
        const auto serial = serial_in(first);
        auto upper = serial;
        std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
        for (const auto& which : {std::string{"agent2"}, std::string{"master"}, std::string(200, 'f')}) {
            const auto unknown = co_await revoke(which);
            EXPECT_EQ(unknown.status, 404U) << which;
        }
        const auto before = co_await renew(certificate_in(first), request);
        EXPECT_EQ(before.status, 201U) << before.body;
        const auto renewed = serial_in(before);
        const auto outdated = co_await revoke(serial);
        EXPECT_EQ(outdated.status, 404U) << "its key has a newer one";
        for (const auto& which : {renewed, std::string{"Agent1"}, std::string{"198.18.0.3"}}) {
            const auto revoked = co_await revoke(which);
            EXPECT_EQ(revoked.status, 200U) << which << revoked.body;
            EXPECT_EQ(json::parse(revoked.body)["revoked"][0]["serial"], renewed);
            EXPECT_EQ(json::parse(revoked.body)["revoked"][0]["node"], "agent1");
            EXPECT_EQ(audited.get("revoked"), renewed);
        }
        for (const auto& one : {first, before}) {
            const auto after = co_await renew(certificate_in(one), request);
            EXPECT_EQ(after.status, 403U);
            EXPECT_TRUE(says(after, "the certificate of its key was revoked")) << after.body;
        }
        const auto same_key = co_await join(text_of(made), request);
        EXPECT_EQ(same_key.status, 403U) << "nor does its key join";
        const auto anew = co_await join_as("agent1", "198.18.0.3", R"({"for":"agent1","replace":true})");
        EXPECT_EQ(anew.status, 201U) << anew.body;
    });
}

TEST_F(PkiRoutes, AFullLedgerRefusesFurtherNodesAndForgetsNone)
{
    found();
    options.issued_certificates = 1;
    with_core([this]() -> Task<> {
        const auto made = co_await token();
        const auto first = co_await join(text_of(made), request);
        EXPECT_EQ(first.status, 201U);
        const auto second = co_await join_as("agent2", "198.18.0.4");
        EXPECT_EQ(second.status, 503U);
        EXPECT_TRUE(says(second, "pki.issued_certificates")) << second.body;
        const auto renewed = co_await renew(certificate_in(first), request);
        EXPECT_EQ(renewed.status, 201U) << "takes no more room: " << renewed.body;
        const auto taken = co_await join_as("agent1", "198.18.0.3");
        EXPECT_EQ(taken.status, 403U) << "still known";
        const auto room = co_await core->ledger.tidy();
        EXPECT_FALSE(*room);
        clock.advance(options.certificate_lifetime + 1s, [] {});
        const auto later = co_await core->ledger.tidy();
        EXPECT_TRUE(*later);
        EXPECT_TRUE(page_has("opsd_pki_issued_certificates 0"));
    });
}

TEST_F(PkiRoutes, AClockThatWasAheadForgivesNoRevokedCertificate)
{
    found();
    options.issued_certificates = 2;
    with_core([this]() -> Task<> {
        const auto made = co_await token();
        const auto first = co_await join(text_of(made), request);
        const auto other = co_await join_as("agent2", "198.18.0.4");
        EXPECT_EQ(other.status, 201U) << other.body;
        const auto revoked = co_await revoke("agent1");
        EXPECT_EQ(revoked.status, 200U);
        const auto far = options.certificate_lifetime + 24h;
        clock.step_wall(far);
        const auto at_once = co_await core->ledger.tidy();
        EXPECT_FALSE(*at_once) << "nothing is forgotten";
        EXPECT_TRUE(page_has("opsd_pki_issued_certificates 0")) << "though none runs by this clock";
        clock.advance(23h, [] {});
        const auto next = co_await core->ledger.tidy();
        EXPECT_FALSE(*next);
        clock.step_wall(-far);
        const auto back = co_await core->ledger.tidy();
        EXPECT_FALSE(*back);
        EXPECT_TRUE(page_has("opsd_pki_issued_certificates 2"));
        clock.step_wall(far);
        const auto again = co_await core->ledger.tidy();
        EXPECT_FALSE(*again);
        clock.advance(24h, [] {});
        const auto a_day_later = co_await core->ledger.tidy();
        EXPECT_TRUE(*a_day_later) << "agent2 is forgotten, agent1 is not";
        clock.step_wall(-far);
        const auto late = co_await renew(certificate_in(first), request);
        EXPECT_EQ(late.status, 403U) << late.body;
        EXPECT_TRUE(says(late, "the certificate of its key was revoked")) << late.body;
    });
}

TEST_F(PkiRoutes, WhatIsWithdrawnAndExpiredTakesNobodysNameOrPlace)
{
    found();
    options.issued_certificates = 2;
    with_core([this]() -> Task<> {
        const auto first = co_await join_as("agent1", "198.18.0.3");
        EXPECT_EQ(first.status, 201U);
        const auto revoked = co_await revoke("agent1");
        EXPECT_EQ(revoked.status, 200U);
        clock.advance(options.certificate_lifetime + 1s, [] {});
        for (const auto* name : {"agent1", "agent2"}) {
            const auto joined = co_await join_as(name, "198.18.0.3");
            EXPECT_EQ(joined.status, 201U) << joined.body;
        }
        EXPECT_TRUE(page_has("opsd_pki_issued_certificates 2"));
        const auto full = co_await join_as("agent3", "198.18.0.5");
        EXPECT_EQ(full.status, 503U) << full.body;
    });
}

TEST_F(PkiRoutes, WhatIsWithdrawnIsForgottenInTheEnd)
{
    found();
    options.issued_certificates = 2;
    with_core([this]() -> Task<> {
        const auto made = co_await token(R"({"uses":2})");
        const auto joined = co_await join(text_of(made), request);
        EXPECT_EQ(joined.status, 201U);
        const auto revoked = co_await revoke("agent1");
        EXPECT_EQ(revoked.status, 200U);
        clock.advance(options.certificate_lifetime + 24h * 399, [] {});
        const auto tidied = co_await core->ledger.tidy();
        EXPECT_TRUE(*tidied);
        const auto kept = co_await core->ledger.renew(*inspect(certificate_in(joined)));
        EXPECT_FALSE(kept.has_value());
        clock.advance(48h, [] {});
        const auto forgotten = co_await core->ledger.renew(*inspect(certificate_in(joined)));
        EXPECT_TRUE(forgotten.has_value());
    });
}

TEST_F(PkiRoutes, NodesBehindOneAddressJoinWithTheirOwnNames)
{
    found();
    with_core([this]() -> Task<> {
        const auto first = co_await join_as("agent1", "198.18.0.3", {}, {{}, {"10.0.0.1"}});
        EXPECT_EQ(first.status, 201U) << first.body;
        EXPECT_EQ(inspect(certificate_in(first))->names, (Names{{"agent1"}, {"10.0.0.1", "198.18.0.3"}}));
        const auto second = co_await join_as("agent2", "198.18.0.3", {}, {{}, {"10.0.0.2"}});
        EXPECT_EQ(second.status, 201U) << second.body;
        EXPECT_EQ(inspect(certificate_in(second))->names, (Names{{"agent2"}, {"10.0.0.2"}}));
        const auto asked = co_await join_as("agent3", "198.18.0.3", {}, {{}, {"198.18.0.3"}});
        EXPECT_EQ(asked.status, 403U) << asked.body;
        const auto name = co_await join_as("agent2", "198.18.0.3");
        EXPECT_EQ(name.status, 403U) << name.body;
        EXPECT_TRUE(says(name, "cannot sign for agent2")) << name.body;
        const auto anew = co_await join_as("agent1", "198.18.0.3", R"({"for":"agent1","replace":true})");
        EXPECT_EQ(anew.status, 201U) << anew.body;
        EXPECT_EQ(inspect(certificate_in(anew))->names, (Names{{"agent1"}, {"198.18.0.3"}}));
    });
}

TEST_F(PkiRoutes, ACertificateThatTheLedgerDoesNotKnowIsEnteredWhenItRenews)
{
    found();
    with_core([this]() -> Task<> {
        const auto renewed = co_await renew(unknown_certificate(), request);
        EXPECT_EQ(renewed.status, 201U) << renewed.body;
        const auto thief = co_await join_as("agent1", "198.18.0.9");
        EXPECT_EQ(thief.status, 403U);
        const auto revoked = co_await revoke("agent1");
        EXPECT_EQ(revoked.status, 200U) << revoked.body;
    });
}

TEST_F(PkiRoutes, AnUnknownCertificateIsNotRenewedForANameThatAnotherHasMeanwhile)
{
    found();
    with_core([this]() -> Task<> {
        const auto joined = co_await join_as("agent1", "198.18.0.9");
        EXPECT_EQ(joined.status, 201U);
        const auto renewed = co_await renew(unknown_certificate(), request);
        EXPECT_EQ(renewed.status, 403U) << renewed.body;
        EXPECT_TRUE(says(renewed, "cannot sign for agent1")) << renewed.body;
    });
}

TEST_F(PkiRoutes, OneKeyHasNoMoreNamesThanACertificateMayHave)
{
    found();
    with_core([this]() -> Task<> {
        const auto made = co_await token(R"({"uses":4})");
        const std::string text = text_of(made);
        std::vector<unsigned> statuses;
        for (const auto* prefix : {"a", "b", "c"}) {
            Names names;
            for (int i = 0; i < 15; ++i)
                names.hosts.push_back(prefix + std::to_string(i));
            const auto joined = co_await join(text, *make_request(key, "agent1", names));
            statuses.push_back(joined.status);
        }
        EXPECT_EQ(statuses, (std::vector<unsigned>{201, 201, 400}));
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
