#include "modules/health/explain/surroundings.hpp"

#include "io/files/files.hpp"

#include <fmt/format.h>

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace opsd::health::explain {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_first_line = 256;
constexpr std::size_t most_mounts = 10'000;
constexpr std::size_t most_changes_told = 50;
constexpr std::uint64_t nearly_nothing = 1000;  // a thousandth of a file system is none

WallTime wall_of(const timespec& time)
{
    using namespace std::chrono;
    return WallTime{duration_cast<microseconds>(seconds{time.tv_sec} + nanoseconds{time.tv_nsec})};
}

/// A place where looking is no use, and why.
struct Closed {
    std::string place;
    std::string why;
};

constexpr std::string_view sandboxed = "opsd's own sandbox shows it something else there";

bool networked(std::string_view type)
{
    constexpr auto types = std::to_array<std::string_view>(
        {"nfs", "nfs4", "cifs", "smb3", "ceph", "afs", "9p", "glusterfs", "lustre", "autofs"});
    return std::ranges::find(types, type) != types.end() || type.starts_with("fuse.");
}

/// Directories that opsd's sandbox replaced: what they hide cannot be called missing. And file systems that
/// may hang when their server is away.
std::vector<Closed> closed_places(const std::string& mounts)
{
    std::vector<Closed> closed{{"/dev", std::string{sandboxed}}};
    std::ifstream file{mounts};
    std::string line;
    for (std::size_t i = 0; i < most_mounts && std::getline(file, line); ++i) {
        std::istringstream words{line};
        std::string id;
        std::string parent;
        std::string device;
        std::string root;
        std::string place;
        std::string type;
        words >> id >> parent >> device >> root >> place;
        if (const auto dash = line.find(" - "); dash != std::string::npos)
            std::istringstream{line.substr(dash + 3)} >> type;
        if (root.contains("systemd/inaccessible/") || root.contains("systemd-private-"))
            closed.push_back({place, std::string{sandboxed}});
        else if (networked(type))
            closed.push_back({place, fmt::format("it is on a file system of type {}, which may hang", type)});
    }
    return closed;
}

bool below(std::string_view path, std::string_view place)
{
    return path.starts_with(place) && (path.size() == place.size() || path[place.size()] == '/');
}

/// "#!/usr/bin/python3 -u" -> "/usr/bin/python3".
std::string interpreter_of(const std::string& path)
{
    std::ifstream file{path, std::ios::binary};
    std::array<char, longest_first_line> buffer{};
    file.read(buffer.data(), buffer.size());
    const std::string_view text{buffer.data(), static_cast<std::size_t>(file.gcount())};
    if (!text.starts_with("#!")) return {};
    const auto begin = std::min(text.find_first_not_of(" \t", 2), text.size());
    const auto end = std::min(text.find_first_of(" \t\r\n", begin), text.size());
    return std::string{text.substr(begin, end - begin)};
}

bool exists(const std::string& path)
{
    struct stat ignored{};
    return ::stat(path.c_str(), &ignored) == 0 || errno != ENOENT;
}

const Closed* closed_at(std::string_view path, const std::vector<Closed>& closed)
{
    const auto it = std::ranges::find_if(closed, [path](const auto& one) { return below(path, one.place); });
    return it == closed.end() ? nullptr : &*it;
}

FileFact look_at(const std::string& path, const std::string& role, const std::vector<Closed>& closed)
{
    FileFact fact{.path = path, .role = role};
    const auto* hidden = closed_at(path, closed);
    if (hidden != nullptr && hidden->why != sandboxed) {
        fact.state = FileState::hidden;
        fact.problem = hidden->why;
        return fact;
    }
    struct stat now{};
    if (::stat(path.c_str(), &now) == 0) {
        fact.state = FileState::present;
        fact.directory = S_ISDIR(now.st_mode);
        fact.executable = (now.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0;
        fact.modified = wall_of(now.st_mtim);
        fact.changed = wall_of(now.st_ctim);
        if (role.starts_with("program") && S_ISREG(now.st_mode)) {
            fact.interpreter = interpreter_of(path);
            fact.interpreter_missing = !fact.interpreter.empty() && !exists(fact.interpreter);
        }
        return fact;
    }
    const int error = errno;
    fact.problem = std::strerror(error);
    if (hidden != nullptr) {
        fact.state = FileState::hidden;
        fact.problem = hidden->why;
    } else if (error == EACCES || error == EPERM)
        fact.state = FileState::denied;
    else if (error == ENOENT || error == ENOTDIR)
        fact.state = FileState::missing;
    else
        fact.state = FileState::broken;
    return fact;
}

void look_at_files(const Questions& questions, const Places& places, Answers& answers)
{
    const auto closed = closed_places(places.mounts);
    for (const auto& [path, role] : questions.files) {
        auto fact = look_at(path, role, closed);
        const bool guess = role == "configuration" || role == "argument" || role == "drop-in directory";
        if (fact.state == FileState::missing && guess) continue;
        if (fact.state == FileState::denied && role != "drop-in directory")
            answers.unknown.push_back(
                {"the " + role + " " + path,
                 fmt::format("opsd may not look at it ({}); as root: ls -ld {}", fact.problem, path)});
        if (fact.state == FileState::hidden && !guess)
            answers.unknown.push_back(
                {"the " + role + " " + path, fmt::format("{}; as root: ls -ld {}", fact.problem, path)});
        answers.files.push_back(std::move(fact));
    }
}

/// Images are full by nature. (That they are read-only says nothing: in its sandbox all is, for opsd.)
bool is_image(const std::string& path)
{
    constexpr auto images = std::to_array<long>({0x73717368L, 0xe0f5e1e2L, 0x9660L});  // squashfs, erofs, ISO
    struct statfs about{};
    if (::statfs(path.c_str(), &about) != 0) return false;
    return std::ranges::find(images, static_cast<long>(about.f_type)) != images.end();
}

void look_for_room(const Questions& questions, const Places& places, Answers& answers)
{
    const auto closed = closed_places(places.mounts);
    std::set<dev_t> seen;
    for (const auto& path : questions.places) {
        const auto* hidden = closed_at(path, closed);
        if (hidden != nullptr && hidden->why != sandboxed) continue;
        struct statvfs room{};
        struct stat place{};
        if (::statvfs(path.c_str(), &room) != 0 || room.f_blocks == 0) continue;
        if (::stat(path.c_str(), &place) != 0 || !seen.insert(place.st_dev).second) continue;
        if (is_image(path)) continue;
        const bool no_bytes = room.f_bavail <= room.f_blocks / nearly_nothing;
        const bool no_files = room.f_files > 0 && room.f_favail <= room.f_files / nearly_nothing;
        if (!no_bytes && !no_files) continue;
        answers.full.push_back({path, room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize,
                                room.f_favail, room.f_files});
    }
}

void look_for_accounts(const Questions& questions, Answers& answers)
{
    std::array<char, 16 * 1024> buffer{};
    for (const auto& [name, is_group] : questions.accounts) {
        bool found = false;
        int error = 0;
        if (is_group) {
            group entry{};
            group* result = nullptr;
            error = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &result);
            found = result != nullptr;
        } else {
            passwd entry{};
            passwd* result = nullptr;
            error = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &result);
            found = result != nullptr;
        }
        const bool known = found || error == 0 || error == ENOENT || error == ESRCH;
        if (known)
            answers.accounts.push_back({name, is_group, found});
        else
            answers.unknown.push_back(
                {fmt::format("the {} {}", is_group ? "group" : "user", name), std::strerror(error)});
    }
}

/// Whose files they are, what that package calls its configuration, and what happened to packages.
void look_at_packages(const Questions& questions, const Places& places, Answers& answers)
{
    std::vector<std::string> paths;
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < answers.files.size(); ++i) {
        const auto& role = answers.files[i].role;
        if (!role.starts_with("program") && role != "unit file") continue;
        paths.push_back(answers.files[i].path);
        which.push_back(i);
    }
    const auto owners = owners_of(paths, places, answers.unknown);
    std::set<std::string> packages;
    for (std::size_t i = 0; i < owners.size(); ++i) {
        answers.files[which[i]].package = owners[i];
        if (!owners[i].empty() && answers.files[which[i]].role != "program of ExecStop")
            packages.insert(owners[i]);
    }
    answers.packages = package_changes(questions.since, questions.until, places, answers.unknown);
    for (auto& change : answers.packages) {
        for (const auto& file : answers.files) {
            if (file.package == change.package && change.owns.empty())
                change.owns = file.role + " " + file.path;
        }
        const bool same_name = std::ranges::find(questions.names, change.package) != questions.names.end();
        if (change.owns.empty() && same_name) change.owns = "the unit's name";
    }
    // The oldest go first, and those of the unit never.
    auto surplus = answers.packages.size() - std::min(answers.packages.size(), most_changes_told);
    std::erase_if(answers.packages, [&surplus](const auto& change) {
        if (surplus == 0 || !change.owns.empty()) return false;
        --surplus;
        return true;
    });
    const auto closed = closed_places(places.mounts);
    for (const auto& package : packages) {
        for (const auto& path : configuration_of(package, places)) {
            const bool known = std::ranges::find(answers.files, path, &FileFact::path) != answers.files.end();
            auto fact = look_at(path, "configuration", closed);
            if (!known && fact.state == FileState::present) answers.files.push_back(std::move(fact));
        }
    }
}

}  // namespace

Answers look(const Questions& questions, const Places& places)
{
    Answers answers;
    look_at_files(questions, places, answers);
    look_for_room(questions, places, answers);
    look_for_accounts(questions, answers);
    if (questions.packages) look_at_packages(questions, places, answers);
    return answers;
}

}  // namespace opsd::health::explain
