// Conditions, sentences, and the table that joins them. To change a verdict, change its row; to add one, add
// a row above the first that would catch it, and a case to the table in tests/unit/health/rules_test.cpp.

#include "modules/health/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>

namespace opsd::health {
namespace {

using Facts = UnitFacts;

constexpr int exited = 1;  // CLD_EXITED
constexpr int killed = 2;  // CLD_KILLED
constexpr int dumped = 3;  // CLD_DUMPED

/// What passes within this time is a step from one state to another, not a state.
constexpr Monotonic settling = std::chrono::seconds{1};

// --- conditions

bool active(const Facts& f) { return f.active_state == "active"; }
bool inactive(const Facts& f) { return f.active_state == "inactive"; }
bool failed(const Facts& f) { return f.active_state == "failed"; }
bool service(const Facts& f) { return f.id.ends_with(".service"); }
bool succeeded(const Facts& f) { return f.result.empty() || f.result == "success"; }
bool failed_by(const Facts& f, std::string_view result)
{
    return failed(f) && f.details && f.result == result;
}
bool alive(const Facts& f) { return !inactive(f) && !failed(f) && f.active_state != "maintenance"; }
bool loads_as(const Facts& f, std::string_view state) { return f.load_state == state; }

bool no_unit(const Facts&, const Context& c) { return !c.problem.empty(); }
bool unreadable(const Facts&, const Context& c) { return !c.unreadable.empty(); }
bool nothing_known(const Facts& f, const Context&) { return f.load_state.empty() || f.active_state.empty(); }
bool gone_but_active(const Facts& f, const Context&) { return loads_as(f, "not-found") && alive(f); }
bool missing(const Facts& f, const Context& c) { return loads_as(f, "not-found") && c.expected; }
bool only_referred_to(const Facts& f, const Context&) { return loads_as(f, "not-found") && !failed(f); }
bool broken_file(const Facts& f, const Context&) { return loads_as(f, "bad-setting"); }
bool load_error(const Facts& f, const Context&) { return loads_as(f, "error"); }
bool masked(const Facts& f, const Context& c) { return loads_as(f, "masked") && (c.expected || alive(f)); }
bool masked_unexpected(const Facts& f, const Context&) { return loads_as(f, "masked") && !failed(f); }
bool other_load_state(const Facts& f, const Context&)
{
    return !loads_as(f, "loaded") && !loads_as(f, "masked") && !loads_as(f, "not-found");
}

bool failed_unread(const Facts& f, const Context&) { return failed(f) && !f.details; }
bool failed_exit(const Facts& f, const Context&) { return failed_by(f, "exit-code"); }
bool failed_setup(const Facts& f, const Context& c)
{
    return failed_exit(f, c) && f.main_code == exited && f.main_status >= 200 && f.main_status <= 245;
}
bool failed_signal(const Facts& f, const Context&) { return failed_by(f, "signal"); }
bool failed_core(const Facts& f, const Context&) { return failed_by(f, "core-dump"); }
bool failed_timeout(const Facts& f, const Context&) { return failed_by(f, "timeout"); }
bool failed_watchdog(const Facts& f, const Context&) { return failed_by(f, "watchdog"); }
bool failed_limit(const Facts& f, const Context&)
{
    return failed(f) && f.result.ends_with("start-limit-hit");
}
bool failed_memory(const Facts& f, const Context&) { return failed_by(f, "oom-kill"); }
bool failed_resources(const Facts& f, const Context&) { return failed_by(f, "resources"); }
bool failed_protocol(const Facts& f, const Context&) { return failed_by(f, "protocol"); }
bool failed_condition(const Facts& f, const Context&) { return failed_by(f, "exec-condition"); }
bool failed_otherwise(const Facts& f, const Context&) { return failed(f); }
bool maintenance(const Facts& f, const Context&) { return f.active_state == "maintenance"; }

bool start_pending(const Facts& f) { return !f.job_type.empty() && f.job_type != "stop"; }
bool at_rest(const Facts& f) { return inactive(f) || failed(f); }
bool flapping(const Facts& f, const Context& c)
{
    if (c.restarts < static_cast<std::uint64_t>(c.flapping.restarts)) return false;
    if (f.result.ends_with("start-limit-hit")) return false;
    return alive(f) || (at_rest(f) && (start_pending(f) || c.now < between_runs_until(f, c)));
}
bool restarting(const Facts& f, const Context& c)
{
    if (f.active_state == "activating" && f.sub_state.starts_with("auto-restart")) return true;
    return at_rest(f) && start_pending(f) && c.restarts > 0;  // the moment between stop and start
}
bool about_to_start(const Facts& f, const Context& c)
{
    return inactive(f) && start_pending(f) && c.now < c.job_since + settling;
}
bool queued(const Facts& f, const Context& c) { return inactive(f) && start_pending(f) && c.expected; }
bool in_state_since_limit(const Facts& f, const Context& c)
{
    const auto at = stuck_at(f, c);
    return at.count() > 0 && c.now >= at;
}
bool oneshot(const Facts& f) { return f.type == "oneshot"; }
bool activating(const Facts& f, const Context&) { return f.active_state == "activating"; }
bool activating_job(const Facts& f, const Context& c) { return activating(f, c) && oneshot(f); }
bool activating_stuck(const Facts& f, const Context& c)
{
    return activating(f, c) && in_state_since_limit(f, c);
}
bool job_stuck(const Facts& f, const Context& c)
{
    return activating_job(f, c) && in_state_since_limit(f, c);
}
bool deactivating(const Facts& f, const Context&) { return f.active_state == "deactivating"; }
bool deactivating_stuck(const Facts& f, const Context& c)
{
    return deactivating(f, c) && in_state_since_limit(f, c);
}
bool reloading(const Facts& f, const Context&) { return f.active_state == "reloading"; }
bool reloading_stuck(const Facts& f, const Context& c)
{
    return reloading(f, c) && in_state_since_limit(f, c);
}

bool active_in(const Facts& f, std::string_view sub) { return active(f) && f.sub_state == sub; }
bool running(const Facts& f, const Context&) { return active_in(f, "running"); }
bool done_and_active(const Facts& f, const Context&) { return active_in(f, "exited"); }
bool listening(const Facts& f, const Context&) { return active_in(f, "listening"); }
bool waiting(const Facts& f, const Context&) { return active_in(f, "waiting"); }
bool mounted(const Facts& f, const Context&) { return active_in(f, "mounted"); }
bool plugged(const Facts& f, const Context&) { return active_in(f, "plugged"); }
bool elapsed(const Facts& f, const Context&) { return active_in(f, "elapsed"); }
bool active_otherwise(const Facts& f, const Context&) { return active(f); }

bool inactive_unread(const Facts& f, const Context&) { return inactive(f) && !f.details; }
bool conditions_known(const Facts& f) { return inactive(f) && f.condition_at.count() > 0; }
bool condition_unmet(const Facts& f, const Context&) { return conditions_known(f) && !f.condition_result; }
bool assert_failed(const Facts& f, const Context&)
{
    return conditions_known(f) && f.condition_result && !f.assert_result;
}
bool exec_condition(const Facts& f, const Context&) { return inactive(f) && f.result == "exec-condition"; }
bool dependency_failed(const Facts& f, const Context& c)
{
    return inactive(f) && c.job_result == "dependency";
}
bool start_failed(const Facts& f, const Context& c)
{
    return inactive(f) && c.expected && (c.job_result == "failed" || c.job_result == "timeout");
}
bool ended_badly(const Facts& f, const Context&) { return inactive(f) && !succeeded(f); }
bool waits_for_trigger(const Facts& f, const Context&)
{
    return inactive(f) && succeeded(f) && !f.triggered_by.empty();
}
bool oneshot_done(const Facts& f, const Context&)
{
    return inactive(f) && succeeded(f) && oneshot(f) && !f.remain_after_exit && ever_started(f);
}
bool off(const Facts& f, const Context& c) { return inactive(f) && !c.expected && !ever_started(f); }
bool stopped_unexpected(const Facts& f, const Context& c) { return inactive(f) && !c.expected; }
bool never_started(const Facts& f, const Context&) { return inactive(f) && !ever_started(f); }
bool stopped_by_signal(const Facts& f, const Context&)
{
    return inactive(f) && service(f) && f.main_code == killed;
}
bool stopped_service(const Facts& f, const Context&) { return inactive(f) && service(f); }
bool stopped_unit(const Facts& f, const Context&) { return inactive(f); }
bool anything(const Facts&, const Context&) { return true; }

// --- sentences

std::string_view article(const Facts& f)
{
    const auto dot = f.id.rfind('.');
    return dot == std::string::npos ? "unit" : std::string_view{f.id}.substr(dot + 1);
}
std::string ended(const Facts& f)
{
    if (f.main_code == exited)
        return fmt::format("the main process exited with status {}", exit_status_text(f.main_status));
    if (f.main_code == killed)
        return fmt::format("the main process was killed by signal {}", signal_text(f.main_status));
    if (f.main_code == dumped)
        return fmt::format("the main process dumped core on signal {}", signal_text(f.main_status));
    return fmt::format("the {} failed", article(f));
}
std::string counted(const Facts& f)
{
    if (f.result.empty()) return {};  // it went before it told
    if (f.restarts == 0) return fmt::format(" (Result={})", f.result);
    return fmt::format(" (Result={}, {} automatic restart{})", f.result, f.restarts,
                       f.restarts == 1 ? "" : "s");
}
std::string load_text(const Facts& f)
{
    return f.load_error.empty() ? std::string{"systemd gave no further reason"} : f.load_error;
}

template <std::size_t N>
struct Text {
    char text[N]{};
    constexpr Text(const char (&from)[N])
    {
        std::copy_n(from, N, text);
    }  // NOLINT(google-explicit-constructor)
};
/// A sentence without variables.
template <Text text>
std::string say(const Facts&, const Context&)
{
    return text.text;
}
/// What ended it, after a fixed beginning.
template <Text text>
std::string say_ended(const Facts& f, const Context&)
{
    return std::string{text.text} + ended(f) + counted(f);
}

std::string say_missing(const Facts& f, const Context&)
{
    return fmt::format("there is no unit file of {}", f.id);
}
std::string say_gone(const Facts& f, const Context&)
{
    return fmt::format("is still active, but there is no unit file of {} any more", f.id);
}
std::string say_problem(const Facts&, const Context& c) { return c.problem; }
std::string say_unreadable(const Facts&, const Context& c) { return c.unreadable; }
std::string say_broken(const Facts& f, const Context&)
{
    return fmt::format(
        "systemd refuses its unit file: {}; `systemd-analyze verify {}` names the setting (often a "
        "missing ExecStart=)",
        load_text(f), f.id);
}
std::string say_load_error(const Facts& f, const Context&)
{
    return fmt::format("systemd cannot load it: {}", load_text(f));
}
std::string say_load_state(const Facts& f, const Context&)
{
    return fmt::format("its load state is \"{}\", which says nothing about its health", f.load_state);
}
std::string say_failed(const Facts& f, const Context&) { return ended(f) + counted(f); }
std::string say_flapping(const Facts& f, const Context& c)
{
    const auto last = f.main_code == 0 ? std::string{} : fmt::format("; the last time, {}", ended(f));
    return fmt::format("restarted {} times by systemd within {}{}", c.restarts,
                       human_duration(c.flapping.window), last);
}
std::string say_restarting(const Facts& f, const Context&)
{
    return fmt::format("waits for its automatic restart: {}{}", ended(f), counted(f));
}
std::string say_starting_stuck(const Facts& f, const Context& c)
{
    return fmt::format("has been starting ({}) for longer than {}", f.sub_state,
                       human_duration(c.stuck_after.activating));
}
std::string say_job_stuck(const Facts& f, const Context& c)
{
    return fmt::format("its job has been running ({}) for longer than {}", f.sub_state,
                       human_duration(c.stuck_after.activating));
}
std::string say_stopping_stuck(const Facts& f, const Context& c)
{
    return fmt::format("has been stopping ({}) for longer than {}", f.sub_state,
                       human_duration(c.stuck_after.deactivating));
}
std::string say_reloading_stuck(const Facts& f, const Context& c)
{
    return fmt::format("has been reloading ({}) for longer than {}", f.sub_state,
                       human_duration(c.stuck_after.reloading));
}
std::string say_running(const Facts& f, const Context&)
{
    return f.status_text.empty() ? std::string{"running"} : fmt::format("running: {}", f.status_text);
}
std::string say_active(const Facts& f, const Context&) { return fmt::format("active ({})", f.sub_state); }
std::string say_triggered(const Facts& f, const Context&)
{
    return fmt::format("waits for {}", fmt::join(f.triggered_by, ", "));
}
std::string say_start_failed(const Facts&, const Context& c)
{
    return fmt::format("its last start job ended with \"{}\"", c.job_result);
}
std::string_view file_state(const Facts& f)
{
    return f.unit_file_state.empty() ? std::string_view{"not enabled"} : std::string_view{f.unit_file_state};
}
std::string say_off(const Facts& f, const Context&)
{
    return fmt::format("inactive, and nothing expects it to run ({})", file_state(f));
}
std::string say_stopped_unexpected(const Facts& f, const Context&)
{
    return fmt::format("stopped, and nothing expects it to run ({})", file_state(f));
}
std::string say_stopped_by_signal(const Facts& f, const Context&)
{
    return fmt::format("was stopped by request (signal {}); it did not crash", signal_text(f.main_status));
}
std::string say_stopped_unit(const Facts& f, const Context&)
{
    return fmt::format("the {} is inactive though it should be active; it was stopped and did not fail",
                       article(f));
}
std::string say_unknown(const Facts& f, const Context&)
{
    return fmt::format("systemd says {}/{}/{}, which no rule knows", f.load_state, f.active_state,
                       f.sub_state);
}

// --- the table

constexpr auto healthy = Health::healthy;
constexpr auto unhealthy = Health::unhealthy;
constexpr auto unknown = Health::unknown;

constexpr std::string_view see_journal = "read its journal lines in `opsd unit show`";

constexpr std::array table = std::to_array<Rule>({
    {"no-unit", "the name cannot be a unit's (a stray file or a bare template in a wants directory)", no_unit,
     unknown, "invalid", say_problem, "remove the entry or name an instance"},
    {"unreadable", "systemd answered with an error when asked about it", unreadable, unknown, "unreadable",
     say_unreadable, "see the reason; `systemctl status` may say more"},
    {"nothing-known", "systemd has not told anything about it yet", nothing_known, unknown, "unread",
     say<"systemd has not told its state yet">, "wait a moment"},

    {"gone-but-active", "load state not-found, but still active", gone_but_active, unhealthy, "missing",
     say_gone, "restore the unit file or stop the unit"},
    {"missing", "load state not-found, and it is expected", missing, unhealthy, "missing", say_missing,
     "install the package that brings it, or take it out of the configuration"},
    {"absent", "load state not-found, only other units refer to it", only_referred_to, healthy, "absent",
     say<"does not exist; other units only refer to it">, ""},
    {"bad-setting", "load state bad-setting", broken_file, unhealthy, "broken", say_broken,
     "`systemd-analyze verify` names the line"},
    {"load-error", "load state error", load_error, unhealthy, "broken", say_load_error,
     "`systemd-analyze verify` names the line"},
    {"masked", "masked although expected or active", masked, unhealthy, "masked",
     say<"is masked, so that it cannot be started">,
     "`systemctl unmask`, or take it out of the configuration"},
    {"masked-unexpected", "masked, and nothing expects it", masked_unexpected, healthy, "masked",
     say<"is masked, and nothing expects it to run">, ""},
    {"other-load-state", "any other load state (stub, merged)", other_load_state, unknown, "unknown",
     say_load_state, "`systemctl daemon-reload`, then look again"},

    {"flapping",
     "at least `flapping.restarts` automatic restarts within `flapping.window`, and neither at rest nor "
     "given up",
     flapping, unhealthy, flapping_state, say_flapping, see_journal},
    {"restarting", "activating (auto-restart)", restarting, unhealthy, "restarting", say_restarting,
     see_journal},

    {"failed-unread", "failed; details not read yet", failed_unread, unhealthy, "failed",
     say<"failed; details not read yet">, "wait a moment"},
    {"failed-start-limit", "failed, Result start-limit-hit", failed_limit, unhealthy, "failed",
     say_ended<"systemd gave up after too many starts in a short time; the last time, ">,
     "mend the cause, then `systemctl reset-failed` and start it"},
    {"failed-setup", "failed with exit status 200 to 245: systemd could not prepare or run the program",
     failed_setup, unhealthy, "failed", say_ended<"systemd could not run its program: ">,
     "check ExecStart, User, directories and sandbox settings"},
    {"failed-exit", "failed, Result exit-code", failed_exit, unhealthy, "failed", say_failed, see_journal},
    {"failed-core", "failed, Result core-dump", failed_core, unhealthy, "failed", say_failed,
     "`coredumpctl info`"},
    {"failed-signal", "failed, Result signal", failed_signal, unhealthy, "failed", say_failed, see_journal},
    {"failed-timeout", "failed, Result timeout", failed_timeout, unhealthy, "failed",
     say_ended<"an operation timed out; ">, "raise TimeoutStartSec= or TimeoutStopSec= if it needs longer"},
    {"failed-watchdog", "failed, Result watchdog", failed_watchdog, unhealthy, "failed",
     say_ended<"it did not answer its watchdog in time; ">, "it hung: read its journal lines"},
    {"failed-memory", "failed, Result oom-kill", failed_memory, unhealthy, "failed",
     say_ended<"the kernel killed it for lack of memory; ">, "raise MemoryMax= or find the leak"},
    {"failed-resources", "failed, Result resources", failed_resources, unhealthy, "failed",
     say_ended<"systemd lacked resources to run it; ">, see_journal},
    {"failed-protocol", "failed, Result protocol", failed_protocol, unhealthy, "failed",
     say_ended<"it did not follow the protocol of its Type=; ">, "check Type=, PIDFile= and sd_notify"},
    {"failed-condition", "failed, Result exec-condition", failed_condition, unhealthy, "failed",
     say_ended<"its ExecCondition= failed; ">, see_journal},
    {"failed-otherwise", "failed, any other Result", failed_otherwise, unhealthy, "failed", say_failed,
     see_journal},
    {"maintenance", "active state maintenance", maintenance, unhealthy, "maintenance",
     say<"is in maintenance and does not work meanwhile">, ""},

    {"job-stuck", "oneshot, activating longer than `stuck_after.activating`", job_stuck, unhealthy, "stuck",
     say_job_stuck, "raise the limit if the job may take that long"},
    {"starting-stuck", "activating longer than `stuck_after.activating`", activating_stuck, unhealthy,
     "stuck", say_starting_stuck, see_journal},
    {"job-running", "oneshot, activating: its job runs", activating_job, healthy, "busy", say<"its job runs">,
     ""},
    {"starting", "activating", activating, healthy, "starting", say<"starts">, ""},
    {"stopping-stuck", "deactivating longer than `stuck_after.deactivating`", deactivating_stuck, unhealthy,
     "stuck", say_stopping_stuck, see_journal},
    {"stopping", "deactivating", deactivating, healthy, "stopping", say<"stops">, ""},
    {"reloading-stuck", "reloading longer than `stuck_after.reloading`", reloading_stuck, unhealthy, "stuck",
     say_reloading_stuck, see_journal},
    {"reloading", "reloading", reloading, healthy, "reloading", say<"reloads its configuration">, ""},

    {"running", "active (running)", running, healthy, "running", say_running, ""},
    {"exited", "active (exited): a oneshot with RemainAfterExit", done_and_active, healthy, "done",
     say<"done, and remains active">, ""},
    {"listening", "active (listening)", listening, healthy, "listening", say<"listens">, ""},
    {"waiting", "active (waiting): a timer or path", waiting, healthy, "waiting", say<"waits for its event">,
     ""},
    {"mounted", "active (mounted)", mounted, healthy, "mounted", say<"mounted">, ""},
    {"plugged", "active (plugged)", plugged, healthy, "plugged", say<"plugged in">, ""},
    {"elapsed", "active (elapsed): a timer without a next time", elapsed, healthy, "elapsed",
     say<"elapsed; it will not fire again by itself">, ""},
    {"active", "active, any other sub state", active_otherwise, healthy, "active", say_active, ""},

    {"inactive-unread", "inactive; details not read yet", inactive_unread, unknown, "unread",
     say<"inactive; details not read yet">, "wait a moment"},
    {"condition", "inactive, its last start was skipped by a Condition", condition_unmet, healthy, "skipped",
     say<"was skipped: a condition in its unit file is not met">, ""},
    {"exec-condition", "inactive, Result exec-condition", exec_condition, healthy, "skipped",
     say<"was skipped: its ExecCondition= said so">, ""},
    {"assert", "inactive, its last start failed by an Assert", assert_failed, unhealthy, "assert-failed",
     say<"an assertion in its unit file does not hold">, "`systemctl status` names the assertion"},
    {"dependency", "inactive, its last start job ended with \"dependency\"", dependency_failed, unhealthy,
     "blocked", say<"was not started, because a unit that it requires failed (job result \"dependency\")">,
     "mend the unit that it requires"},
    {"start-failed", "inactive and expected, its last job ended with \"failed\" or \"timeout\"", start_failed,
     unhealthy, "start-failed", say_start_failed, see_journal},
    {"triggered", "inactive, last run ended with success, started by a timer, path or socket",
     waits_for_trigger, healthy, "waiting", say_triggered, ""},
    {"oneshot-done", "oneshot, inactive after a run that ended with success", oneshot_done, healthy, "done",
     say<"its last run ended with success">, ""},
    {"about-to-start", "inactive, and a start job began less than a second ago", about_to_start, healthy,
     "starting", say<"is about to start">, ""},
    {"queued", "expected, inactive, its start job has been waiting for a second", queued, unhealthy, "queued",
     say<"is not active yet: its start job waits, for its order or for a unit that it requires">,
     "`systemctl list-jobs` shows what it waits for"},
    {"off", "inactive, not started since boot, and nothing expects it to run", off, healthy, "off", say_off,
     ""},
    {"stopped-unexpected", "inactive after a run, and nothing expects it to run", stopped_unexpected, healthy,
     "stopped", say_stopped_unexpected, ""},
    {"not-started", "inactive, expected, not started since boot", never_started, unhealthy, "not-started",
     say<"should be active, but has not been started since boot">, "start it, or find out what should have"},
    {"stopped-restarting",
     "expected, inactive, Result is not success: stopped while it waited for its automatic restart",
     ended_badly, unhealthy, "stopped", say_ended<"was stopped by request after a bad run: ">,
     "mend the cause and start it, or `opsd unit ack` the planned work"},
    {"stopped-by-signal", "expected service, inactive, killed by a stop request (Result success)",
     stopped_by_signal, unhealthy, "stopped", say_stopped_by_signal,
     "start it, or `opsd unit ack` the planned work"},
    {"stopped", "expected service, inactive, exited with success", stopped_service, unhealthy, "stopped",
     say<"is inactive after an orderly exit: it was stopped by request or ended by itself; it did not crash">,
     "start it, or `opsd unit ack` the planned work"},
    {"stopped-unit", "expected socket, timer, path, mount, target, ..., inactive", stopped_unit, unhealthy,
     "stopped", say_stopped_unit, "start it, or `opsd unit ack` the planned work"},

    {"unknown", "anything else", anything, unknown, "unknown", say_unknown, "please report it"},
});

}  // namespace

std::span<const Rule> rules() { return table; }

Monotonic transitional_since(const UnitFacts& facts, const Context& context)
{
    // The state change time moves with every sub state (start-pre, start, start-post); the exit from the
    // state before does not.
    if (facts.active_state == "activating" && facts.inactive_exit_at > facts.active_exit_at)
        return facts.inactive_exit_at;
    if (facts.active_state == "deactivating" && facts.active_exit_at > facts.inactive_exit_at)
        return facts.active_exit_at;
    return facts.state_change_at.count() > 0 ? facts.state_change_at : context.seen_at;
}

Monotonic stuck_at(const UnitFacts& facts, const Context& context)
{
    const auto& limits = context.stuck_after;
    if (facts.active_state == "activating" && !facts.sub_state.starts_with("auto-restart"))
        return transitional_since(facts, context) + limits.activating;
    if (facts.active_state == "deactivating") return transitional_since(facts, context) + limits.deactivating;
    if (facts.active_state == "reloading") return transitional_since(facts, context) + limits.reloading;
    return Monotonic{};
}

Monotonic between_runs_until(const UnitFacts& facts, const Context& context)
{
    // systemd passes through failed and inactive on every automatic restart; only who stays there has ended.
    const auto since = facts.state_change_at.count() > 0 ? facts.state_change_at : context.seen_at;
    return since + settling;
}

Monotonic queued_at(const UnitFacts& facts, const Context& context)
{
    return start_pending(facts) ? context.job_since + settling : Monotonic{};
}

}  // namespace opsd::health
