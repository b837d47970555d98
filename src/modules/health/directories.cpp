#include "modules/health/directories.hpp"

#include <filesystem>
#include <fstream>
#include <set>

namespace opsd::health {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_entries = 20'000;  // of all directories together

void add_entries(const fs::path& directory, std::set<std::string>& names)
{
    std::error_code error;
    for (fs::directory_iterator at{directory, error}, end; !error && at != end; at.increment(error)) {
        if (names.size() >= most_entries) return;
        names.insert(at->path().filename().string());
    }
}

}  // namespace

std::vector<WantsEntry> read_wants(const std::string& units, const std::vector<std::string>& targets)
{
    std::vector<fs::path> places{units};
    if (units == "/etc/systemd/system") {
        for (const auto* place :
             {"/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"})
            places.emplace_back(place);
    }
    std::set<std::string> all{targets.begin(), targets.end()};
    all.insert("dcos.target");
    std::vector<WantsEntry> entries;
    for (const auto& target : all) {
        std::set<std::string> names;
        for (const auto& place : places) {
            add_entries(place / (target + ".wants"), names);
            add_entries(place / (target + ".requires"), names);
        }
        for (const auto& name : names)
            entries.push_back({target, name});
    }
    return entries;
}

std::string boot_id()
{
    std::ifstream file{"/proc/sys/kernel/random/boot_id"};
    std::string id;
    std::getline(file, id);
    return id;
}

}  // namespace opsd::health
