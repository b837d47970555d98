#pragma once
// The only place that says which Asio vocabulary the daemon uses.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>

namespace opsd {

namespace asio = boost::asio;
using boost::system::error_code;

/// A coroutine of the event loop. It starts when it is awaited or spawned in a TaskGroup, never by itself.
template <class T = void>
using Task = asio::awaitable<T>;

/// The event loop, as seen by those who only need to run something on it.
using Executor = asio::any_io_executor;

/// `auto [ec, n] = co_await socket.async_read_some(buffer, tuple);`: the error as a value, not an exception.
/// After a cancelled operation the next co_await throws operation_aborted (spec of Asio 1.81).
inline constexpr auto tuple = asio::as_tuple(asio::use_awaitable);

/// Waits on a timer that serves as an event (woken by cancel()); throws if the task itself was cancelled, so
/// that a loop of waits cannot mistake its own end for news.
inline Task<> wait_event(asio::steady_timer& event)
{
    [[maybe_unused]] auto [ec] = co_await event.async_wait(tuple);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
        throw boost::system::system_error{asio::error::operation_aborted};
}

/// The expiry of a timer that is used as an event: never by itself.
inline constexpr auto never = asio::steady_timer::time_point::max();

}  // namespace opsd
