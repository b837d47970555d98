#pragma once
// Which runs of executors have files: as the agent says, or as its folders look. Pure but for the listing.

#include "io/mesos/agent_state.hpp"
#include "modules/forward/task_folder.hpp"
#include "pipeline/tail/file_position.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace opsd::forward {

/// By their folders, which a task can make as many of as it likes.
constexpr std::size_t most_tasks_of_a_run = 1'000;

struct TaskRun {
    pipeline::RunName name;
    bool running = true;
    bool pod = false;    ///< its tasks have folders of their own
    bool named = false;  ///< its tasks are as the agent tells them, or as it has checkpointed the only one
    std::vector<mesos::AgentTask> tasks;
};

struct FoundTasks {
    std::uint64_t number = 0;  ///< another one: another look
    std::int64_t at = 0;       ///< microseconds since the epoch
    bool by_agent = false;     ///< else by folders: who runs is not known, nor all of the tasks' names
    std::vector<TaskRun> runs;
};

/// Below the agent's work_dir.
[[nodiscard]] std::string path_of(const pipeline::RunName& run);

[[nodiscard]] std::vector<TaskRun> runs_of(mesos::AgentState state);
/// All runs that have a folder, with the names of tasks that the agent has checkpointed and that may be
/// read; those that were named `before` are not asked for again. Blocks. Errors: the outermost folder cannot
/// be listed, or there are too many.
[[nodiscard]] Result<std::vector<TaskRun>> list_runs(TaskFolder& folder,
                                                     const std::vector<TaskRun>& before = {});

/// A sentence when the agent's work_dir is another one than `work_dir`, by one of its folders.
[[nodiscard]] std::string wrong_work_dir(const std::string& work_dir, const std::string& agents_folder);

}  // namespace opsd::forward
