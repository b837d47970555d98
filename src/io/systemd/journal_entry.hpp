#pragma once
// Entries of the journal, whole, for whoever serves or forwards logs; and which of them. Pure.

#include "opsd/clock.hpp"
#include "opsd/result.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::systemd {

/// One field. A name may occur more than once in an entry; a value is any bytes, also none.
struct JournalField {
    std::string_view name;
    std::string_view value;
};

/// One entry. All of it is valid only while it is handed over.
struct JournalEntry {
    std::string_view cursor;     ///< journald's own text
    std::int64_t realtime = 0;   ///< when journald received it, microseconds since the epoch
    std::int64_t monotonic = 0;  ///< the same, microseconds since that boot
    std::span<const JournalField> fields;

    /// The value of the first field of that name; nothing without one.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
};

/// What becomes of the entries that are read: used by one thread at a time, which is not the event loop's.
class EntryWriter {
public:
    virtual ~EntryWriter() = default;
    /// Appends the entry in its format to `out`. False: it is not one of those asked for (grep), and does not
    /// count for the limit.
    virtual bool write(const JournalEntry& entry, std::string& out) = 0;
};

/// The parts of a cursor: "s=<id>;i=<hex>;b=<id>;m=<hex>;t=<hex>;x=<hex>" as journald of systemd 252 writes
/// it (sd_journal_get_cursor(3) calls it opaque; sd_journal_get_seqnum(3) came with 254).
struct CursorParts {
    std::string sequence_id;     ///< whose numbers they are
    std::uint64_t sequence = 0;  ///< counts all entries of that sequence
    std::string boot_id;
    std::uint64_t monotonic = 0;  ///< microseconds since that boot
    std::int64_t realtime = 0;    ///< microseconds since the epoch
};

/// Do the cursors name the same entry? It has another sequence number once journald has copied it from /run
/// to /var.
[[nodiscard]] bool same_entry(std::string_view cursor, std::string_view other) noexcept;

/// Does the entry come before the other whatever the clock says: by number in one sequence, by the time since
/// the boot in one boot? False when neither tells.
[[nodiscard]] bool surely_before(std::string_view cursor, std::string_view other);

/// Errc::invalid_argument when it is no cursor.
[[nodiscard]] Result<CursorParts> parse_cursor(std::string_view cursor);

/// Which entries: those for which each group has a match. A match is "FIELD=value"; within a group any of
/// them will do.
using MatchGroups = std::vector<std::vector<std::string>>;

/// Where a reading begins.
enum class From {
    head,    ///< before the oldest entry
    tail,    ///< after the newest entry
    cursor,  ///< after the entry with that cursor; if it is gone, before the oldest later one
    time,    ///< before the first entry of that time or later
};

/// A reading of the journal from a place on, oldest entry first.
struct JournalRange {
    MatchGroups matches;
    From from = From::head;
    std::string cursor;
    std::int64_t time = 0;               ///< microseconds since the epoch
    std::int64_t skip = 0;               ///< matching entries to go forward; negative: back
    bool skip_taken = false;             ///< going back counts only those that the writer takes
    std::optional<std::uint64_t> limit;  ///< entries at most
    std::optional<std::int64_t> since;   ///< none older: microseconds since the epoch
    std::optional<std::int64_t> until;   ///< none newer
};

/// Entries that were deleted before they could be read.
struct JournalLoss {
    /// How many of all, whether or not they would have matched; nothing: some, but how many is not known (the
    /// journal began a new sequence).
    std::optional<std::uint64_t> entries;
};

/// How much one slice takes.
struct SliceLimits {
    std::size_t bytes = 256 * 1024;         ///< of text; exceeded by one entry at most
    std::chrono::milliseconds longest{50};  ///< looking at entries
    std::size_t looked_at = 100'000;        ///< entries, also those that the writer does not want
    std::size_t field_bytes = 1024 * 1024;  ///< of a field; what is longer is cut
    /// Of all fields of an entry, which journald takes up to 770 MiB of; further ones are left out, and the
    /// field OPSD_FIELDS_LEFT_OUT says how many.
    std::size_t entry_bytes = 4 * 1024 * 1024;
};

/// What one call reads of a reading.
struct JournalSlice {
    std::string text;           ///< what the writer made of the entries
    std::uint64_t entries = 0;  ///< in it
    std::string position;       ///< a cursor: all before and at it was seen; "": there is none yet
    bool ended = false;         ///< the end of the journal or of the range, for now
    bool complete = false;      ///< ended at its limit, or with a later entry than `until`: all is given
    std::optional<JournalLoss> loss;  ///< before the first entry of this slice
    std::uint64_t damaged = 0;        ///< entries that cannot be read, which were passed over
    std::int64_t skipped = 0;         ///< how far `skip` really went; of several slices the sum
};

}  // namespace opsd::systemd
