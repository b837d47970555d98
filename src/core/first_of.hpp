#pragma once
// Two tasks, whichever ends first: a wait with a limit, a connection's reader beside its writer.

#include "opsd/async.hpp"

#include <optional>
#include <utility>

namespace opsd {

/// The first of two to end, by an exception too; the other is cancelled and awaited.
Task<> first_of(Task<> a, Task<> b);

/// The task's value, unless the other one's is there.
template <class T>
Task<> keep_first(Task<T> task, std::optional<T>& first)
{
    auto value = co_await std::move(task);
    if (!first) first.emplace(std::move(value));
}

/// The same for tasks that end with a value.
template <class T>
Task<T> first_of(Task<T> a, Task<T> b)
{
    std::optional<T> first;
    co_await first_of(keep_first(std::move(a), first), keep_first(std::move(b), first));
    co_return std::move(*first);
}

}  // namespace opsd
