// The Manager against a real systemd.

#include "io/systemd/manager.hpp"

#include "node.hpp"
#include "watcher.hpp"

#include <algorithm>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>

using namespace opsd;
using namespace opsd::systemd;
using opsd::test::Node;
using opsd::test::Watcher;
using opsd::test::with_manager;
using namespace boost::asio::experimental::awaitable_operators;

namespace {

namespace fs = std::filesystem;

const std::string self = std::string{OPSD_BINARY_DIR} + "/tests/component/component_systemd";

class SystemdManager : public ::testing::Test {
public:
    static void SetUpTestSuite()
    {
        reason = opsd::test::no_nodes_because();
        if (!reason.empty()) return;
        node = std::make_unique<Node>("manager", "--unit " OPSD_SOURCE_DIR
                                                 "/tests/testbed/units --enable odd-condition.service"
                                                 " --bind " OPSD_BINARY_DIR ":" OPSD_BINARY_DIR ":ro");
    }
    static void TearDownTestSuite() { node.reset(); }
    void SetUp() override
    {
        if (!reason.empty()) GTEST_SKIP() << reason;
        options.address = node->bus();
    }

    /// A new dbus-daemon answers before PID 1 has joined it.
    static void wait_for_systemd_on_the_bus()
    {
        const auto back =
            node->exec("sh -c 'for i in $(seq 100); do busctl status org.freedesktop.systemd1 && exit 0; "
                       "sleep 0.1; done; exit 1' >/dev/null");
        EXPECT_EQ(back.exit_code, 0) << back.output;
    }

    static inline std::unique_ptr<Node> node;
    static inline std::string reason;
    ConnectOptions options;
};

std::vector<std::string> names_of(const std::vector<ListedUnit>& rows)
{
    std::vector<std::string> names;
    for (const auto& row : rows)
        names.push_back(row.id + " " + row.load_state);
    return names;
}

bool has(const std::vector<std::string>& list, std::string_view word)
{
    return std::ranges::find(list, word) != list.end();
}

std::chrono::duration<double, std::milli> cpu_time()
{
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

/// Reads until the unit is in this state: systemctl start does not wait for a simple service to fail.
Task<UnitFacts> read_until(Manager& manager, std::string id, std::string active_state)
{
    UnitFacts facts;
    for (int i = 0; i < 500 && facts.active_state != active_state; ++i) {
        co_await opsd::test::sleep(std::chrono::milliseconds{i == 0 ? 0 : 20});
        auto read = co_await manager.read_unit(unit_path(id));
        EXPECT_TRUE(read) << read.error().message;
        if (read) facts = std::move(*read);
    }
    EXPECT_EQ(facts.active_state, active_state) << id;
    co_return facts;
}

/// Connects, subscribes, has systemd re-executed, and returns why the connection ended.
Task<Error> reexecute(ConnectOptions options, std::string command)
{
    const auto executor = co_await asio::this_coro::executor;
    auto manager = connect(executor, options);
    EXPECT_TRUE(manager) << manager.error().message;
    Watcher watcher{executor};
    auto ask = [](Manager& m, Watcher& w, std::string how) -> Task<> {
        auto subscribed = co_await m.subscribe(w);
        EXPECT_TRUE(subscribed) << subscribed.error().message;
        co_await read_until(m, "bad-signal.service", "failed");
        EXPECT_EQ(opsd::test::shell(how).exit_code, 0);
    };
    auto ended = co_await ((*manager)->run() && ask(**manager, watcher, command));
    co_return ended;
}

/// A new connection knows the old state and hears the news.
void expect_the_truth(const ConnectOptions& options, std::string restart)
{
    with_manager(options, [restart](Manager& manager, Watcher& watcher) -> Task<> {
        auto subscribed = co_await manager.subscribe(watcher);
        EXPECT_TRUE(subscribed) << subscribed.error().message;
        auto failed = co_await manager.read_unit(unit_path("bad-signal.service"));
        EXPECT_TRUE(failed) << failed.error().message;
        if (failed) EXPECT_EQ(failed->result, "signal");
        EXPECT_EQ(opsd::test::shell(restart).exit_code, 0);
        const auto told = co_await watcher.until_heard("done ok-simple.service");
        EXPECT_TRUE(told);
    });
}

}  // namespace

TEST_F(SystemdManager, ListsLoadedUnitsAndUnitFiles)
{
    with_manager(options, [](Manager& manager, Watcher&) -> Task<> {
        auto units = co_await manager.list_units();
        EXPECT_TRUE(units) << units.error().message;
        const auto dbus = std::ranges::find(*units, "dbus.service", &ListedUnit::id);
        EXPECT_NE(dbus, units->end());
        EXPECT_EQ(dbus->active_state, "active");
        EXPECT_EQ(dbus->sub_state, "running");
        EXPECT_EQ(dbus->object_path, unit_path("dbus.service"));
        EXPECT_EQ(dbus->description, "D-Bus System Message Bus");
        auto files = co_await manager.list_unit_files();
        EXPECT_TRUE(files) << files.error().message;
        const auto simple =
            std::ranges::find(*files, "/etc/systemd/system/ok-simple.service", &ListedFile::path);
        EXPECT_NE(simple, files->end());
        EXPECT_EQ(simple->state, "disabled");
        const auto masked =
            std::ranges::find(*files, "/etc/systemd/system/odd-masked.service", &ListedFile::path);
        EXPECT_EQ(masked->state, "masked");
    });
}

TEST_F(SystemdManager, ListsByNameWhatIsMissingMaskedAndBroken)
{
    with_manager(options, [](Manager& manager, Watcher&) -> Task<> {
        std::vector<std::string> names{"odd-masked.service", "no-such.thing.service", "bad-setting.service",
                                       "ok-instance@a.b.service", "ok-simple.service"};
        auto rows = co_await manager.list_units_by_names(names);
        EXPECT_TRUE(rows) << rows.error().message;
        const std::vector<std::string> expected{
            "odd-masked.service masked", "no-such.thing.service not-found", "bad-setting.service bad-setting",
            "ok-instance@a.b.service loaded", "ok-simple.service loaded"};
        EXPECT_EQ(names_of(*rows), expected);
        std::vector<std::string> wrong{"ok-simple.service", "ok-instance@.service"};
        auto refused = co_await manager.list_units_by_names(wrong);
        EXPECT_EQ(refused.error().code, Errc::invalid_argument);
        EXPECT_NE(refused.error().message.find("ok-instance@.service"), std::string::npos)
            << refused.error().message;
    });
}

TEST_F(SystemdManager, ReadsTheFactsOfAFailedService)
{
    (void)node->exec("systemctl start bad-exit.service bad-signal.service");
    with_manager(options, [](Manager& manager, Watcher&) -> Task<> {
        auto killed = co_await read_until(manager, "bad-signal.service", "failed");
        EXPECT_EQ(killed.result, "signal");
        EXPECT_EQ(killed.main_code, CLD_KILLED);
        EXPECT_EQ(killed.main_status, SIGSEGV);
        co_await read_until(manager, "bad-exit.service", "failed");
        auto facts = co_await manager.read_unit(unit_path("bad-exit.service"));
        EXPECT_TRUE(facts) << facts.error().message;
        EXPECT_TRUE(facts->details);
        EXPECT_EQ(facts->id, "bad-exit.service");
        EXPECT_EQ(facts->description, "Service that fails");
        EXPECT_EQ(facts->load_state, "loaded");
        EXPECT_EQ(facts->active_state, "failed");
        EXPECT_EQ(facts->sub_state, "failed");
        EXPECT_EQ(facts->unit_file_state, "static");
        EXPECT_EQ(facts->fragment_path, "/etc/systemd/system/bad-exit.service");
        EXPECT_EQ(facts->type, "simple");
        EXPECT_EQ(facts->result, "exit-code");
        EXPECT_EQ(facts->main_code, CLD_EXITED);
        EXPECT_EQ(facts->main_status, 3);
        EXPECT_EQ(facts->main_pid, 0U);
        EXPECT_EQ(facts->restarts, 0U);
        EXPECT_EQ(facts->invocation_id.size(), 32U);
        EXPECT_TRUE(facts->condition_result);
        EXPECT_GT(facts->condition_at.count(), 0);
        EXPECT_EQ(facts->job_type, "");
        EXPECT_GT(facts->state_change_at.count(), 0);
        EXPECT_GE(facts->inactive_enter_at.count(), facts->inactive_exit_at.count());
        const auto age = SystemClock{}.now() - facts->state_change_time;
        EXPECT_LT(std::chrono::abs(age), std::chrono::minutes{1});
    });
}

TEST_F(SystemdManager, InspectsWhatExplainsAUnit)
{
    std::ofstream{node->root() + "/run/systemd/system/inspected.service"}
        << "[Unit]\nRequires=bad-exec-oneshot.service\nBindsTo=ok-simple.service\nConditionPathExists=!/"
           "nonexistent\n"
           "[Service]\nEnvironmentFile=-/etc/default/inspected\nLoadCredential=key:/etc/"
           "hostname\nUser=daemon\n"
           "WorkingDirectory=/srv\nStateDirectory=inspected\nTimeoutStartSec=7\n"
           "ExecStartPre=-/bin/sh -c 'exit 4'\nExecStart=/bin/sh -c 'exit 5' --config=/etc/x\n";
    fs::create_directories(node->root() + "/run/systemd/system/inspected.service.d");
    std::ofstream{node->root() + "/run/systemd/system/inspected.service.d/a.conf"}
        << "[Unit]\nDescription=x\n";
    node->systemctl("daemon-reload");
    (void)node->exec("systemctl start ok-simple.service");
    (void)node->exec("systemctl start inspected.service");
    with_manager(options, [](Manager& manager, Watcher&) -> Task<> {
        auto read = co_await manager.inspect_unit(unit_path("inspected.service"));
        EXPECT_TRUE(read) << read.error().message;
        if (!read) co_return;
        EXPECT_EQ(read->facts.load_state, "loaded");
        EXPECT_EQ(read->drop_in_paths,
                  std::vector<std::string>{"/run/systemd/system/inspected.service.d/a.conf"});
        EXPECT_TRUE(has(read->requires_units, "bad-exec-oneshot.service"));
        EXPECT_TRUE(has(read->binds_to, "ok-simple.service"));
        EXPECT_EQ(read->conditions.size(), 1U);
        EXPECT_EQ(read->conditions.at(0).type, "ConditionPathExists");
        EXPECT_TRUE(read->conditions.at(0).negated);
        EXPECT_EQ(read->environment_files.at(0).path, "/etc/default/inspected");
        EXPECT_TRUE(read->environment_files.at(0).optional);
        EXPECT_EQ(read->credentials.at(0), (std::pair<std::string, std::string>{"key", "/etc/hostname"}));
        EXPECT_EQ(read->user, "daemon");
        EXPECT_EQ(read->working_directory, "/srv");
        EXPECT_TRUE(has(read->directories, "/var/lib/inspected"));
        EXPECT_EQ(read->timeout_start_usec, 7'000'000U);
        EXPECT_FALSE(read->need_daemon_reload);
        EXPECT_EQ(read->commands.size(), 2U);
        const auto of = [&](std::string_view setting) {
            return std::ranges::find(read->commands, setting, &ExecCommand::setting);
        };
        const auto start = of("ExecStart");
        const auto before = of("ExecStartPre");
        EXPECT_TRUE(start != read->commands.end() && before != read->commands.end());
        if (start == read->commands.end() || before == read->commands.end()) co_return;
        EXPECT_EQ(start->arguments.back(), "--config=/etc/x");
        EXPECT_FALSE(start->ignored);
        EXPECT_TRUE(before->ignored);
    });
}

TEST_F(SystemdManager, ReadsTheFactsOfOtherStatesAndTypes)
{
    node->systemctl("start ok-notify.service ok-oneshot.service ok-echo.socket ok-tick.timer ok-watch.path");
    node->systemctl("start --no-block odd-activating.service");
    with_manager(options, [](Manager& manager, Watcher&) -> Task<> {
        auto notify = co_await manager.read_unit(unit_path("ok-notify.service"));
        EXPECT_EQ(notify->type, "notify");
        EXPECT_EQ(notify->status_text, "serving");
        EXPECT_EQ(notify->result, "success");
        EXPECT_GT(notify->main_pid, 0U);
        auto oneshot = co_await manager.read_unit(unit_path("ok-oneshot.service"));
        EXPECT_EQ(oneshot->type, "oneshot");
        EXPECT_TRUE(oneshot->remain_after_exit);
        EXPECT_EQ(oneshot->sub_state, "exited");
        auto condition = co_await manager.read_unit(unit_path("odd-condition.service"));
        EXPECT_FALSE(condition->condition_result);
        EXPECT_GT(condition->condition_at.count(), 0);
        auto tick = co_await manager.read_unit(unit_path("ok-tick.service"));
        EXPECT_EQ(tick->triggered_by, std::vector<std::string>{"ok-tick.timer"});
        auto timer = co_await manager.read_unit(unit_path("ok-tick.timer"));
        EXPECT_EQ(timer->triggers, std::vector<std::string>{"ok-tick.service"});
        auto starting = co_await manager.read_unit(unit_path("odd-activating.service"));
        EXPECT_EQ(starting->active_state, "activating");
        EXPECT_EQ(starting->job_type, "start");
        auto broken = co_await manager.read_unit(unit_path("bad-setting.service"));
        EXPECT_EQ(broken->load_state, "bad-setting");
        EXPECT_NE(broken->load_error, "");
        auto missing = co_await manager.read_unit(unit_path("no-such.service"));
        EXPECT_EQ(missing->load_state, "not-found");
        for (const auto* id : {"ok-echo.socket", "ok-tick.timer", "ok-watch.path", "-.mount"}) {
            auto facts = co_await manager.read_unit(unit_path(id));
            EXPECT_TRUE(facts) << facts.error().message;
            EXPECT_EQ(facts->active_state, "active") << id;
            EXPECT_EQ(facts->result, "success") << id;
            EXPECT_EQ(facts->type, "") << id;
        }
        auto target = co_await manager.read_unit(unit_path("multi-user.target"));
        EXPECT_EQ(target->result, "");
    });
    node->systemctl("stop ok-tick.timer");
}

TEST_F(SystemdManager, SignalsOfAFailureCarryEverythingNeeded)
{
    (void)node->exec("systemctl reset-failed bad-exit.service");
    with_manager(options, [](Manager& manager, Watcher& watcher) -> Task<> {
        auto subscribed = co_await manager.subscribe(watcher);
        EXPECT_TRUE(subscribed) << subscribed.error().message;
        watcher.units["bad-exit.service"].id = "bad-exit.service";
        (void)node->exec("systemctl start --no-block bad-exit.service");
        auto& facts = watcher.units["bad-exit.service"];
        const auto is_over = [&] { return facts.active_state == "failed" && facts.job_type.empty(); };
        const auto failed = co_await watcher.until(is_over);
        EXPECT_TRUE(failed);
        EXPECT_TRUE(watcher.complete);
        auto read = co_await manager.read_unit(unit_path("bad-exit.service"));
        EXPECT_EQ(facts.result, "exit-code");
        EXPECT_EQ(facts.main_code, CLD_EXITED);
        EXPECT_EQ(facts.main_status, 3);
        EXPECT_EQ(facts.invocation_id, read->invocation_id);
        EXPECT_EQ(facts.state_change_at, read->state_change_at);
        EXPECT_EQ(facts.state_change_time, read->state_change_time);
        EXPECT_EQ(facts.inactive_enter_at, read->inactive_enter_at);
        EXPECT_EQ(facts.sub_state, "failed");
    });
}

TEST_F(SystemdManager, SignalsCountTheRestartsOfAFlappingUnit)
{
    with_manager(options, [](Manager& manager, Watcher& watcher) -> Task<> {
        co_await manager.subscribe(watcher);
        auto& facts = watcher.units["bad-flapping.service"];
        (void)node->exec("systemctl start --no-block bad-flapping.service");
        const auto often = [&] { return facts.restarts >= 3; };
        const auto flapped = co_await watcher.until(often);
        EXPECT_TRUE(flapped);
        EXPECT_EQ(facts.result, "exit-code");
        EXPECT_TRUE(watcher.complete);
        (void)node->exec("systemctl stop bad-flapping.service");
    });
}

// What a flapping unit's signals are held for relies on it.
TEST_F(SystemdManager, ANewerSignalOfAnInterfaceMakesTheOlderOnesNeedless)
{
    with_manager(options, [](Manager& manager, Watcher& watcher) -> Task<> {
        co_await manager.subscribe(watcher);
        auto& facts = watcher.units["bad-flapping.service"];
        (void)node->exec("systemctl start --no-block bad-flapping.service");
        const auto often = [&] { return facts.restarts >= 2; };
        const auto flapped = co_await watcher.until(often);
        EXPECT_TRUE(flapped);
        (void)node->exec("systemctl stop bad-flapping.service");
        const auto stopped = [&] {
            return facts.active_state == "inactive" || facts.active_state == "failed";
        };
        const auto rests = co_await watcher.until(stopped);
        EXPECT_TRUE(rests);
        UnitFacts alone;
        EXPECT_TRUE(watcher.newest_own->apply_to(alone));
        EXPECT_TRUE(watcher.newest_of_unit->apply_to(alone));
        EXPECT_EQ(alone, facts);
        EXPECT_EQ(watcher.newest_own->object_path(), unit_path("bad-flapping.service"));
        watcher.newest_own.reset();
        watcher.newest_of_unit.reset();
    });
}

// Measured with -O2: 0.8 ms of CPU a second for 28 signals, 0.5 of them in sd-bus and the kernel. The bound
// leaves room for debug builds and sanitizers.
TEST_F(SystemdManager, AFlappingUnitCostsLittle)
{
    with_manager(options, [](Manager& manager, Watcher& watcher) -> Task<> {
        co_await manager.subscribe(watcher);
        std::ignore = watcher.units["bad-flapping.service"];
        (void)node->exec("systemctl start --no-block bad-flapping.service");
        const auto many = [&] { return watcher.signals > 10; };
        const auto flaps = co_await watcher.until(many);
        EXPECT_TRUE(flaps);
        const auto before = watcher.signals;
        const auto cpu_before = cpu_time();
        co_await opsd::test::sleep(std::chrono::seconds{3});
        const auto cost = (cpu_time() - cpu_before) / 3;
        const auto signals = (watcher.signals - before) / 3;
        std::printf("one flapping unit: %zu signals/s, %.2f ms CPU/s\n", signals, cost.count());
        EXPECT_GT(signals, 10U);
        EXPECT_LT(cost.count() / static_cast<double>(signals), 0.5);
        (void)node->exec("systemctl stop bad-flapping.service");
    });
}

TEST_F(SystemdManager, TellsOfUnitsJobsFilesAndReloads)
{
    std::ofstream{node->root() + "/run/systemd/system/new.service"}
        << "[Service]\nExecStart=/bin/sleep infinity\n";
    with_manager(options, [](Manager& manager, Watcher& watcher) -> Task<> {
        co_await manager.subscribe(watcher);
        (void)node->exec("systemctl daemon-reload");
        const auto reloaded = co_await watcher.until_heard("reloaded ");
        EXPECT_TRUE(reloaded);
        const std::vector<std::string> order{"reloading ", "removed dbus.service", "new dbus.service",
                                             "reloaded "};
        auto at = watcher.lines.begin();  // a reload forgets and meets every unit
        for (const auto& line : order)
            at = std::find(at, watcher.lines.end(), line);
        EXPECT_NE(at, watcher.lines.end());
        (void)node->exec("systemctl start new.service");
        const auto started = co_await watcher.until_heard("done new.service");
        EXPECT_TRUE(started);
        EXPECT_TRUE(watcher.heard("new new.service"));
        (void)node->exec("systemctl stop new.service");
        const auto gone = co_await watcher.until_heard("removed new.service");
        EXPECT_TRUE(gone);
        (void)node->exec("systemctl enable ok-simple.service");
        const auto files = co_await watcher.until_heard("files ");
        EXPECT_TRUE(files);
        (void)node->exec("systemctl start bad-dependency.service");
        const auto refused = co_await watcher.until_heard("dependency bad-dependency.service");
        EXPECT_TRUE(refused);
    });
}

TEST_F(SystemdManager, ALostBusEndsTheConnectionAndANewOneWorks)
{
    opsd::test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        ConnectOptions to_node;
        to_node.address = node->bus();
        auto manager = connect(executor, to_node);
        auto kill_bus = [](Manager& m) -> Task<> {
            auto before = co_await m.list_units();
            EXPECT_TRUE(before) << before.error().message;
            EXPECT_EQ(node->exec("pkill -KILL -x dbus-daemon").exit_code, 0);
            auto after = co_await m.list_units();
            EXPECT_EQ(after.error().code, Errc::unavailable) << after.error().message;
        };
        auto ended = co_await ((*manager)->run() && kill_bus(**manager));
        EXPECT_EQ(ended.code, Errc::unavailable) << ended.message;
        EXPECT_TRUE(ended.message.starts_with("cannot stay connected to systemd: ")) << ended.message;
    });
    wait_for_systemd_on_the_bus();
    with_manager(options, [](Manager& manager, Watcher& watcher) -> Task<> {
        auto subscribed = co_await manager.subscribe(watcher);
        EXPECT_TRUE(subscribed) << subscribed.error().message;
        (void)node->exec("systemctl restart ok-simple.service");
        const auto told = co_await watcher.until_heard("done ok-simple.service");
        EXPECT_TRUE(told);
    });
}

TEST_F(SystemdManager, ReexecutionEndsTheConnectionAndANewOneTellsTheTruth)
{
    (void)node->exec("systemctl start bad-signal.service");
    opsd::test::run([this]() -> Task<> {
        auto ended = co_await reexecute(options, node->command("systemctl daemon-reexec"));
        EXPECT_EQ(ended.code, Errc::unavailable);
        EXPECT_NE(ended.message.find("re-executed"), std::string::npos) << ended.message;
    });
    expect_the_truth(options, node->command("systemctl restart ok-simple.service"));
}

// PID 1's private socket answers only inside, so this program runs itself there.
TEST_F(SystemdManager, RootUsesThePrivateSocketThroughAReexecution)
{
    (void)node->exec("systemctl start bad-signal.service");
    const auto inside = node->exec("env -u GTEST_OUTPUT " + self
                                   + " --gtest_also_run_disabled_tests --gtest_filter=InsideTheNode.*");
    EXPECT_EQ(inside.exit_code, 0) << inside.output;
    EXPECT_NE(inside.output.find("[  PASSED  ] 2 tests"), std::string::npos) << inside.output;
}

TEST_F(SystemdManager, AnUnprivilegedUserListsReadsAndSubscribes)
{
    wait_for_systemd_on_the_bus();
    const auto inside = node->exec("setpriv --reuid=65534 --regid=65534 --clear-groups env -u GTEST_OUTPUT "
                                   + self + " --gtest_also_run_disabled_tests --gtest_filter=AsSomebody.*");
    EXPECT_EQ(inside.exit_code, 0) << inside.output;
    EXPECT_NE(inside.output.find("[  PASSED  ] 1 test"), std::string::npos) << inside.output;
}

TEST(AsSomebody, DISABLED_ListsReadsAndSubscribes)
{
    with_manager(ConnectOptions{}, [](Manager& manager, Watcher& watcher) -> Task<> {
        auto subscribed = co_await manager.subscribe(watcher);
        EXPECT_TRUE(subscribed) << subscribed.error().message;
        auto units = co_await manager.list_units();
        EXPECT_TRUE(units) << units.error().message;
        std::vector<std::string> names{"odd-masked.service"};
        auto named = co_await manager.list_units_by_names(names);
        EXPECT_TRUE(named) << named.error().message;
        auto files = co_await manager.list_unit_files();
        EXPECT_TRUE(files) << files.error().message;
        auto facts = co_await manager.read_unit(unit_path("dbus.service"));
        EXPECT_TRUE(facts) << facts.error().message;
    });
}

TEST(InsideTheNode, DISABLED_ThePrivateSocketLivesWithoutABus)
{
    ConnectOptions direct;
    with_manager(direct, [](Manager& manager, Watcher& watcher) -> Task<> {
        auto subscribed = co_await manager.subscribe(watcher);
        EXPECT_TRUE(subscribed) << subscribed.error().message;
        EXPECT_EQ(opsd::test::shell("pkill -KILL -x dbus-daemon").exit_code, 0);
        EXPECT_EQ(opsd::test::shell("systemctl restart ok-simple.service").exit_code, 0);
        const auto told = co_await watcher.until_heard("done ok-simple.service");
        EXPECT_TRUE(told);
        auto units = co_await manager.list_units();
        EXPECT_TRUE(units) << units.error().message;
    });
}

TEST(InsideTheNode, DISABLED_ReexecutionEndsThePrivateConnectionAndANewOneTellsTheTruth)
{
    opsd::test::run([]() -> Task<> {
        const ConnectOptions direct;
        auto ended = co_await reexecute(direct, "systemctl daemon-reexec");
        EXPECT_EQ(ended.code, Errc::unavailable) << ended.message;
        EXPECT_NE(ended.message.find("/run/systemd/private"), std::string::npos) << ended.message;
    });
    expect_the_truth(ConnectOptions{}, "systemctl restart ok-simple.service");
}
