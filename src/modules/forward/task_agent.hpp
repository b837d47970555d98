#pragma once
// This node's Mesos agent, asked about tasks and for those of their files that opsd may not open.

#include "modules/forward/task_source.hpp"
#include "opsd/module.hpp"

#include <memory>
#include <string>

namespace opsd::forward {

/// The files below WORK_DIR/slaves through the agent's files API, which has no inodes, and is looked at each
/// `interval` only. Blocks, for the timeout at most.
[[nodiscard]] std::unique_ptr<TaskFolder> make_agent_folder(const TaskOptions& options,
                                                            std::string credentials, Clock& clock);

/// The agent, and what `open` opens of its folders. The services outlive it.
[[nodiscard]] TaskWorld real_task_world(const TaskOptions& options, const Services& services,
                                        sandbox::MakeOpener open);

}  // namespace opsd::forward
