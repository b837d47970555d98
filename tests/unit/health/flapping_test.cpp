// A flapper over restarts of opsd: the module, the store and systemd together.

#include "node.hpp"

namespace opsd::health {
namespace {

using namespace test;

class HealthFlapping : public Node {
protected:
    HealthFlapping() { options.units = {"a.service"}; }

    void crash_and_restart()
    {
        systemd.change("a.service", [this](UnitFacts& f) {
            f.active_state = "activating";
            f.sub_state = "auto-restart";
            f.result = "exit-code";
            f.state_change_at = clock.monotonic();
        });
        advance(100ms);
        systemd.change("a.service", [this](UnitFacts& f) { began_anew(f); });
        advance(100ms);
    }
    void start_and_read()
    {
        start();
        advance(20ms);  // the first version has no details
    }
    void began_anew(UnitFacts& f)
    {
        f.active_state = "active";
        f.sub_state = "running";
        f.result = "success";
        f.inactive_exit_at = f.active_enter_at = f.state_change_at = clock.monotonic();
        ++f.restarts;
    }
    void flap()
    {
        add(running());
        start();
        for (int i = 0; i < 3; ++i)
            crash_and_restart();
        ASSERT_EQ(word("a.service"), "flapping");
        advance(1s);
    }
};

TEST_F(HealthFlapping, IsStillFlappingAfterARestartOfOpsd)
{
    flap();
    const auto since = clock.monotonic();
    stop();
    advance(5s);
    start_and_read();
    EXPECT_EQ(word("a.service"), "flapping");
    EXPECT_EQ(state("a.service")->restarts_in_window, 3U);
    EXPECT_EQ(node().health, Health::unhealthy);
    EXPECT_EQ(get("/api/v1/units/a.service/history")["transitions"][0]["to"], "flapping");
    stop();
    start_and_read();
    EXPECT_EQ(state("a.service")->restarts_in_window, 3U) << "counted once, however often opsd restarts";
    const auto left = since + 10min - clock.monotonic();
    advance(std::chrono::duration_cast<std::chrono::milliseconds>(left) + 1s);
    EXPECT_EQ(word("a.service"), "running") << "and it ends with the window";
}

TEST_F(HealthFlapping, RestartsWhileOpsdIsDownCountToo)
{
    add(running());
    start();
    crash_and_restart();
    advance(1s);
    stop();
    for (int i = 0; i < 2; ++i) {
        advance(1s);
        systemd.change_silently("a.service", [this](UnitFacts& f) { began_anew(f); });
    }
    start_and_read();
    EXPECT_EQ(word("a.service"), "flapping");
}

TEST_F(HealthFlapping, AKillLosesNoRestart)
{
    add(running());
    start();
    crash_and_restart();
    advance(1s);
    crash_and_restart();
    store->broken = Error{Errc::unavailable, "cannot write: killed"};  // the last words are never written
    crash_and_restart();
    stop();
    store->broken.reset();
    start_and_read();
    EXPECT_EQ(word("a.service"), "flapping");
}

TEST_F(HealthFlapping, AnotherBootBeginsAnew)
{
    flap();
    stop();
    boot = "boot-2";
    start();
    EXPECT_EQ(word("a.service"), "running");
    EXPECT_EQ(state("a.service")->restarts_in_window, 0U);
}

TEST_F(HealthFlapping, AStartByHandWhileOpsdIsDownBeginsAnew)
{
    flap();
    stop();
    systemd.change_silently("a.service", [this](UnitFacts& f) {
        began_anew(f);
        f.restarts = 0;
    });
    start();
    EXPECT_EQ(word("a.service"), "running");
}

TEST_F(HealthFlapping, AStoreThatAnswersBeforeSystemdTellsItToo)
{
    flap();
    stop();
    systemd.hold(systemd::FakeCall::list_units_by_names);
    start();
    advance(100ms);
    systemd.release(systemd::FakeCall::list_units_by_names);
    advance(100ms);
    EXPECT_EQ(word("a.service"), "flapping");
}

TEST_F(HealthFlapping, AStoreThatAnswersLateStillTellsIt)
{
    flap();
    stop();
    store->broken = Error{Errc::unavailable, "cannot open: the disk is full"};
    start();
    advance(1s);
    EXPECT_EQ(word("a.service"), "running") << "nothing is known yet";
    store->broken.reset();
    advance(20s);
    EXPECT_EQ(word("a.service"), "flapping");
}

TEST_F(HealthFlapping, WhatItGoesOnDoingIsLookedAtTogether)
{
    flap();
    const auto version = board.health.version();
    const auto reads = systemd.count(systemd::FakeCall::read_unit);
    for (int i = 0; i < 100; ++i) {
        crash_and_restart();
        advance(300ms);
    }
    EXPECT_LE(board.health.version(), version + 40) << "in 50 s";
    EXPECT_EQ(systemd.count(systemd::FakeCall::read_unit), reads) << "systemd is not asked for what it told";
    advance(2s);
    EXPECT_EQ(state("a.service")->restarts_in_window, 103U) << "none is lost";
    EXPECT_EQ(state("a.service")->facts->restarts, 103U);
    EXPECT_GT(std::stoi(metric("opsd_systemd_gathered_signals_total")), 200);
    const auto rows = get("/api/v1/units/a.service/history")["transitions"];
    EXPECT_EQ(rows[0]["to"], "flapping");
    EXPECT_EQ(rows[0]["count"], 1);
    advance(5min);
    EXPECT_EQ(metric("opsd_systemd_resync_corrections_total"), "0");
}

TEST_F(HealthFlapping, WhatIsHeardWhileItIsReadIsNotForgotten)
{
    flap();
    systemd.change("a.service", [this](UnitFacts& f) {
        f.active_state = "activating";
        f.sub_state = "auto-restart";
        f.state_change_at = clock.monotonic();
    });
    advance(10s);
    ASSERT_EQ(state("a.service")->facts->active_state, "activating");
    systemd.hold(systemd::FakeCall::read_unit);
    systemd.reload();  // all is read anew
    advance(1s);
    systemd.change("a.service", [this](UnitFacts& f) { began_anew(f); });
    systemd.release(systemd::FakeCall::read_unit);  // the answer is older than the signal
    advance(10s);
    EXPECT_EQ(state("a.service")->facts->active_state, "active");
    EXPECT_EQ(state("a.service")->facts->sub_state, "running");
    advance(5min);
    EXPECT_EQ(metric("opsd_systemd_resync_corrections_total"), "0");
}

TEST_F(HealthFlapping, TheFirstFailureOfAnotherUnitIsSeenAtOnce)
{
    options.units.emplace_back("b.service");
    add(running("b.service"));
    flap();
    crash_and_restart();
    fail_unit("b.service");
    advance(20ms);
    EXPECT_EQ(word("b.service"), "failed");
}

TEST_F(HealthFlapping, ItsEndIsSeenWithinTheGatherTime)
{
    flap();
    crash_and_restart();
    systemd.change("a.service", [](UnitFacts& f) { f = stopped(f.id); });
    advance(2s);
    EXPECT_EQ(word("a.service"), "stopped");
    run_unit("a.service");
    advance(20ms);
    EXPECT_EQ(state("a.service")->facts->active_state, "active") << "at rest it is followed at once";
}

TEST_F(HealthFlapping, WithoutGatherTimeEveryStepIsFollowed)
{
    options.flapping.gather = 0ms;
    flap();
    crash_and_restart();
    EXPECT_EQ(state("a.service")->restarts_in_window, 4U);
    EXPECT_EQ(metric("opsd_systemd_gathered_signals_total"), "0");
}

TEST_F(HealthFlapping, WhatWaitedIsReadAnewAfterALostConnection)
{
    flap();
    crash_and_restart();
    systemd.lose_connection({Errc::unavailable, "cannot reach systemd: the test said so"});
    systemd.change_silently("a.service", [](UnitFacts& f) { f = stopped(f.id); });
    advance(3s);
    EXPECT_EQ(word("a.service"), "stopped");
}

TEST_F(HealthFlapping, AnAnswerIsNewerThanWhatWaited)
{
    flap();
    crash_and_restart();
    systemd.change_silently("a.service", [](UnitFacts& f) { f = stopped(f.id); });
    systemd.reload();
    advance(500ms);
    EXPECT_EQ(word("a.service"), "stopped");
    advance(3s);
    EXPECT_EQ(word("a.service"), "stopped");
}

}  // namespace
}  // namespace opsd::health
