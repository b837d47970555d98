#pragma once
// News of the journal as they are written: one thread, one open handle for each set of matches and format,
// and everybody who follows the same shares what is read and rendered.
//
// journald tells of new entries each 250 ms only; a look at the end costs 0.1 us, so while somebody follows
// the thread looks each `poll`; without followers it sleeps.
//
// In: who follows what, from which position on. Out: chunks of text with positions. Promises: between the
// position and the chunks nothing is missing and nothing comes twice; a subscriber who does not keep up is
// cut off and told so (he reads on from his position by himself, the journal is his buffer), and never delays
// others; bounded memory.

#include "io/systemd/journal_entry.hpp"
#include "opsd/async.hpp"

#include <functional>
#include <memory>
#include <string>

namespace opsd::systemd {

struct FollowerLimits {
    std::chrono::milliseconds poll{10};
    std::size_t subscribers = 256;
    std::size_t handles = 64;              ///< different sets of matches and formats
    std::size_t queue_bytes = 256 * 1024;  ///< waiting for one subscriber
    std::size_t catch_up = 1'000;          ///< entries that joining reads at most, and queue_bytes of text
};

/// New entries, as their writer rendered them.
struct FollowChunk {
    std::shared_ptr<const std::string> text;
    std::uint64_t entries = 0;
    std::string position;  ///< of the last of them
};

/// One who follows. Destroying it ends that.
class Subscription {
public:
    virtual ~Subscription() = default;
    /// The next chunk. Nothing: it did not keep up, or the journal cannot be followed (why()); read on from
    /// the last position, then join anew.
    virtual Task<std::optional<FollowChunk>> next() = 0;
    [[nodiscard]] virtual const std::string& why() const = 0;
};

/// What is followed. Equal keys share a handle.
struct FollowKey {
    MatchGroups matches;
    std::string format;  ///< names what the writer does: equal formats must be made by equal writers
    auto operator<=>(const FollowKey&) const = default;
};

class JournalFollower {
public:
    using MakeWriter = std::function<std::unique_ptr<EntryWriter>()>;

    JournalFollower(std::string directory, FollowerLimits limits);
    ~JournalFollower();
    JournalFollower(const JournalFollower&) = delete;
    JournalFollower& operator=(const JournalFollower&) = delete;

    /// Follows while somebody wants it, until cancelled. Without it nobody can join.
    Task<> run();

    /// Follows from after `position` on ("": from the oldest entry), which must be near the end of the
    /// journal. Errc::unavailable: the limits are reached; Errc::timeout: it is too far from the end, read on
    /// first.
    Task<Result<std::unique_ptr<Subscription>>> join(FollowKey key, MakeWriter make_writer,
                                                     std::string position);

    [[nodiscard]] std::size_t subscribers() const;
    [[nodiscard]] std::size_t handles() const;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace opsd::systemd
