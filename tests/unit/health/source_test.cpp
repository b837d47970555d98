// The module from systemd to the board.

#include "node.hpp"

namespace opsd::health {
namespace {

using namespace test;
using systemd::FakeCall;

class HealthSource : public Node {};

TEST_F(HealthSource, StatesAreServedBeforeDetailsAreRead)
{
    add(running());
    add(failed("exit-code", 1, 3, "b.service"));
    add(changed(stopped("c.service"), [](auto& f) { f.type = "oneshot"; }));
    options.globs = {"*"};
    systemd.hold(FakeCall::read_unit);
    start();
    EXPECT_EQ(word("a.service"), "running");
    EXPECT_EQ(word("b.service"), "failed");
    EXPECT_NE(state("b.service")->reason.find("not read yet"), std::string::npos);
    EXPECT_EQ(state("c.service")->health, Health::unknown);
    systemd.release(FakeCall::read_unit);
    advance(20ms);
    EXPECT_NE(state("b.service")->reason.find("status 3"), std::string::npos);
    EXPECT_EQ(word("c.service"), "done");
    EXPECT_EQ(node().health, Health::unhealthy);
    EXPECT_EQ(status.condition, "running");
    EXPECT_EQ(get("/api/v1/units/c.service/history")["transitions"].size(), 0U);
}

TEST_F(HealthSource, AFailureIsPublishedWithoutReadingTheUnitAgain)
{
    add(running());
    options.units = {"a.service"};
    start();
    const auto reads = systemd.reads_of("a.service");
    advance(1min);
    fail_unit("a.service");
    settle();
    EXPECT_EQ(word("a.service"), "failed") << "at once: the first change does not wait for the interval";
    EXPECT_EQ(systemd.reads_of("a.service"), reads);
    EXPECT_EQ(node().reason, "1 of 1 units is unhealthy: a.service");
}

TEST_F(HealthSource, ChangesWithinTheIntervalBecomeOneVersion)
{
    add(running());
    options.units = {"a.service"};
    start();
    advance(1min);
    const auto version = board.health.version();
    fail_unit("a.service");
    settle();
    for (int i = 0; i < 50; ++i) {
        run_unit("a.service");
        fail_unit("a.service");
        settle();
    }
    EXPECT_EQ(board.health.version(), version + 1);
    run_unit("a.service");
    advance(10ms);
    EXPECT_EQ(board.health.version(), version + 2);
    EXPECT_EQ(word("a.service"), "running");
}

TEST_F(HealthSource, ExpectedUnitsThatAreNotLoadedAreAskedForByName)
{
    systemd.add_unloaded(loaded_as("masked", "masked.service"));
    systemd.add_unloaded(loaded_as("bad-setting", "broken.service"));
    options.units = {"gone.service", "masked.service", "broken.service"};
    wants = {{"dcos.target", "README"}, {"dcos.target", "x@.service"}, {"dcos.target", "dcos-a.b.service"}};
    start();
    EXPECT_EQ(word("gone.service"), "missing");
    EXPECT_EQ(word("masked.service"), "masked");
    EXPECT_EQ(word("broken.service"), "broken");
    EXPECT_EQ(word("dcos-a.b.service"), "missing");
    EXPECT_EQ(state("README")->health, Health::unknown);
    EXPECT_EQ(state("x@.service")->health, Health::unknown);
    EXPECT_EQ(node().units.size(), 6U);
}

TEST_F(HealthSource, ANameThatSystemdRefusesDoesNotHideTheOthers)
{
    add(running());
    options.units = {"a.service", "b.service", "c.service"};
    const Error refused{Errc::invalid_argument, "cannot list: Invalid argument"};
    systemd.fail_next(FakeCall::list_units_by_names, refused);  // a, b, c
    systemd.fail_next(FakeCall::list_units_by_names, refused);  // a
    start();
    EXPECT_EQ(word("a.service"), "unreadable");
    EXPECT_EQ(word("b.service"), "missing");
    EXPECT_EQ(word("c.service"), "missing");
}

TEST_F(HealthSource, AUnitThatCannotBeReadStaysInTheListWithHealthThree)
{
    add(running());
    options.units = {"a.service"};
    systemd.fail_next(FakeCall::read_unit, {Errc::timeout, "cannot read a.service: no answer within 5 s"});
    start();
    advance(20ms);
    EXPECT_EQ(state("a.service")->health, Health::unknown);
    EXPECT_NE(state("a.service")->reason.find("no answer"), std::string::npos);
    advance(11s);
    EXPECT_EQ(word("a.service"), "running");
}

TEST_F(HealthSource, ALostSystemdIsUnknownAndEverythingIsComparedAfterwards)
{
    add(running());
    add(running("b.service"));
    options.units = {"a.service", "b.service"};
    start();
    ASSERT_EQ(node().health, Health::healthy);
    systemd.fail_always(FakeCall::connect, Error{Errc::unavailable, "cannot connect: refused"});
    systemd.lose_connection({Errc::unavailable, "cannot read from the bus: it closed the connection"});
    advance(20ms);
    EXPECT_EQ(node().health, Health::unknown);
    EXPECT_NE(node().reason.find("closed the connection"), std::string::npos);
    EXPECT_EQ(node().units.size(), 2U);
    EXPECT_EQ(status.condition, "failed");
    systemd.change_silently("b.service", [](UnitFacts& f) {
        f.active_state = f.sub_state = "failed";
        f.result = "core-dump";
    });
    advance(30s);
    const auto attempts = systemd.count(FakeCall::connect);
    EXPECT_GE(attempts, 5U);
    EXPECT_LE(attempts, 14U) << "it backs off";
    EXPECT_NE(node().reason.find("refused"), std::string::npos);
    systemd.fail_always(FakeCall::connect, std::nullopt);
    advance(11s);
    EXPECT_EQ(node().health, Health::unhealthy);
    EXPECT_EQ(word("a.service"), "running");
    EXPECT_EQ(word("b.service"), "failed");
    EXPECT_EQ(status.condition, "running");
    const auto rows = get("/api/v1/units/b.service/history")["transitions"];
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0]["result"], "core-dump");
    EXPECT_EQ(get("/api/v1/units/a.service/history")["transitions"].size(), 0U);
}

TEST_F(HealthSource, SystemdThatNeverAnswersIsUnknownWithAReason)
{
    systemd.fail_always(FakeCall::connect, Error{Errc::denied, "cannot connect to the bus: access denied"});
    start();
    EXPECT_EQ(node().health, Health::unknown);
    EXPECT_NE(node().reason.find("access denied"), std::string::npos);
    const auto answer = get("/system/health/v1");
    ASSERT_EQ(answer["units"].size(), 1U);
    EXPECT_EQ(answer["units"][0]["health"], 3);
    EXPECT_NE(answer["units"][0]["output"].get<std::string>().find("access denied"), std::string::npos);
}

TEST_F(HealthSource, ACallThatFailsBeginsANewConnection)
{
    add(running());
    options.units = {"a.service"};
    systemd.fail_next(FakeCall::subscribe, {Errc::timeout, "cannot subscribe: no answer"});
    start();
    EXPECT_EQ(node().health, Health::unknown);
    advance(200ms);
    EXPECT_EQ(node().health, Health::healthy);
    EXPECT_EQ(systemd.count(FakeCall::connect), 2U);
}

TEST_F(HealthSource, AMissedChangeIsFoundByTheComparisonAndCounted)
{
    add(running());
    options.units = {"a.service"};
    start();
    systemd.change_silently("a.service", [](UnitFacts& f) { f.active_state = f.sub_state = "failed"; });
    advance(1min);
    EXPECT_EQ(word("a.service"), "running");
    EXPECT_EQ(metric("opsd_systemd_resync_corrections_total"), "0");
    advance(4min);
    EXPECT_EQ(word("a.service"), "failed");
    EXPECT_EQ(metric("opsd_systemd_resync_corrections_total"), "1");
    const auto lists = systemd.count(FakeCall::list_units_by_names);
    advance(5min);
    EXPECT_EQ(systemd.count(FakeCall::list_units_by_names), lists + 1);
    EXPECT_EQ(metric("opsd_systemd_resync_corrections_total"), "1");
}

TEST_F(HealthSource, ATimerThatIsLoadedOrUnloadedLaterChangesTheVerdictOnWhatItStarts)
{
    const auto triggered = [this](std::vector<std::string> by) {
        systemd.change_silently("a.service", [by](UnitFacts& f) { f.triggered_by = by; });
    };
    const auto timer = [](const std::string& id) {
        return changed(unit("active", "waiting", id), [](UnitFacts& f) { f.triggers = {"a.service"}; });
    };
    add(changed(stopped(), [](UnitFacts& f) { f.main_code = f.main_status = 0; }));
    options.units = {"a.service", "watched.timer"};
    start();
    advance(1min);
    EXPECT_EQ(word("a.service"), "stopped");
    for (const auto* id : {"other.timer", "watched.timer"}) {
        triggered({id});
        add(timer(id));
        advance(2s);
        EXPECT_EQ(word("a.service"), "waiting") << id;
        triggered({});
        systemd.remove_unit(id);
        advance(200ms);
        EXPECT_EQ(word("a.service"), "stopped") << id;
    }
    advance(1min);
    const auto reads = systemd.count(FakeCall::read_unit);
    add(timer("gone.timer"));
    systemd.remove_unit("gone.timer");
    advance(2s);
    add(unit("active", "running", "b.service"));
    advance(2s);
    EXPECT_EQ(systemd.count(FakeCall::read_unit), reads)
        << "nothing is loaded again, and nothing read in vain";
}

TEST_F(HealthSource, ATimerThatIsLoadedWhileTheListIsUnderWayIsNotForgotten)
{
    const auto timer = [](const std::string& id, const std::string& starts) {
        return changed(unit("active", "waiting", id), [starts](UnitFacts& f) { f.triggers = {starts}; });
    };
    add(changed(stopped(), [](UnitFacts& f) { f.main_code = f.main_status = 0; }));
    options.units = {"a.service"};
    start();
    advance(1min);
    ASSERT_EQ(word("a.service"), "stopped");
    add(timer("other.timer", "b.service"));
    systemd.after_list([&] {
        systemd.change_silently("a.service", [](UnitFacts& f) { f.triggered_by = {"a.timer"}; });
        add(timer("a.timer", "a.service"));
    });
    advance(5s);
    EXPECT_EQ(word("a.service"), "waiting");
}

TEST_F(HealthSource, ATimerThatANewlyReadServiceNamesIsNoReasonToReadItAgain)
{
    add(changed(stopped(), [](UnitFacts& f) { f.triggered_by = {"a.timer"}; }));
    add(changed(unit("active", "waiting", "a.timer"), [](UnitFacts& f) { f.triggers = {"a.service"}; }));
    options.units = {"a.service", "a.timer"};
    start();
    advance(1min);
    EXPECT_EQ(word("a.service"), "waiting");
    EXPECT_EQ(systemd.reads_of("a.service"), 1U);
    EXPECT_EQ(systemd.reads_of("a.timer"), 1U);
}

TEST_F(HealthSource, AnAnswerNeverUndoesALaterSignal)
{
    add(running());
    options.units = {"a.service"};
    start();
    systemd.hold(FakeCall::read_unit);
    systemd.invalidate("a.service", [](UnitFacts& f) { f.status_text = "one"; });
    settle();
    fail_unit("a.service");  // overtakes the answer that is under way
    advance(20ms);
    EXPECT_EQ(word("a.service"), "failed");
    systemd.release(FakeCall::read_unit);
    advance(200ms);
    EXPECT_EQ(word("a.service"), "failed");
    EXPECT_EQ(state("a.service")->facts->main_status, 9);
    EXPECT_EQ(state("a.service")->facts->status_text, "one");
}

TEST_F(HealthSource, AUnitThatFlapsFasterThanItCanBeReadEndsRight)
{
    add(running());
    options.units = {"a.service"};
    start();
    for (int i = 0; i < 500; ++i) {
        systemd.invalidate("a.service", [&](UnitFacts& f) {
            f.active_state = i % 2 == 0 ? "failed" : "active";
            f.sub_state = i % 2 == 0 ? "failed" : "running";
            f.result = i % 2 == 0 ? "signal" : "success";
        });
        if (i % 7 == 0) io.poll_one();
    }
    systemd.invalidate("a.service", [](UnitFacts& f) {
        f = running();
        f.status_text = "at last";
    });
    advance(5s);
    EXPECT_EQ(word("a.service"), "running");
    EXPECT_EQ(state("a.service")->facts->status_text, "at last");
}

TEST_F(HealthSource, AThousandUnitsFlappingAtOnceEndRightAndWorkIsBounded)
{
    constexpr int many = 1000;
    const auto name = [](int i) { return fmt::format("flap-{:04}.service", i); };
    for (int i = 0; i < many; ++i)
        add(running(name(i)));
    options.globs = {"flap-*"};
    start();
    ASSERT_EQ(node().units.size(), 1000U);
    EXPECT_LE(systemd.most_in_flight(), 300U);
    const auto version = board.health.version();
    for (int round = 1; round <= 5; ++round) {
        for (int i = 0; i < many; ++i) {
            systemd.change(name(i), [](UnitFacts& f) {
                f.active_state = "activating";
                f.sub_state = "auto-restart";
                f.result = "exit-code";
            });
            systemd.change(name(i), [](UnitFacts& f) {
                f.active_state = "active";
                f.sub_state = "running";
                f.result = "success";
                ++f.restarts;
            });
        }
        advance(1s);
    }
    EXPECT_LE(board.health.version(), version + 5 + 3 * 5) << "changes are coalesced";
    EXPECT_EQ(node().health, Health::unhealthy);
    for (const auto& unit : node().units)
        EXPECT_EQ(unit->state, "flapping") << unit->id;
    for (int i = 0; i < many; ++i)
        systemd.change(name(i), [](UnitFacts& f) { f = stopped(f.id); });
    advance(2s);
    for (const auto& unit : node().units)
        EXPECT_EQ(unit->state, "stopped") << unit->id;
    EXPECT_EQ(metric("opsd_history_dropped_total"), "0");
}

TEST_F(HealthSource, UnitsThatTurnUpLaterAreWatched)
{
    options.globs = {"late*"};
    add(running("late-1.service"));
    start();
    advance(1s);
    add(running("late-2.service"));
    add(running("other.service"));
    advance(1s);
    EXPECT_EQ(word("late-2.service"), "running");
    EXPECT_EQ(word("other.service"), "(not there)");
    systemd.remove_unit("late-2.service");
    advance(1s);
    EXPECT_EQ(word("late-2.service"), "(not there)") << "nothing expects it any more";
}

TEST_F(HealthSource, AnExpectedUnitThatIsUnloadedStays)
{
    add(running());
    options.units = {"a.service"};
    start();
    systemd.remove_unit("a.service");  // soon after we asked: it could be our own doing
    advance(1s);
    EXPECT_EQ(word("a.service"), "running");
    advance(2s);
    EXPECT_EQ(word("a.service"), "missing");
    advance(3s);
    add(running());
    advance(1s);
    EXPECT_EQ(word("a.service"), "running");
    advance(3s);
    systemd.remove_unit("a.service");
    advance(20ms);
    EXPECT_EQ(word("a.service"), "missing");
}

TEST_F(HealthSource, AskingForAnUnloadedUnitDoesNotGoOnForEver)
{
    options.units = {"gone.service"};
    start();
    const auto lists = systemd.count(FakeCall::list_units_by_names);
    const auto reads = systemd.count(FakeCall::read_unit);
    // What systemd says whenever it loads a unit to answer us, and unloads it again.
    for (int i = 0; i < 100; ++i) {
        systemd.add_unit(loaded_as("not-found", "gone.service"));
        systemd.remove_unit("gone.service");
        advance(10ms);
    }
    EXPECT_LE(systemd.count(FakeCall::list_units_by_names), lists + 2);
    EXPECT_LE(systemd.count(FakeCall::read_unit), reads + 2);
}

TEST_F(HealthSource, AHostWithoutConfigurationWatchesWhatIsEnabledOrFails)
{
    systemd.set_files(
        {{"/lib/systemd/system/on.service", "enabled"}, {"/lib/systemd/system/new.service", "disabled"}});
    add(changed(running("on.service"), [](auto& f) { f.unit_file_state = "enabled"; }));
    add(running("calm.service"));
    start();
    EXPECT_EQ(node().health, Health::unknown) << "what is enabled is not known yet";
    advance(1s);
    EXPECT_EQ(node().units.size(), 1U);
    EXPECT_EQ(node().health, Health::healthy);
    fail_unit("calm.service");
    advance(1s);
    EXPECT_EQ(word("calm.service"), "failed");
    systemd.add_unloaded(
        changed(unit("inactive", "dead", "new.service"), [](auto& f) { f.unit_file_state = "enabled"; }));
    systemd.set_files(
        {{"/lib/systemd/system/on.service", "enabled"}, {"/lib/systemd/system/new.service", "enabled"}});
    advance(1s);
    EXPECT_EQ(word("new.service"), "not-started");
    EXPECT_EQ(word("calm.service"), "failed");
}

TEST_F(HealthSource, AReloadIsFollowedByOneLookForABurstOfSignals)
{
    add(running());
    options.units = {"a.service"};
    start();
    const auto lists = systemd.count(FakeCall::list_units_by_names);
    for (int i = 0; i < 20; ++i)
        systemd.reload([&] {
            systemd.change_silently("a.service", [](UnitFacts& f) { f.description = "New: words"; });
        });
    advance(1s);
    EXPECT_EQ(systemd.count(FakeCall::list_units_by_names), lists + 1);
    EXPECT_EQ(systemd.count(FakeCall::list_units), 0U) << "names are complete without it";
    EXPECT_EQ(state("a.service")->name, "New");
}

TEST_F(HealthSource, BeyondTheBoundTheModuleIsDegradedAndTheNodeUnknown)
{
    add(running());
    add(running("b.service"));
    options.units = {"a.service", "b.service", "c.service"};
    options.max_units = 2;
    start();
    EXPECT_EQ(node().units.size(), 2U);
    EXPECT_EQ(node().health, Health::unknown) << "nobody knows how the third one is";
    EXPECT_NE(node().reason.find("cannot watch 1 further units"), std::string::npos) << node().reason;
    EXPECT_EQ(get("/system/health/v1")["units"].size(), 3U) << "old clients see it, too";
    EXPECT_EQ(metric("opsd_units_list_complete"), "0");
    EXPECT_EQ(status.condition, "degraded");
    EXPECT_NE(status.reason.find("max_units"), std::string::npos);
    EXPECT_EQ(metric("opsd_units_left_out"), "1");
}

TEST_F(HealthSource, AUnitThatTurnsUpBeyondTheBoundCountsOnceUntilItGoes)
{
    add(running());
    options.globs = {"*"};
    options.max_units = 1;
    start();
    advance(1s);
    ASSERT_EQ(node().health, Health::healthy);
    add(running("late.service"));
    add(running("late.service"));
    advance(1s);
    EXPECT_EQ(node().health, Health::unknown);
    EXPECT_EQ(metric("opsd_units_left_out"), "1");
    advance(5min);
    EXPECT_EQ(node().health, Health::unknown);
    EXPECT_EQ(metric("opsd_units_left_out"), "1");
    systemd.remove_unit("late.service");
    advance(1s);
    EXPECT_EQ(node().health, Health::healthy);
    EXPECT_EQ(status.condition, "running");
}

TEST_F(HealthSource, AFailureBeyondTheBoundMakesTheNodeUnknown)
{
    systemd.set_files({{"/lib/systemd/system/on.service", "enabled"}});
    add(changed(running("on.service"), [](auto& f) { f.unit_file_state = "enabled"; }));
    add(running("calm.service"));
    options.max_units = 1;
    start();
    advance(1s);
    ASSERT_EQ(node().health, Health::healthy);
    fail_unit("calm.service");
    advance(1s);
    EXPECT_EQ(node().health, Health::unknown) << "a failed unit is not shown";
    EXPECT_EQ(status.condition, "degraded");
    advance(5min);
    EXPECT_EQ(node().health, Health::unknown) << "the comparison finds it, too";
}

TEST_F(HealthSource, WithoutAFirstListOfUnitFilesTheNodeIsUnknownAndItIsTriedAgain)
{
    add(running());
    options.globs = {"a.*"};
    systemd.fail_next(FakeCall::list_unit_files,
                      {Errc::timeout, "cannot list unit files: no answer within 5 s"});
    start();
    advance(200ms);
    EXPECT_EQ(word("a.service"), "running") << "it is loaded";
    EXPECT_EQ(node().health, Health::unknown);
    EXPECT_NE(node().reason.find("no answer within"), std::string::npos);
    EXPECT_EQ(status.condition, "degraded");
    advance(10s);
    EXPECT_EQ(node().health, Health::healthy);
    EXPECT_EQ(status.condition, "running");
}

TEST_F(HealthSource, ALaterListOfUnitFilesThatFailsDegradesAndIsAskedForAgain)
{
    add(running());
    options.globs = {"a.*"};
    start();
    systemd.fail_next(FakeCall::list_unit_files,
                      {Errc::timeout, "cannot list unit files: no answer within 5 s"});
    systemd.set_files({{"/lib/systemd/system/a.late.service", "enabled"}});
    advance(1s);
    EXPECT_EQ(word("a.service"), "running");
    EXPECT_EQ(status.condition, "degraded");
    EXPECT_EQ(word("a.late.service"), "(not there)");
    advance(10s);
    EXPECT_EQ(status.condition, "running");
    EXPECT_EQ(word("a.late.service"), "missing");
}

TEST_F(HealthSource, AUnitThatTurnsUpWhileTheListsAreReadIsWatched)
{
    systemd.hold(FakeCall::list_unit_files);
    systemd.hold(FakeCall::list_units);
    add(running("calm.service"));
    systemd.set_files({{"/lib/systemd/system/on.service", "enabled"}});
    start();
    systemd.release(FakeCall::list_unit_files);
    settle();
    systemd.hold(FakeCall::list_units_by_names);
    systemd.change("calm.service", [](UnitFacts& f) { f.active_state = f.sub_state = "failed"; });
    systemd.change_silently("calm.service",
                            [](UnitFacts& f) { f = running(f.id); });  // the list sees no failure
    systemd.release(FakeCall::list_units);
    settle();
    systemd.release(FakeCall::list_units_by_names);
    advance(50ms);
    EXPECT_NE(word("calm.service"), "(not there)") << "it was heard to fail";
}

TEST_F(HealthSource, AUnitWhoseSignalsWereMissedIsFoundByTheComparison)
{
    systemd.set_files({{"/lib/systemd/system/on.service", "enabled"}});
    add(running("calm.service"));
    start();
    advance(1s);
    EXPECT_EQ(word("calm.service"), "(not there)");
    systemd.change_silently("calm.service", [](UnitFacts& f) {
        f.active_state = f.sub_state = "failed";
        f.result = "signal";
    });
    advance(5min + 1s);
    EXPECT_EQ(word("calm.service"), "failed");
    EXPECT_EQ(metric("opsd_systemd_resync_corrections_total"), "1");
}

TEST_F(HealthSource, AReadThatWasUnavailableOnALivingConnectionIsTriedAgain)
{
    add(changed(stopped(), [](auto& f) { f.type = "oneshot"; }));
    options.units = {"a.service"};
    systemd.fail_next(FakeCall::read_unit, {Errc::unavailable, "cannot read a.service: too many calls"});
    start();
    advance(20ms);
    EXPECT_EQ(word("a.service"), "unread");
    advance(11s);
    EXPECT_EQ(word("a.service"), "done");
}

TEST_F(HealthSource, AHangingSystemdIsNoticedByAReadThatTimesOut)
{
    add(running());
    options.units = {"a.service"};
    start();
    advance(1min);
    systemd.fail_always(FakeCall::read_unit, Error{Errc::timeout, "cannot read: no answer within 5 s"});
    systemd.fail_always(FakeCall::list_units_by_names,
                        Error{Errc::timeout, "cannot list: no answer within 5 s"});
    systemd.invalidate("a.service", [](UnitFacts& f) { f.status_text = "one"; });
    advance(20ms);
    EXPECT_FALSE(node().systemd_readable);
    EXPECT_EQ(node().health, Health::unknown);
}

TEST_F(HealthSource, AModuleThatFailsShowsNothingAsHealthy)
{
    add(running());
    options.units = {"a.service"};
    start();
    ASSERT_EQ(node().health, Health::healthy);
    wants_broken = true;
    systemd.reload();
    advance(1s);
    EXPECT_NE(crashed.find("on fire"), std::string::npos);
    crashed.clear();
    EXPECT_FALSE(node().systemd_readable);
    EXPECT_EQ(node().health, Health::unknown);
    EXPECT_EQ(node().reason, "the health module failed: the directory is on fire");
    EXPECT_EQ(get("/system/health/v1")["units"][0]["health"], 3);
}

TEST_F(HealthSource, NamesAloneCostNoListOfUnitFiles)
{
    add(running());
    options.units = {"a.service"};
    systemd.fail_next(FakeCall::list_unit_files,
                      {Errc::timeout, "cannot list unit files: it was not to be asked"});
    start();
    EXPECT_EQ(word("a.service"), "running");
    EXPECT_EQ(status.condition, "running");
}

TEST_F(HealthSource, EvidenceFollowsAFailureAndIsCompletedWithinASecond)
{
    add(running());
    options.units = {"a.service"};
    start();
    systemd::JournalLine line;
    line.at = clock.now();
    line.identifier = "a";
    line.pid = 7;
    line.message = "cannot open";
    journal["a.service"] = {line};
    fail_unit("a.service");
    advance(20ms);
    EXPECT_NE(state("a.service")->journal.find("a[7]: cannot open\n"), std::string::npos);
    EXPECT_FALSE(state("a.service")->journal_complete);
    line.identifier = "systemd";
    line.pid = 1;
    line.message = "Failed with result 'signal'.";
    journal["a.service"].push_back(line);
    advance(1s);
    EXPECT_NE(state("a.service")->journal.find("systemd[1]: Failed with"), std::string::npos);
    EXPECT_TRUE(state("a.service")->journal_complete);
    EXPECT_EQ(journal_queries.size(), 2U);
    EXPECT_EQ(journal_queries[0].invocation_id, running().invocation_id);
    advance(1h);
    EXPECT_EQ(journal_queries.size(), 2U);
}

TEST_F(HealthSource, AnUnreadableJournalIsSaidAndCostsNoState)
{
    add(failed());
    options.units = {"a.service"};
    journal_broken = Error{Errc::denied, "cannot read the journal: not in group systemd-journal"};
    start();
    advance(2s);
    EXPECT_EQ(word("a.service"), "failed");
    EXPECT_EQ(state("a.service")->journal,
              "journal: cannot read the journal: not in group systemd-journal\n");
    EXPECT_EQ(status.condition, "degraded");
    journal_broken.reset();
    journal["a.service"].resize(1);
    advance(31s);
    EXPECT_EQ(status.condition, "running") << "it is tried again";
    EXPECT_EQ(state("a.service")->journal.find("cannot read"), std::string::npos);
}

TEST_F(HealthSource, AJournalThatHangsIsReportedAndLeftBehind)
{
    add(running());
    add(running("b.service"));
    options.units = {"a.service", "b.service"};
    start();
    journal_hangs = true;
    fail_unit("a.service");
    fail_unit("b.service");
    advance(9s);
    EXPECT_EQ(journal_queries.size(), 1U);
    EXPECT_EQ(status.condition, "running");
    advance(12s);
    EXPECT_GE(journal_queries.size(), 2U) << "the other unit is not forgotten";
    EXPECT_EQ(status.condition, "degraded");
    EXPECT_NE(status.reason.find("cannot read the journal within 10 s"), std::string::npos) << status.reason;
    advance(1min);
    for (const auto* id : {"a.service", "b.service"}) {
        EXPECT_TRUE(state(id)->journal_complete) << id;
        EXPECT_NE(state(id)->journal.find("cannot read the journal"), std::string::npos) << id;
    }
    journal_hangs = false;
    journal_answers.cancel();
    journal["a.service"].resize(1);
    advance(2min);
    EXPECT_EQ(status.condition, "running");
    EXPECT_EQ(state("a.service")->journal.find("cannot read"), std::string::npos);
}

TEST_F(HealthSource, AnIdleHourCostsAComparisonEveryFiveMinutesAndNothingElse)
{
    for (int i = 0; i < 300; ++i)
        add(running(fmt::format("u{}.service", i)));
    options.globs = {"u*"};
    start();
    advance(1s);
    const auto lists = systemd.count(FakeCall::list_units_by_names);
    const auto reads = systemd.count(FakeCall::read_unit);
    const auto version = board.health.version();
    advance(1h);
    EXPECT_LE(systemd.count(FakeCall::list_units_by_names), lists + 12);
    EXPECT_EQ(systemd.count(FakeCall::read_unit), reads);
    EXPECT_EQ(board.health.version(), version);
}

/// systemd answers for an alias with the row of the unit itself.
class WithAlias final : public systemd::Manager {
public:
    explicit WithAlias(std::unique_ptr<systemd::Manager> inner) : inner_{std::move(inner)} {}
    Task<Result<std::vector<systemd::ListedUnit>>> list_units() override { return inner_->list_units(); }
    Task<Result<std::vector<systemd::ListedUnit>>>
    list_units_by_names(std::vector<std::string> names) override
    {
        std::ranges::replace(names, std::string{"alias.service"}, std::string{"a.service"});
        return inner_->list_units_by_names(std::move(names));
    }
    Task<Result<std::vector<systemd::ListedFile>>> list_unit_files() override
    {
        return inner_->list_unit_files();
    }
    Task<Result<UnitFacts>> read_unit(std::string path) override
    {
        return inner_->read_unit(std::move(path));
    }
    Task<Result<systemd::UnitDetails>> inspect_unit(std::string path) override
    {
        return inner_->inspect_unit(std::move(path));
    }
    Task<Result<>> subscribe(systemd::Observer& observer) override { return inner_->subscribe(observer); }
    Task<Error> run() override { return inner_->run(); }
    void linger() override { inner_->linger(); }

private:
    std::unique_ptr<systemd::Manager> inner_;
};

TEST_F(HealthSource, AnAliasIsTheUnitItNames)
{
    connect = [this]() -> Result<std::unique_ptr<systemd::Manager>> {
        auto manager = systemd.connect();
        if (!manager) return fail(std::move(manager).error());
        return std::make_unique<WithAlias>(std::move(*manager));
    };
    add(changed(unit("inactive", "dead"), [](auto& f) { f.unit_file_state = "disabled"; }));
    options.units = {"alias.service"};
    start();
    advance(20ms);
    ASSERT_EQ(node().units.size(), 1U);
    EXPECT_EQ(word("a.service"), "not-started") << "expected by its other name";
    const auto answer = get("/api/v1/units/alias.service");
    EXPECT_EQ(answer["id"], "a.service");
    EXPECT_EQ(answer["aliases"], nlohmann::ordered_json::array({"alias.service"}));
    advance(6min);
    EXPECT_EQ(metric("opsd_systemd_resync_corrections_total"), "0");
}

TEST_F(HealthSource, UnitsThatAppearWhileTheListsAreReadAreNotLost)
{
    options.globs = {"late*"};
    systemd.hold(FakeCall::list_unit_files);
    start();
    systemd.release(FakeCall::list_unit_files);
    settle();
    systemd.hold(FakeCall::list_units_by_names);
    systemd.reload();
    advance(200ms);  // a second look has begun
    add(running("late.service"));
    systemd.release(FakeCall::list_units_by_names);
    advance(1s);
    EXPECT_EQ(word("late.service"), "running");
}

TEST_F(HealthSource, AnOrderlyRestartPassesThroughNoUnhealthyState)
{
    add(running());
    options.units = {"a.service"};
    start();
    advance(1min);
    const auto step = [this](const std::string& active, const std::string& sub, const std::string& job) {
        systemd.change("a.service", [&](UnitFacts& f) {
            f.active_state = active;
            f.sub_state = sub;
            f.job_type = job;
            if (active == "activating") f.inactive_exit_at = clock.monotonic();
            f.state_change_at = clock.monotonic();
            f.state_change_time = clock.now();
        });
        advance(20ms);
        EXPECT_EQ(node().health, Health::healthy) << active << " " << job << ": " << node().reason;
    };
    step("deactivating", "stop-sigterm", "restart");
    step("inactive", "dead", "pending");
    step("activating", "start", "pending");
    step("active", "running", "");
    systemd.change("a.service", [](UnitFacts& f) {
        f = stopped();
        f.job_type = "start";
    });
    advance(20ms);
    EXPECT_EQ(word("a.service"), "starting");
    advance(1s);
    EXPECT_EQ(word("a.service"), "queued") << "a start that waits for others counts";
    EXPECT_EQ(node().health, Health::unhealthy);
}

TEST_F(HealthSource, ARunThatBeginsIsNoSecondFailure)
{
    add(failed());
    options.units = {"a.service"};
    start();
    advance(1min);
    ASSERT_EQ(get("/api/v1/units/a.service/history")["transitions"].size(), 1U);
    // The properties of the service come before those of the unit.
    systemd.change("a.service", [](UnitFacts& f) {
        f.result = "success";
        f.invocation_id = "ffffffffffffffffffffffffffffffff";
    });
    advance(20ms);
    run_unit("a.service");
    advance(20ms);
    const auto rows = get("/api/v1/units/a.service/history")["transitions"];
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0]["to"], "running");
}

TEST_F(HealthSource, ADenseBurstOfFailuresIsReadNewestFirstAndOneAtATime)
{
    options.globs = {"u*"};
    for (int i = 0; i < 50; ++i)
        add(running(fmt::format("u{:02}.service", i)));
    start();
    advance(1s);
    for (int i = 0; i < 50; ++i)
        fail_unit(fmt::format("u{:02}.service", i));
    advance(20ms);
    ASSERT_EQ(journal_queries.size(), 50U);
    EXPECT_EQ(journal_queries.front().unit, "u49.service");
    advance(2s);
    EXPECT_EQ(journal_queries.size(), 100U);
    for (const auto& unit : node().units)
        EXPECT_TRUE(unit->journal_complete) << unit->id;
}

}  // namespace
}  // namespace opsd::health
