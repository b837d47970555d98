// When a row of the table of causes matches.

#include "modules/health/explain/rows.hpp"

#include <algorithm>
#include <csignal>

namespace opsd::health::explain::rows {
namespace {

constexpr int exited = 1;
constexpr int killed = 2;

// Exit statuses of systemd's own preparations (systemd.exec(5)).
constexpr int status_chdir = 200;
constexpr int status_exec = 203;
constexpr int status_group = 216;
constexpr int status_user = 217;
constexpr int status_namespace = 226;
constexpr int status_runtime_directory = 233;
constexpr int status_state_directory = 238;
constexpr int status_configuration_directory = 241;
constexpr int status_credentials = 243;
constexpr int last_status = 245;

bool loads_as(const Case& c, std::string_view state) { return c.unit.load_state == state; }
bool is(const Case& c, std::string_view word) { return c.facts.state.state == word; }
bool result(const Case& c, std::string_view word) { return c.unit.result == word; }
bool inactive(const Case& c) { return c.unit.active_state == "inactive"; }

bool unmet(const std::vector<systemd::ConditionCheck>& checks)
{
    return std::ranges::any_of(checks, [](const auto& one) { return one.result < 0; });
}

/// Only what says nothing by itself about why.
bool unspecific(const Case& c)
{
    return failing(c)
           && (result(c, "exit-code") || result(c, "signal") || result(c, "core-dump") || result(c, "timeout")
               || result(c, "start-limit-hit") || result(c, "protocol") || c.unit.main_code != 0
               || c.control != nullptr);
}

bool says(const Case& c, std::string_view kind) { return failing(c) && c.knows(kind); }

bool killed_for_memory(const Case& c)
{
    return result(c, "oom-kill") || !kernel_oom(c).empty()
           || (failing(c) && !c.line("killed by the OOM killer").empty());
}

/// The unit's own group, or one of its processes' below it.
bool is_its_own(const Case& c, const std::string& group)
{
    return (group + "/").contains("/" + c.unit.id + "/");
}

bool at_its_limit(const Case& c)
{
    const auto oom = kernel_oom(c);
    if (oom.empty()) return c.details.memory_max != systemd::no_limit;
    const auto group = limited_group(c);
    return oom.contains("CONSTRAINT_MEMCG") && (group.empty() || is_its_own(c, group));
}

/// A slice, or the container that all of the machine is in.
bool at_a_limit_above(const Case& c)
{
    const auto group = limited_group(c);
    return !group.empty() && !is_its_own(c, group);
}

}  // namespace

bool failing(const Case& c)
{
    return c.facts.state.health == Health::unhealthy && loads_as(c, "loaded")
           && (c.unit.active_state == "failed" || is(c, "flapping") || is(c, "restarting")
               || is(c, "start-failed") || is(c, "stuck")
               || (!c.unit.result.empty() && !result(c, "success")));
}

bool systemd_lost(const Case& c) { return !c.facts.systemd_readable; }
bool condition_unmet(const Case& c)
{
    return is(c, "skipped") && (unmet(c.details.conditions) || !c.unit.condition_result);
}
bool healthy(const Case& c) { return c.facts.state.health == Health::healthy; }
bool unknown_health(const Case& c) { return c.facts.state.health == Health::unknown; }

bool not_found(const Case& c) { return loads_as(c, "not-found"); }
bool bad_setting(const Case& c) { return loads_as(c, "bad-setting"); }
bool load_error(const Case& c) { return loads_as(c, "error"); }
bool masked(const Case& c) { return loads_as(c, "masked"); }
bool assert_unmet(const Case& c) { return is(c, "assert-failed"); }
bool dependency(const Case& c)
{
    if (c.first_cause == nullptr || !inactive(c)) return false;
    return c.first_cause->bad || is(c, "blocked") || is(c, "stopped") || is(c, "not-started");
}
bool dependency_recovered(const Case& c) { return is(c, "blocked"); }
bool device_missing(const Case& c) { return c.unit.id.ends_with(".device") && inactive(c); }

bool environment_file(const Case& c)
{
    if (!failing(c)) return false;
    const auto* file = c.file("environment file");
    const bool missing = std::ranges::any_of(c.facts.files, [](const FileFact& one) {
        return one.role == "environment file" && one.state == FileState::missing;
    });
    return !c.line("Failed to load environment files").empty()
           || (file != nullptr && missing && result(c, "resources"));
}
bool disk_full(const Case& c)
{
    return says(c, "disk-full") || (unspecific(c) && !c.clue && !c.facts.full.empty());
}
bool memory_limit(const Case& c) { return killed_for_memory(c) && !oomd(c) && at_its_limit(c); }
bool slice_memory_limit(const Case& c) { return killed_for_memory(c) && !oomd(c) && at_a_limit_above(c); }
bool oomd(const Case& c)
{
    return failing(c)
           && (!c.line("systemd-oomd killed").empty()
               || std::ranges::any_of(c.facts.kernel, [&c](const systemd::JournalLine& line) {
                      return line.identifier == "systemd-oomd" && line.message.contains("/" + c.unit.id);
                  }));
}
bool out_of_memory(const Case& c) { return killed_for_memory(c); }

bool binary_missing(const Case& c)
{
    if (!failing(c) || !c.exited_with(status_exec)) return false;
    const auto* program = program_of(c);
    if (program != nullptr && program->state != FileState::hidden && program->state != FileState::denied)
        return program->state == FileState::missing;
    return c.line("Failed to locate executable").contains("No such file");
}
bool interpreter_missing(const Case& c)
{
    const auto* program = program_of(c);
    return failing(c) && c.exited_with(status_exec) && program != nullptr && program->interpreter_missing;
}
bool binary_not_executable(const Case& c)
{
    if (!failing(c) || !c.exited_with(status_exec)) return false;
    const auto* program = program_of(c);
    if (program != nullptr && program->state == FileState::present)
        return program->directory || !program->executable || c.line("Permission denied").contains("exec");
    return c.line("Permission denied").contains("exec");
}
bool binary_broken(const Case& c) { return failing(c) && c.exited_with(status_exec); }
bool working_directory(const Case& c) { return failing(c) && c.exited_with(status_chdir); }
bool user_missing(const Case& c) { return failing(c) && c.exited_with(status_user); }
bool group_missing(const Case& c) { return failing(c) && c.exited_with(status_group); }
bool namespace_failed(const Case& c) { return failing(c) && c.exited_with(status_namespace); }
bool credentials(const Case& c) { return failing(c) && c.exited_with(status_credentials); }
bool directory(const Case& c)
{
    const auto status = c.unit.main_status;
    return failing(c) && c.unit.main_code == exited
           && (status == status_runtime_directory
               || (status >= status_state_directory && status <= status_configuration_directory));
}
bool setup(const Case& c)
{
    return failing(c) && c.unit.main_code == exited && c.unit.main_status >= status_chdir
           && c.unit.main_status <= last_status;
}

bool port_in_use(const Case& c) { return says(c, "port-in-use"); }
bool read_only(const Case& c) { return says(c, "read-only"); }
bool too_many_files(const Case& c) { return says(c, "too-many-files"); }
bool library_missing(const Case& c) { return says(c, "library-missing"); }
bool certificate_expired(const Case& c) { return says(c, "certificate-expired"); }
bool permission_denied(const Case& c) { return says(c, "permission-denied"); }
bool file_missing(const Case& c) { return says(c, "file-missing"); }
bool no_memory(const Case& c) { return says(c, "no-memory"); }
bool peer(const Case& c) { return says(c, "peer-unreachable"); }

bool changed_package(const Case& c)
{
    return unspecific(c) && c.facts.worked.ever && c.own_package() != nullptr;
}
bool changed_file(const Case& c) { return unspecific(c) && c.own_change() != nullptr; }

bool start_limit(const Case& c)
{
    // systemd 252 keeps the Result of the last run and only says it.
    return failing(c)
           && (c.unit.result.ends_with("start-limit-hit")
               || (c.unit.active_state == "failed" && !c.line("repeated too quickly").empty()));
}
bool control_process(const Case& c) { return failing(c) && c.control != nullptr; }
bool start_timeout(const Case& c)
{
    return result(c, "timeout") && (!c.line("start operation timed out").empty() || !stop_timeout(c));
}
bool stop_timeout(const Case& c)
{
    return result(c, "timeout") && !c.line("'stop-").empty() && !c.line("timed out").empty();
}
bool watchdog(const Case& c) { return result(c, "watchdog"); }
bool protocol(const Case& c) { return result(c, "protocol"); }
bool resources(const Case& c) { return result(c, "resources"); }
bool core_dump(const Case& c) { return result(c, "core-dump"); }
bool by_signal(const Case& c) { return failing(c) && c.unit.main_code == killed; }
bool exit_code(const Case& c) { return failing(c) && c.unit.main_code == exited && c.unit.main_status != 0; }

bool stuck(const Case& c) { return is(c, "stuck"); }
bool queued(const Case& c) { return is(c, "queued"); }
bool stopped(const Case& c) { return is(c, "stopped"); }
bool not_started(const Case& c) { return is(c, "not-started"); }
bool anything(const Case&) { return true; }

}  // namespace opsd::health::explain::rows
