#pragma once
// Finds a task in what a master says (GET /state), with everything that leads to its files. Pure; one pass
// over a document of any size that keeps only agents and candidates.

#include "io/mesos/address.hpp"
#include "opsd/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace opsd::mesos {

/// What Mesos takes for an id, and what is safe as one part of a path.
[[nodiscard]] bool usable_id(std::string_view id);

/// A task and where it ran.
struct FoundTask {
    std::string id;
    std::string name;
    std::string state;  ///< "TASK_RUNNING"
    std::string agent_id;
    HostPort agent;  ///< of the agent's process; host "" when the master does not know it any more
    std::string framework_id;
    std::string executor_id;              ///< "": a command task, whose executor has the id of the task
    std::vector<std::string> containers;  ///< the outermost first; empty when no status told one
    bool completed = false;

    /// The folder of its executor.
    [[nodiscard]] const std::string& executor() const noexcept
    {
        return executor_id.empty() ? id : executor_id;
    }
    /// The folder of its run: the outermost container, or the link to the latest run.
    [[nodiscard]] std::string run() const { return containers.empty() ? "latest" : containers.front(); }
    /// Whether it has a folder of its own in the run of its executor: a task of a pod. (A task of a
    /// framework's own executor shares the executor's.)
    [[nodiscard]] bool in_pod() const noexcept { return !executor_id.empty() && containers.size() != 1; }
};

/// A task by its id, by its name, or by a part of its id. The first of these that fits anything counts:
///   1. the whole id, among running and completed tasks;
///   2. the name, then a part of the id, of a running task;
///   3. the name, then a part of the id, of a completed or unreachable one, also of completed frameworks.
/// Errc::not_found when nothing fits, Errc::invalid_argument with the candidates when several do,
/// Errc::protocol when the document cannot be read. Tasks with ids that Mesos would refuse (empty, "/", "..",
/// control characters) are passed over: they must not get into a path.
Result<FoundTask> find_task(std::string_view state, std::string_view wanted);

constexpr std::size_t most_tasks = 20'000;  // of a list

/// All running tasks, and the completed ones when `completed`, in the order of the document. More than `most`
/// is Errc::invalid_argument: part of a list is not shown for the whole one.
Result<std::vector<FoundTask>> list_tasks(std::string_view state, bool completed,
                                          std::size_t most = most_tasks);

}  // namespace opsd::mesos
