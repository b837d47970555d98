// GET /api/v1/units/{unit}/explain: the gathering, its bounds, and who may ask.

#include "node.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>

namespace opsd::health {
namespace {

using namespace test;
using http::Method;
using http::Role;

class Explain : public Node {
protected:
    Explain() { options.units = {"a.service", "b.service"}; }

    /// The status of an answer that is waited for, without holding up the test.
    std::shared_ptr<std::optional<http::Response>> ask_later(const std::string& unit)
    {
        auto out = std::make_shared<std::optional<http::Response>>();
        auto request = std::make_shared<http::Request>();
        request->path_params.add("unit", unit);
        request->caller.role = http::Role::viewer;
        for (const auto& route : routes) {
            if (!route.pattern.ends_with("/explain")) continue;
            asio::co_spawn(io, answer_into(route.handler, request, out), [](std::exception_ptr e) {
                if (e) std::rethrow_exception(e);
            });
        }
        settle();
        return out;
    }
    static Task<> answer_into(http::Handler handler, std::shared_ptr<http::Request> request,
                              std::shared_ptr<std::optional<http::Response>> out)
    {
        auto made = co_await handler(*request);
        *out = std::move(made);
    }
    void two_units()
    {
        add(running());
        add(failed("exit-code", 1, 3, "b.service"));
        systemd::JournalLine line;
        line.at = today;
        line.identifier = "b";
        line.message = "cannot open /etc/b.conf: Permission denied";
        journal["b.service"] = {line};
        start();
        advance(2s);
    }
    static std::vector<std::string> unknown_of(const nlohmann::ordered_json& answer)
    {
        std::vector<std::string> all;
        for (const auto& one : answer["unknown"])
            all.push_back(one["what"].get<std::string>() + ": " + one["why"].get<std::string>());
        return all;
    }
    static bool says(const nlohmann::ordered_json& answer, const std::string& text)
    {
        return answer["unknown"].dump().find(text) != std::string::npos;
    }
};

TEST_F(Explain, AFailedUnitIsExplainedWithItsLines)
{
    board.identity.publish(NodeIdentity{"host1", "10.0.0.1", "agent", "m-1", "2.2"}, today);
    two_units();
    const auto answer = get("/api/v1/units/b.service/explain");
    EXPECT_EQ(answer["unit"], "b.service");
    EXPECT_EQ(answer["node"], "host1");
    EXPECT_EQ(answer["health"], 1);
    EXPECT_EQ(answer["cause"], "permission-denied");
    EXPECT_NE(answer["verdict"].get<std::string>().find("/etc/b.conf"), std::string::npos);
    EXPECT_EQ(answer["journal"][0]["message"], "cannot open /etc/b.conf: Permission denied");
    EXPECT_EQ(answer["next"][0], "namei -l /etc/b.conf");
    for (const auto* member :
         {"since", "worked", "evidence", "changed", "packages", "unknown", "explained_at", "took_ms"})
        EXPECT_TRUE(answer.contains(member)) << member;
}

TEST_F(Explain, AHealthyUnitHasTheSameShape)
{
    two_units();
    const auto well = get("/api/v1/units/a.service/explain");
    const auto ill = get("/api/v1/units/b.service/explain");
    EXPECT_EQ(well["cause"], "healthy");
    EXPECT_NE(well["verdict"].get<std::string>().find("nothing to explain"), std::string::npos);
    std::vector<std::string> members;
    for (const auto& [key, value] : well.items())
        members.push_back(key);
    std::size_t i = 0;
    for (const auto& [key, value] : ill.items()) {
        ASSERT_LT(i, members.size());
        EXPECT_EQ(key, members[i++]);
        EXPECT_TRUE(well[key].is_null() || value.is_null() || value.type() == well[key].type()) << key;
    }
}

TEST_F(Explain, WhatCannotBeGatheredIsSaid)
{
    two_units();
    systemd.fail_always(systemd::FakeCall::inspect_unit, Error{Errc::timeout, "cannot inspect: too slow"});
    journal_broken = Error{Errc::denied, "cannot read the journal: no permission"};
    store->broken = Error{Errc::unavailable, "cannot read the store"};
    const auto answer = get("/api/v1/units/b.service/explain");
    EXPECT_TRUE(says(answer, "cannot inspect: too slow")) << answer["unknown"];
    EXPECT_TRUE(says(answer, "cannot read the journal: no permission")) << answer["unknown"];
    EXPECT_TRUE(says(answer, "cannot read the store")) << answer["unknown"];
    EXPECT_EQ(answer["cause"], "exit-code") << "what is known without them is still said";
    store->broken.reset();
}

TEST_F(Explain, TheDeadlineEndsAGatheringAndTheAnswerSaysWhatIsMissing)
{
    two_units();
    systemd.hold(systemd::FakeCall::inspect_unit);
    const auto answer = ask_later("b.service");
    advance(4s);
    EXPECT_FALSE(answer->has_value());
    advance(2s);
    ASSERT_TRUE(answer->has_value());
    const auto json = nlohmann::ordered_json::parse(body_of(**answer));
    EXPECT_EQ(unknown_of(json).front(),
              "its properties: it could not be gathered within 5 s (health.explain.deadline)");
    EXPECT_TRUE(says(json, "its journal lines"));
    EXPECT_EQ(json["took_ms"], 5000);
    EXPECT_EQ(metric("opsd_explain_late_total"), "1");
    systemd.release(systemd::FakeCall::inspect_unit);
}

TEST_F(Explain, ManyWhoAskForOneUnitShareOneGathering)
{
    two_units();
    systemd.hold(systemd::FakeCall::inspect_unit);
    const auto first = ask_later("b.service");
    const auto second = ask_later("b.service");
    systemd.release(systemd::FakeCall::inspect_unit);
    until([&] { return first->has_value() && second->has_value(); });
    EXPECT_EQ((*first)->content, (*second)->content);
    EXPECT_EQ(metric("opsd_explain_gathered_total"), "1");
    EXPECT_EQ(metric("opsd_explain_joined_total"), "1");
}

TEST_F(Explain, WhoAsksAfterAChangeIsNotGivenWhatWasGatheredBeforeIt)
{
    two_units();
    systemd.hold(systemd::FakeCall::inspect_unit);
    const auto before = ask_later("b.service");
    run_unit("b.service");
    advance(20ms);
    const auto after = ask_later("b.service");
    systemd.release(systemd::FakeCall::inspect_unit);
    until([&] { return before->has_value() && after->has_value(); });
    EXPECT_EQ(nlohmann::ordered_json::parse(body_of(**before))["health"], 1);
    EXPECT_EQ(nlohmann::ordered_json::parse(body_of(**after))["cause"], "healthy");
}

TEST_F(Explain, MoreAtATimeThanAllowedAreRefusedAtOnce)
{
    options.explain.concurrent = 1;
    two_units();
    systemd.hold(systemd::FakeCall::inspect_unit);
    const auto first = ask_later("b.service");
    const auto second = ask_later("a.service");
    ASSERT_TRUE(second->has_value());
    EXPECT_EQ((*second)->status, 503U);
    EXPECT_NE((*second)->body.find("health.explain.concurrent"), std::string::npos);
    systemd.release(systemd::FakeCall::inspect_unit);
    until([&] { return first->has_value(); });
    EXPECT_EQ(metric("opsd_explain_refused_total"), "1");
}

TEST_F(Explain, AnAnswerIsGivenAgainUntilItIsOldOrTheUnitChanges)
{
    two_units();
    (void)get("/api/v1/units/b.service/explain");
    (void)get("/api/v1/units/b.service/explain");
    EXPECT_EQ(metric("opsd_explain_gathered_total"), "1");
    advance(6s);
    (void)get("/api/v1/units/b.service/explain");
    EXPECT_EQ(metric("opsd_explain_gathered_total"), "2");
    run_unit("b.service");
    advance(20ms);
    EXPECT_EQ(get("/api/v1/units/b.service/explain")["cause"], "healthy");
    EXPECT_EQ(metric("opsd_explain_gathered_total"), "3");
}

TEST_F(Explain, KeptAnswersAreBounded)
{
    options.explain.kept = 1;
    two_units();
    (void)get("/api/v1/units/a.service/explain");
    (void)get("/api/v1/units/b.service/explain");
    EXPECT_EQ(metric("opsd_explain_kept"), "1");
}

TEST_F(Explain, AClientThatLeavesDoesNotEndTheGatheringOfOthers)
{
    two_units();
    systemd.hold(systemd::FakeCall::inspect_unit);
    asio::cancellation_signal leave;
    auto request = std::make_shared<http::Request>();
    request->path_params.add("unit", "b.service");
    request->caller.role = http::Role::viewer;
    auto gone = std::make_shared<std::optional<http::Response>>();
    for (const auto& route : routes) {
        if (!route.pattern.ends_with("/explain")) continue;
        asio::co_spawn(io, answer_into(route.handler, request, gone),
                       asio::bind_cancellation_slot(leave.slot(), [](std::exception_ptr) {}));
    }
    settle();
    const auto other = ask_later("b.service");
    leave.emit(asio::cancellation_type::terminal);
    settle();
    systemd.release(systemd::FakeCall::inspect_unit);
    until([&] { return other->has_value(); });
    EXPECT_EQ((*other)->status, 200U);
    EXPECT_FALSE(gone->has_value());
}

TEST_F(Explain, StoppingTheModuleAnswersWhoWaits)
{
    two_units();
    systemd.hold(systemd::FakeCall::inspect_unit);
    const auto answer = ask_later("b.service");
    stop();
    until([&] { return answer->has_value(); });
    EXPECT_EQ((*answer)->status, 503U);
}

TEST_F(Explain, JournalLinesMakeItForViewersOnly)
{
    two_units();
    bool found = false;
    for (const auto& route : routes) {
        if (!route.pattern.ends_with("/explain")) continue;
        found = true;
        EXPECT_EQ(route.access, http::Access::read);
        EXPECT_EQ(route.method, Method::get);
    }
    EXPECT_TRUE(found);
    EXPECT_EQ(ask(Method::get, "/api/v1/units/nobody.service/explain").status, 404U);
}

TEST_F(Explain, ACircleOfDependenciesEndsAndTheDeepestFailureIsNamed)
{
    options.units = {"a.service"};
    const auto chain = [this](const std::string& id, UnitFacts facts, std::vector<std::string> needs) {
        facts.id = id;
        facts.condition_at = facts.active_state == "inactive" ? Monotonic{} : facts.condition_at;
        systemd.add_unit(facts);
        systemd::UnitDetails details;
        details.requires_units = std::move(needs);
        systemd.set_details(id, details);
    };
    chain("a.service", unit("inactive", "dead"), {"b.service", "well.service"});
    chain("b.service", unit("inactive", "dead"), {"c.service", "a.service"});
    chain("c.service", failed(), {"b.service", "c.service"});
    chain("well.service", running(), {"c.service"});
    start();
    systemd.end_job("a.service", "dependency");
    advance(2s);
    ASSERT_EQ(word("a.service"), "blocked");
    const auto answer = get("/api/v1/units/a.service/explain");
    EXPECT_EQ(answer["cause"], "dependency");
    EXPECT_NE(answer["verdict"].get<std::string>().find("c.service, which b.service needs"),
              std::string::npos)
        << answer["verdict"];
    EXPECT_NE(answer["verdict"].get<std::string>().find("exited with status 3"), std::string::npos);
}

TEST_F(Explain, TheWayToTheFirstCauseIsBounded)
{
    options.units = {"a.service"};
    options.explain.dependencies = 5;
    systemd::UnitDetails details;
    for (int i = 0; i < 10; ++i)
        details.requires_units.push_back("d" + std::to_string(i) + ".service");
    add(unit("inactive", "dead"));
    systemd.set_details("a.service", details);
    start();
    systemd.end_job("a.service", "dependency");
    advance(2s);
    const auto answer = get("/api/v1/units/a.service/explain");
    EXPECT_TRUE(says(answer, "more than 5 are on the way (health.explain.dependencies)"))
        << answer["unknown"];
}

TEST_F(Explain, WithoutSystemdNothingIsCalledCertain)
{
    two_units();
    systemd.lose_connection({Errc::unavailable, "cannot reach systemd: gone"});
    systemd.fail_always(systemd::FakeCall::connect,
                        Error{Errc::unavailable, "cannot reach systemd: still gone"});
    advance(1s);
    const auto answer = get("/api/v1/units/b.service/explain");
    EXPECT_EQ(answer["health"], 3);
    EXPECT_EQ(answer["cause"], "unknown");
    EXPECT_TRUE(says(answer, "no connection to systemd")) << answer["unknown"];
}

}  // namespace
}  // namespace opsd::health
