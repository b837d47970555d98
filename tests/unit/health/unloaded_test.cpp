// Units that nobody named and that systemd unloads: those of a pattern, and failed ones.

#include "node.hpp"

namespace opsd::health {
namespace {

using namespace test;
using systemd::FakeCall;

class HealthUnloaded : public Node {
protected:
    /// Its changes, oldest first: "running>failed failed>gone".
    std::string changes_of(const std::string& id)
    {
        std::string all;
        for (const auto& row : get("/api/v1/units/" + id + "/history")["transitions"]) {
            const auto one = row["from"].get<std::string>() + ">" + row["to"].get<std::string>();
            all = one + (all.empty() ? "" : " ") + all;
        }
        return all;
    }
};

TEST_F(HealthUnloaded, AnInstanceThatIsLoadedAgainAtOnceIsWatchedAgain)
{
    options.globs = {"t@*"};
    start();
    advance(1s);
    add(running("t@1.service"));
    advance(100ms);
    ASSERT_EQ(word("t@1.service"), "running");
    systemd.remove_unit("t@1.service");
    add(running("t@1.service"));
    advance(100ms);
    fail_unit("t@1.service");
    advance(3s);
    EXPECT_EQ(word("t@1.service"), "failed");
    EXPECT_EQ(metric("opsd_systemd_resync_corrections_total"), "0") << "a signal said so";
}

TEST_F(HealthUnloaded, AskingForAnUnloadedInstanceDoesNotGoOnForEver)
{
    options.globs = {"t@*"};
    start();
    advance(1s);
    add(running("t@1.service"));
    advance(100ms);
    systemd.remove_unit("t@1.service");
    advance(100ms);
    const auto asked = systemd.count(FakeCall::list_units_by_names) + systemd.count(FakeCall::read_unit);
    const auto lists = systemd.count(FakeCall::list_units);
    for (int i = 0; i < 100; ++i) {  // what systemd says whenever somebody's question loads it
        systemd.add_unit(running("t@1.service"));
        systemd.remove_unit("t@1.service");
        advance(10ms);
    }
    advance(1min);
    EXPECT_EQ(systemd.count(FakeCall::list_units_by_names) + systemd.count(FakeCall::read_unit), asked);
    EXPECT_LE(systemd.count(FakeCall::list_units), lists + 1);
    EXPECT_EQ(word("t@1.service"), "(not there)");
}

TEST_F(HealthUnloaded, TheFailureOfAnInstanceThatIsCollectedAtOnceIsKept)
{
    options.globs = {"t@*"};
    start();
    advance(1s);
    add(running("t@1.service"));
    advance(1s);
    fail_unit("t@1.service");
    systemd.remove_unit("t@1.service");
    advance(20ms);
    EXPECT_EQ(word("t@1.service"), "(not there)");
    const auto rows = get("/api/v1/units/t@1.service/history")["transitions"];
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(changes_of("t@1.service"), "running>failed failed>gone");
    EXPECT_EQ(rows[1]["result"], "signal");
    EXPECT_EQ(rows[0]["to_health"], 0) << "nothing expects it";
    EXPECT_NE(rows[0]["reason"].get<std::string>().find("unloaded"), std::string::npos);
    EXPECT_EQ(metric("opsd_journal_reads_total"), "0") << "nobody could be shown the lines";
}

TEST_F(HealthUnloaded, AFailureBeforeTheUnitCouldBeReadIsKeptToo)
{
    options.globs = {"t@*"};
    start();
    advance(1s);
    systemd.hold(FakeCall::read_unit);
    add(running("t@1.service"));
    advance(20ms);
    fail_unit("t@1.service");
    advance(20ms);
    systemd.remove_unit("t@1.service");
    systemd.release(FakeCall::read_unit);
    advance(20ms);
    const auto rows = get("/api/v1/units/t@1.service/history")["transitions"];
    EXPECT_EQ(changes_of("t@1.service"), ">failed failed>gone");
    EXPECT_NE(rows[1]["reason"].get<std::string>().find("KILL"), std::string::npos) << rows[1]["reason"];
}

TEST_F(HealthUnloaded, TheEndOfAnInstanceIsSentAndItComesAgainFromThere)
{
    options.globs = {"t@*"};
    start();
    advance(1s);
    auto events = feeds.transitions.subscribe(10);
    add(running("t@1.service"));
    advance(5s);
    systemd.remove_unit("t@1.service");
    advance(5s);
    EXPECT_EQ(get("/api/v1/units/t@1.service/history")["transitions"][0]["id"], node().last_transition);
    add(running("t@1.service"));
    advance(5s);
    EXPECT_EQ(changes_of("t@1.service"), "running>gone gone>running");
    EXPECT_FALSE(events->empty());
    stop();
    systemd.remove_unit("t@1.service");
    start();
    advance(1s);
    EXPECT_EQ(changes_of("t@1.service"), "running>gone gone>running") << "when it went nobody saw";
}

TEST_F(HealthUnloaded, ARestartOfOpsdRemembersThatAUnitWasGone)
{
    options.globs = {"t@*"};
    add(running("t@1.service"));
    start();
    advance(1s);
    add(running("t@2.service"));
    advance(5s);
    systemd.remove_unit("t@2.service");
    advance(5s);
    stop();
    start();
    advance(1s);
    add(running("t@2.service"));
    advance(5s);
    EXPECT_EQ(changes_of("t@2.service"), "running>gone gone>running");
}

TEST_F(HealthUnloaded, TheRecoveryOfAFailedUnitByAResetIsKept)
{
    systemd.set_files({{"/lib/systemd/system/on.service", "enabled"}});
    add(running("calm.service"));
    start();
    advance(1s);
    fail_unit("calm.service");
    advance(5s);
    ASSERT_EQ(word("calm.service"), "failed");
    systemd.change("calm.service", [](UnitFacts& f) {
        f.active_state = "inactive";
        f.sub_state = "dead";
        f.result = "success";
    });
    systemd.remove_unit("calm.service");
    advance(20ms);
    EXPECT_EQ(changes_of("calm.service"), ">failed failed>stopped stopped>gone");
}

TEST_F(HealthUnloaded, WhatIsLoadedAndNeverStartedMakesNoRows)
{
    options.globs = {"t@*"};
    start();
    advance(1s);
    const auto off = [](const std::string& id) { return unit("inactive", "dead", id); };
    for (int i = 0; i < 5; ++i) {  // somebody asks systemd about it now and then
        add(off("t@1.service"));
        advance(5s);
        systemd.remove_unit("t@1.service");
        advance(5s);
    }
    EXPECT_EQ(ask(http::Method::get, "/api/v1/units/t@1.service/history", http::Role::admin).status, 404U)
        << "it has none";
    add(running("t@1.service"));
    advance(5s);
    systemd.remove_unit("t@1.service");
    advance(5s);
    add(off("t@1.service"));
    advance(5s);
    EXPECT_EQ(word("t@1.service"), "off");
    EXPECT_EQ(changes_of("t@1.service"), "off>running running>gone");
}

TEST_F(HealthUnloaded, AReloadIsNoEndOfAnInstance)
{
    options.globs = {"t@*"};
    start();
    advance(1s);
    add(running("t@1.service"));
    advance(5s);
    systemd.reload([this] {
        systemd.remove_unit("t@1.service");
        add(running("t@1.service"));
    });
    advance(5s);
    EXPECT_EQ(word("t@1.service"), "running");
    EXPECT_EQ(changes_of("t@1.service"), "");
    systemd.reload([this] { systemd.remove_unit("t@1.service"); });
    advance(5s);
    EXPECT_EQ(word("t@1.service"), "(not there)");
    EXPECT_EQ(changes_of("t@1.service"), "running>gone");
}

}  // namespace
}  // namespace opsd::health
