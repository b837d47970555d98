#pragma once
// What an agent has checkpointed of its tasks, beside their files: WORK_DIR/meta/slaves/AGENT/frameworks/
// FRAMEWORK/executors/EXECUTOR/runs/CONTAINER/tasks/TASK/task.info. Nothing else of meta is read: the rest is
// the agent's own.

#include <string>
#include <string_view>

namespace opsd::sandbox {

/// WORK_DIR/slaves -> WORK_DIR/meta/slaves; "" for a folder of another name.
[[nodiscard]] std::string checkpoints_beside(std::string_view slaves);

/// Is it a task.info, below meta/slaves?
[[nodiscard]] bool is_checkpoint(std::string_view path) noexcept;

}  // namespace opsd::sandbox
