#pragma once
// Reads of the journal for answers and forwarders: a few threads, each with a handle of its own that stays
// open (opening 71 files costs 1.4 ms, a reading from an open handle 0.1 ms). A reading is done in slices, so
// that a long one holds up nobody: between two slices any thread may continue it from its cursor.
//
// In: a range and a writer. Out: text, as much as a slice takes. Promises: reads exactly once what follows a
// position, across rotation; says how much was deleted (vacuum) between a position and what is there.

#include "io/systemd/journal_entry.hpp"
#include "opsd/async.hpp"

#include <memory>
#include <string>

namespace opsd::systemd {

/// One reading, from its range's beginning on. Made by JournalReaders; released at any time.
class JournalReading;

class JournalReaders {
public:
    /// `directory` "" is the machine's own journal. `threads` from 1 to 16.
    JournalReaders(const std::string& directory, std::size_t threads);
    /// Does not wait for slices under way.
    ~JournalReaders();
    JournalReaders(const JournalReaders&) = delete;
    JournalReaders& operator=(const JournalReaders&) = delete;

    /// Does no I/O.
    [[nodiscard]] static std::shared_ptr<JournalReading> open(JournalRange range,
                                                              std::unique_ptr<EntryWriter> writer);
    /// The next slice; of a reading that ended, what was written since. One call at a time for a reading.
    /// Errc::denied (not in group systemd-journal), not_found (no journal files), unavailable.
    Task<Result<JournalSlice>> next(std::shared_ptr<JournalReading> reading, SliceLimits limits);
    /// The values of a field, each once, sorted; at most `most`, and no further one when they are
    /// `most_bytes` long together. Of a value no more than longest_value.
    Task<Result<std::vector<std::string>>> values(std::string field, std::size_t most,
                                                  std::size_t most_bytes = std::size_t{4} << 20U);
    static constexpr std::size_t longest_value = 16U * 1024;

    /// Slices waiting for a thread; a gauge.
    [[nodiscard]] std::size_t waiting() const;

private:
    struct Reader;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace opsd::systemd
