#pragma once
// What the rows of the table of causes test (tests.cpp), say (words.cpp) and advise (advice.cpp).

#include "modules/health/explain/explanation.hpp"

namespace opsd::health::explain::rows {

// --- words of several rows

/// "2026-11-27 10:05:10 UTC".
std::string when(WallTime time);
/// The unit as a word of a shell.
std::string name(const Case& c);
/// Did it fail, or does it keep failing?
bool failing(const Case& c);
/// The command that could not be run: a control process, else the main one. Null without one.
const systemd::ExecCommand* command_of(const Case& c);
/// What is known about its program.
const FileFact* program_of(const Case& c);
/// The kernel's words about a kill of the unit for lack of memory, "" without any.
std::string kernel_oom(const Case& c);
/// The control group at whose limit the kernel killed, as those words name it: "/app.slice/a.service"; ""
/// when they name none.
std::string limited_group(const Case& c);
/// The last line that the unit's own processes wrote in the failed attempt; null without one.
const systemd::JournalLine* last_words(const Case& c);
/// The last sudo line or the like that named the unit when it was stopped.
struct Stopper {
    std::string who;
    std::string command;
};
std::optional<Stopper> stopper_of(const Case& c);

// --- tests, from the certain to the likely

bool systemd_lost(const Case& c);
bool condition_unmet(const Case& c);
bool healthy(const Case& c);
bool unknown_health(const Case& c);
bool not_found(const Case& c);
bool bad_setting(const Case& c);
bool load_error(const Case& c);
bool masked(const Case& c);
bool assert_unmet(const Case& c);
bool dependency(const Case& c);
bool dependency_recovered(const Case& c);
bool device_missing(const Case& c);
bool environment_file(const Case& c);
bool disk_full(const Case& c);
bool memory_limit(const Case& c);
bool slice_memory_limit(const Case& c);
bool oomd(const Case& c);
bool out_of_memory(const Case& c);
bool binary_missing(const Case& c);
bool interpreter_missing(const Case& c);
bool binary_not_executable(const Case& c);
bool binary_broken(const Case& c);
bool working_directory(const Case& c);
bool user_missing(const Case& c);
bool group_missing(const Case& c);
bool namespace_failed(const Case& c);
bool credentials(const Case& c);
bool directory(const Case& c);
bool setup(const Case& c);
bool port_in_use(const Case& c);
bool read_only(const Case& c);
bool too_many_files(const Case& c);
bool library_missing(const Case& c);
bool certificate_expired(const Case& c);
bool permission_denied(const Case& c);
bool file_missing(const Case& c);
bool no_memory(const Case& c);
bool peer(const Case& c);
bool changed_package(const Case& c);
bool changed_file(const Case& c);
bool start_limit(const Case& c);
bool control_process(const Case& c);
bool start_timeout(const Case& c);
bool stop_timeout(const Case& c);
bool watchdog(const Case& c);
bool protocol(const Case& c);
bool resources(const Case& c);
bool core_dump(const Case& c);
bool by_signal(const Case& c);
bool exit_code(const Case& c);
bool stuck(const Case& c);
bool queued(const Case& c);
bool stopped(const Case& c);
bool not_started(const Case& c);
bool anything(const Case& c);

// --- sentences: each begins with the unit

std::string say_systemd_lost(const Case& c);
std::string say_condition(const Case& c);
std::string say_healthy(const Case& c);
std::string say_unreadable(const Case& c);
std::string say_not_found(const Case& c);
std::string say_bad_setting(const Case& c);
std::string say_load_error(const Case& c);
std::string say_masked(const Case& c);
std::string say_assert(const Case& c);
std::string say_dependency(const Case& c);
std::string say_dependency_recovered(const Case& c);
std::string say_device(const Case& c);
std::string say_environment_file(const Case& c);
std::string say_disk_full(const Case& c);
std::string say_memory_limit(const Case& c);
std::string say_slice_memory_limit(const Case& c);
std::string say_oomd(const Case& c);
std::string say_out_of_memory(const Case& c);
std::string say_binary_missing(const Case& c);
std::string say_interpreter(const Case& c);
std::string say_not_executable(const Case& c);
std::string say_binary_broken(const Case& c);
std::string say_working_directory(const Case& c);
std::string say_user(const Case& c);
std::string say_group(const Case& c);
std::string say_namespace(const Case& c);
std::string say_credentials(const Case& c);
std::string say_directory(const Case& c);
std::string say_setup(const Case& c);
std::string say_port(const Case& c);
std::string say_read_only(const Case& c);
std::string say_too_many_files(const Case& c);
std::string say_library(const Case& c);
std::string say_certificate(const Case& c);
std::string say_permission(const Case& c);
std::string say_file_missing(const Case& c);
std::string say_no_memory(const Case& c);
std::string say_peer(const Case& c);
std::string say_changed_package(const Case& c);
std::string say_changed_file(const Case& c);
std::string say_start_limit(const Case& c);
std::string say_control(const Case& c);
std::string say_start_timeout(const Case& c);
std::string say_stop_timeout(const Case& c);
std::string say_watchdog(const Case& c);
std::string say_protocol(const Case& c);
std::string say_resources(const Case& c);
std::string say_core(const Case& c);
std::string say_signal(const Case& c);
std::string say_exit(const Case& c);
std::string say_stuck(const Case& c);
std::string say_queued(const Case& c);
std::string say_stopped(const Case& c);
std::string say_not_started(const Case& c);
std::string say_state(const Case& c);

// --- what an operator would do next, in order

Commands next_dbus(const Case& c);
Commands next_condition(const Case& c);
Commands next_nothing(const Case& c);
Commands next_status(const Case& c);
Commands next_not_found(const Case& c);
Commands next_verify(const Case& c);
Commands next_unmask(const Case& c);
Commands next_dependency(const Case& c);
Commands next_start(const Case& c);
Commands next_device(const Case& c);
Commands next_environment_file(const Case& c);
Commands next_disk_full(const Case& c);
Commands next_memory(const Case& c);
Commands next_slice_memory(const Case& c);
Commands next_binary_missing(const Case& c);
Commands next_interpreter(const Case& c);
Commands next_executable(const Case& c);
Commands next_cat(const Case& c);
Commands next_working_directory(const Case& c);
Commands next_user(const Case& c);
Commands next_group(const Case& c);
Commands next_port(const Case& c);
Commands next_read_only(const Case& c);
Commands next_limits(const Case& c);
Commands next_library(const Case& c);
Commands next_log(const Case& c);
Commands next_permission(const Case& c);
Commands next_file_missing(const Case& c);
Commands next_changed_package(const Case& c);
Commands next_changed_file(const Case& c);
Commands next_start_limit(const Case& c);
Commands next_control(const Case& c);
Commands next_core(const Case& c);
Commands next_stuck(const Case& c);
Commands next_queued(const Case& c);

}  // namespace opsd::health::explain::rows
