#pragma once
// The past of the units, in the store: transitions, the last state of each unit, acknowledgements.
//
// In: records of the tracker. Out: transitions with ascending ids (also the SSE ids), rows for readers.
// Promises: adding never waits; the queue to the store is bounded, what it loses is counted, and transitions
// are lost last; a transition that a unit repeats within fold_window is one counted row under its newest id,
// also while it waits in the queue; readers see what is queued but not written yet, and nothing as long as
// they cannot see the rest; ids never go back, also not after a kill: 500 at least are reserved in the store
// ahead, and only a kill after more transitions than that which it could not take gives ids again; after a
// kill, a reader that resumes is told that something may be missing (lost_through), unless the store could
// not be written from start to kill; what is queued and acknowledged while the store cannot be opened or
// written is written when it can be.

#include "modules/health/bell.hpp"
#include "modules/health/tracker.hpp"
#include "opsd/log.hpp"
#include "opsd/store.hpp"

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace opsd::health {

/// Which rows.
struct HistoryQuery {
    std::string unit;               ///< "": all units
    std::int64_t after = 0;         ///< ids greater than this
    std::optional<WallTime> since;  ///< last_at at or after
    std::optional<WallTime> until;  ///< at before
    std::size_t limit = 100;
    bool newest_first = true;
};

struct RowsOfUnit;

/// Does an acknowledgement, or its end, survive a restart of the daemon?
struct Kept {
    bool durable = true;
    std::string reason;  ///< why not (yet)
};

class History {
public:
    /// "" or why the history is incomplete.
    using Report = std::function<void(const std::string& sentence)>;

    History(Executor executor, Clock& clock, Store& store, const HistoryOptions& options, Report report,
            Log log);

    struct Loaded {
        std::map<std::string, Known, std::less<>> known;
        std::map<std::string, Acknowledgement, std::less<>> acknowledgements;
    };
    /// Makes the tables and reads what an earlier run left. Until it succeeded, ids come from the clock and
    /// records wait in the queue.
    Task<Result<Loaded>> load();

    /// Takes a record; returns its transition as it will be stored (folded, with id), if it has one.
    std::optional<Transition> add(Record record);

    /// Writes what is queued until cancelled; deletes what is too old or too much now and then.
    Task<> run();
    /// Writes what is queued now.
    Task<> flush();
    /// A last write; when that succeeds, nothing is taken any more.
    Task<> end();

    struct Page {
        std::vector<Transition> rows;
        std::int64_t last_id = 0;  ///< oldest first: where the next page begins
        bool more = false;         ///< oldest first: there may be a next page
    };
    /// Errc::unavailable until load() succeeded: what is queued alone would look like all there is.
    Task<Result<Page>> read(HistoryQuery query);

    /// The newest id of the transitions that are not kept any more; 0: none. Errc::unavailable as read().
    Task<Result<std::int64_t>> lost_through();

    /// What says how the units were at a time (history_at.cpp): of each unit the rows next to it.
    struct Around {
        std::vector<Transition> rows;
        std::optional<WallTime> begins;  ///< the first transition that is kept
    };
    /// Errc::unavailable until load() succeeded.
    Task<Result<Around>> around(WallTime time);

    /// Takes it to be written as soon as that can be, whatever becomes of the caller; nullopt removes.
    /// Errc::unavailable when too much waits for that already.
    Result<> acknowledge(const std::string& unit, std::optional<Acknowledgement> ack);
    /// Writes the unit's newest now, if that can be.
    Task<Kept> keep(std::string unit);
    /// Of the unit's newest acknowledgement or its end.
    [[nodiscard]] Kept kept(const std::string& unit) const;

    [[nodiscard]] std::size_t queued() const noexcept { return queue_.size(); }
    /// That are in force and not durable, also those that never can be.
    [[nodiscard]] std::size_t acks_waiting() const noexcept
    {
        return waiting_acks_.size() + given_up_acks_.size();
    }
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }
    [[nodiscard]] std::uint64_t transitions() const noexcept { return transitions_; }
    [[nodiscard]] std::int64_t last_id() const noexcept { return next_id_ - 1; }

    static constexpr std::size_t most_queued = 10'000;
    static constexpr std::size_t most_acks_waiting = 1'000;

private:
    /// One row to write, the older one it replaces, and the unit's last state.
    struct Op {
        std::optional<Transition> row;
        std::int64_t replaces = 0;
        std::string unit;
        Known known;
        std::int64_t reserve = 0;
    };
    struct Fold {
        Transition row;
        Monotonic at{};
        std::int64_t replaced = 0;  // by a repetition: the row, or what is left when that was dropped
    };
    struct WaitingAck {
        std::optional<Acknowledgement> ack;
        std::uint64_t version = 0;
    };
    using Queue = std::list<Op>;

    std::int64_t take_id();
    Transition fold(Transition transition, std::int64_t& replaces);
    void push(Op op);
    void wait_in_queue(Queue::iterator op);
    void take_over(Op& op, Queue::iterator outdated);
    void wait_again();
    void drop_one();
    [[nodiscard]] std::unexpected<Error> not_loaded() const;
    Task<Result<Loaded>> read_all();
    Task<bool> write_batch();
    Task<Result<>> write_ack(std::string unit, WaitingAck waiting);
    Task<bool> write_acks();
    void give_up_ack(const std::string& unit, const WaitingAck& waiting, const std::string& why);
    Task<> write_loop();
    Task<> prune_loop();
    Task<Result<>> prune();
    Task<Result<>> prune_units();
    Task<Result<>> remove_oldest(std::vector<RowsOfUnit> surplus);
    Task<Result<>> remove(std::vector<Statement> statements);
    Task<Result<std::int64_t>> count_rows();
    void forget_old_folds();
    Task<Result<>> reserve();
    [[nodiscard]] std::vector<Op> queued_for(const HistoryQuery& query) const;
    static std::vector<Statement> statements(const Op& op);

    Clock& clock_;
    Store& store_;
    const HistoryOptions& options_;
    Report report_;
    Log log_;
    Bell bell_;
    Queue queue_;
    std::size_t in_flight_ = 0;                                        // at the front of the queue
    std::unordered_map<std::int64_t, Queue::iterator> waiting_rows_;   // by id, not in flight
    std::unordered_map<std::string, Queue::iterator> waiting_states_;  // no row; by unit, not in flight
    std::map<std::string, WaitingAck, std::less<>> waiting_acks_;      // not durable yet
    std::map<std::string, std::string, std::less<>> given_up_acks_;    // refused by the store for good: why
    std::uint64_t ack_version_ = 0;
    std::string store_problem_ = "the store has not been read yet";
    bool loading_ = false;
    std::set<std::string, std::less<>> acked_while_loading_;
    std::map<std::string, std::deque<Fold>, std::less<>> folds_;
    bool loaded_ = false;
    bool ended_ = false;
    std::int64_t next_id_ = 1;
    const std::int64_t first_id_;    // that was given before the store could say
    std::int64_t lost_ = 0;          // the newest that was never written
    std::int64_t lost_written_ = 0;  // what the store knows of that
    std::int64_t reserved_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t dropped_reported_ = 0;
    std::uint64_t transitions_ = 0;
};

/// The steps that make the tables, for Store::migrate.
[[nodiscard]] std::vector<std::string> history_schema_steps();

}  // namespace opsd::health
