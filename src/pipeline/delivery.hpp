#pragma once
// One output at work: pulls records from a source, sends them in batches, saves how far the far side has
// confirmed. What it decides is outbox.hpp's; here is the waiting.
//
// In: slices of a source, verdicts of a sink. Out: batches, the position, dead letters, a status. Promises:
// at least once, across a kill at any point; stops pulling when it holds enough; tries for ever, ever slower,
// and says why; every request ends within its deadline.

#include "opsd/async.hpp"
#include "opsd/clock.hpp"
#include "opsd/log.hpp"
#include "opsd/result.hpp"
#include "pipeline/dead_letters.hpp"
#include "pipeline/outbox.hpp"
#include "pipeline/position_file.hpp"
#include "pipeline/rate_limit.hpp"

#include <list>
#include <optional>
#include <string>

namespace opsd::pipeline {

/// Where records come from.
class Source {
public:
    virtual ~Source() = default;
    /// Once before the first next(), also after an earlier run.
    virtual void begin(const Start& start) = 0;
    /// The next slice; waits until there is one. Throws operation_aborted when it is cancelled, and goes on
    /// from there then.
    virtual Task<Result<Slice>> next() = 0;
    /// Of a next() that is waited for: there is nothing more, and it waits for what comes.
    [[nodiscard]] virtual bool at_end() const noexcept { return false; }
};

/// Where they go. Called with one batch at a time for each request in flight.
class Sink {
public:
    virtual ~Sink() = default;
    /// Ends when the far side has answered; cancelled when that takes too long.
    virtual Task<Verdict> send(const Batch& batch) = 0;
    /// What "accepted" means there, for people; "": it does not say.
    [[nodiscard]] virtual std::string_view acknowledged_means() const noexcept { return {}; }
};

/// One request that ends within its deadline; Kind::retry when that is over.
Task<Verdict> send_within(Sink& sink, const Batch& batch, Clock& clock, std::chrono::milliseconds deadline);

struct DeliveryOptions {
    OutboxOptions outbox;
    std::chrono::milliseconds deadline{60'000};  ///< of one request
    std::chrono::milliseconds save_interval{
        1'000};            ///< the position is saved so often at most when not needed
    std::size_t rate = 0;  ///< bytes per second, 0: no limit
    std::size_t burst = 10'000'000;
    std::uint32_t seed = 1;
};

/// What a delivery talks to; outlives it.
struct DeliveryParts {
    Source& source;
    Sink& sink;
    PositionStore& positions;
    LetterBox& letters;
    Clock& clock;
    Log log;
};

struct DeliveryStatus {
    enum class State {
        starting,  ///< the position is not read yet
        running,
        waiting,  ///< after a failure, until `next_attempt`
        kept,     ///< credentials, address or index are wrong: somebody has to act
        failed,   ///< this side fails: the source cannot be read, or refused records cannot be kept
        paused,
        stopping,
        stopped,
    };
    State state = State::stopped;
    Counters counters;
    std::size_t held_bytes = 0;
    std::size_t in_flight = 0;
    bool at_end = false;                  ///< the source has nothing more, right now
    std::chrono::milliseconds lag{};      ///< age of the oldest record not delivered; 0: none is known
    std::optional<std::uint64_t> behind;  ///< records that are not delivered: held, and those of the source
    std::string position;                 ///< delivered so far
    std::string start;                    ///< what was wrong with the saved position; "" when nothing
    std::string error;                    ///< the last, a sentence; "" after a success
    std::string last_error;               ///< the same, kept after a success
    WallTime last_error_at{};
    WallTime last_success_at{};                ///< when the far side last took something
    std::chrono::milliseconds next_attempt{};  ///< of State::waiting and kept: from now
};
[[nodiscard]] std::string_view to_string(DeliveryStatus::State state) noexcept;

class Delivery {
public:
    Delivery(DeliveryOptions options, DeliveryParts parts);
    Delivery(const Delivery&) = delete;
    Delivery& operator=(const Delivery&) = delete;

    /// Until stop(), or until it is cancelled, which is as good as a kill: nothing more is saved. May be run
    /// again afterwards: it begins where the saved position says.
    Task<> run();

    /// No more is pulled and sent; what is in flight is settled.
    void pause();
    void resume();
    /// Ends run() once what is in flight is settled and the position saved; before it has begun, the next one
    /// at once. Whoever is impatient cancels.
    void stop();

    [[nodiscard]] DeliveryStatus status() const;
    /// What is sent beside it to the same far side is within the same rate.
    [[nodiscard]] RateLimit& rate() noexcept { return rate_; }

private:
    Task<> begin();
    Task<> pull();
    Task<Result<Slice>> next_slice();
    Task<> senders(std::size_t count);
    Task<> send_batches();
    Task<> deliver(Batch batch);
    Task<> bury();
    Task<> bury_all();
    [[nodiscard]] DeliveryStatus::State state_now(bool held_up) const;
    Task<> keep_position();
    Task<> save();
    void changed();
    void failed(std::string sentence);
    [[nodiscard]] bool idle() const noexcept { return paused_ || stopping_; }

    DeliveryOptions options_;
    DeliveryParts parts_;
    Counters counters_;
    std::optional<Outbox> outbox_;
    RateLimit rate_;
    DeliveryStatus status_;  ///< only what is not asked of the outbox
    std::list<asio::steady_timer*> waiting_;
    std::optional<Monotonic> saved_at_;
    std::optional<Monotonic> logged_at_;
    std::uint64_t quiet_ = 0;  ///< failures since, that were not logged
    std::string unreadable_;   ///< why the source is, a sentence; "": it is readable as far as known
    std::string unburied_;     ///< why refused records cannot be kept; "": they can
    bool pulling_ = false;
    bool running_ = false;
    bool kept_ = false;
    bool paused_ = false;
    bool stopping_ = false;
    bool saving_ = false;
    bool burying_ = false;
};

}  // namespace opsd::pipeline
