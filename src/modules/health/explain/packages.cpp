// dpkg's files: which package owns what, and what happened to packages. Reads are bounded in bytes and time.

#include "modules/health/explain/dpkg_log.hpp"
#include "modules/health/explain/surroundings.hpp"

#include "core/gzip.hpp"
#include "io/files/files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace opsd::health::explain {
namespace {

namespace fs = std::filesystem;
using Steady = std::chrono::steady_clock;

constexpr std::size_t dpkg_info_limit = 256UL << 20U;
constexpr std::size_t list_limit = 16UL << 20U;
constexpr std::chrono::seconds list_time{2};
constexpr std::size_t log_limit = 4UL << 20U;  // from the end of each log
constexpr std::size_t packed_limit = 4UL << 20U;
constexpr std::size_t unpacked_limit = 32UL << 20U;
constexpr std::size_t most_changes = 5'000;
constexpr std::size_t most_configurations = 40;

/// The names under which dpkg may know a path: /usr merged or not, links followed.
std::vector<std::string> spellings(const std::string& path)
{
    std::vector<std::string> all{path};
    std::error_code error;
    const auto real = fs::canonical(path, error).string();
    if (!error && real != path) all.push_back(real);
    const auto count = all.size();
    for (std::size_t i = 0; i < count; ++i) {
        if (all[i].starts_with("/usr/"))
            all.push_back(all[i].substr(4));
        else
            all.push_back("/usr" + all[i]);
    }
    return all;
}

struct Wanted {
    std::vector<std::string> lines;  // "\n/usr/bin/x\n"
    std::string owner;
};

/// "libc6:amd64.list" -> "libc6".
std::string package_of(const fs::path& list)
{
    const auto stem = list.stem().string();
    return stem.substr(0, stem.find(':'));
}

bool search_list(const fs::path& list, std::vector<Wanted>& wanted, std::size_t& read)
{
    const auto text = files::read_file(list.string(), list_limit);
    if (!text) return false;
    read += text->size();
    for (auto& one : wanted) {
        const bool found = one.owner.empty() && std::ranges::any_of(one.lines, [&text](const auto& line) {
                               return text->contains(line);
                           });
        if (found) one.owner = package_of(list);
    }
    return true;
}

/// The end of a file, cut at the beginning of a line.
Result<std::string> tail_of(const std::string& path, std::size_t limit)
{
    std::error_code error;
    const auto size = fs::file_size(path, error);
    if (error) return fail(files::system_error("read", path, error.value()));
    std::ifstream file{path, std::ios::binary};
    if (!file) return fail(files::system_error("read", path, errno));
    const auto from = size > limit ? size - limit : 0;
    file.seekg(static_cast<std::streamoff>(from));
    std::string text(static_cast<std::size_t>(size - from), '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (from > 0) text.erase(0, std::min(text.find('\n') + 1, text.size()));
    return text;
}

Result<std::string> unpacked(const std::string& path)
{
    auto packed = files::read_file(path, packed_limit);
    if (!packed) return packed;
    return gunzip(*packed, unpacked_limit);
}

std::string local_text(WallTime time)
{
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
    const auto clock = static_cast<std::time_t>(seconds);
    std::tm local{};
    ::localtime_r(&clock, &local);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", local.tm_year + 1900, local.tm_mon + 1,
                       local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec);
}

WallTime wall_of(const DpkgChange& change)
{
    std::tm local{};
    local.tm_year = change.year - 1900;
    local.tm_mon = change.month - 1;
    local.tm_mday = change.day;
    local.tm_hour = change.hour;
    local.tm_min = change.minute;
    local.tm_sec = change.second;
    local.tm_isdst = -1;
    return WallTime{std::chrono::seconds{std::mktime(&local)}};
}

}  // namespace

std::vector<std::string> owners_of(const std::vector<std::string>& paths, const Places& places,
                                   std::vector<Unknown>& unknown)
{
    std::vector<Wanted> wanted;
    for (const auto& path : paths) {
        Wanted one;
        for (const auto& name : spellings(path))
            one.lines.push_back("\n" + name + "\n");
        wanted.push_back(std::move(one));
    }
    const auto until = Steady::now() + list_time;
    std::size_t read = 0;
    std::error_code error;
    const auto searching = [&wanted] {
        return std::ranges::any_of(wanted, [](const auto& one) { return one.owner.empty(); });
    };
    for (fs::directory_iterator at{places.dpkg_info, error}, end; !error && at != end; at.increment(error)) {
        if (!searching()) break;
        if (at->path().extension() != ".list") continue;
        if (read > dpkg_info_limit || Steady::now() > until) {
            unknown.push_back(
                {"which package the files come from",
                 fmt::format("searching {} took too long; dpkg -S PATH tells", places.dpkg_info)});
            break;
        }
        search_list(at->path(), wanted, read);
    }
    if (error)
        unknown.push_back({"which package the files come from",
                           fmt::format("cannot read {}: {}", places.dpkg_info, error.message())});
    std::vector<std::string> owners;
    for (auto& one : wanted)
        owners.push_back(std::move(one.owner));
    return owners;
}

std::vector<std::string> configuration_of(const std::string& package, const Places& places)
{
    std::vector<std::string> paths;
    std::error_code error;
    for (const auto* architecture : {"", ":amd64", ":arm64", ":i386", ":all"}) {
        const auto path = places.dpkg_info + "/" + package + architecture + ".conffiles";
        const auto text = files::read_file(path, list_limit);
        if (!text) continue;
        std::istringstream lines{*text};
        for (std::string line; paths.size() < most_configurations && std::getline(lines, line);) {
            if (line.starts_with('/')) paths.push_back(line);
        }
        break;
    }
    return paths;
}

std::vector<PackageChange> package_changes(WallTime since, WallTime until, const Places& places,
                                           std::vector<Unknown>& unknown)
{
    std::vector<DpkgChange> raw;
    const auto from = local_text(since);
    bool whole = false;
    std::string trouble;
    for (const auto* suffix : {"", ".1", ".2.gz"}) {
        const auto path = places.dpkg_log + suffix;
        const auto text = path.ends_with(".gz") ? unpacked(path) : tail_of(path, log_limit);
        if (!text) {
            whole = text.error().code == Errc::not_found && *suffix != '\0';  // nothing older is kept
            if (!whole) trouble = text.error().message;
            break;
        }
        auto changes = parse_dpkg_log(*text, most_changes);
        raw.insert(raw.begin(), std::make_move_iterator(changes.begin()),
                   std::make_move_iterator(changes.end()));
        whole = !text->empty() && dpkg_log_begins_before(*text, from);
        if (whole) break;
    }
    if (!trouble.empty())
        unknown.push_back({"which packages were changed", std::move(trouble)});
    else if (!whole)
        unknown.push_back({"which packages were changed long ago",
                           fmt::format("only the newest part of {} is read", places.dpkg_log)});
    std::vector<PackageChange> changes;
    for (auto& one : raw) {
        const auto at = wall_of(one);
        if (at < std::chrono::floor<std::chrono::seconds>(since) || at > until) continue;
        changes.push_back(
            {at, std::move(one.action), std::move(one.package), std::move(one.from), std::move(one.to), {}});
    }
    return changes;
}

}  // namespace opsd::health::explain
