#pragma once
// The answers about a sandbox on this node: lines, a list, a whole file.

#include "modules/logs/sandbox_path.hpp"
#include "modules/logs/task_routes.hpp"

namespace opsd::logs {

/// Lines of a file: text, or events when Accept names text/event-stream. Parameters: cursor, skip, limit,
/// max_entry; header: Last-Event-ID.
Task<http::Response> serve_lines(std::shared_ptr<TaskLogs> logs, const http::Request& request,
                                 SandboxPlace place);

/// The files of a sandbox as Mesos lists them.
Task<http::Response> serve_list(std::shared_ptr<TaskLogs> logs, const http::Request& request,
                                SandboxPlace place);

/// A file as it is, up to where it ended when it was asked for.
Task<http::Response> serve_download(std::shared_ptr<TaskLogs> logs, const http::Request& request,
                                    SandboxPlace place);

}  // namespace opsd::logs
