#pragma once
// Time as a dependency. Production code asks a Clock; a test owns the hands.

#include "opsd/async.hpp"
#include "opsd/result.hpp"

#include <chrono>
#include <map>
#include <string>

namespace opsd {

/// Wall clock, microseconds since the epoch: for display and for storage, never for durations.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

/// CLOCK_MONOTONIC, microseconds: what systemd's *TimestampMonotonic properties count; for durations.
using Monotonic = std::chrono::microseconds;

/// "2026-11-22T17:39:05.123Z": RFC 3339, UTC, milliseconds. A time before the epoch prints as the epoch.
[[nodiscard]] std::string rfc3339(WallTime time);

/// Reads RFC 3339 with Z or a numeric offset and up to nine fractional digits. Errc::invalid_argument
/// otherwise.
[[nodiscard]] Result<WallTime> parse_rfc3339(std::string_view text);

/// "3 h 4 min", "12 s", "250 ms": two units at most, for sentences.
[[nodiscard]] std::string human_duration(std::chrono::milliseconds time);

/// Where time comes from.
class Clock {
public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual WallTime now() const = 0;
    [[nodiscard]] virtual Monotonic monotonic() const = 0;
    /// Suspends the calling task; throws operation_aborted when it is cancelled.
    virtual Task<> sleep_for(std::chrono::milliseconds time) = 0;
    /// Suspends the calling task until the event is cancelled, but for no longer than `time`; throws as
    /// sleep_for() does. The event's expiry is changed; nobody else may wait on it.
    virtual Task<> wait_for(asio::steady_timer& event, std::chrono::milliseconds time) = 0;
};

/// The machine's clocks.
class SystemClock final : public Clock {
public:
    [[nodiscard]] WallTime now() const override;
    [[nodiscard]] Monotonic monotonic() const override;
    Task<> sleep_for(std::chrono::milliseconds time) override;
    Task<> wait_for(asio::steady_timer& event, std::chrono::milliseconds time) override;
};

/// A clock that a test moves by hand. 24 hours of 10 s rounds pass in milliseconds.
class ManualClock final : public Clock {
public:
    explicit ManualClock(WallTime start, Monotonic since_boot = std::chrono::hours{1})
      : now_{start}
      , monotonic_{since_boot}
    {}
    [[nodiscard]] WallTime now() const override { return now_; }
    [[nodiscard]] Monotonic monotonic() const override { return monotonic_; }
    Task<> sleep_for(std::chrono::milliseconds time) override;
    Task<> wait_for(asio::steady_timer& event, std::chrono::milliseconds time) override;

    /// Somebody set the wall clock: durations do not notice.
    void step_wall(std::chrono::microseconds by) { now_ += by; }

    /// Rings every alarm due within `time`, in order, running `settle` (io.poll) after each, so that whatever
    /// it started can set new alarms.
    template <class Settle>
    void advance(std::chrono::milliseconds time, Settle settle)
    {
        const auto until = monotonic_ + time;
        settle();
        while (!sleepers_.empty() && sleepers_.begin()->first <= until) {
            const auto [at, sleeper] = *sleepers_.begin();
            sleepers_.erase(sleepers_.begin());
            *sleeper.rung = true;
            move_to(at);
            sleeper.alarm->cancel();
            settle();
        }
        move_to(until);
    }

private:
    struct Sleeper {
        asio::steady_timer* alarm;
        bool* rung;  // true: advance() took the entry out
    };

    void move_to(Monotonic at)
    {
        now_ += at - monotonic_;
        monotonic_ = at;
    }

    WallTime now_;
    Monotonic monotonic_;
    std::multimap<Monotonic, Sleeper> sleepers_;
};

}  // namespace opsd
