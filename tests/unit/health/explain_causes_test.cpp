// One case for each row of the table of causes: what was seen, the word, who is named, what to do next.

#include "modules/health/explain/explanation.hpp"

#include "facts.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

namespace opsd::health::explain {
namespace {

using namespace test;

const WallTime failure = today;
const WallTime began = today - 10s;

systemd::JournalLine line(std::string message, std::uint32_t pid = 71, std::string identifier = "a")
{
    systemd::JournalLine one;
    one.at = failure - 1s;
    one.pid = pid;
    one.priority = pid == 1 ? 4 : 6;
    one.identifier = pid == 1 ? "systemd" : std::move(identifier);
    one.message = std::move(message);
    return one;
}

systemd::ExecCommand command(std::string setting, std::string path)
{
    systemd::ExecCommand one;
    one.setting = std::move(setting);
    one.path = path;
    one.arguments = {path, "--serve"};
    return one;
}

Facts facts_of(UnitFacts unit, std::string word, Health health = Health::unhealthy)
{
    Facts f;
    f.state.id = unit.id;
    f.state.state = std::move(word);
    f.state.health = health;
    f.state.reason = "the module's own reason";
    f.state.since = failure;
    f.state.journal_complete = true;
    f.details.facts = std::move(unit);
    f.details.inactive_exit = began;
    f.details.commands = {command("ExecStart", "/usr/bin/a")};
    f.details_known = true;
    f.now = failure + 60s;
    f.restart_window = 10min;
    return f;
}

Facts failing(std::string result = "exit-code", int code = 1, int status = 3)
{
    return facts_of(failed(std::move(result), code, status), "failed");
}

// The form of Linux 5.0 and later, of a slice with MemoryMax=.
const std::string at_the_limit_of_a_slice =
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg="
    "/dcos.slice/dcos-app.slice,task_memcg=/dcos.slice/dcos-app.slice/a.service,task=a,pid=71,uid=0";

Facts setup(int status) { return failing("exit-code", 1, status); }

Facts saying(std::string message)
{
    auto f = failing();
    f.journal = {line(std::move(message))};
    return f;
}

FileFact file(std::string path, std::string role, FileState state = FileState::present)
{
    FileFact one;
    one.path = std::move(path);
    one.role = std::move(role);
    one.state = state;
    one.executable = true;
    one.modified = one.changed = began - 24h;
    return one;
}

Facts with(Facts f, const std::function<void(Facts&)>& edit)
{
    edit(f);
    return f;
}

Facts worked_before(Facts f)
{
    f.worked = {true, began - 3h, began - 1h, "history"};
    return f;
}

Facts blocked_by(Facts culprit)
{
    auto f = facts_of(unit("inactive", "dead"), "blocked");
    Dependency middle{
        "b.service", "a.service", "Requires", 1, false, true, unit("inactive", "dead", "b.service")};
    Dependency last{"c.service", "b.service", "BindsTo", 2, true, false, culprit.details.facts};
    f.dependencies = {middle, last};
    culprit.state.id = culprit.details.facts.id = "c.service";
    f.culprit = std::make_shared<Facts>(std::move(culprit));
    return f;
}

struct Example {
    std::string cause;
    Facts facts;
    std::string names;  ///< the verdict contains it
    std::string next;   ///< one of the commands contains it
};

std::vector<Example> examples()
{
    std::vector<Example> all;
    const auto add = [&all](std::string cause, Facts facts, std::string names, std::string next) {
        all.push_back({std::move(cause), std::move(facts), std::move(names), std::move(next)});
    };
    add("unknown", with(failing(), [](auto& f) { f.systemd_readable = false; }), "cannot be read", "dbus");
    add("condition",
        with(facts_of(unit("inactive", "dead"), "skipped", Health::healthy),
             [](auto& f) { f.details.conditions = {{"ConditionPathExists", false, true, "/x", -1}}; }),
        "ConditionPathExists=!/x is not met", "systemctl cat a.service");
    add("healthy", facts_of(running(), "running", Health::healthy), "nothing to explain", "");
    add("unreadable", facts_of(running(), "unread", Health::unknown), "the module's own reason", "status");
    add("unit-file-missing", facts_of(loaded_as("not-found"), "missing"), "no unit file of a.service",
        "dpkg -S");
    add("bad-setting",
        with(facts_of(loaded_as("bad-setting"), "broken"),
             [](auto& f) { f.journal = {line("a.service: Service has no ExecStart=. Refusing.", 1)}; }),
        "Service has no ExecStart=. Refusing", "systemd-analyze verify a.service");
    add("load-error",
        with(facts_of(loaded_as("error"), "broken"),
             [](auto& f) { f.details.facts.load_error = "Input/output error"; }),
        "Input/output error", "systemd-analyze verify");
    add("masked", facts_of(loaded_as("masked"), "masked"), "is masked",
        "systemctl unmask a.service && systemctl start");
    add("assert",
        with(facts_of(unit("inactive", "dead"), "assert-failed"),
             [](auto& f) { f.details.asserts = {{"AssertPathExists", false, false, "/y", -1}}; }),
        "AssertPathExists=/y does not hold", "systemctl cat");
    add("dependency", blocked_by(setup(203)),
        "c.service, which b.service needs (BindsTo=), is not well: systemd could not",
        "systemctl start a.service");
    add("dependency-recovered", facts_of(unit("inactive", "dead"), "blocked"), "well now", "systemctl start");
    add("device-missing", facts_of(unit("inactive", "dead", "dev-sdx.device"), "not-started"),
        "did not appear", "lsblk");
    add("environment-file",
        with(failing("resources", 0, 0),
             [](auto& f) { f.files = {file("/etc/default/x", "environment file", FileState::missing)}; }),
        "/etc/default/x of EnvironmentFile= does not exist", "systemctl cat a.service");
    add("disk-full",
        with(saying("cannot write /srv/data/x: No space left on device"),
             [](auto& f) { f.full = {{"/srv/data", 0, 1 << 20, 1, 2}}; }),
        "no space left where /srv/data is", "df -h /srv/data");
    add("memory-limit", with(failing("oom-kill", 2, 9), [](auto& f) { f.details.memory_max = 64UL << 20U; }),
        "MemoryMax=64 MiB", "systemctl show -p MemoryMax");
    add("slice-memory-limit",
        with(failing("oom-kill", 2, 9),
             [](auto& f) {
                 f.details.memory_max = 64UL << 20U;
                 f.kernel = {line(at_the_limit_of_a_slice, 0, "kernel")};
             }),
        "in the control group /dcos.slice/dcos-app.slice together",
        "systemctl show -p MemoryMax,MemoryCurrent dcos-app.slice");
    add("oomd",
        with(failing("oom-kill", 2, 9),
             [](auto& f) {
                 f.journal = {line("a.service: systemd-oomd killed 2 process(es) in this unit.", 1)};
             }),
        "systemd-oomd killed a.service", "free -h");
    add("out-of-memory",
        with(failing("signal", 2, 9),
             [](auto& f) {
                 f.kernel = {line("oom-kill:constraint=CONSTRAINT_NONE,global_oom,task_memcg="
                                  "/system.slice/a.service,task=a,pid=71,uid=0",
                                  0, "kernel")};
             }),
        "the machine had no memory left", "free -h");
    add("binary-missing",
        with(setup(203), [](auto& f) { f.files = {file("/usr/bin/a", "program", FileState::missing)}; }),
        "its program /usr/bin/a does not exist", "ls -ld /usr/bin/a");
    add("interpreter-missing",
        with(setup(203),
             [](auto& f) {
                 f.files = {file("/usr/bin/a", "program")};
                 f.files[0].interpreter = "/usr/bin/python9";
                 f.files[0].interpreter_missing = true;
             }),
        "the interpreter /usr/bin/python9 of /usr/bin/a", "head -n 1 /usr/bin/a");
    add("binary-not-executable",
        with(setup(203),
             [](auto& f) {
                 f.files = {file("/usr/bin/a", "program")};
                 f.files[0].executable = false;
             }),
        "/usr/bin/a may not be executed", "chmod +x /usr/bin/a");
    add("binary-broken", with(setup(203), [](auto& f) { f.files = {file("/usr/bin/a", "program")}; }),
        "could not execute /usr/bin/a", "systemctl cat");
    add("working-directory",
        with(setup(200),
             [](auto& f) {
                 f.details.working_directory = "/srv/gone";
                 f.files = {file("/srv/gone", "working directory", FileState::missing)};
             }),
        "its working directory /srv/gone does not exist", "ls -ld /srv/gone");
    add("user-missing", with(setup(217), [](auto& f) { f.details.user = "nobody7"; }), "no user nobody7",
        "getent passwd nobody7");
    add("group-missing", with(setup(216), [](auto& f) { f.details.group = "g7"; }), "no group g7",
        "getent group g7");
    add("namespace",
        with(setup(226),
             [](auto& f) {
                 f.journal = {line("a.service: Failed to set up mount namespacing: /srv/x: No such file "
                                   "or directory",
                                   71, "(a)")};
             }),
        "/srv/x: No such file", "systemctl cat");
    add("credentials",
        with(setup(243), [](auto& f) { f.files = {file("/etc/key", "credential", FileState::missing)}; }),
        "the credential /etc/key does not exist", "systemctl cat");
    add("directory", setup(238), "238 (STATE_DIRECTORY)", "systemctl cat");
    add("setup", setup(228), "228 (SECCOMP)", "systemctl cat");
    add("port-in-use", saying("listen tcp 0.0.0.0:8080: bind: address already in use"),
        "the address 0.0.0.0:8080 is in use", "ss -ltnup 'sport = :8080'");
    add("read-only", saying("open /srv/x: Read-only file system"), "a file system is read-only",
        "findmnt -T /srv/x");
    add("too-many-files", saying("accept: Too many open files"), "too many files open", "LimitNOFILE");
    add("library-missing",
        saying("a: error while loading shared libraries: libx.so.1: cannot open shared object "
               "file: No such file or directory"),
        "libx.so.1", "ldd /usr/bin/a");
    add("certificate-expired", saying("x509: certificate has expired"), "a certificate has expired",
        "journalctl");
    add("permission-denied", saying("cannot open '/etc/ssl/private/x.key': Permission denied"),
        "it has no permission for /etc/ssl/private/x.key", "namei -l /etc/ssl/private/x.key");
    add("file-missing", saying("cannot open /etc/a.conf: No such file or directory"),
        "/etc/a.conf does not exist", "ls -ld /etc/a.conf");
    add("no-memory", saying("fork: Cannot allocate memory"), "it got no memory", "free -h");
    add("peer-unreachable", saying("dial tcp 10.0.0.1:5432: connect: connection refused"), "10.0.0.1:5432",
        "journalctl");
    add("changed-package",
        with(worked_before(failing()),
             [](auto& f) {
                 f.packages = {{began - 30min, "upgrade", "apkg", "1.0", "1.1", "program /usr/bin/a"}};
             }),
        "the package apkg was changed (upgrade from 1.0 to 1.1)", "apt-get install apkg=1.0");
    add("changed-file",
        with(worked_before(failing()),
             [](auto& f) {
                 f.files = {file("/etc/a.conf", "configuration")};
                 f.files[0].modified = f.files[0].changed = began - 30min;
             }),
        "its configuration /etc/a.conf was changed", "ls -ld /etc/a.conf");
    add("start-limit",
        with(failing("start-limit-hit", 1, 1),
             [](auto& f) {
                 f.details.start_limit_burst = 5;
                 f.details.start_limit_interval_usec = 10'000'000;
             }),
        "more than 5 starts within 10 s", "systemctl reset-failed a.service && systemctl start a.service");
    add("control-process",
        with(failing("exit-code", 0, 0),
             [](auto& f) {
                 auto pre = command("ExecStartPre", "/usr/bin/check");
                 pre.began = began;
                 pre.ended = failure;
                 pre.code = 1;
                 pre.status = 4;
                 f.details.commands.push_back(pre);
             }),
        "ExecStartPre=/usr/bin/check --serve exited with status 4", "systemctl cat");
    add("start-timeout",
        with(failing("timeout", 2, 15), [](auto& f) { f.details.timeout_start_usec = 90'000'000; }),
        "within 1 min 30 s (TimeoutStartSec=)", "journalctl");
    add("stop-timeout",
        with(failing("timeout", 2, 9),
             [](auto& f) {
                 f.details.timeout_stop_usec = 5'000'000;
                 f.journal = {line("a.service: State 'stop-sigterm' timed out. Killing.", 1)};
             }),
        "did not stop within 5 s", "journalctl");
    add("watchdog", with(failing("watchdog", 2, 6), [](auto& f) { f.details.watchdog_usec = 1'000'000; }),
        "watchdog within 1 s", "journalctl");
    add("protocol", failing("protocol", 0, 0), "Type=simple", "systemctl cat");
    add("resources",
        with(failing("resources", 0, 0),
             [](auto& f) { f.journal = {line("a.service: Failed to run 'start' task: Bad thing", 1)}; }),
        "Bad thing", "journalctl");
    add("core-dump", failing("core-dump", 3, 11), "dumped core on signal 11 (SEGV)",
        "coredumpctl info a.service");
    add("signal", failing("signal", 2, 11), "killed by signal 11 (SEGV)", "journalctl");
    add("exit-code", failing(), "exited with status 3 (NOTIMPLEMENTED)",
        "journalctl -b -n 50 --no-pager -u a.service");
    add("stuck", facts_of(unit("activating", "start"), "stuck"), "sub state start", "systemctl list-jobs");
    add("queued", facts_of(unit("inactive", "dead"), "queued"), "waits for units", "systemctl list-jobs");
    add("stopped",
        with(facts_of(stopped(), "stopped"),
             [](auto& f) {
                 f.commands = {line("     ann : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/systemctl "
                                    "stop a.service",
                                    9, "sudo")};
             }),
        "by ann: /usr/bin/systemctl stop a.service", "systemctl start a.service");
    add("not-started", facts_of(unit("inactive", "dead"), "not-started"), "nothing has started it",
        "systemctl start");
    add("unexplained", facts_of(unit("maintenance", "x"), "maintenance"), "the module's own reason",
        "journalctl");
    return all;
}

}  // namespace

TEST(ExplainCauses, EveryRowNamesItsCauseTheCulpritAndTheNextCommand)
{
    for (const auto& example : examples()) {
        const auto answer = explain(example.facts);
        EXPECT_EQ(answer.cause, example.cause) << answer.verdict;
        EXPECT_NE(answer.verdict.find(example.names), std::string::npos)
            << example.cause << ": " << answer.verdict;
        if (example.next.empty()) {
            EXPECT_TRUE(answer.next.empty()) << example.cause;
            continue;
        }
        const bool advised = std::ranges::any_of(
            answer.next, [&](const auto& one) { return one.find(example.next) != std::string::npos; });
        EXPECT_TRUE(advised) << example.cause << ": " << ::testing::PrintToString(answer.next);
    }
}

TEST(ExplainCauses, EveryRowHasAnExample)
{
    std::set<std::string> covered;
    for (const auto& example : examples())
        covered.insert(example.cause);
    for (const auto& row : causes())
        EXPECT_TRUE(covered.contains(std::string{row.name})) << row.name;
    EXPECT_EQ(covered.size(), causes().size());
}

TEST(ExplainCauses, TheOperatorsPageShowsTheTable)
{
    std::ifstream file{std::string{OPSD_SOURCE_DIR} + "/docs/health.md"};
    std::stringstream page;
    page << file.rdbuf();
    EXPECT_NE(page.str().find(causes_markdown()), std::string::npos) << "put this into docs/health.md:\n"
                                                                     << causes_markdown();
}

TEST(ExplainCauses, AUnitFileThatSystemdHasNotReadComesFirstInTheAdvice)
{
    auto f = setup(203);
    f.files = {file("/usr/bin/a", "program", FileState::missing)};
    f.details.need_daemon_reload = true;
    const auto answer = explain(f);
    ASSERT_FALSE(answer.next.empty());
    EXPECT_EQ(answer.next.front(), "systemctl daemon-reload");
    EXPECT_NE(answer.verdict.find("systemd has not read it yet"), std::string::npos) << answer.verdict;
}

TEST(ExplainCauses, AMissingProgramNamesThePackageThatTookItAway)
{
    auto f = worked_before(setup(203));
    f.files = {file("/usr/bin/a", "program", FileState::missing)};
    f.packages = {{began - 5min, "remove", "a", "1.0", "", "the unit's name"}};
    const auto answer = explain(f);
    EXPECT_EQ(answer.cause, "binary-missing");
    EXPECT_NE(answer.verdict.find("the package a was changed (remove)"), std::string::npos) << answer.verdict;
    EXPECT_EQ(answer.next.front(), "apt-get install --reinstall a");
}

TEST(ExplainCauses, AFileThatOpsdMayNotSeeIsNotCalledMissing)
{
    for (const auto state : {FileState::hidden, FileState::denied}) {
        auto f = setup(203);
        f.files = {file("/home/x/a", "program", state)};
        f.details.commands = {command("ExecStart", "/home/x/a")};
        EXPECT_EQ(explain(f).cause, "binary-broken");
        f.journal = {
            line("a.service: Failed to locate executable /home/x/a: No such file or directory", 71, "(a)")};
        EXPECT_EQ(explain(f).cause, "binary-missing") << "systemd itself said so";
    }
}

TEST(ExplainCauses, GivingUpIsSeenFromTheJournalWhereSystemdKeepsTheLastResult)
{
    auto f = failing("exit-code", 1, 1);
    f.journal = {line("a.service: Start request repeated too quickly.", 1)};
    const auto answer = explain(f);
    EXPECT_EQ(answer.cause, "start-limit");
    EXPECT_EQ(answer.next.back(), "systemctl reset-failed a.service && systemctl start a.service");
}

TEST(ExplainCauses, TheAttemptOfAUnitThatRestartsBeganWithItsProcess)
{
    auto f = failing();
    f.details.facts.restarts = 3;
    f.details.main_began = failure - 1h;
    f.details.inactive_exit = failure;  // it left its inactive state to wait for the restart
    f.journal = {line("bind: address already in use")};
    f.journal.front().at = failure - 30min;
    EXPECT_EQ(explain(f).cause, "port-in-use");
}

TEST(ExplainCauses, AForgottenConditionIsStillNamed)
{
    auto f = facts_of(unit("inactive", "dead"), "skipped", Health::healthy);
    f.details.facts.condition_result = false;
    f.details.conditions = {{"ConditionPathExists", false, false, "/x", 0},
                            {"ConditionHost", false, true, "h", 0}};
    EXPECT_NE(explain(f).verdict.find("ConditionPathExists=/x or ConditionHost=!h is not met"),
              std::string::npos)
        << explain(f).verdict;
}

TEST(ExplainCauses, TheLastWordsOfAProgramStandInTheSentenceWhenNothingElseIsKnown)
{
    auto f = saying("bad port: 'eighty'");
    f.journal.push_back(line("a.service: Main process exited, code=exited, status=3/NOTIMPLEMENTED", 1));
    EXPECT_NE(explain(f).verdict.find("its last line: bad port: 'eighty'"), std::string::npos)
        << explain(f).verdict;
}

TEST(ExplainCauses, LinesOfEarlierRunsAreNoClue)
{
    auto f = saying("bind: address already in use");
    f.journal.front().at = began - 1s;
    EXPECT_EQ(explain(f).cause, "exit-code");
}

TEST(ExplainCauses, ChangesAfterTheFailureAreShownButNotBlamed)
{
    auto f = worked_before(failing());
    f.files = {file("/etc/a.conf", "configuration")};
    f.files[0].modified = failure + 30s;
    const auto answer = explain(f);
    EXPECT_EQ(answer.cause, "exit-code");
    ASSERT_EQ(answer.changed.size(), 1U);
    EXPECT_TRUE(answer.changed[0].after_failure);
}

TEST(ExplainCauses, AUnitThatNeverWorkedBlamesNoChange)
{
    auto f = failing();
    f.files = {file("/etc/a.conf", "configuration")};
    f.files[0].modified = failure - 1s;
    const auto answer = explain(f);
    EXPECT_EQ(answer.cause, "exit-code");
    EXPECT_TRUE(answer.changed.empty());
}

TEST(ExplainCauses, TheKernelsWordsDecideBetweenTheLimitAndTheMachine)
{
    auto f = failing("oom-kill", 2, 9);
    f.details.memory_max = 64UL << 20U;
    f.kernel = {line("oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
                     "task_memcg=/system.slice/a.service,task=a,pid=71,uid=0",
                     0, "kernel")};
    EXPECT_EQ(explain(f).cause, "out-of-memory");
    f.kernel = {
        line("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=a.service,mems_allowed=0,oom_memcg="
             "/system.slice/a.service,task_memcg=/system.slice/a.service,task=a,pid=71,uid=0",
             0, "kernel")};
    EXPECT_EQ(explain(f).cause, "memory-limit");
    f.kernel = {line("oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/system.slice/b.service,task_memcg="
                     "/system.slice/b.service,task=b,pid=72,uid=0",
                     0, "kernel")};
    f.details.facts.result = "signal";
    f.details.memory_max = systemd::no_limit;
    EXPECT_EQ(explain(f).cause, "signal") << "another unit was killed";
}

TEST(ExplainCauses, AKillAtASlicesLimitDoesNotBlameTheUnitsOwn)
{
    auto f = failing("oom-kill", 2, 9);
    f.details.memory_max = 64UL << 20U;
    f.kernel = {line(at_the_limit_of_a_slice, 0, "kernel")};
    const auto answer = explain(f);
    EXPECT_EQ(answer.cause, "slice-memory-limit");
    EXPECT_EQ(answer.verdict.find("MemoryMax="), std::string::npos) << answer.verdict;
    f.kernel = {line("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg="
                     "/system.slice/a.service/worker,task_memcg=/system.slice/a.service/worker,task=a,pid=71,"
                     "uid=0",
                     0, "kernel")};
    EXPECT_EQ(explain(f).cause, "memory-limit") << "a group below its own belongs to it";
    f.kernel = {line("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg="
                     "/docker/0123,task_memcg=/docker/0123/system.slice/a.service,task=a,pid=71,uid=0",
                     0, "kernel")};
    EXPECT_EQ(explain(f).cause, "slice-memory-limit") << "the limit of the container around the machine";
}

TEST(ExplainCauses, AKillAtALimitThatSystemdWasNotToldOfMentionsTheLimit)
{
    auto f = failing("signal", 2, 9);
    f.details.memory_max = 16UL << 20U;
    f.details.memory_current = 4096;
    const auto answer = explain(f);
    EXPECT_EQ(answer.cause, "signal");
    const bool told = std::ranges::any_of(answer.evidence, [](const auto& one) {
        return one.kind == "memory" && one.text.find("MemoryMax= is 16 MiB") != std::string::npos;
    });
    EXPECT_TRUE(told);
}

TEST(ExplainCauses, TheDeepestBadDependencyIsTheFirstCause)
{
    const auto one = [](std::string id, int depth, bool bad, bool idle, Monotonic at) {
        auto f = unit("failed", "failed", id);
        f.state_change_at = at;
        return Dependency{std::move(id), "x.service", "Requires", depth, bad, idle, std::move(f)};
    };
    const std::vector<Dependency> all{one("near", 1, true, false, 1s), one("idle", 4, false, true, 1s),
                                      one("late", 2, true, false, 9s), one("early", 2, true, false, 5s)};
    ASSERT_NE(first_cause(all), nullptr);
    EXPECT_EQ(first_cause(all)->id, "early");
    EXPECT_EQ(first_cause({one("well", 1, false, false, 1s)}), nullptr);
}

TEST(ExplainWorked, TheLastRunThatLastedCounts)
{
    auto f = failing();
    const auto row = [](std::string from, std::string to, WallTime at) {
        Transition t;
        t.from = std::move(from);
        t.to = std::move(to);
        t.at = t.last_at = at;
        return t;
    };
    // Newest first: a run of an hour, then one of a second.
    f.history = {row("running", "failed", failure), row("starting", "running", failure - 1s),
                 row("running", "stopped", failure - 60s), row("starting", "running", failure - 1h)};
    const auto worked = last_worked(f, 5s);
    EXPECT_TRUE(worked.ever);
    EXPECT_EQ(worked.since, failure - 1h);
    EXPECT_EQ(worked.until, failure - 60s);
    EXPECT_EQ(worked.known_from, "history");
    EXPECT_EQ(last_worked(f, 1s).since, failure - 1s);
    EXPECT_FALSE(last_worked(f, 2h).ever);
}

TEST(ExplainWorked, ARunFromBeforeOpsdBeginsWhereTheJournalSaysStarted)
{
    auto f = failing();
    Transition t;
    t.from = "running";
    t.to = "failed";
    t.at = t.last_at = failure - 1s;
    f.history = {t};
    EXPECT_EQ(last_worked(f, 5s).since, WallTime{}) << "unknown, and never invented";
    f.starts = {failure - 5h, failure - 2h, failure - 2s};
    EXPECT_EQ(last_worked(f, 5s).since, failure - 2h);
    EXPECT_EQ(last_worked(f, 5s).known_from, "journal");
}

TEST(ExplainWorked, SystemdsOwnTimesCountWithoutAHistory)
{
    auto f = failing();
    f.details.active_enter = failure - 1h;
    f.details.active_exit = failure;
    EXPECT_EQ(last_worked(f, 5s).since, failure - 1h);
    f.details.active_enter = failure - 1s;
    EXPECT_FALSE(last_worked(f, 5s).ever);
}

TEST(ExplainCauses, WordsForAShellAreQuotedWhenTheyMustBe)
{
    EXPECT_EQ(shell_quoted("a@1.service"), "a@1.service");
    EXPECT_EQ(shell_quoted("dev-disk-by\\x2duuid.device"), "'dev-disk-by\\x2duuid.device'");
    EXPECT_EQ(shell_quoted("it's; rm -rf"), "'it'\\''s; rm -rf'");
}

}  // namespace opsd::health::explain
