#pragma once
// The walk of one reading over a handle, slice by slice. All that it keeps between two slices is a cursor, so
// the next one may use another handle. Functions return a negative errno, as sd-journal does.

#include "io/systemd/journal_entry.hpp"
#include "io/systemd/journal_handle.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace opsd::systemd {

/// The fields of a handle's current entry, copied out: what sd-journal hands over is gone with the next
/// field.
class EntryBuffer {
public:
    /// 0, or -EBADMSG and the like when the entry is damaged.
    int read(sd_journal* journal, const SliceLimits& limits);
    [[nodiscard]] JournalEntry entry() const;
    [[nodiscard]] const std::string& cursor() const noexcept { return cursor_; }

private:
    int read_times(sd_journal* journal);
    int copy_fields(sd_journal* journal, const SliceLimits& limits);

    std::string bytes_;
    std::vector<std::pair<std::size_t, std::size_t>> places_;  // of "NAME=value" in it
    std::vector<JournalField> fields_;
    std::string cursor_;
    std::string left_out_;  ///< the value of that field
    std::int64_t realtime_ = 0;
    std::int64_t monotonic_ = 0;
};

/// Sets what entries the handle shows.
int add_matches(sd_journal* journal, const MatchGroups& groups);
/// The cursor of the handle's current entry.
int read_cursor(sd_journal* journal, std::string& cursor);

class JournalReading {
public:
    JournalReading(JournalRange range, std::unique_ptr<EntryWriter> writer);

    /// Reads on. `handle` is ready().
    /// A failure leaves the reading where it was.
    int slice(JournalHandle& handle, const SliceLimits& limits, JournalSlice& out);

private:
    /// All that changes from slice to slice.
    struct State {
        std::string position;  ///< all before and at it was seen; "": from the oldest on
        bool begun = false;
        bool inclusive = false;      ///< the entry at the position itself was not read yet
        std::int64_t back_left = 0;  ///< entries that the writer takes, to go back still
        std::int64_t skip_left = 0;  ///< entries to go forward still; negative: back
        std::uint64_t read = 0;
        bool beyond = false;  ///< an entry later than `until` was seen
    };
    class Undo;
    /// Where the handle stands.
    enum class At {
        before,   ///< the next entry is the one to be read
        current,  ///< on the one to be read
    };
    class Budget;

    int read_slice(sd_journal* journal, const SliceLimits& limits, JournalSlice& out);
    int begin(sd_journal* journal, const std::string& tail, At& at);
    int go(sd_journal* journal, Budget& budget, bool first, JournalSlice& out, At& at);
    int seek_position(sd_journal* journal, At& at);
    void stand_on(const std::string& found, At& at);
    int note_loss(sd_journal* journal, JournalSlice& out, std::string& found) const;
    int go_back(sd_journal* journal, Budget& budget, bool first, JournalSlice& out, At& at);
    int go_forward(sd_journal* journal, Budget& budget, JournalSlice& out, At& at);
    int walk_back(sd_journal* journal, Budget& budget, bool first, JournalSlice& out, At& at);
    int read_on(sd_journal* journal, Budget& budget, JournalSlice& out, At at);
    int take(sd_journal* journal, const SliceLimits& limits, JournalSlice& out);

    JournalRange range_;
    std::unique_ptr<EntryWriter> writer_;
    EntryBuffer buffer_;
    State state_;
    std::size_t last_bytes_ = 0;  ///< of text, of the slice before: the next one is like that
};

}  // namespace opsd::systemd
