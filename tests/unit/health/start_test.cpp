// What is served when, after a start and after a lost connection.

#include "node.hpp"

namespace opsd::health {
namespace {

using namespace test;
using systemd::FakeCall;

class HealthStart : public Node {};

TEST_F(HealthStart, TheListOfUnitFilesIsMadeWhenTheStatesAreServed)
{
    add(running());
    options.globs = {"a.*"};
    systemd.set_files({{"/lib/systemd/system/a.idle.service", "enabled"}});
    start();
    EXPECT_EQ(status.condition, "running");
    EXPECT_EQ(systemd.count(FakeCall::list_unit_files), 0U);
    EXPECT_EQ(word("a.service"), "running");
    EXPECT_EQ(node().health, Health::unknown);
    EXPECT_EQ(node().reason, "not all expected units are known: the list of unit files is not read yet");
    advance(1s);
    EXPECT_EQ(systemd.count(FakeCall::list_unit_files), 1U);
    EXPECT_EQ(word("a.idle.service"), "missing");
    EXPECT_EQ(node().reason, "1 of 2 units is unhealthy: a.idle.service");
}

TEST_F(HealthStart, WhatTheListOfUnitFilesBringsMayTriggerWhatIsReadAlready)
{
    add(changed(stopped(), [](auto& f) { f.type = "oneshot"; }));
    options.globs = {"a.*"};
    systemd.set_files({{"/lib/systemd/system/a.timer", "enabled"}});
    start();
    advance(20ms);
    EXPECT_EQ(word("a.service"), "done");
    systemd.change_silently("a.service", [](UnitFacts& f) { f.triggered_by = {"a.timer"}; });
    advance(1s);
    EXPECT_EQ(word("a.service"), "waiting");
}

TEST_F(HealthStart, AnotherConnectionBeginsWithTheListOfUnitFilesThatIsKnown)
{
    add(running());
    options.globs = {"a.*"};
    start();
    advance(1s);
    ASSERT_EQ(node().health, Health::healthy);
    systemd.hold(FakeCall::list_unit_files);
    systemd.lose_connection({Errc::unavailable, "cannot reach systemd: it was re-executed"});
    advance(1s);
    EXPECT_EQ(node().health, Health::healthy);
    systemd.set_files({{"/lib/systemd/system/a.idle.service", "enabled"}});
    systemd.release(FakeCall::list_unit_files);
    advance(1s);
    EXPECT_EQ(word("a.idle.service"), "missing") << "and lists anew";
}

TEST_F(HealthStart, StatesAreServedBeforeAnyDetail)
{
    for (int i = 0; i < 100; ++i) {
        add(running(fmt::format("u{}.service", i)));
        options.units.push_back(fmt::format("u{}.service", i));
    }
    systemd.hold(FakeCall::read_unit);
    start();
    EXPECT_EQ(status.condition, "running");
    EXPECT_EQ(node().units.size(), 100U);
    EXPECT_EQ(word("u99.service"), "running");
    EXPECT_EQ(systemd.count(FakeCall::read_unit), 100U) << "all are asked for, in turns";
    systemd.release(FakeCall::read_unit);
    advance(20ms);
    EXPECT_TRUE(state("u99.service")->facts->details);
}

}  // namespace
}  // namespace opsd::health
