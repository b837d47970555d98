#pragma once
// The routes of tasks as the module offers them: what they need from outside, who may use them, how many at a
// time, and that they end with the module.

#include "modules/logs/core.hpp"
#include "modules/logs/task_routes.hpp"

#include <memory>
#include <vector>

namespace opsd::logs {

/// What task_routes() needs, of the module's outside.
[[nodiscard]] std::shared_ptr<TaskLogs> task_logs(const std::shared_ptr<Core>& core);

/// All of them, and the list of tasks.
[[nodiscard]] std::vector<http::Route> task_service(const std::shared_ptr<Core>& core);

/// Whether the role may read the logs of tasks: everything, or `tasks` of its list in logs.allow.
[[nodiscard]] bool may_read_tasks(const LogsOptions& options, http::Role role);

/// Keeps the agent of this node known, by the folder it keeps, and asks masters that did not answer again.
/// Lives until cancelled.
Task<> follow_agent(Core& core);

}  // namespace opsd::logs
