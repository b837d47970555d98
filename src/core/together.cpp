#include "core/together.hpp"

#include <utility>

namespace opsd {

Task<> all_of(std::span<Task<>> tasks)
{
    if (tasks.empty()) co_return;
    if (tasks.size() == 1) {
        co_await std::move(tasks.front());
        co_return;
    }
    const auto half = tasks.size() / 2;
    co_await both_of(all_of(tasks.first(half)), all_of(tasks.subspan(half)));
}

Task<> first_of(std::span<Task<>> tasks)
{
    if (tasks.size() == 1) {
        co_await std::move(tasks.front());
        co_return;
    }
    const auto half = tasks.size() / 2;
    co_await first_of(first_of(tasks.first(half)), first_of(tasks.subspan(half)));
}

}  // namespace opsd
