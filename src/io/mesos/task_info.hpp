#pragma once
// What an agent has checkpointed of a task (task.info: spec mesos 9): its id and its name, read from the
// beginning of the record. Pure.

#include "opsd/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace opsd::mesos {

struct TaskInfo {
    std::string id;
    std::string name;
    bool operator==(const TaskInfo&) const = default;
};

/// Both stand at the beginning; what the task runs, and its secrets, come after.
inline constexpr std::size_t task_info_beginning = 4096;

/// `bytes` may end before the record does, but not before both are there. Errc::protocol for anything else.
[[nodiscard]] Result<TaskInfo> parse_task_info(std::string_view bytes);

}  // namespace opsd::mesos
