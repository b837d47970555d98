#pragma once
// How far the files of tasks have been delivered, as one text that a position file keeps. Pure.

#include "opsd/result.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::pipeline {

/// The beginning of a file: tells it from another that has its inode, and finds its copy.
struct Fingerprint {
    static constexpr std::uint32_t most = 256;
    std::uint32_t bytes = 0;
    std::uint32_t crc = 0;
    friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};
/// Of a file's first bytes, at most Fingerprint::most of them.
[[nodiscard]] Fingerprint fingerprint_of(std::string_view first) noexcept;

/// A place in one of the files that a name has had.
struct FilePosition {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;       ///< 0: whichever has the name, from its start and with those before it
    std::uint64_t generation = 0;  ///< files and truncations before this one: an inode may come again
    Fingerprint fingerprint;
    std::uint64_t offset = 0;
    friend bool operator==(const FilePosition&, const FilePosition&) = default;
};

/// Where the files of one container are.
struct RunName {
    std::string agent;
    std::string framework;
    std::string executor;
    std::string container;
    friend bool operator==(const RunName&, const RunName&) = default;
};

/// A task of it, as the agent has told: it forgets them.
struct RunTask {
    std::string id;
    std::string name;
    std::string container;
    bool nested = false;
    friend bool operator==(const RunTask&, const RunTask&) = default;
};

struct RunPosition {
    RunName run;
    bool pod = false;
    std::vector<RunTask> tasks;    ///< none: not known
    std::uint64_t generation = 0;  ///< the first of names without a place: they may have been there before
    std::map<std::string, FilePosition> files;  ///< by their path below the run's folder
    friend bool operator==(const RunPosition&, const RunPosition&) = default;
};

struct TailPosition {
    std::int64_t looked = 0;  ///< when tasks were last looked for, microseconds since the epoch
    std::map<std::string, RunPosition> runs;  ///< by container
    std::set<std::string> done;               ///< containers that were read to their end
    friend bool operator==(const TailPosition&, const TailPosition&) = default;
};

/// What a text holds at most.
struct TailBounds {
    static constexpr std::size_t bytes = std::size_t{8} << 20;
    static constexpr std::size_t runs = 20'000;
    static constexpr std::size_t files = 40'000;
    static constexpr std::size_t tasks = 40'000;  ///< those beyond are not written
    static constexpr std::size_t done = 20'000;
    static constexpr std::size_t word = 4'096;  ///< bytes of a name
};

[[nodiscard]] std::string tail_text(const TailPosition& position);
/// Errc::invalid_argument for anything that tail_text() does not write.
[[nodiscard]] Result<TailPosition> parse_tail(std::string_view text);

}  // namespace opsd::pipeline
