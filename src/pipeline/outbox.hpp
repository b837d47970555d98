#pragma once
// What one output has read and not yet delivered: decides what is sent next and what follows from the far
// side's answer. Pure: time is an argument, nothing here waits.
//
// Promises, whatever the answers: the position moves only over records that are acknowledged or dead letters;
// a record is never given up; at most `most_unsaved` acknowledged records lie beyond the saved position when
// more are sent, so that a crash repeats no more than that; all that is held is bounded; at every moment
// in = acknowledged + pending + dead-lettered + lost.

#include "pipeline/batch.hpp"
#include "pipeline/verdict.hpp"

#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace opsd::pipeline {

/// What a source gives at a time: records in order, and how far that is.
struct Slice {
    std::shared_ptr<const Text> text;
    std::vector<Record> records;
    std::string position;                 ///< after all of them, and all that were left out; "": not known
    std::uint64_t lost = 0;               ///< deleted before they could be read, before the first of these
    bool some_lost = false;               ///< so many more that nobody can tell
    std::optional<std::uint64_t> behind;  ///< how many more the source holds ready
};

struct OutboxOptions {
    BatchLimits batch;
    std::size_t in_flight = 1;              ///< requests at once; 1 keeps the order
    std::size_t memory = 16 * 1024 * 1024;  ///< bytes held; exceeded by one slice at most
    std::size_t most_records = 100'000;     ///< held: each costs 100 bytes of its own
    std::size_t most_unsaved = 0;           ///< 0: as many as the requests in flight may hold
    std::chrono::milliseconds first_pause{500};
    std::chrono::milliseconds longest_pause{60'000};
    std::chrono::milliseconds kept_pause{60'000};  ///< while credentials or address are wrong
};

/// What adds up, since the start of the daemon.
struct Counters {
    std::uint64_t in = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t pending = 0;
    std::uint64_t dead_lettered = 0;
    std::uint64_t lost = 0;
    std::uint64_t unknown_losses = 0;  ///< times that an unknown number was lost
    std::uint64_t requests = 0;
    std::uint64_t failed_requests = 0;  ///< answered otherwise than Kind::accepted
    std::uint64_t sent = 0;             ///< records in requests, repetitions included
    std::uint64_t sent_bytes = 0;
};

/// A record that the far side will never take.
struct DeadLetter {
    std::string id;
    std::string position;
    std::int64_t time = 0;  ///< of the event
    std::int64_t died = 0;  ///< when it was refused, microseconds since the epoch
    std::string reason;
    std::string bytes;
};

/// What to do next.
struct Offer {
    std::optional<Batch> batch;   ///< send this and settle() it
    bool save_first = false;      ///< nothing can be sent before the position is saved
    std::optional<Monotonic> at;  ///< ask again then, or after a change
};

/// How far the position may go, to be saved.
struct Mark {
    std::string position;
    std::uint64_t acknowledged = 0;
};

class Outbox {
public:
    Outbox(OutboxOptions options, Counters& counters, std::uint32_t seed);

    /// Everything before and at this position is delivered, and that is saved.
    void begin(std::string position);

    /// Stop reading: enough is held.
    [[nodiscard]] bool full() const noexcept;
    void add(Slice slice, Monotonic now);

    [[nodiscard]] Offer next(Monotonic now);
    /// What came of a batch that was offered. Each once.
    void settle(std::uint64_t batch, Verdict verdict, Monotonic now);

    /// Refused records, at most so many; buried() says that they are kept now, `dropped` older ones having
    /// been given up for them. Nothing is sent before.
    [[nodiscard]] std::vector<DeadLetter> refused(std::size_t most, WallTime now) const;
    void buried(std::size_t letters, std::uint64_t dropped);

    /// There is a position to save.
    [[nodiscard]] bool dirty() const noexcept { return position_ != saved_position_; }
    [[nodiscard]] Mark mark() const { return {position_, settled_acknowledged_}; }
    void saved(Mark mark);
    /// The disk does not take it: sending goes on, a crash would repeat more.
    void not_saved() noexcept { unsavable_ = true; }

    [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_.size(); }
    [[nodiscard]] std::size_t held_bytes() const noexcept { return held_; }
    /// The event time of the oldest record that is pending.
    [[nodiscard]] std::optional<std::int64_t> oldest() const;
    [[nodiscard]] std::optional<std::uint64_t> behind() const noexcept { return behind_; }
    /// Not before then, after a failure.
    [[nodiscard]] Monotonic not_before() const noexcept { return not_before_; }

private:
    enum class State : std::uint8_t { fresh, taken, acknowledged, buried };
    struct Slot {
        Record record;
        std::uint64_t slice = 0;
        State state = State::fresh;
    };
    struct Held {
        std::shared_ptr<const Text> text;
        std::string position;
        std::uint64_t end = 0;  ///< the number after its last record
        std::size_t cost = 0;
        Monotonic arrived{};
    };
    struct Refused {
        std::uint64_t record = 0;
        std::string reason;
    };

    [[nodiscard]] Slot& slot(std::uint64_t number) { return slots_[number - first_]; }
    [[nodiscard]] const Slot& slot(std::uint64_t number) const { return slots_[number - first_]; }
    [[nodiscard]] Offer offer_fresh(Monotonic now);
    [[nodiscard]] bool beyond_unsaved(std::size_t more) const noexcept;
    Batch take(Sequence records);
    void acknowledge(std::uint64_t number);
    void refuse(std::uint64_t number, std::string reason);
    void doubt(const Verdict& verdict, Monotonic now);
    [[nodiscard]] bool doubtful() const noexcept;
    void again(Sequence records);
    void divide(const Sequence& records);
    void settle_records(const Sequence& records, Verdict& verdict, Monotonic now);
    void back_off(const Verdict& verdict, Monotonic now);
    void shrink(const Sequence& records);
    void restore() noexcept;
    void went_well() noexcept;
    void advance();

    OutboxOptions options_;
    Counters& counters_;
    std::minstd_rand random_;
    std::deque<Slot> slots_;
    std::uint64_t first_ = 0;       ///< number of slots_[0]
    std::uint64_t next_fresh_ = 0;  ///< number of the first that was never sent
    std::deque<Held> slices_;
    std::uint64_t first_slice_ = 0;
    std::size_t held_ = 0;
    std::map<std::uint64_t, Sequence> retries_;  ///< by their first record
    std::map<std::uint64_t, Sequence> in_flight_;
    std::size_t records_in_flight_ = 0;
    std::vector<Refused> refused_;
    std::uint64_t batches_ = 0;
    std::size_t limit_records_;
    std::size_t limit_bytes_;
    /// What a request may hold, of before the first one of a series was too large.
    struct Limits {
        std::size_t records = 0;
        std::size_t bytes = 0;
    };
    std::optional<Limits> before_shrinking_;
    std::size_t good_in_a_row_ = 0;
    std::size_t failures_ = 0;          ///< in a row, without any progress
    std::size_t refused_in_a_row_ = 0;  ///< records, none accepted between them
    Monotonic not_before_{};
    Monotonic asked_for_{};  ///< the far side itself asked for that: no success of another request undoes it
    std::string position_;
    std::string saved_position_;
    std::uint64_t acknowledged_ = 0;          ///< by this outbox
    std::uint64_t settled_acknowledged_ = 0;  ///< of them, before the position
    std::uint64_t saved_acknowledged_ = 0;    ///< of them, before the saved position
    bool unsavable_ = false;
    std::optional<std::uint64_t> behind_;
};

}  // namespace opsd::pipeline
