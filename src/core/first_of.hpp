#pragma once
// Two tasks, whichever ends first: a wait with a limit, a connection's reader beside its writer.

#include "opsd/async.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/multiple_exceptions.hpp>

#include <exception>
#include <expected>
#include <type_traits>
#include <utility>
#include <variant>

namespace opsd {

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

}  // namespace opsd
