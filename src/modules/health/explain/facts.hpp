#pragma once
// All that an explanation is made from, gathered before it is thought about: plain values, no I/O. The same
// facts give the same explanation.

#include "io/systemd/details.hpp"
#include "io/systemd/journal.hpp"
#include "modules/health/options.hpp"
#include "opsd/model.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace opsd::health::explain {

using Lines = std::vector<systemd::JournalLine>;

/// What could be learnt about a file.
enum class FileState {
    present,
    missing,
    denied,  ///< opsd may not look
    hidden,  ///< opsd's own sandbox shows it another directory there
    broken,  ///< an input/output error, a loop of links, ...
};

struct FileFact {
    std::string path;
    std::string role;  ///< "program", "unit file", "drop-in", "environment file", "working directory", ...
    FileState state = FileState::missing;
    std::string problem;  ///< why it is not present, as the system says it
    bool directory = false;
    bool executable = false;  ///< by anybody
    WallTime modified{};      ///< its content (mtime)
    WallTime changed{};       ///< its content, owner, mode or name (ctime)
    std::string interpreter;  ///< of a program that begins with "#!"
    bool interpreter_missing = false;
    std::string package;  ///< that it belongs to, "" when none is known
};

/// A file system with little room left.
struct SpaceFact {
    std::string path;
    std::uint64_t free_bytes = 0;
    std::uint64_t total_bytes = 0;
    std::uint64_t free_files = 0;
    std::uint64_t total_files = 0;  ///< 0: it does not count them
};

/// One line of dpkg's log.
struct PackageChange {
    WallTime at{};
    std::string action;   ///< install, upgrade, remove, purge
    std::string package;  ///< without its architecture
    std::string from;
    std::string to;
    std::string owns;  ///< which of the unit's files it owns: "program /usr/bin/x"; "" none
};

/// A user or group that the unit names.
struct AccountFact {
    std::string name;
    bool group = false;
    bool exists = false;
};

/// A unit on the way from the explained one to its first cause.
struct Dependency {
    std::string id;
    std::string required_by;
    std::string via;  ///< "Requires", "BindsTo", "Requisite"
    int depth = 1;
    bool bad = false;   ///< failed, or cannot be loaded
    bool idle = false;  ///< only inactive where it should be active
    UnitFacts facts;
};

/// When it last worked: a run that lasted.
struct Worked {
    bool ever = false;
    WallTime since{};  ///< the epoch: not known
    WallTime until{};
    std::string known_from;  ///< "history", "systemd", "journal"
};

/// Something that could not be learnt, and why.
struct Unknown {
    std::string what;
    std::string why;
};

struct Facts {
    UnitState state;
    bool systemd_readable = true;
    bool details_known = false;
    systemd::UnitDetails details;
    std::vector<Dependency> dependencies;  ///< in the order found, nearest first
    std::shared_ptr<Facts> culprit;        ///< of the first cause among the dependencies
    Lines journal;                         ///< oldest first
    Lines kernel;                          ///< about memory, around the failure
    Lines commands;                        ///< sudo and PID 1 naming the unit, around its stop
    std::vector<WallTime> starts;          ///< when PID 1 said "Started", ascending
    std::vector<Transition> history;       ///< newest first
    std::vector<FileFact> files;
    std::vector<SpaceFact> full;
    std::vector<AccountFact> accounts;
    std::vector<PackageChange> packages;  ///< oldest first
    Worked worked;
    Duration restart_window{};
    WallTime now{};
    std::vector<Unknown> unknown;
};

/// When it turned bad (or well, of a healthy unit).
[[nodiscard]] WallTime turned_at(const Facts& facts);

/// When the attempt that failed began: lines of the journal before it are about earlier runs. The epoch when
/// not known.
[[nodiscard]] WallTime attempt_began(const systemd::UnitDetails& details);

/// The last run of at least `steady`, from what the history, systemd and the journal say.
[[nodiscard]] Worked last_worked(const Facts& facts, Duration steady);

/// The deepest bad dependency, else the deepest idle one; of several, the one that changed first. Null when
/// all are well.
[[nodiscard]] const Dependency* first_cause(const std::vector<Dependency>& dependencies);

}  // namespace opsd::health::explain
