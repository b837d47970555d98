// What the rows of the table of causes say.

#include "modules/health/explain/rows.hpp"
#include "modules/health/rules.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::health::explain::rows {
namespace {

using std::chrono::duration_cast;

std::string human_usec(std::uint64_t usec)
{
    return human_duration(
        duration_cast<std::chrono::milliseconds>(Monotonic{static_cast<std::int64_t>(usec)}));
}

/// What comes after "because": the words of a line, without the unit's or program's name before them.
std::string told(const Case& c, std::string line)
{
    const auto prefix = c.unit.id + ": ";
    if (line.starts_with(prefix)) line.erase(0, prefix.size());
    // A sandbox under construction is nobody's path.
    constexpr std::string_view building = "/run/systemd/unit-root";
    for (auto at = line.find(building); at != std::string::npos; at = line.find(building, at))
        line.erase(at, building.size());
    const auto newline = std::min(line.find('\n'), line.size());
    line.resize(newline);
    while (line.ends_with('.'))
        line.pop_back();
    return line;
}

std::string clue_line(const Case& c) { return c.clue ? told(c, c.clue->line->message) : std::string{}; }

/// "; the line: ..." when there is one.
std::string cited(const Case& c, std::string line)
{
    return line.empty() ? std::string{} : fmt::format(": {}", told(c, std::move(line)));
}

std::string program_path(const Case& c)
{
    const auto* command = command_of(c);
    return command == nullptr ? std::string{"its program"} : command->path;
}

/// "", or what else the operator must know about a failed preparation.
std::string not_reloaded(const Case& c)
{
    return c.details.need_daemon_reload
               ? "; its unit file was changed on disk since, and systemd has not read it yet"
               : "";
}

std::string package_of(const Case& c)
{
    const auto* package = c.own_package();
    if (package == nullptr) return {};
    return fmt::format("; the package {} was changed ({}) at {}", package->package, package->action,
                       when(package->at));
}

/// The checks that are not met; all of them when systemd has forgotten which (it does with the unloading).
std::string unmet(const std::vector<systemd::ConditionCheck>& checks)
{
    const bool known = std::ranges::any_of(checks, [](const auto& one) { return one.result < 0; });
    std::string all;
    for (const auto& one : checks) {
        if (known && one.result >= 0) continue;
        if (!all.empty()) all += known ? ", " : " or ";
        all +=
            fmt::format("{}={}{}{}", one.type, one.trigger ? "|" : "", one.negated ? "!" : "", one.parameter);
    }
    return all.empty() ? std::string{"one of its checks"} : all;
}

/// systemd's complaint about a unit file: the last line of PID 1 that warns.
std::string complaint(const Case& c)
{
    for (auto line = c.facts.journal.rbegin(); line != c.facts.journal.rend(); ++line) {
        if (line->pid == 1 && line->priority <= 4) return told(c, line->message);
    }
    return c.unit.load_error.empty() ? std::string{"it gave no reason"} : c.unit.load_error;
}

/// "; its last line: ...", for a program that said something before it ended.
std::string last_line(const Case& c)
{
    const auto* line = last_words(c);
    return line == nullptr ? std::string{} : fmt::format("; its last line: {}", told(c, line->message));
}

std::string times(const Case& c)
{
    const auto restarts = std::max(c.facts.state.restarts_in_window, c.unit.restarts);
    if (restarts == 0) return {};
    return fmt::format(", {} automatic restart{}", restarts, restarts == 1 ? "" : "s");
}

}  // namespace

std::string when(WallTime time)
{
    auto text = rfc3339(time).substr(0, 19);
    text[10] = ' ';
    return text + " UTC";
}

std::string name(const Case& c) { return shell_quoted(c.unit.id); }

const systemd::ExecCommand* command_of(const Case& c) { return c.control != nullptr ? c.control : c.main; }

const FileFact* program_of(const Case& c)
{
    const auto* command = command_of(c);
    return command == nullptr ? nullptr : c.file_at(command->path);
}

std::string kernel_oom(const Case& c)
{
    for (const auto& line : c.facts.kernel) {
        if (line.message.contains("oom-kill:") && line.message.contains("task_memcg=")
            && line.message.contains("/" + c.unit.id))
            return line.message;
    }
    return {};
}

std::string limited_group(const Case& c)
{
    constexpr std::string_view field = "oom_memcg=";
    const auto oom = kernel_oom(c);
    const auto at = oom.find(field);
    if (at == std::string::npos) return {};
    const auto begin = at + field.size();
    return oom.substr(begin, oom.find(',', begin) - begin);
}

const systemd::JournalLine* last_words(const Case& c)
{
    const auto& all = c.facts.journal;
    for (auto line = all.rbegin(); line != all.rend() && line->at >= c.began; ++line) {
        // "(sleep)" is systemd's own, before it executes the program.
        if (line->pid > 1 && !line->identifier.starts_with('(') && !line->message.empty()) return &*line;
    }
    return nullptr;
}

std::optional<Stopper> stopper_of(const Case& c)
{
    for (auto line = c.facts.commands.rbegin(); line != c.facts.commands.rend(); ++line) {
        const auto& message = line->message;
        const auto command = message.find("COMMAND=");
        const auto colon = message.find(" : ");
        if (command != std::string::npos && colon != std::string::npos && colon < command) {
            const auto begin = std::min(message.find_first_not_of(' '), colon);
            return Stopper{message.substr(begin, colon - begin), message.substr(command + 8)};
        }
        const auto client = message.find("requested from client ");
        if (client != std::string::npos) return Stopper{message.substr(client + 22), {}};
    }
    return std::nullopt;
}

std::string say_systemd_lost(const Case& c)
{
    return fmt::format("nothing certain is known about {}: systemd cannot be read (last known: {}, {})",
                       c.unit.id, c.facts.state.state, c.facts.state.reason);
}
std::string say_condition(const Case& c)
{
    const auto at = c.details.condition_at == WallTime{} ? c.facts.state.since : c.details.condition_at;
    return fmt::format("{} was skipped at {}, because {} is not met", c.unit.id, when(at),
                       unmet(c.details.conditions));
}
std::string say_healthy(const Case& c)
{
    return fmt::format("{} is {} since {}; there is nothing to explain", c.unit.id, c.facts.state.state,
                       when(c.facts.state.since));
}
std::string say_unreadable(const Case& c)
{
    return fmt::format("the state of {} is not known: {}", c.unit.id, c.facts.state.reason);
}

std::string say_not_found(const Case& c)
{
    for (auto change = c.facts.packages.rbegin(); change != c.facts.packages.rend(); ++change) {
        if (!change->owns.empty() && (change->action == "remove" || change->action == "purge"))
            return fmt::format("there is no unit file of {}: the package {} was removed at {}", c.unit.id,
                               change->package, when(change->at));
    }
    return fmt::format("there is no unit file of {}", c.unit.id);
}
std::string say_bad_setting(const Case& c)
{
    return fmt::format("systemd refuses the unit file of {}: {}", c.unit.id, complaint(c)) + not_reloaded(c);
}
std::string say_load_error(const Case& c)
{
    return fmt::format("systemd cannot load {}: {}", c.unit.id, complaint(c)) + not_reloaded(c);
}
std::string say_masked(const Case& c)
{
    return fmt::format("{} is masked, so that it cannot be started", c.unit.id);
}
std::string say_assert(const Case& c)
{
    return fmt::format("{} was not started, because {} does not hold", c.unit.id, unmet(c.details.asserts));
}
std::string say_dependency(const Case& c)
{
    const auto& first = *c.first_cause;
    auto text = fmt::format("{} does not run, because {}", c.unit.id, first.id);
    if (first.depth == 1)
        text += fmt::format(" ({}=) is not well", first.via);
    else
        text += fmt::format(", which {} needs ({}=), is not well", first.required_by, first.via);
    if (!c.facts.culprit) return text + ": " + first.facts.active_state;
    const Case culprit{*c.facts.culprit};
    return text + ": " + cause_of(culprit).sentence(culprit);
}
std::string say_dependency_recovered(const Case& c)
{
    return fmt::format(
        "{} was not started, because a unit that it requires failed then; all of them are well "
        "now{}",
        c.unit.id, cited(c, c.line("Dependency failed")));
}
std::string say_device(const Case& c) { return fmt::format("the device {} did not appear", c.unit.id); }

std::string say_environment_file(const Case& c)
{
    for (const auto& file : c.facts.files) {
        if (file.role == "environment file" && file.state == FileState::missing)
            return fmt::format("{} was not started, because {} of EnvironmentFile= does not exist", c.unit.id,
                               file.path);
    }
    return fmt::format("{} was not started{}", c.unit.id, cited(c, c.line("Failed to load environment")));
}
std::string say_disk_full(const Case& c)
{
    auto text = fmt::format("{} {}, because there is no space left", c.unit.id, how_it_ended(c.unit));
    if (!c.facts.full.empty())
        text += fmt::format(" where {} is", c.facts.full.front().path);
    else if (c.clue && !c.clue->path.empty())
        text += fmt::format(" for {}", c.clue->path);
    return text + (c.clue ? fmt::format(": {}", clue_line(c)) : std::string{});
}
std::string say_memory_limit(const Case& c)
{
    if (c.details.memory_max == systemd::no_limit)
        return fmt::format("{} was killed at the memory limit of its control group", c.unit.id);
    return fmt::format("{} was killed for lack of memory at its limit, MemoryMax={}", c.unit.id,
                       human_bytes(c.details.memory_max));
}
std::string say_slice_memory_limit(const Case& c)
{
    return fmt::format("the kernel killed {}, because all that is in the control group {} together came to "
                       "that group's memory limit",
                       c.unit.id, limited_group(c));
}
std::string say_oomd(const Case& c)
{
    return fmt::format("systemd-oomd killed {}, because memory was under pressure", c.unit.id);
}
std::string say_out_of_memory(const Case& c)
{
    return fmt::format("the kernel killed {}, because the machine had no memory left", c.unit.id);
}

std::string say_binary_missing(const Case& c)
{
    return fmt::format("{} cannot run, because its program {} does not exist (status 203, EXEC){}{}",
                       c.unit.id, program_path(c), package_of(c), not_reloaded(c));
}
std::string say_interpreter(const Case& c)
{
    return fmt::format("{} cannot run, because the interpreter {} of {} does not exist (status 203, EXEC){}",
                       c.unit.id, program_of(c)->interpreter, program_path(c), package_of(c));
}
std::string say_not_executable(const Case& c)
{
    return fmt::format("{} cannot run, because {} may not be executed (status 203, EXEC){}", c.unit.id,
                       program_path(c), not_reloaded(c));
}
std::string say_binary_broken(const Case& c)
{
    return fmt::format("systemd could not execute {} for {} (status 203, EXEC){}", program_path(c), c.unit.id,
                       cited(c, c.line("xec")));
}
std::string say_working_directory(const Case& c)
{
    const auto* place = c.file("working directory");
    const bool missing = place != nullptr && place->state == FileState::missing;
    return fmt::format("{} cannot run, because its working directory {} {} (status 200, CHDIR){}", c.unit.id,
                       c.details.working_directory, missing ? "does not exist" : "cannot be entered",
                       not_reloaded(c));
}
std::string say_user(const Case& c)
{
    return fmt::format("{} cannot run, because there is no user {} (status 217, USER){}", c.unit.id,
                       c.details.user.empty() ? "as it asks for" : c.details.user, not_reloaded(c));
}
std::string say_group(const Case& c)
{
    return fmt::format("{} cannot run, because there is no group {} (status 216, GROUP){}", c.unit.id,
                       c.details.group.empty() ? "as it asks for" : c.details.group, not_reloaded(c));
}
std::string say_namespace(const Case& c)
{
    return fmt::format("systemd could not build the sandbox of {} (status 226, NAMESPACE){}", c.unit.id,
                       cited(c, c.line("namespac")));
}
std::string say_credentials(const Case& c)
{
    for (const auto& file : c.facts.files) {
        if (file.role == "credential" && file.state == FileState::missing)
            return fmt::format("{} cannot run, because the credential {} does not exist (status 243, "
                               "CREDENTIALS)",
                               c.unit.id, file.path);
    }
    return fmt::format("systemd could not load the credentials of {} (status 243, CREDENTIALS){}", c.unit.id,
                       cited(c, c.line("redential")));
}
std::string say_directory(const Case& c)
{
    return fmt::format("systemd could not make a directory of {} (status {}){}", c.unit.id,
                       exit_status_text(c.unit.main_status), cited(c, c.line("director")));
}
std::string say_setup(const Case& c)
{
    return fmt::format("systemd could not prepare the process of {} (status {}){}", c.unit.id,
                       exit_status_text(c.unit.main_status), cited(c, c.line("Failed to")));
}

std::string say_port(const Case& c)
{
    auto address = c.clue->address;
    if (address.empty() && c.details.listen.size() == 1) address = c.details.listen.front();
    return fmt::format("{} {}, because the address {} is in use by another process: {}", c.unit.id,
                       how_it_ended(c.unit), address.empty() ? "that it wants" : address, clue_line(c));
}

namespace {
/// The unit, how it ended, and the line that says why.
std::string ended_because(const Case& c, std::string_view why)
{
    return fmt::format("{} {}, because {}: {}", c.unit.id, how_it_ended(c.unit), why, clue_line(c));
}
}  // namespace

std::string say_read_only(const Case& c) { return ended_because(c, "a file system is read-only"); }
std::string say_too_many_files(const Case& c) { return ended_because(c, "it had too many files open"); }
std::string say_library(const Case& c)
{
    return ended_because(c, "a shared library is missing") + package_of(c);
}
std::string say_certificate(const Case& c) { return ended_because(c, "a certificate has expired"); }
std::string say_permission(const Case& c)
{
    return ended_because(c, c.clue->path.empty() ? std::string{"it may not do what it tried"}
                                                 : "it has no permission for " + c.clue->path);
}
std::string say_file_missing(const Case& c)
{
    return ended_because(c, c.clue->path.empty() ? std::string{"a file does not exist"}
                                                 : c.clue->path + " does not exist")
           + package_of(c);
}
std::string say_no_memory(const Case& c) { return ended_because(c, "it got no memory"); }
std::string say_peer(const Case& c) { return ended_because(c, "it cannot reach another service"); }

std::string say_changed_package(const Case& c)
{
    const auto& package = *c.own_package();
    return fmt::format("{} {}; it worked until the package {} was changed ({} from {} to {}) at {}",
                       c.unit.id, how_it_ended(c.unit), package.package, package.action,
                       package.from.empty() ? "none" : package.from, package.to.empty() ? "none" : package.to,
                       when(package.at));
}
std::string say_changed_file(const Case& c)
{
    const auto& change = *c.own_change();
    return fmt::format("{} {}; it worked until its {} {} was changed at {}", c.unit.id, how_it_ended(c.unit),
                       change.role, change.path, when(change.at));
}

std::string say_start_limit(const Case& c)
{
    const auto limit = c.details.start_limit_burst == 0
                           ? std::string{"too many"}
                           : fmt::format("more than {}", c.details.start_limit_burst);
    const auto time = c.details.start_limit_interval_usec == 0
                          ? std::string{"a short time"}
                          : human_usec(c.details.start_limit_interval_usec);
    return fmt::format("systemd gave up on {} after {} starts within {}; the last time, {} {}", c.unit.id,
                       limit, time, program_path(c), how_it_ended(c.unit));
}
std::string say_control(const Case& c)
{
    UnitFacts ended;
    ended.main_code = c.control->code;
    ended.main_status = c.control->status;
    return fmt::format("{} failed, because {}={} {}", c.unit.id, c.control->setting,
                       fmt::join(c.control->arguments, " "), how_it_ended(ended));
}
std::string say_start_timeout(const Case& c)
{
    if (c.details.timeout_start_usec == systemd::no_limit)
        return fmt::format("{} did not get ready in time", c.unit.id);
    const bool notify = c.unit.type.starts_with("notify");
    return fmt::format("{} did not get ready within {} (TimeoutStartSec=){}", c.unit.id,
                       human_usec(c.details.timeout_start_usec),
                       notify ? "; as Type=notify it must say so by sd_notify" : "");
}
std::string say_stop_timeout(const Case& c)
{
    return fmt::format("{} did not stop within {} (TimeoutStopSec=) and was killed", c.unit.id,
                       human_usec(c.details.timeout_stop_usec));
}
std::string say_watchdog(const Case& c)
{
    const auto limit = c.details.watchdog_usec == systemd::no_limit || c.details.watchdog_usec == 0
                           ? std::string{"its time"}
                           : human_usec(c.details.watchdog_usec);
    return fmt::format("{} hung: it did not answer its watchdog within {} (WatchdogSec=)", c.unit.id, limit);
}
std::string say_protocol(const Case& c)
{
    return fmt::format("{} does not behave as its Type={} promises{}", c.unit.id, c.unit.type,
                       cited(c, c.line("rotocol")));
}
std::string say_resources(const Case& c)
{
    return fmt::format("systemd could not start {}{}", c.unit.id, cited(c, c.line("Failed to")));
}
std::string say_core(const Case& c)
{
    return fmt::format("{} {}{}{}", c.unit.id, how_it_ended(c.unit), times(c), last_line(c));
}
std::string say_signal(const Case& c)
{
    return fmt::format("{} {}; who sent it is not recorded{}", c.unit.id, how_it_ended(c.unit), times(c));
}
std::string say_exit(const Case& c)
{
    return fmt::format("{} {}{}{}", c.unit.id, how_it_ended(c.unit), times(c), last_line(c));
}

std::string say_stuck(const Case& c)
{
    return fmt::format("{} {} (sub state {})", c.unit.id, c.facts.state.reason, c.unit.sub_state);
}
std::string say_queued(const Case& c)
{
    return fmt::format("{} has not been started yet: its {} job waits for units that must come first",
                       c.unit.id, c.unit.job_type.empty() ? "start" : c.unit.job_type);
}
std::string say_stopped(const Case& c)
{
    const bool asked = last_line_with(c.facts.journal, WallTime{}, "Stopping ") != nullptr
                       || last_line_with(c.facts.journal, WallTime{}, "Stopped ") != nullptr
                       || c.unit.main_code == 2;
    const auto who = stopper_of(c);
    const auto at = when(turned_at(c.facts));
    if (who)
        return fmt::format("{} was stopped by request at {}, by {}{}{}", c.unit.id, at, who->who,
                           who->command.empty() ? "" : ": ", who->command);
    if (asked)
        return fmt::format(
            "{} was stopped by request at {}; it did not fail, and the journal does not say who "
            "asked",
            c.unit.id, at);
    return fmt::format("{} ended by itself with success at {}, and nothing starts it again", c.unit.id, at);
}
std::string say_not_started(const Case& c)
{
    return fmt::format("{} should be active, but nothing has started it since boot", c.unit.id);
}
std::string say_state(const Case& c)
{
    return fmt::format("{} is {}: {}", c.unit.id, c.facts.state.state, c.facts.state.reason);
}

}  // namespace opsd::health::explain::rows
