#pragma once
// The journal, read on a thread of its own: an sd_journal handle belongs to one thread for life and stays
// open.

#include "opsd/async.hpp"
#include "opsd/clock.hpp"
#include "opsd/model.hpp"
#include "opsd/result.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace opsd::systemd {

/// One entry, as far as evidence needs it.
struct JournalLine {
    WallTime at{};
    int priority = 6;
    std::string identifier;  ///< SYSLOG_IDENTIFIER, else _COMM
    std::uint32_t pid = 0;
    std::string
        message;  ///< valid UTF-8 (other bytes become U+FFFD), control characters replaced, cut at max_line
};

/// The life of a main process that has ended.
struct MainProcess {
    std::uint32_t pid = 0;
    WallTime started{};
    WallTime exited{};
};

/// The last main process of a unit, if it has ended and was seen to.
[[nodiscard]] std::optional<MainProcess> ended_main(const UnitFacts& facts);

/// Which lines.
struct JournalQuery {
    std::string unit;
    std::optional<MainProcess> main;  ///< of that run: also what it said that journald gives to no unit
    std::string invocation_id;        ///< "" : any; then only this boot
    std::size_t max_lines = 50;       ///< newest ones
    std::size_t max_bytes = 16 * 1024;
    std::size_t max_line = 2048;
    WallTime since{};  ///< not older than this; the epoch: no bound
    WallTime until{};  ///< not newer than this; the epoch: no bound
    /// Not empty: instead of the unit's lines those with any of these sets of fields ("_TRANSPORT=kernel",
    /// ...), of which all must match. Name fields that journald vouches for.
    std::vector<std::vector<std::string>> fields;
    std::vector<std::string> naming;  ///< not empty: only lines whose message contains one of these
};

/// Reads journals. Errors: denied (not in group systemd-journal), not_found (no journal files), unavailable.
class JournalReader {
public:
    /// `directory` "" is the machine's own journal.
    explicit JournalReader(std::string directory);
    /// Does not wait for a reading under way: the thread ends by itself and closes the journal.
    ~JournalReader();
    JournalReader(const JournalReader&) = delete;
    JournalReader& operator=(const JournalReader&) = delete;

    /// The newest lines about a unit, oldest first: its own (_SYSTEMD_UNIT) and what PID 1 (UNIT), the
    /// coredump handler (COREDUMP_UNIT) and root's daemons (OBJECT_SYSTEMD_UNIT) say about it; nobody else
    /// can. Of an invocation also those lines that came too late to name it; with `main` also those that came
    /// too late to name the unit (syslog of a process that was gone when journald looked it up), by the pid
    /// and time of sending that the kernel vouches for. Deadline 2 s of reading. No lines is no error.
    Task<Result<std::vector<JournalLine>>> lines_of(JournalQuery query);

private:
    struct Reading;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace opsd::systemd
