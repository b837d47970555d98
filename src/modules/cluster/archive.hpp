#pragma once
// The cluster's past in the store: which members there are and how they were when they last answered, and
// every transition that this node learned of.
//
// In: members that changed, transitions. Out: transitions with ids that ascend on this node (the SSE ids),
// pages of them, what an earlier run kept. Promises: adding never waits; the queue to the store is bounded,
// what it loses is counted, and room() says when to stop fetching; a member's position and its transitions
// become durable together, so that a kill at any point repeats or loses none; ids never go back, also not
// after a kill; a picture is written at most every save_interval, a new member at once, the rest at the end.

#include "core/timeline.hpp"
#include "modules/cluster/member_text.hpp"
#include "modules/cluster/options.hpp"
#include "opsd/clock.hpp"
#include "opsd/log.hpp"
#include "opsd/store.hpp"

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <vector>

namespace opsd::cluster {

/// Which transitions.
struct ArchiveQuery {
    std::string node;               ///< address or host name; "": all
    std::string unit;               ///< "": all
    std::int64_t after = 0;         ///< ids greater than this
    std::optional<WallTime> since;  ///< last_at at or after
    std::optional<WallTime> until;  ///< at before
    std::size_t limit = 100;
    bool newest_first = true;
};

/// When no opsd of this node watched: what members did is kept by themselves, whether they answered by
/// nobody.
struct Unwatched {
    std::optional<WallTime> since;  ///< none: of what was before `until` it is not kept
    WallTime until{};
};

class Archive {
public:
    /// What is in trouble, and why; "" mends that.
    using Report = std::function<void(const std::string& part, const std::string& sentence)>;
    Archive(Executor executor, Clock& clock, Store& store, const ArchiveOptions& options, Report report,
            Log log);

    /// Makes the tables and reads the members of an earlier run, without those that were forgotten since.
    Task<Result<std::vector<Member>>> load(TextPool& pool);
    /// After load(): from when it succeeds all is written and can be read. On a full disk it does not, yet
    /// what load() read is known.
    Task<Result<>> begin();

    /// Gives the transition its id and keeps it. Of a member's unit also the position, under its node id, and
    /// the difference of the clocks that its times are read by.
    ClusterTransition add(ClusterTransition transition, const std::string& node_id);
    /// The newest transition of that node that is kept; 0: none.
    [[nodiscard]] std::int64_t position(const std::string& address, const std::string& node_id) const;
    /// Enough to take another page.
    [[nodiscard]] bool room() const noexcept { return begun_ && queue_.size() < most_queued / 2; }

    /// The member as it is now, to be written when it is time.
    void keep(std::shared_ptr<const Member> member);
    void forget(const std::string& address);
    /// Writes what waits of that member; durable when it returns.
    Task<Result<>> save_now(std::string address);

    /// Writes until cancelled; deletes what is too old or too much now and then.
    Task<> run();
    /// A last write of all that waits.
    Task<> flush();

    struct Page {
        std::vector<ClusterTransition> rows;
        std::int64_t last_id = 0;  ///< oldest first: where the next page begins
        bool more = false;         ///< oldest first: there may be a next page
    };
    /// Errc::unavailable until begin() succeeded.
    Task<Result<Page>> read(ArchiveQuery query);

    /// The newest id of the transitions that are not kept any more; 0: none. Errc::unavailable as read().
    Task<Result<std::int64_t>> lost_through();

    // --- what says how the units were at a time (past.hpp): a page of members after another
    /// All addresses that have written rows, sorted; those of `node` (address or host name) unless it is "".
    Task<Result<std::vector<std::string>>> addresses(std::string node);
    /// As the store has them: they are many, and decoded elsewhere.
    struct Around {
        std::vector<Row> rows;    ///< of each unit those next to the time: transition_from()
        std::vector<Row> begins;  ///< address, when the first transition that is kept was made
    };
    /// Of the addresses from `first` to `last`. Errc::unavailable when they have more than `most_rows`.
    Task<Result<Around>> around(WallTime time, std::string first, std::string last,
                                std::size_t most_rows = 100'000);
    /// Since when it is kept what members themselves did: older rows were deleted, for their age or to make
    /// room.
    Task<Result<WallTime>> kept_since();
    /// The time between two runs of opsd that `time` is in, if it is. A run ends, too, when this node slept
    /// or its clock was set. The end of a run that was killed is known to a minute, and told too early rather
    /// than too late.
    Task<Result<std::optional<Unwatched>>> unwatched(WallTime time);
    /// What is not written yet. To be taken before the store is asked.
    [[nodiscard]] std::vector<ClusterTransition> waiting() const;

    [[nodiscard]] std::size_t queued() const noexcept { return queue_.size(); }
    [[nodiscard]] std::size_t unsaved() const noexcept { return dirty_.size(); }
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }
    [[nodiscard]] std::int64_t last_id() const noexcept { return next_id_ - 1; }

    static constexpr std::size_t most_queued = 20'000;

private:
    struct Op {
        ClusterTransition row;
        std::string node_id;
        std::int64_t reserve = 0;
    };
    struct Position {
        std::string node_id;
        std::int64_t id = 0;
        Duration clock_offset{};  // that counts for its rows
    };
    struct Dirty {
        std::shared_ptr<const Member> member;  // null: forgotten
    };

    Task<Result<>> read_positions();
    Task<Result<>> reserve();
    Task<> write_loop();
    Task<> save_loop();
    Task<> prune_loop();
    Task<bool> write_batch();
    void notice_gap();
    Task<Result<>> keep_watched();
    Task<Result<>> save(bool all);
    Task<Result<>> save_these(std::vector<std::string> due);
    Task<Result<>> prune();
    Task<Result<>> remove(std::vector<Statement> statements, std::int64_t most);

    Clock& clock_;
    Store& store_;
    ArchiveOptions options_;
    Report report_;
    Log log_;
    asio::steady_timer news_;
    std::deque<Op> queue_;
    std::size_t in_flight_ = 0;  // at the front of the queue
    std::map<std::string, Position, std::less<>> positions_;
    std::map<std::string, Dirty> dirty_;
    std::map<std::string, Monotonic> saved_;
    WallTime began_;   // to watch, without a gap since
    WallTime looked_;  // when it was looked for a gap
    Monotonic looked_steady_;
    Monotonic watched_{};  // when that was written last
    bool begun_ = false;
    std::int64_t next_id_ = 1;
    const std::int64_t first_id_;    // that was given before the store could say
    std::int64_t lost_ = 0;          // the newest that was never written
    std::int64_t lost_written_ = 0;  // what the store knows of that
    std::int64_t reserved_ = 0;
    std::uint64_t dropped_ = 0;
};

/// The difference of clocks that counts. It is measured anew with every answer and never twice the same: what
/// lies within a second of the one that counted last is the same, so that the rows of a member keep their
/// order, and below a second there is none.
[[nodiscard]] Duration counted_offset(Duration measured, Duration last = {}) noexcept;

/// The steps that make the tables, for Store::migrate.
[[nodiscard]] std::vector<std::string> archive_schema_steps();

}  // namespace opsd::cluster
