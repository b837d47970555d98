#pragma once
// A wake-up that cannot be missed: rung before anybody waits, it still wakes the next who does.

#include "opsd/async.hpp"
#include "opsd/clock.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/multiple_exceptions.hpp>

#include <exception>
#include <expected>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace opsd::health {

/// How a task ended, an exception included.
template <class T>
Task<std::expected<T, std::exception_ptr>> outcome_of(Task<T> task)
{
    try {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(task);
            co_return std::expected<T, std::exception_ptr>{};
        } else {
            co_return co_await std::move(task);
        }
    } catch (...) {
        co_return std::unexpected{std::current_exception()};
    }
}

/// The first of two to end, by an exception too; the other is cancelled and awaited. (The operator alone
/// waits for the first that succeeds: a task that fails would go unnoticed beside one that never ends.)
template <class T>
Task<T> first_of(Task<T> a, Task<T> b)
{
    using asio::experimental::awaitable_operators::operator||;
    std::exception_ptr thrown;
    try {
        auto either = co_await (outcome_of(std::move(a)) || outcome_of(std::move(b)));
        auto outcome = std::visit([](auto& value) { return std::move(value); }, either);
        if (!outcome) std::rethrow_exception(outcome.error());
        if constexpr (std::is_void_v<T>)
            co_return;
        else
            co_return std::move(*outcome);
    } catch (const asio::multiple_exceptions& both) {
        thrown = both.first_exception();
    }
    std::rethrow_exception(thrown);
}

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
