// The table of causes. To name a new one, add a row above the first that would catch it, and a case in
// tests/unit/health/explain/causes_test.cpp. What rows test and say is in tests.cpp and words.cpp.

#include "modules/health/explain/rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace opsd::health::explain {
namespace {

using namespace rows;

constexpr auto table = std::to_array<Cause>({
    {"unknown", "systemd cannot be read", systemd_lost, say_systemd_lost, next_dbus},
    {"condition", "it was skipped: a Condition of its unit file is not met", condition_unmet, say_condition,
     next_condition},
    {"healthy", "its health is 0", healthy, say_healthy, next_nothing},
    {"unreadable", "its health is 3", unknown_health, say_unreadable, next_status},

    {"unit-file-missing", "load state not-found", not_found, say_not_found, next_not_found},
    {"bad-setting", "load state bad-setting", bad_setting, say_bad_setting, next_verify},
    {"load-error", "load state error", load_error, say_load_error, next_verify},
    {"masked", "load state masked", masked, say_masked, next_unmask},
    {"assert", "an Assert of its unit file does not hold", assert_unmet, say_assert, next_condition},
    {"dependency", "a unit that it requires, binds to or must find active is bad", dependency, say_dependency,
     next_dependency},
    {"dependency-recovered", "its job ended with \"dependency\", and all that it requires is well now",
     dependency_recovered, say_dependency_recovered, next_start},
    {"device-missing", "a device unit that never came up", device_missing, say_device, next_device},

    {"environment-file", "a file of EnvironmentFile= is missing", environment_file, say_environment_file,
     next_environment_file},
    {"disk-full", "its lines say that there is no space left", disk_full, say_disk_full, next_disk_full},
    {"memory-limit", "killed at its own MemoryMax=", memory_limit, say_memory_limit, next_memory},
    {"slice-memory-limit", "killed at the memory limit of a slice that it is in", slice_memory_limit,
     say_slice_memory_limit, next_slice_memory},
    {"oomd", "killed by systemd-oomd", oomd, say_oomd, next_memory},
    {"out-of-memory", "killed by the kernel because the machine had no memory left", out_of_memory,
     say_out_of_memory, next_memory},

    {"binary-missing", "status 203, and the program does not exist", binary_missing, say_binary_missing,
     next_binary_missing},
    {"interpreter-missing", "status 203, and the program's interpreter does not exist", interpreter_missing,
     say_interpreter, next_interpreter},
    {"binary-not-executable", "status 203, and the program may not be executed", binary_not_executable,
     say_not_executable, next_executable},
    {"binary-broken", "status 203 for another reason", binary_broken, say_binary_broken, next_cat},
    {"working-directory", "status 200: WorkingDirectory= cannot be entered", working_directory,
     say_working_directory, next_working_directory},
    {"user-missing", "status 217: User= is not known", user_missing, say_user, next_user},
    {"group-missing", "status 216: Group= is not known", group_missing, say_group, next_group},
    {"namespace", "status 226: a path of its sandbox is missing", namespace_failed, say_namespace, next_cat},
    {"credentials", "status 243: a credential cannot be loaded", credentials, say_credentials, next_cat},
    {"directory", "status 233 or 238 to 241: one of its directories cannot be made", directory, say_directory,
     next_cat},
    {"setup", "any other status from 200 to 245: systemd could not prepare the program", setup, say_setup,
     next_cat},

    {"port-in-use", "its lines say that an address is in use", port_in_use, say_port, next_port},
    {"read-only", "its lines say that a file system is read-only", read_only, say_read_only, next_read_only},
    {"too-many-files", "its lines say that it has too many files open", too_many_files, say_too_many_files,
     next_limits},
    {"library-missing", "its lines say that a shared library is missing", library_missing, say_library,
     next_library},
    {"certificate-expired", "its lines say that a certificate has expired", certificate_expired,
     say_certificate, next_log},
    {"permission-denied", "its lines say that it may not do something", permission_denied, say_permission,
     next_permission},
    {"file-missing", "its lines say that a file does not exist", file_missing, say_file_missing,
     next_file_missing},
    {"no-memory", "its lines say that it got no memory", no_memory, say_no_memory, next_memory},
    {"peer-unreachable", "its lines say that it cannot reach another service", peer, say_peer, next_log},

    {"changed-package", "it worked until a package that owns its files was changed", changed_package,
     say_changed_package, next_changed_package},
    {"changed-file", "it worked until one of its files was changed", changed_file, say_changed_file,
     next_changed_file},

    {"start-limit", "Result start-limit-hit: systemd gave up", start_limit, say_start_limit,
     next_start_limit},
    {"control-process", "ExecStartPre= or a command like it failed", control_process, say_control,
     next_control},
    {"start-timeout", "Result timeout, while it started", start_timeout, say_start_timeout, next_log},
    {"stop-timeout", "Result timeout, while it stopped", stop_timeout, say_stop_timeout, next_log},
    {"watchdog", "Result watchdog", watchdog, say_watchdog, next_log},
    {"protocol", "Result protocol", protocol, say_protocol, next_cat},
    {"resources", "Result resources", resources, say_resources, next_log},
    {"core-dump", "Result core-dump", core_dump, say_core, next_core},
    {"signal", "killed by a signal", by_signal, say_signal, next_log},
    {"exit-code", "exited with a status that is not 0", exit_code, say_exit, next_log},

    {"stuck", "between two states for too long", stuck, say_stuck, next_stuck},
    {"queued", "its start job waits", queued, say_queued, next_queued},
    {"stopped", "stopped by request, or ended by itself with success", stopped, say_stopped, next_start},
    {"not-started", "expected, and not started since boot", not_started, say_not_started, next_start},
    {"unexplained", "none of these", anything, say_state, next_log},
});

}  // namespace

std::span<const Cause> causes() { return table; }

const Cause& cause_of(const Case& one)
{
    return *std::ranges::find_if(table, [&one](const auto& row) { return row.matches(one); });
}

std::string causes_markdown()
{
    std::string out = "| # | cause | when |\n|---|---|---|\n";
    int number = 0;
    for (const auto& row : table)
        out += fmt::format("| {} | `{}` | {} |\n", ++number, row.name, row.when);
    return out;
}

}  // namespace opsd::health::explain
