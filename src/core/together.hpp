#pragma once
// Any number of tasks at the same time: until the first ends, or until all have.

#include "core/first_of.hpp"

#include <span>

namespace opsd {

/// Two to their ends, whatever one of them throws; then that is thrown.
Task<> both_of(Task<> a, Task<> b);

/// All to their ends. Halved again and again: a thousand tasks are ten deep.
Task<> all_of(std::span<Task<>> tasks);

/// The first to end; the others are cancelled and awaited. There must be one.
Task<> first_of(std::span<Task<>> tasks);

}  // namespace opsd
