#pragma once
// The thread's half of following (journal_follower.hpp): one tap is an open handle with one set of matches at
// the end of the journal, whose entries one writer renders. Used on one thread. Functions return a negative
// errno, as sd-journal does.

#include "io/systemd/journal_entry.hpp"
#include "io/systemd/journal_handle.hpp"
#include "io/systemd/journal_reading.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace opsd::systemd {

/// Entries that were read together.
struct TapText {
    std::string text;
    std::uint64_t entries = 0;
    std::string position;  ///< of the last entry looked at
};

class JournalTap {
public:
    JournalTap(const std::string& directory, MatchGroups matches, std::unique_ptr<EntryWriter> writer,
               std::string position);

    /// Opens and looks after the files: when poll(2) says so, and each second. -ESTALE: files were removed
    /// while nobody looked (the machine or this process stood still), perhaps unread.
    int refresh();
    /// Notices of new and rotated files; -1 when it is not open.
    [[nodiscard]] int fd() const;
    /// Reads what is new, in pieces; true: there may be more.
    int read_news(const std::function<void(TapText)>& take, bool& more);

    /// What lies between the position of somebody who joins and that of those who are here.
    struct Joining {
        TapText newcomer;  ///< what the others have already
        TapText all;       ///< what came meanwhile
        bool too_far = false;
    };
    /// What joining reads at most; beyond it is too far.
    struct JoinLimits {
        std::size_t entries = 0;
        std::size_t bytes = 0;  ///< of text
    };
    /// To be called when read_news() found the end.
    int join(const std::string& position, JoinLimits limits, Joining& joining);

private:
    using Clock = std::chrono::steady_clock;

    int seek(const std::string& position);
    int next(bool& found);
    void write(TapText& to);

    JournalHandle handle_;
    MatchGroups matches_;
    std::unique_ptr<EntryWriter> writer_;
    EntryBuffer buffer_;
    std::string position_;
    std::string sought_;  // the next entry may be this one, which was seen
    std::uint64_t generation_ = 0;
    Clock::time_point looked_at_;  ///< when nothing was left to read
    bool stale_ = false;           ///< for good: something may be missing
};

}  // namespace opsd::systemd
