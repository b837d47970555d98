#pragma once
// Why a unit is as it is: facts in, a verdict with its evidence out. Pure. docs/health.md shows the table of
// causes; a test keeps the two equal.

#include "modules/health/explain/clues.hpp"
#include "modules/health/explain/facts.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opsd::health::explain {

/// One thing that was found. `data`: further members for programs.
struct Evidence {
    std::string kind;
    std::string text;
    WallTime at{};  ///< the epoch: it has no time
    std::vector<std::pair<std::string, std::string>> data;
};

/// A file of the unit that is not what it was when the unit last worked.
struct Change {
    std::string path;
    std::string role;
    WallTime at{};
    std::string text;
    std::string package;
    bool after_failure = false;  ///< not tried yet
};

using Commands = std::vector<std::string>;

struct Explanation {
    std::string unit;
    Health health = Health::unknown;
    std::string state;
    std::string verdict;
    std::string_view cause;
    WallTime since{};
    WallTime at{};
    Worked worked;
    std::vector<Evidence> evidence;
    Lines journal;
    std::vector<Change> changed;
    std::vector<PackageChange> packages;
    Commands next;
    std::vector<Unknown> unknown;
};

/// The facts with what follows from them, as the rows of the table see them.
struct Case {
    explicit Case(const Facts& all);

    const Facts& facts;
    const systemd::UnitDetails& details;
    const UnitFacts& unit;
    WallTime began{};  ///< the failed attempt
    std::optional<Clue> clue;
    std::vector<Change> changed;
    const Dependency* first_cause = nullptr;
    const systemd::ExecCommand* main = nullptr;     ///< the ExecStart= that failed, else the first
    const systemd::ExecCommand* control = nullptr;  ///< ExecStartPre= and its like that failed

    /// The main process, or that of ExecStartPre= and its like.
    [[nodiscard]] bool exited_with(int status) const noexcept;
    [[nodiscard]] const FileFact* file_at(std::string_view path) const;
    [[nodiscard]] const FileFact* file(std::string_view role) const;
    /// A line of the failed attempt with this text, "" without one.
    [[nodiscard]] std::string line(std::string_view text) const;
    [[nodiscard]] bool knows(std::string_view clue_kind) const { return clue && clue->kind == clue_kind; }
    /// The change of a package that owns a file of the unit, between its last good start and its failure.
    [[nodiscard]] const PackageChange* own_package() const;
    /// The last change of a file before the failure; null without one.
    [[nodiscard]] const Change* own_change() const;
};

/// A row: the first that matches is the cause.
struct Cause {
    std::string_view name;  ///< for programs; never renamed
    std::string_view when;
    bool (*matches)(const Case&);
    std::string (*sentence)(const Case&);
    Commands (*next)(const Case&);
};

/// All rows in order; the last one matches everything.
[[nodiscard]] std::span<const Cause> causes();
[[nodiscard]] const Cause& cause_of(const Case& one);

/// The whole answer.
[[nodiscard]] Explanation explain(const Facts& facts);

/// What was found, most telling first (evidence.cpp).
[[nodiscard]] std::vector<Evidence> evidence_of(const Case& one);

/// Files of the unit that changed since it last worked, newest first.
[[nodiscard]] std::vector<Change> changes_of(const Facts& facts);

/// The table as Markdown, for docs/health.md.
[[nodiscard]] std::string causes_markdown();

// --- words

/// "exited with status 3 (NOTIMPLEMENTED)", "was killed by signal 9 (KILL)"; "failed" when nothing is known.
[[nodiscard]] std::string how_it_ended(const UnitFacts& unit);
/// For a shell: quoted when it must be.
[[nodiscard]] std::string shell_quoted(std::string_view word);
/// "1.5 GiB", "512 bytes".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);

}  // namespace opsd::health::explain
