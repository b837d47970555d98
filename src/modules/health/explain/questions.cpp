// Which files, places and accounts a unit's explanation needs to know about. Pure.

#include "modules/health/explain/clues.hpp"
#include "modules/health/explain/surroundings.hpp"

#include <algorithm>

namespace opsd::health::explain {
namespace {

constexpr std::size_t most_files = 64;
constexpr std::size_t most_paths_of_an_argument = 8;
constexpr Duration without_a_good_run = std::chrono::hours{24};

std::string parent(const std::string& path)
{
    const auto slash = path.rfind('/');
    return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

bool absolute(std::string_view path) { return path.starts_with('/') && path.size() > 1; }

class Asked {
public:
    explicit Asked(Questions& questions) : questions_{questions} {}

    void file(const std::string& path, const std::string& role)
    {
        if (!absolute(path) || questions_.files.size() >= most_files) return;
        const bool known =
            std::ranges::any_of(questions_.files, [&](const auto& f) { return f.first == path; });
        if (!known) questions_.files.emplace_back(path, role);
    }
    void place(const std::string& path)
    {
        if (!path.starts_with('/')) return;
        if (std::ranges::find(questions_.places, path) == questions_.places.end())
            questions_.places.push_back(path);
    }

private:
    Questions& questions_;
};

/// Files that a command line names: "/etc/a", "--config=/etc/a", "sh -c '. /etc/a'".
void ask_argument(std::string_view argument, Asked& asked)
{
    std::size_t found = 0;
    for (std::size_t at = argument.find('/');
         at != std::string_view::npos && found < most_paths_of_an_argument; at = argument.find('/', at + 1)) {
        const bool begins = at == 0 || std::string_view{" \t=\"'<>(;:,@"}.contains(argument[at - 1]);
        if (!begins) continue;
        const auto end = std::min(argument.find_first_of(" \t\"'<>();|&,", at), argument.size());
        const std::string path{argument.substr(at, end - at)};
        if (path.starts_with("/dev/") || path.starts_with("/proc/")) continue;
        asked.file(path, path.starts_with("/etc/") ? "configuration" : "argument");
        ++found;
        at = end - 1;
    }
}

void ask_unit_files(const systemd::UnitDetails& d, Asked& asked)
{
    // A generator writes its units anew at every reload: their source is what counts.
    const bool generated = d.facts.fragment_path.starts_with("/run/systemd/generator");
    if (!generated) asked.file(d.facts.fragment_path, "unit file");
    asked.file(d.source_path, "source of the unit file");
    for (const auto& path : d.drop_in_paths)
        asked.file(path, "drop-in");
    for (const auto& path : d.drop_in_paths)
        asked.file(parent(path), "drop-in directory");
    for (const auto* base : {"/etc/systemd/system/", "/run/systemd/system/"})
        asked.file(base + d.facts.id + ".d", "drop-in directory");
}

void ask_programs(const systemd::UnitDetails& d, const std::string& root, Asked& asked)
{
    for (const auto& command : d.commands) {
        if (!absolute(command.path)) continue;
        asked.file(root + command.path,
                   command.setting == "ExecStart" ? "program" : "program of " + command.setting);
    }
    for (const auto& file : d.environment_files)
        asked.file(root + file.path, file.optional ? "configuration" : "environment file");
    for (const auto& [name, path] : d.credentials)
        asked.file(path, "credential");
    for (const auto& command : d.commands) {
        for (std::size_t i = 1; i < command.arguments.size(); ++i)
            ask_argument(command.arguments[i], asked);
    }
}

}  // namespace

Questions questions_of(const Facts& facts)
{
    const auto& d = facts.details;
    Questions questions;
    Asked asked{questions};
    const auto root = d.root_directory == "/" ? std::string{} : d.root_directory;
    ask_unit_files(d, asked);
    if (d.root_image.empty()) ask_programs(d, root, asked);
    const auto stem = d.facts.id.substr(0, d.facts.id.find_first_of("@."));
    asked.file("/etc/default/" + stem, "configuration");
    auto working = d.working_directory;
    if (working.starts_with("!") || working.starts_with("-")) working.erase(0, 1);
    if (d.root_image.empty() && absolute(working)) asked.file(root + working, "working directory");
    questions.names.push_back(stem);
    if (facts.state.health == Health::healthy) return questions;
    const auto clue = last_clue(facts.journal, attempt_began(d));
    if (clue && absolute(clue->path)) {
        asked.place(clue->path);
        asked.place(parent(clue->path));
    }
    for (const auto& path : d.directories)
        asked.place(path);
    if (absolute(working)) asked.place(root + working);
    for (const auto* place : {"/", "/var", "/var/log", "/run", "/tmp"})
        asked.place(place);
    const auto named = [](const std::string& name) {
        return !name.empty() && name.find_first_not_of("0123456789") != std::string::npos;
    };
    if (named(d.user) && !d.dynamic_user) questions.accounts.emplace_back(d.user, false);
    if (named(d.group) && !d.dynamic_user) questions.accounts.emplace_back(d.group, true);
    const auto& worked = facts.worked;
    questions.packages = true;
    questions.since = !worked.ever                 ? turned_at(facts) - without_a_good_run
                      : worked.since == WallTime{} ? worked.until
                                                   : worked.since;
    questions.until = facts.now;
    return questions;
}

void take(Facts& facts, Answers answers)
{
    facts.files = std::move(answers.files);
    facts.full = std::move(answers.full);
    facts.accounts = std::move(answers.accounts);
    facts.packages = std::move(answers.packages);
    for (auto& one : answers.unknown)
        facts.unknown.push_back(std::move(one));
}

}  // namespace opsd::health::explain
