#include "modules/forward/lag.hpp"

#include "modules/forward/place.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::forward {

using namespace std::chrono_literals;
using State = pipeline::DeliveryStatus::State;

namespace {

constexpr std::chrono::milliseconds patience = 1min;  // with a far side that takes nothing

std::chrono::milliseconds age(std::int64_t moment, WallTime now)
{
    const auto time = now.time_since_epoch() - std::chrono::microseconds{moment};
    // The clock may have been set back since.
    return std::max(std::chrono::duration_cast<std::chrono::milliseconds>(time), 0ms);
}

std::string task_trouble(const std::string& name, const TaskStatus& tasks)
{
    if (tasks.unreadable > 0)
        return fmt::format("the output {} cannot read {} files of tasks; opsd forward status says why", name,
                           tasks.unreadable);
    if (!tasks.find_error.empty())
        return fmt::format("the output {} does not find tasks as it should; opsd forward status says why",
                           name);
    if (tasks.not_followed > 0)
        return fmt::format("the output {} does not follow {} files of tasks: tasks.max_files is reached",
                           name, tasks.not_followed);
    return {};
}

}  // namespace

Lag lag_of(const OutputStatus& status, const std::string& end, WallTime now)
{
    const auto& delivery = status.delivery;
    Lag lag;
    lag.time = delivery.lag;
    const bool reads = delivery.state != State::paused && delivery.state != State::stopped;
    if (status.tasks) {
        if (status.at_end && status.tasks->behind_bytes == 0) lag.entries = delivery.counters.pending;
        return lag;
    }
    if (status.at_end && reads) {
        lag.entries = delivery.counters.pending;
        return lag;
    }
    lag.entries = entries_between(delivery.position, end);
    const bool behind = !lag.entries || *lag.entries > 0;
    // What follows the position is younger than the position: an upper bound.
    const auto moment = moment_of(delivery.position);
    if (lag.time == 0ms && behind && moment && !end.empty()) lag.time = age(*moment, now);
    return lag;
}

std::string trouble_of(const std::string& name, const OutputStatus& status, WallTime started, WallTime now)
{
    const auto& delivery = status.delivery;
    if (!status.trouble.empty())
        return fmt::format("the output {} cannot begin: its state is unreadable", name);
    if (delivery.state == State::kept)
        return fmt::format("the output {} is refused by its far side; opsd forward status says why", name);
    const auto since = std::max(delivery.last_success_at, started);
    const bool fails = delivery.state == State::waiting || delivery.state == State::starting;
    if (fails && !delivery.error.empty() && now - since > patience)
        return fmt::format("the output {} delivers nothing since {}; opsd forward status says why", name,
                           rfc3339(since));
    return status.tasks ? task_trouble(name, *status.tasks) : std::string{};
}

}  // namespace opsd::forward
