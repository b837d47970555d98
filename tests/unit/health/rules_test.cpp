// At least one case per row of the rule table, with the measured situations of docs/contracts/health.md 3.3.

#include "modules/health/rules.hpp"

#include "facts.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

namespace opsd::health {
namespace {

using namespace test;

Context expected(const std::function<void(Context&)>& edit = {})
{
    Context c;
    c.now = boot_age;
    c.expected = true;
    if (edit) edit(c);
    return c;
}
Context unexpected()
{
    return expected([](Context& c) { c.expected = false; });
}

struct Case {
    std::string_view rule;
    UnitFacts facts;
    Context context;
    Health health;
    std::string_view state;
    std::string_view says;
};

constexpr auto well = Health::healthy;
constexpr auto ill = Health::unhealthy;
constexpr auto unknown = Health::unknown;

UnitFacts of_type(UnitFacts f, std::string type)
{
    f.type = std::move(type);
    return f;
}
UnitFacts since(UnitFacts f, Monotonic ago)
{
    f.state_change_at = boot_age - ago;
    f.inactive_exit_at = f.active_exit_at = f.active_enter_at = {};
    return f;
}

std::vector<Case> load_cases()
{
    return {
        {"no-unit",
         {},
         expected([](Context& c) { c.problem = "is not a unit name"; }),
         unknown,
         "invalid",
         "not a unit"},
        {"unreadable", running(), expected([](Context& c) { c.unreadable = "cannot read it: timed out"; }),
         unknown, "unreadable", "timed out"},
        {"nothing-known", {}, expected(), unknown, "unread", "not told"},
        {"gone-but-active", changed(running(), [](auto& f) { f.load_state = "not-found"; }), expected(), ill,
         "missing", "a.service"},
        {"missing", loaded_as("not-found"), expected(), ill, "missing", "no unit file of a.service"},
        {"absent", loaded_as("not-found"), unexpected(), well, "absent", "refer"},
        {"bad-setting",
         changed(loaded_as("bad-setting"), [](auto& f) { f.load_error = "has a bad unit file setting"; }),
         expected(), ill, "broken", "bad unit file setting"},
        {"load-error", loaded_as("error"), expected(), ill, "broken", "cannot load"},
        {"masked", loaded_as("masked"), expected(), ill, "masked", "cannot be started"},
        {"masked", changed(running(), [](auto& f) { f.load_state = "masked"; }), unexpected(), ill, "masked",
         "masked"},
        {"masked-unexpected", loaded_as("masked"), unexpected(), well, "masked", "nothing expects"},
        {"other-load-state", loaded_as("merged"), expected(), unknown, "unknown", "merged"},
    };
}

std::vector<Case> failed_cases()
{
    const auto again = [](UnitFacts f) { return changed(std::move(f), [](auto& u) { u.restarts = 5; }); };
    return {
        {"failed-unread", unread("failed", "failed"), expected(), ill, "failed", "not read yet"},
        {"failed-start-limit", again(failed("start-limit-hit", 1, 1)), expected(), ill, "failed",
         "5 automatic restarts"},
        {"failed-setup", failed("exit-code", 1, 203), expected(), ill, "failed", "203 (EXEC)"},
        {"failed-setup", failed("exit-code", 1, 226), expected(), ill, "failed", "226 (NAMESPACE)"},
        {"failed-exit", failed("exit-code", 1, 3), expected(), ill, "failed", "status 3 (NOTIMPLEMENTED)"},
        {"failed-exit", failed("exit-code", 1, 42), unexpected(), ill, "failed",
         "status 42 (Result=exit-code)"},
        {"failed-core", failed("core-dump", 3, 11), expected(), ill, "failed",
         "dumped core on signal 11 (SEGV)"},
        {"failed-signal", failed("signal", 2, 9), expected(), ill, "failed", "killed by signal 9 (KILL)"},
        {"failed-timeout", failed("timeout", 2, 15), expected(), ill, "failed", "timed out"},
        {"failed-watchdog", failed("watchdog", 3, 6), expected(), ill, "failed", "watchdog"},
        {"failed-memory", failed("oom-kill", 2, 9), expected(), ill, "failed", "lack of memory"},
        {"failed-resources", failed("resources", 0, 0), expected(), ill, "failed", "resources"},
        {"failed-protocol", failed("protocol", 1, 0), expected(), ill, "failed", "Type="},
        {"failed-condition", failed("exec-condition", 1, 255), expected(), ill, "failed", "ExecCondition"},
        {"failed-otherwise", failed("trigger-limit-hit", 0, 0, "a.socket"), expected(), ill, "failed",
         "the socket failed (Result=trigger-limit-hit)"},
        {"failed-exit", changed(failed(), [](auto& f) { f.load_state = "masked"; }), unexpected(), ill,
         "failed", "3"},
        {"failed-exit", changed(failed(), [](auto& f) { f.load_state = "not-found"; }), unexpected(), ill,
         "failed", "3"},
        {"maintenance", unit("maintenance", "dead"), expected(), ill, "maintenance", "maintenance"},
    };
}

std::vector<Case> moving_cases()
{
    const auto flaps = expected([](Context& c) { c.restarts = 3; });
    const auto auto_restart = changed(failed(), [](auto& f) {
        f.active_state = "activating";
        f.sub_state = "auto-restart";
    });
    return {
        {"flapping", running(), flaps, ill, "flapping", "3 times"},
        {"flapping", auto_restart, flaps, ill, "flapping", "status 3"},
        {"flapping", changed(failed(), [](auto& f) { f.state_change_at = boot_age - 10ms; }), flaps, ill,
         "flapping", "3 times"},
        {"flapping", changed(stopped(), [](auto& f) { f.job_type = "restart"; }), flaps, ill, "flapping",
         "3 times"},
        {"failed-exit", changed(failed(), [](auto& f) { f.state_change_at = boot_age - 1s; }), flaps, ill,
         "failed", "3"},
        {"failed-start-limit",
         changed(failed("start-limit-hit"), [](auto& f) { f.state_change_at = boot_age; }), flaps, ill,
         "failed", "gave up"},
        {"stopped-by-signal", stopped(), flaps, ill, "stopped", "by request"},
        {"restarting", changed(failed(), [](auto& f) { f.job_type = "start"; }),
         expected([](Context& c) { c.restarts = 1; }), ill, "restarting", "status 3"},
        {"about-to-start", changed(stopped(), [](auto& f) { f.job_type = "pending"; }),
         expected([](Context& c) { c.job_since = boot_age - 900ms; }), well, "starting", "about to start"},
        {"off", changed(unit("inactive", "dead"), [](auto& f) { f.job_type = "start"; }), unexpected(), well,
         "off", "nothing expects"},
        {"queued", changed(unit("inactive", "dead"), [](auto& f) { f.job_type = "start"; }), expected(), ill,
         "queued", "waits"},
        {"restarting", auto_restart, expected(), ill, "restarting", "status 3"},
        {"job-stuck", since(of_type(unit("activating", "start"), "oneshot"), 5min), expected(), ill, "stuck",
         "its job"},
        {"starting-stuck", since(unit("activating", "start"), 5min), expected(), ill, "stuck",
         "longer than 5 min"},
        {"job-running", since(of_type(unit("activating", "start"), "oneshot"), 4min), expected(), well,
         "busy", "runs"},
        {"starting", since(unit("activating", "start"), 4min), expected(), well, "starting", "starts"},
        {"starting", unread("activating", "start"), expected([](Context& c) { c.seen_at = boot_age; }), well,
         "starting", "starts"},
        {"stopping-stuck", since(unit("deactivating", "stop"), 2min), expected(), ill, "stuck", "stopping"},
        {"stopping", since(unit("deactivating", "stop"), 1min), expected(), well, "stopping", "stops"},
        {"reloading-stuck", since(unit("reloading", "reload"), 2min), expected(), ill, "stuck", "reloading"},
        {"reloading", since(unit("reloading", "reload"), 1min), expected(), well, "reloading", "reloads"},
    };
}

std::vector<Case> active_cases()
{
    return {
        {"running", running(), expected(), well, "running", "running"},
        {"running", unread("active", "running"), expected(), well, "running", "running"},
        {"running", changed(running(), [](auto& f) { f.status_text = "serving"; }), expected(), well,
         "running", "serving"},
        {"running", changed(running(), [](auto& f) { f.restarts = 900; }), expected(), well, "running",
         "running"},
        {"exited", started(of_type(unit("active", "exited"), "oneshot")), expected(), well, "done", "done"},
        {"listening", unit("active", "listening", "a.socket"), expected(), well, "listening", "listens"},
        {"waiting", unit("active", "waiting", "a.timer"), expected(), well, "waiting", "waits"},
        {"mounted", unit("active", "mounted", "a.mount"), expected(), well, "mounted", "mounted"},
        {"plugged", unit("active", "plugged", "a.device"), expected(), well, "plugged", "plugged"},
        {"elapsed", unit("active", "elapsed", "a.timer"), expected(), well, "elapsed", "not fire again"},
        {"active", unit("active", "active", "a.target"), expected(), well, "active", "active (active)"},
    };
}

std::vector<Case> inactive_cases()
{
    const auto dead = [](const std::function<void(UnitFacts&)>& edit) {
        return changed(unit("inactive", "dead"), edit);
    };
    const auto job = [](std::string result) { return expected([&](Context& c) { c.job_result = result; }); };
    const auto triggered = [](UnitFacts& f) { f.triggered_by = {"a.timer", "a.path"}; };
    return {
        {"inactive-unread", unread("inactive", "dead"), expected(), unknown, "unread", "not read yet"},
        {"condition", dead([](auto& f) {
             f.condition_at = boot_age;
             f.condition_result = false;
         }),
         expected(), well, "skipped", "condition"},
        {"exec-condition", dead([](auto& f) { f.result = "exec-condition"; }), expected(), well, "skipped",
         "ExecCondition"},
        {"assert", dead([](auto& f) {
             f.condition_at = boot_age;
             f.assert_result = false;
         }),
         expected(), ill, "assert-failed", "assertion"},
        // systemd says "no" for both before it ever looked
        {"not-started", dead([](auto& f) { f.condition_result = f.assert_result = false; }), expected(), ill,
         "not-started", "since boot"},
        {"dependency", dead([](auto&) {}), job("dependency"), ill, "blocked", "dependency"},
        {"start-failed", dead([](auto&) {}), job("timeout"), ill, "start-failed", "timeout"},
        {"triggered", dead(triggered), expected(), well, "waiting", "a.timer, a.path"},
        {"triggered", changed(stopped(), triggered), expected(), well, "waiting", "waits for"},
        {"oneshot-done", started(of_type(unit("inactive", "dead"), "oneshot")), expected(), well, "done",
         "success"},
        {"off", unit("inactive", "dead"), unexpected(), well, "off", "static"},
        {"stopped-unexpected", stopped(), unexpected(), well, "stopped", "nothing expects"},
        {"not-started", dead([](auto&) {}), expected(), ill, "not-started", "since boot"},
        {"not-started", of_type(dead([](auto&) {}), "oneshot"), expected(), ill, "not-started", "since boot"},
        {"stopped-restarting",
         changed(stopped(),
                 [](auto& f) {
                     f.result = "exit-code";
                     f.main_code = f.main_status = 1;
                 }),
         expected(), ill, "stopped", "by request"},
        {"stopped-by-signal", stopped(), expected(), ill, "stopped", "15 (TERM)); it did not crash"},
        {"stopped", changed(stopped(), [](auto& f) { f.main_code = 1, f.main_status = 0; }), expected(), ill,
         "stopped", "did not crash"},
        {"stopped",
         changed(stopped(),
                 [](auto& f) {
                     f.type = "oneshot";
                     f.remain_after_exit = true;
                     f.main_code = 1, f.main_status = 0;
                 }),
         expected(), ill, "stopped", "orderly"},
        {"stopped-unit", started(unit("inactive", "dead", "a.timer")), expected(), ill, "stopped",
         "the timer is inactive"},
        {"unknown", unit("dreaming", "deep"), expected(), unknown, "unknown", "loaded/dreaming/deep"},
    };
}

std::vector<Case> all_cases()
{
    std::vector<Case> all;
    for (const auto& some : {load_cases(), failed_cases(), moving_cases(), active_cases(), inactive_cases()})
        all.insert(all.end(), some.begin(), some.end());
    return all;
}

std::string read_file(const std::string& path)
{
    std::ostringstream text;
    text << std::ifstream{path}.rdbuf();
    return text.str();
}

TEST(HealthRules, EachRowJudgesItsCases)
{
    for (const auto& c : all_cases()) {
        const auto verdict = judge(c.facts, c.context);
        EXPECT_EQ(verdict.rule, c.rule);
        EXPECT_EQ(verdict.health, c.health) << c.rule;
        EXPECT_EQ(verdict.state, c.state) << c.rule;
        EXPECT_NE(verdict.reason.find(c.says), std::string::npos) << c.rule << " says: " << verdict.reason;
    }
}

TEST(HealthRules, EveryRowHasACase)
{
    std::set<std::string_view> tested;
    for (const auto& c : all_cases())
        tested.insert(c.rule);
    for (const auto& row : rules())
        EXPECT_TRUE(tested.contains(row.name)) << row.name;
}

TEST(HealthRules, RowsHaveDifferentNamesAndTheLastMatchesEverything)
{
    std::set<std::string_view> names;
    for (const auto& row : rules())
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(rules().back().matches({}, {}));
    EXPECT_EQ(rules().back().health, Health::unknown);
}

TEST(HealthRules, SentencesHaveNoPeriodAtTheEnd)
{
    for (const auto& c : all_cases()) {
        const auto reason = judge(c.facts, c.context).reason;
        ASSERT_FALSE(reason.empty()) << c.rule;
        EXPECT_NE(reason.back(), '.') << reason;
    }
}

TEST(HealthRules, TheOperatorsPageShowsTheSameTable)
{
    const std::string path = std::string{OPSD_SOURCE_DIR} + "/docs/health.md";
    auto page = read_file(path);
    const std::string begin = "<!-- rules: generated -->\n";
    const std::string end = "<!-- end of rules -->\n";
    const auto from = page.find(begin);
    const auto to = page.find(end);
    ASSERT_NE(from, std::string::npos);
    ASSERT_NE(to, std::string::npos);
    const auto start = from + begin.size();
    if (std::getenv("OPSD_WRITE_DOCS") != nullptr) {
        page.replace(start, to - start, rules_markdown());
        std::ofstream{path} << page;
        return;
    }
    EXPECT_EQ(page.substr(start, to - start), rules_markdown())
        << "run this test once with OPSD_WRITE_DOCS=1 to write the table";
}

TEST(HealthRules, AStartOfSeveralStepsIsMeasuredFromItsBeginning)
{
    auto facts = unit("activating", "start-post");
    facts.inactive_exit_at = boot_age - 6min;
    facts.state_change_at = boot_age - 1s;  // moves with every step
    EXPECT_EQ(judge(facts, expected()).state, "stuck");
    EXPECT_EQ(stuck_at(facts, expected()), facts.inactive_exit_at + 5min);
}

TEST(HealthRules, NamesOfStatusesAndSignals)
{
    EXPECT_EQ(exit_status_text(78), "78 (CONFIG)");
    EXPECT_EQ(exit_status_text(99), "99");
    EXPECT_EQ(signal_text(6), "6 (ABRT)");
    EXPECT_EQ(signal_text(250), "250");
}

TEST(HealthRules, NameAndDescriptionComeFromTheDescription)
{
    const auto two = titles("x.service", "DC/OS Log: socket for logs");
    EXPECT_EQ(two.name, "DC/OS Log");
    EXPECT_EQ(two.description, "socket for logs");
    const auto one = titles("x.service", "Exhibitor and ZooKeeper");
    EXPECT_EQ(one.name, "x.service");
    EXPECT_EQ(one.description, "Exhibitor and ZooKeeper");
    const auto three = titles("x.service", "A: B: C");
    EXPECT_EQ(three.name, "x.service");
    EXPECT_EQ(three.description, "A B C");
}

}  // namespace
}  // namespace opsd::health
