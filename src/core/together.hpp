#pragma once
// Any number of tasks at the same time: until the first ends, or until all have.

#include "core/first_of.hpp"

#include <span>
#include <vector>

namespace opsd {

/// Two to their ends, whatever one of them throws; then that is thrown.
inline Task<> both_of(Task<> a, Task<> b)
{
    using asio::experimental::awaitable_operators::operator&&;
    std::exception_ptr thrown;
    try {
        const auto [first, second] = co_await (outcome_of(std::move(a)) && outcome_of(std::move(b)));
        if (first && second) co_return;
        thrown = first ? second.error() : first.error();
    } catch (const asio::multiple_exceptions& both) {
        thrown = both.first_exception();
    }
    std::rethrow_exception(thrown);
}

/// All to their ends. Halved again and again: a thousand tasks are ten deep.
inline Task<> all_of(std::span<Task<>> tasks)
{
    if (tasks.empty()) co_return;
    if (tasks.size() == 1) co_return co_await std::move(tasks.front());
    const auto half = tasks.size() / 2;
    co_await both_of(all_of(tasks.first(half)), all_of(tasks.subspan(half)));
}

/// The first to end; the others are cancelled and awaited. Of no task none ends.
inline Task<> first_of(std::span<Task<>> tasks)
{
    if (tasks.size() == 1) co_return co_await std::move(tasks.front());
    const auto half = tasks.size() / 2;
    co_await first_of(first_of(tasks.first(half)), first_of(tasks.subspan(half)));
}

}  // namespace opsd
