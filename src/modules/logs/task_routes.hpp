#pragma once
// The logs of tasks over HTTP, in the shapes of DC/OS.
//
// What comes in
//   The name or id of a task, or the ids of its folders; the files API of this node's agent and the state of
//   the leading master, as functions.
//
// What goes out
//   On any node: where the file is (303), or the file itself when the task ran here. On the node of the task:
//   lines as text or events, lists of files, whole files.
//
// What it promises
//   - The lines are those of the file: none cut, glued, doubled or left out (sandbox_lines).
//   - A slow reader holds one block; the file is read as fast as he reads.
//   - No path leaves the sandbox.
//   - An answer that is not all there is is torn, never ended as if it were whole.

#include "io/mesos/files.hpp"
#include "io/mesos/tasks.hpp"
#include "modules/logs/core.hpp"
#include "modules/logs/sandbox_lines.hpp"
#include "modules/logs/sandbox_text.hpp"
#include "opsd/clock.hpp"
#include "opsd/http.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace opsd::logs {

struct TaskLogOptions {
    LineLimits lines;
    std::chrono::milliseconds poll{250};  ///< a followed file is looked at so often
    std::chrono::milliseconds ping{15'000};
    /// A followed file that cannot be read is tried again for so long.
    std::chrono::milliseconds patience{60'000};
};

/// What the routes need from outside. `authorization` is what the caller sent, "" for nothing.
struct TaskLogs {
    std::function<Task<Result<mesos::FoundTask>>(std::string wanted, std::string authorization)> find;
    std::function<LocalAgent()> agent;
    std::function<Task<Result<std::uint64_t>>(std::string path, std::string authorization)> size;
    std::function<Task<Result<std::string>>(std::string path, std::uint64_t offset, std::size_t length,
                                            std::string authorization)>
        read;
    std::function<Task<Result<std::vector<mesos::FileItem>>>(std::string path, std::string authorization)>
        browse;
    /// Told why a stream was torn, for the log.
    std::function<void(const Error&)> broken_off;
    Clock& clock;
    TaskLogOptions options = {};
};

/// The rows of the route table; handlers and streams keep `logs` alive.
std::vector<http::Route> task_routes(std::shared_ptr<TaskLogs> logs);

}  // namespace opsd::logs
