#pragma once
// A wake-up that cannot be missed: rung before anybody waits, it still wakes the next who does.

#include "core/first_of.hpp"
#include "opsd/async.hpp"
#include "opsd/clock.hpp"

#include <optional>
#include <utility>

namespace opsd::health {

template <class T>
Task<T> parked(Executor executor)
{
    asio::steady_timer timer{executor, never};
    for (;;)
        co_await wait_event(timer);
}

/// Runs a task that switches cancellation off for its end (TaskGroup::join does), so that it does not stay
/// switched off for the caller.
template <class T>
Task<T> apart(Executor executor, Task<T> task)
{
    return first_of(std::move(task), parked<T>(std::move(executor)));
}

class Bell {
public:
    explicit Bell(const Executor& executor) : timer_{executor, never} {}

    void ring()
    {
        if (rung_) return;
        rung_ = true;
        timer_.cancel();
    }
    void reset() noexcept { rung_ = false; }
    [[nodiscard]] bool rung() const noexcept { return rung_; }

    /// Until it rings, or `until` on the clock if given. One at a time.
    Task<> wait(Clock& clock, std::optional<Monotonic> until)
    {
        if (rung_) co_return;
        if (!until) {
            timer_.expires_at(never);
            co_await wait_event(timer_);
            co_return;
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - clock.monotonic());
        if (left.count() > 0) co_await clock.wait_for(timer_, left);
    }

private:
    asio::steady_timer timer_;
    bool rung_ = false;
};

}  // namespace opsd::health
