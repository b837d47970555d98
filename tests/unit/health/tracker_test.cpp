// The state machine, without systemd, clock or store.

#include "modules/health/tracker.hpp"

#include "facts.hpp"

#include <gtest/gtest.h>

namespace opsd::health {
namespace {

using namespace test;

class Change final : public systemd::UnitChange {
public:
    Change(std::string id, std::function<void(UnitFacts&)> edit, bool complete = true)
      : path_{systemd::unit_path(id)}
      , edit_{std::move(edit)}
      , complete_{complete}
    {}
    [[nodiscard]] std::string_view object_path() const override { return path_; }
    bool apply_to(UnitFacts& facts) const override
    {
        edit_(facts);
        return complete_;
    }
    [[nodiscard]] bool of_unit() const override { return true; }
    [[nodiscard]] std::unique_ptr<const UnitChange> keep() const override
    {
        return std::make_unique<Change>(*this);
    }

private:
    std::string path_;
    std::function<void(UnitFacts&)> edit_;
    bool complete_;
};

class HealthTracker : public ::testing::Test {
protected:
    HealthTracker()
    {
        tracker.systemd_back(now.monotonic);
        tracker.remember({}, "boot-1");
    }

    void watch(UnitFacts facts, bool expected = true)
    {
        const auto id = facts.id;
        tracker.watch(id, expected, true);
        tracker.read(id, std::move(facts), now.monotonic);
    }
    void tell(const std::string& id, std::function<void(UnitFacts&)> edit)
    {
        tracker.signal(Change{id, std::move(edit)}, now.monotonic);
    }
    Effects evaluate()
    {
        tracker.tick(now.monotonic);
        auto effects = tracker.evaluate(now, 100'000);
        for (const auto& record : effects.records)
            if (record.transition) transitions.push_back(*record.transition);
        return effects;
    }
    std::shared_ptr<const UnitState> state(std::string_view id = "a.service")
    {
        for (const auto& unit : tracker.node(now.wall).units)
            if (unit->id == id) return unit;
        return nullptr;
    }
    void pass(Monotonic time)
    {
        now.monotonic += time;
        now.wall += time;
    }
    /// Fails and restarts, as systemd tells it.
    void crash_and_restart(const std::string& id = "a.service")
    {
        tell(id, [](UnitFacts& f) {
            f.active_state = "activating";
            f.sub_state = "auto-restart";
            f.result = "exit-code";
            f.main_code = f.main_status = 1;
        });
        evaluate();
        tell(id, [](UnitFacts& f) {
            f.active_state = "active";
            f.sub_state = "running";
            f.result = "success";
            ++f.restarts;
        });
        evaluate();
    }

    Tracker tracker{Tracker::Options{}};
    Moment now{boot_age, today};
    std::vector<Transition> transitions;
};

TEST_F(HealthTracker, AFailureIsATransitionWithSystemdsTimeAndResult)
{
    watch(running());
    EXPECT_TRUE(evaluate().records.at(0).transition == std::nullopt);
    pass(1min);
    tell("a.service", [&](UnitFacts& f) {
        f.active_state = f.sub_state = "failed";
        f.result = "signal";
        f.main_code = 2;
        f.main_status = 9;
        f.state_change_at = now.monotonic - 3ms;
        f.state_change_time = now.wall - 3ms;
    });
    const auto effects = evaluate();
    ASSERT_EQ(transitions.size(), 1U);
    EXPECT_EQ(transitions[0].from, "running");
    EXPECT_EQ(transitions[0].to, "failed");
    EXPECT_EQ(transitions[0].result, "signal");
    EXPECT_EQ(transitions[0].at, now.wall - 3ms);
    EXPECT_EQ(state()->health, Health::unhealthy);
    EXPECT_EQ(state()->since, now.wall - 3ms);
    ASSERT_EQ(effects.evidence.size(), 1U);
    EXPECT_FALSE(state()->journal_complete);
}

TEST_F(HealthTracker, NothingEntersTheHistoryBeforeDetailsAreRead)
{
    tracker.watch("a.service", true, true);
    systemd::ListedUnit row{
        .id = "a.service", .load_state = "loaded", .active_state = "inactive", .sub_state = "dead"};
    EXPECT_TRUE(tracker.listed(row, now.monotonic));
    EXPECT_TRUE(evaluate().records.empty());
    EXPECT_EQ(state()->state, "unread");
    EXPECT_EQ(state()->health, Health::unknown);
    tracker.read("a.service", changed(stopped(), [](auto& f) { f.type = "oneshot"; }), now.monotonic);
    evaluate();
    EXPECT_EQ(state()->state, "done");
    EXPECT_TRUE(transitions.empty());
}

TEST_F(HealthTracker, FlappingIsSeenAlsoWhileTheUnitRunsAndDecaysWithTime)
{
    watch(running());
    evaluate();
    for (int i = 0; i < 3; ++i) {
        pass(1s);
        crash_and_restart();
    }
    EXPECT_EQ(state()->state, "flapping");
    EXPECT_EQ(state()->health, Health::unhealthy);
    EXPECT_EQ(state()->restarts_in_window, 3U);
    const auto flapping_since = state()->since;
    pass(9min);
    evaluate();
    EXPECT_EQ(state()->state, "flapping");
    EXPECT_EQ(state()->since, flapping_since);
    ASSERT_TRUE(tracker.next_deadline());
    EXPECT_LE(*tracker.next_deadline(), now.monotonic + 62s);
    pass(70s);
    evaluate();
    EXPECT_EQ(state()->state, "running");
    EXPECT_EQ(transitions.back().from, "flapping");
}

TEST_F(HealthTracker, AManualStartEndsFlapping)
{
    watch(running());
    evaluate();
    for (int i = 0; i < 4; ++i)
        crash_and_restart();
    ASSERT_EQ(state()->state, "flapping");
    const Change by_hand{"a.service", [](UnitFacts& f) { f.restarts = 0; }};
    EXPECT_EQ(tracker.signal(by_hand, now.monotonic), Tracker::Heard::can_wait);
    EXPECT_FALSE(tracker.dirty()) << "it waits with what else the unit does";
    EXPECT_EQ(tracker.signal(by_hand, now.monotonic, true), Tracker::Heard::applied);
    evaluate();
    EXPECT_EQ(state()->state, "running");
}

TEST_F(HealthTracker, AFlappingUnitAtRestIsFollowedAtOnce)
{
    watch(running());
    evaluate();
    for (int i = 0; i < 4; ++i)
        crash_and_restart();
    ASSERT_EQ(state()->state, "flapping");
    const auto give_up = [](UnitFacts& f) {
        f.active_state = f.sub_state = "failed";
        f.result = "start-limit-hit";
    };
    EXPECT_EQ(tracker.signal(Change{"a.service", give_up}, now.monotonic, true), Tracker::Heard::applied);
    const auto start = [](UnitFacts& f) { f = running(f.id); };
    EXPECT_EQ(tracker.signal(Change{"a.service", start}, now.monotonic), Tracker::Heard::applied);
}

TEST_F(HealthTracker, AUnitGetsStuckByTimeAlone)
{
    watch(changed(unit("activating", "start"), [&](auto& f) { f.inactive_exit_at = now.monotonic - 1min; }));
    evaluate();
    EXPECT_EQ(state()->state, "starting");
    ASSERT_EQ(tracker.next_deadline(), now.monotonic + 4min);
    pass(4min);
    evaluate();
    EXPECT_EQ(state()->state, "stuck");
    EXPECT_EQ(state()->since, now.wall);
}

TEST_F(HealthTracker, StepsOfTheWallClockChangeNoDuration)
{
    watch(changed(unit("activating", "start"), [&](auto& f) { f.inactive_exit_at = now.monotonic - 1min; }));
    evaluate();
    now.wall += 1h;
    evaluate();
    EXPECT_EQ(state()->state, "starting");
    now.wall -= 2h;
    pass(4min);
    evaluate();
    EXPECT_EQ(state()->state, "stuck");
}

TEST_F(HealthTracker, UnknownNeverLooksHealthyWhileSystemdIsLost)
{
    watch(running());
    evaluate();
    tracker.systemd_lost("systemd cannot be read: gone", now.monotonic);
    const auto node = tracker.node(now.wall);
    EXPECT_EQ(node.health, Health::unknown);
    EXPECT_FALSE(node.systemd_readable);
    EXPECT_EQ(node.reason, "systemd cannot be read: gone");
    ASSERT_EQ(node.units.size(), 1U);
    EXPECT_EQ(node.units[0]->state, "running");
    pass(1h);
    EXPECT_TRUE(evaluate().records.empty());
    tracker.systemd_back(now.monotonic);
    evaluate();
    EXPECT_EQ(tracker.node(now.wall).health, Health::healthy);
    EXPECT_TRUE(transitions.empty());
}

TEST_F(HealthTracker, RestartsDuringALongLossAreNotCountedAsFlapping)
{
    watch(running());
    evaluate();
    tracker.systemd_lost("gone", now.monotonic);
    pass(1h);
    tracker.systemd_back(now.monotonic);
    tracker.read("a.service", changed(running(), [](auto& f) { f.restarts = 50; }), now.monotonic);
    evaluate();
    EXPECT_EQ(state()->state, "running");
}

TEST_F(HealthTracker, ARestartOfOpsdMakesNoTransitionButAChangeMeanwhileDoes)
{
    watch(running("a.service"));
    watch(running("b.service"));
    auto known = std::map<std::string, Known, std::less<>>{};
    for (const auto& record : evaluate().records)
        known[record.unit] = record.known;

    Tracker second{Tracker::Options{}};
    second.systemd_back(now.monotonic);
    for (const auto* id : {"a.service", "b.service"})
        second.watch(id, true, true);
    second.read("a.service", running("a.service"), now.monotonic);
    second.read("b.service", failed("signal", 2, 9, "b.service"), now.monotonic);
    EXPECT_TRUE(second.evaluate(now, 100).records.empty())
        << "nothing is recorded before the store has spoken";
    second.remember(known, "boot-1");
    const auto effects = second.evaluate(now, 100);
    ASSERT_EQ(effects.records.size(), 1U);
    EXPECT_EQ(effects.records[0].unit, "b.service");
    EXPECT_EQ(effects.records[0].transition->from, "running");
    EXPECT_EQ(effects.records[0].transition->to, "failed");
}

TEST_F(HealthTracker, AFailureAgainInAnotherRunIsAnotherTransition)
{
    watch(failed());
    evaluate();
    ASSERT_EQ(transitions.size(), 1U);  // at first sight, for it is unhealthy
    tell("a.service", [&](UnitFacts& f) {
        f.invocation_id = "ffffffffffffffffffffffffffffffff";
        f.state_change_time = now.wall + 1s;
    });
    evaluate();
    ASSERT_EQ(transitions.size(), 2U);
    EXPECT_EQ(transitions[1].from, "failed");
    EXPECT_EQ(state()->since, now.wall + 1s);
}

TEST_F(HealthTracker, WhatSystemdForgetsByUnloadingIsRemembered)
{
    auto done = changed(stopped(), [](auto& f) { f.type = "oneshot"; });
    watch(done);
    evaluate();
    EXPECT_EQ(state()->state, "done");
    EXPECT_EQ(tracker.removed("a.service", now), Tracker::Removed::kept);
    const auto forgotten = changed(unit("inactive", "dead"), [](auto& f) { f.type = "oneshot"; });
    tracker.read("a.service", forgotten, now.monotonic);
    evaluate();
    EXPECT_EQ(state()->state, "done");

    // and by the store, across a restart within this boot only
    const auto known =
        std::map<std::string, Known, std::less<>>{{"a.service", Known{.state = "done",
                                                                      .health = Health::healthy,
                                                                      .since = today,
                                                                      .boot_id = "boot-1",
                                                                      .result = "success",
                                                                      .main_code = 1,
                                                                      .started = true}}};
    for (const auto* boot : {"boot-1", "boot-2"}) {
        Tracker next{Tracker::Options{}};
        next.systemd_back(now.monotonic);
        next.watch("a.service", true, true);
        next.read("a.service", forgotten, now.monotonic);
        next.remember(known, boot);
        next.evaluate(now, 10);
        EXPECT_EQ(next.node(now.wall).units[0]->state,
                  std::string_view{boot} == "boot-1" ? "done" : "not-started");
    }
}

TEST_F(HealthTracker, ADependencyThatFailedIsTheReasonUntilTheUnitRuns)
{
    watch(unit("inactive", "dead"));
    tracker.job_ended("a.service", "dependency");
    evaluate();
    EXPECT_EQ(state()->state, "blocked");
    tell("a.service", [](UnitFacts& f) { f = running(); });
    evaluate();
    EXPECT_EQ(state()->state, "running");
    tell("a.service", [](UnitFacts& f) { f = stopped(); });
    evaluate();
    EXPECT_EQ(state()->state, "stopped");
}

TEST_F(HealthTracker, AReloadThatFailedIsNoFailedStart)
{
    watch(running());
    evaluate();
    tell("a.service", [](UnitFacts& f) { f.active_state = f.sub_state = "reloading"; });
    tracker.job_ended("a.service", "failed");
    tell("a.service", [](UnitFacts& f) { f = stopped(); });
    evaluate();
    EXPECT_EQ(state()->state, "stopped");
    tell("a.service", [](UnitFacts& f) { f = running(); });
    tracker.job_ended("a.service", "timeout");
    tell("a.service", [](UnitFacts& f) { f = stopped(); });
    evaluate();
    EXPECT_EQ(state()->state, "stopped");
}

TEST_F(HealthTracker, AForgottenUnitNeedsNoEvidenceAnyMore)
{
    watch(failed());
    ASSERT_EQ(evaluate().evidence.size(), 1U);
    tracker.forget("a.service");
    EXPECT_EQ(evaluate().recovered, std::vector<std::string>{"a.service"});
    EXPECT_TRUE(evaluate().recovered.empty());
}

TEST_F(HealthTracker, ARowThatChangesOnlyTheJobOrMendsReadingIsJudged)
{
    watch(running());
    evaluate();
    systemd::ListedUnit row;
    row.id = "a.service";
    row.description = state()->facts->description;
    row.load_state = "loaded";
    row.active_state = "active";
    row.sub_state = "running";
    row.job_type = "restart";
    EXPECT_FALSE(tracker.listed(row, now.monotonic));
    EXPECT_TRUE(tracker.dirty());
    evaluate();
    EXPECT_EQ(state()->facts->job_type, "restart");
    tracker.unreadable("a.service", "cannot ask systemd");
    evaluate();
    ASSERT_EQ(state()->health, Health::unknown);
    tracker.listed(row, now.monotonic);
    evaluate();
    EXPECT_EQ(state()->state, "running");
    tracker.unreadable("a.service", "cannot read a.service", true);
    tracker.listed(row, now.monotonic);
    evaluate();
    EXPECT_EQ(state()->health, Health::unknown) << "only details mend what failed to be read";
}

TEST_F(HealthTracker, AReadThatASignalOvertookDoesNotUndoTheSignal)
{
    watch(running());
    evaluate();
    tell("a.service", [](UnitFacts& f) {
        f.active_state = f.sub_state = "failed";
        f.result = "signal";
    });
    tracker.read("a.service", running(), now.monotonic, true);
    evaluate();
    EXPECT_EQ(state()->state, "failed");
}

TEST_F(HealthTracker, AcknowledgementsStandBesideTheStateAndEndByTime)
{
    watch(failed());
    evaluate();
    tracker.acknowledge("a.service", Acknowledgement{"ann", "new disk", now.wall, now.wall + 2h},
                        now.monotonic + 2h);
    evaluate();
    ASSERT_TRUE(state()->acknowledged);
    EXPECT_EQ(state()->health, Health::unhealthy);
    EXPECT_EQ(tracker.node(now.wall).health, Health::unhealthy);
    now.wall += 24h;  // a clock step ends nothing
    evaluate();
    EXPECT_TRUE(state()->acknowledged);
    pass(2h);
    evaluate();
    EXPECT_FALSE(state()->acknowledged);
}

TEST_F(HealthTracker, JournalLinesAreKeptWhileTheUnitIsUnhealthy)
{
    watch(failed());
    const auto key = evaluate().evidence.at(0).key;
    tracker.journal("a.service", key, "line\n", false);
    evaluate();
    EXPECT_EQ(state()->journal, "line\n");
    EXPECT_FALSE(state()->journal_complete);
    tracker.journal("a.service", key, "line\nlast\n", true);
    evaluate();
    EXPECT_TRUE(state()->journal_complete);
    tell("a.service", [](UnitFacts& f) { f = running(); });
    const auto effects = evaluate();
    EXPECT_EQ(effects.recovered, std::vector<std::string>{"a.service"});
    EXPECT_EQ(state()->journal, "");
    tracker.journal("a.service", key, "late\n", true);
    evaluate();
    EXPECT_EQ(state()->journal, "");
}

TEST_F(HealthTracker, WrongNamesAndUnreadableUnitsStayInTheList)
{
    tracker.watch("README", true, true, "is not a unit name");
    watch(running());
    tracker.unreadable("a.service", "cannot read a.service: timed out");
    evaluate();
    EXPECT_EQ(state("README")->health, Health::unknown);
    EXPECT_EQ(state("README")->reason, "is not a unit name");
    EXPECT_EQ(state()->health, Health::unknown);
    EXPECT_EQ(tracker.node(now.wall).health, Health::unknown);
    EXPECT_EQ(tracker.node(now.wall).reason, "2 of 2 units are in an unknown state: README, a.service");
}

TEST_F(HealthTracker, AnEmptyNodeIsUnknown)
{
    EXPECT_EQ(tracker.node(now.wall).health, Health::unknown);
    EXPECT_NE(tracker.node(now.wall).reason.find("health.units"), std::string::npos);
}

TEST_F(HealthTracker, AliasesFindTheUnit)
{
    watch(running());
    tracker.add_alias("a.service", "dbus-org.a.service");
    tracker.add_alias("a.service", "dbus-org.a.service");
    evaluate();
    EXPECT_EQ(tracker.resolve("dbus-org.a.service"), "a.service");
    EXPECT_EQ(state()->aliases, std::vector<std::string>{"dbus-org.a.service"});
    tracker.forget("a.service");
    EXPECT_EQ(tracker.resolve("dbus-org.a.service"), "");
}

TEST_F(HealthTracker, TheBoundHolds)
{
    Tracker small{Tracker::Options{.flapping = {}, .stuck_after = {}, .max_units = 1}};
    EXPECT_TRUE(small.watch("a.service", true, true));
    EXPECT_FALSE(small.watch("b.service", true, true));
    EXPECT_TRUE(small.watch("a.service", false, true));
}

TEST_F(HealthTracker, UnloadedWhileNotAtRestMustBeAskedFor)
{
    watch(running());
    EXPECT_EQ(tracker.removed("a.service", now), Tracker::Removed::must_ask);
    tracker.watch("passing.service", false, false);
    EXPECT_EQ(tracker.removed("passing.service", now), Tracker::Removed::dropped);
    EXPECT_FALSE(tracker.contains("passing.service"));
    EXPECT_EQ(tracker.removed("other.service", now), Tracker::Removed::unwatched);
}

TEST_F(HealthTracker, NodeReasonNamesAFew)
{
    for (int i = 0; i < 8; ++i)
        watch(failed("signal", 2, 9, "u" + std::to_string(i) + ".service"));
    evaluate();
    EXPECT_EQ(tracker.node(now.wall).reason,
              "8 of 8 units are unhealthy: u0.service, u1.service, u2.service, "
              "u3.service, u4.service and 3 more");
}

TEST_F(HealthTracker, TheMainProcessThatEndedIsToldForItsOwnRunOnly)
{
    watch(changed(failed(), [this](UnitFacts& f) {
        f.last_main_pid = 71;
        f.main_started = now.wall - 5s;
        f.main_exited = now.wall - 1s;
    }));
    const auto run = failed().invocation_id;
    const auto main = tracker.main_process("a.service", run);
    ASSERT_TRUE(main);
    EXPECT_EQ(main->pid, 71U);
    EXPECT_EQ(main->started, now.wall - 5s);
    EXPECT_EQ(main->exited, now.wall - 1s);
    EXPECT_TRUE(tracker.main_process("a.service", ""));
    EXPECT_FALSE(tracker.main_process("a.service", "ffff")) << "of another run";
    EXPECT_FALSE(tracker.main_process("b.service", run));
    tell("a.service", [this](UnitFacts& f) {
        f.main_started = now.wall;
        f.main_exited = {};
    });
    EXPECT_FALSE(tracker.main_process("a.service", run)) << "it has not ended";
}

}  // namespace
}  // namespace opsd::health
