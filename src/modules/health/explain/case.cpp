// What follows from the facts, before the table of causes is asked.

#include "modules/health/explain/explanation.hpp"
#include "modules/health/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace opsd::health::explain {
namespace {

constexpr int exited = 1;
constexpr int killed = 2;
constexpr int dumped = 3;

/// A little after the failure still counts as before it: clocks of files are coarse.
constexpr Monotonic slack = std::chrono::seconds{1};

bool failed_run(const systemd::ExecCommand& command)
{
    if (command.ignored || command.ended == WallTime{}) return false;
    return (command.code == exited && command.status != 0) || command.code == killed
           || command.code == dumped;
}

/// The command beside ExecStart= that failed in this attempt.
const systemd::ExecCommand* failed_control(const systemd::UnitDetails& details, WallTime began)
{
    const systemd::ExecCommand* last = nullptr;
    for (const auto& command : details.commands) {
        const bool beside = command.setting == "ExecStartPre" || command.setting == "ExecStartPost"
                            || command.setting == "ExecCondition" || command.setting == "ExecMount"
                            || command.setting == "ExecReload";
        if (beside && failed_run(command) && command.began >= began) last = &command;
    }
    return last;
}

const systemd::ExecCommand* main_command(const systemd::UnitDetails& details)
{
    const systemd::ExecCommand* first = nullptr;
    const systemd::ExecCommand* failed = nullptr;
    for (const auto& command : details.commands) {
        if (command.setting != "ExecStart") continue;
        if (first == nullptr) first = &command;
        if (failed_run(command)) failed = &command;
    }
    return failed == nullptr ? first : failed;
}

/// A flapping unit may run just now: the attempt that failed is the one before.
WallTime began_of(const Facts& facts)
{
    const auto& word = facts.state.state;
    const auto& active = facts.details.facts.active_state;
    if ((word == "flapping" || word == "restarting") && active != "failed") return WallTime{};
    return attempt_began(facts.details);
}

std::string change_text(const FileFact& file, bool content)
{
    if (file.directory) return "entries were added or removed";
    return content ? "its content was changed" : "it was replaced, or its owner or mode was changed";
}

}  // namespace

Case::Case(const Facts& all)
  : facts{all}
  , details{all.details}
  , unit{all.details.facts}
  , began{began_of(all)}
  , clue{last_clue(all.journal, began)}
  , changed{changes_of(all)}
  , first_cause{explain::first_cause(all.dependencies)}
  , main{main_command(all.details)}
  , control{failed_control(all.details, began)}
{}

bool Case::exited_with(int status) const noexcept
{
    if (unit.main_code == exited && unit.main_status == status) return true;
    return control != nullptr && control->code == exited && control->status == status;
}

const FileFact* Case::file_at(std::string_view path) const
{
    const auto it = std::ranges::find(facts.files, path, &FileFact::path);
    return it == facts.files.end() ? nullptr : &*it;
}

const FileFact* Case::file(std::string_view role) const
{
    const auto it = std::ranges::find(facts.files, role, &FileFact::role);
    return it == facts.files.end() ? nullptr : &*it;
}

std::string Case::line(std::string_view text) const
{
    const auto* found = last_line_with(facts.journal, began, text);
    return found == nullptr ? std::string{} : found->message;
}

const PackageChange* Case::own_package() const
{
    const PackageChange* last = nullptr;
    for (const auto& one : facts.packages) {
        if (!one.owns.empty() && one.at <= turned_at(facts) + slack) last = &one;
    }
    return last;
}

const Change* Case::own_change() const
{
    const auto it = std::ranges::find(changed, false, &Change::after_failure);
    return it == changed.end() ? nullptr : &*it;
}

std::vector<Change> changes_of(const Facts& facts)
{
    std::vector<Change> changes;
    if (!facts.worked.ever) return changes;
    const auto worked = facts.worked.since == WallTime{} ? facts.worked.until : facts.worked.since;
    for (const auto& file : facts.files) {
        if (file.state != FileState::present || (file.directory && file.role != "drop-in directory"))
            continue;
        const auto at = std::max(file.modified, file.changed);
        if (at <= worked || at > facts.now + slack) continue;
        const bool known = std::ranges::any_of(changes, [&](const auto& c) { return c.path == file.path; });
        if (known) continue;
        const bool later = facts.state.health != Health::healthy && at > turned_at(facts) + slack;
        changes.push_back(
            {file.path, file.role, at, change_text(file, file.modified > worked), file.package, later});
    }
    // A changed drop-in changes its directory too: say it once.
    const bool drop_in = std::ranges::find(changes, "drop-in", &Change::role) != changes.end();
    if (drop_in) std::erase_if(changes, [](const auto& c) { return c.role == "drop-in directory"; });
    std::ranges::sort(changes, std::greater{}, [](const Change& c) { return std::pair{c.at, c.path}; });
    return changes;
}

std::string how_it_ended(const UnitFacts& unit)
{
    if (unit.main_code == exited)
        return fmt::format("exited with status {}", exit_status_text(unit.main_status));
    if (unit.main_code == killed)
        return fmt::format("was killed by signal {}", signal_text(unit.main_status));
    if (unit.main_code == dumped)
        return fmt::format("dumped core on signal {}", signal_text(unit.main_status));
    return "failed";
}

std::string shell_quoted(std::string_view word)
{
    const bool plain = !word.empty() && std::ranges::all_of(word, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
               || std::string_view{"@%_+=:,./-"}.contains(c);
    });
    if (plain) return std::string{word};
    std::string out{'\''};
    for (const char c : word)
        out += c == '\'' ? std::string{"'\\''"} : std::string{c};
    return out + "'";
}

std::string human_bytes(std::uint64_t bytes)
{
    constexpr auto units = std::to_array<std::string_view>({"bytes", "KiB", "MiB", "GiB", "TiB"});
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    const bool whole = value == static_cast<double>(static_cast<std::uint64_t>(value));
    return whole ? fmt::format("{:.0f} {}", value, units.at(unit))
                 : fmt::format("{:.1f} {}", value, units.at(unit));
}

}  // namespace opsd::health::explain
