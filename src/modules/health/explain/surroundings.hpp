#pragma once
// What lies around a unit on disk: its files, their age, accounts, room, packages. questions() is pure;
// look() blocks and belongs on a thread of its own. Everything it reads is bounded.

#include "modules/health/explain/facts.hpp"

#include <string>
#include <utility>
#include <vector>

namespace opsd::health::explain {

/// What is to be looked at.
struct Questions {
    std::vector<std::pair<std::string, std::string>> files;  ///< path, role
    std::vector<std::string> places;                         ///< is there room left?
    std::vector<std::pair<std::string, bool>> accounts;      ///< name, is it a group?
    std::vector<std::string> names;  ///< packages of these names count as the unit's, too
    bool packages = false;
    WallTime since{};  ///< of package changes
    WallTime until{};
};

struct Answers {
    std::vector<FileFact> files;
    std::vector<SpaceFact> full;
    std::vector<AccountFact> accounts;
    std::vector<PackageChange> packages;
    std::vector<Unknown> unknown;
};

/// Where things are; tests have their own.
struct Places {
    std::string dpkg_log = "/var/log/dpkg.log";
    std::string dpkg_info = "/var/lib/dpkg/info";
    std::string mounts = "/proc/self/mountinfo";
};

/// What to look at for these facts: needs details, journal and the last good run.
[[nodiscard]] Questions questions_of(const Facts& facts);

[[nodiscard]] Answers look(const Questions& questions, const Places& places);

/// Adds the answers to the facts.
void take(Facts& facts, Answers answers);

// --- packages.cpp

/// The package that owns each path (by index), "" for none. Reads at most `dpkg_info_limit` bytes.
[[nodiscard]] std::vector<std::string> owners_of(const std::vector<std::string>& paths, const Places& places,
                                                 std::vector<Unknown>& unknown);

/// The configuration files that a package marks as such.
[[nodiscard]] std::vector<std::string> configuration_of(const std::string& package, const Places& places);

/// Changes within the time, oldest first, from dpkg.log and its rotated ones.
[[nodiscard]] std::vector<PackageChange> package_changes(WallTime since, WallTime until, const Places& places,
                                                         std::vector<Unknown>& unknown);

}  // namespace opsd::health::explain
