#pragma once
// Where a task's files are, on disk and in URLs. Pure. Nothing that comes out of here leaves the sandbox.

#include "io/mesos/tasks.hpp"
#include "opsd/http.hpp"
#include "opsd/result.hpp"

#include <string>
#include <string_view>

namespace opsd::logs {

/// A file or folder in the sandbox of a task, by the ids that Mesos names its folders with.
struct SandboxPlace {
    std::string framework;
    std::string executor;
    std::string run;   ///< a container, or "latest"
    std::string task;  ///< of a pod; "": the run itself
    std::string file;  ///< below it; "": the sandbox
};

/// What is asked of a place.
enum class SandboxVerb { read, browse, download };

/// Errc::invalid_argument for what is no id or no path below: empty segments, "." and "..", a leading slash,
/// control characters, more than 255 bytes in a segment or 1,024 in the file.
Result<> check(const SandboxPlace& place);

/// `file` of the task, checked.
Result<SandboxPlace> place_of(const mesos::FoundTask& task, std::string file);

/// "DIRECTORY/frameworks/F/executors/E/runs/R[/tasks/T][/FILE]"; `directory` is the agent's,
/// "/var/lib/mesos/slave/slaves/ID".
[[nodiscard]] std::string path_of(const SandboxPlace& place, std::string_view directory);

/// Where that is asked for at the node of the agent, through a master:
/// "/system/v1/agent/ID/logs/v2/task/frameworks/...", percent-encoded, with the query as it came.
[[nodiscard]] std::string location_of(const SandboxPlace& place, std::string_view agent_id, SandboxVerb verb,
                                      const http::Params& query);

}  // namespace opsd::logs
