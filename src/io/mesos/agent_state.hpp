#pragma once
// What an agent says of itself (GET /state): the runs of its executors, where their files are, whose they
// are. Pure; one pass that builds nothing else.

#include "opsd/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace opsd::mesos {

struct AgentTask {
    std::string id;
    std::string name;
    std::string container;  ///< the innermost of its containers; "": not told yet
    bool nested = false;    ///< that is one inside of the run's: a task of a pod
};

/// One run of an executor: the folder .../frameworks/F/executors/E/runs/CONTAINER.
struct AgentRun {
    std::string framework;
    std::string executor;
    std::string container;
    bool running = false;
    bool pod = false;  ///< each task has a folder tasks/ID of its own below the run's
    std::vector<AgentTask> tasks;
};

struct AgentState {
    std::string id;
    std::string folder;  ///< of some run, as the agent has it; "": it has none
    std::vector<AgentRun> runs;
};

constexpr std::size_t most_runs = 20'000;

/// Errc::protocol for what is no agent's, and for more runs than `most`. Runs and tasks with ids that Mesos
/// would refuse are passed over: they must not get into a path.
Result<AgentState> parse_agent_state(std::string_view body, std::size_t most = most_runs);

}  // namespace opsd::mesos
