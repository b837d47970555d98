#include "modules/health/directories.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace opsd::health {
namespace {

namespace fs = std::filesystem;

/// "" or why not all entries are known.
std::string add_entries(const fs::path& directory, std::set<std::string>& names)
{
    std::error_code error;
    for (fs::directory_iterator at{directory, error}, end; !error && at != end; at.increment(error)) {
        if (names.size() >= most_wants)
            return fmt::format("cannot read all of {}: more than {} units are wanted", directory.string(),
                               most_wants);
        names.insert(at->path().filename().string());
    }
    if (!error || error == std::errc::no_such_file_or_directory) return {};
    return fmt::format("cannot read {}: {}", directory.string(), error.message());
}

}  // namespace

Wants read_wants(const std::string& units, const std::vector<std::string>& targets)
{
    std::vector<fs::path> places{units};
    if (units == "/etc/systemd/system") {
        for (const auto* place :
             {"/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"})
            places.emplace_back(place);
    }
    std::set<std::string> all{targets.begin(), targets.end()};
    all.insert("dcos.target");
    Wants wants;
    const auto note = [&wants](const std::string& problem) {
        if (wants.problem.empty()) wants.problem = problem;
    };
    for (const auto& target : all) {
        std::set<std::string> names;
        for (const auto& place : places) {
            note(add_entries(place / (target + ".wants"), names));
            note(add_entries(place / (target + ".requires"), names));
        }
        for (const auto& name : names)
            wants.entries.push_back({target, name});
    }
    return wants;
}

std::string boot_id()
{
    std::ifstream file{"/proc/sys/kernel/random/boot_id"};
    std::string id;
    std::getline(file, id);
    return id;
}

}  // namespace opsd::health
