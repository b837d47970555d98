#pragma once
// `opsd log` and `opsd task ...`: journals and logs of tasks for people.

#include "cli/commands.hpp"
#include "cli/event_lines.hpp"

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <string>
#include <string_view>

namespace opsd::cli {

struct LogOptions {
    std::string node;  ///< "", or a node, or several with commas
    bool leader = false;
    bool all = false;
    std::string unit;
    std::string lines;
    bool follow = false;
    std::string since;
    std::string priority;
    std::string grep;
};
/// Entries, oldest first. Nodes that do not answer are named on stderr, and the exit status is that of an
/// opsd that does not answer.
int log(const Context& context, const LogOptions& options);

/// What log() asks for.
[[nodiscard]] std::string log_path(const LogOptions& options);
/// An entry of /api/v1/logs as a line: time, host, who, priority where it is more than information, message.
/// Its further lines are indented; coloured by priority.
[[nodiscard]] std::string entry_text(const nlohmann::json& entry, const Style& style);

struct TaskLogOptions {
    std::string task;
    std::string file = "stdout";
    std::string lines = "10";
    bool follow = false;
};
int task_log(const Context& context, const TaskLogOptions& options);
int task_list(const Context& context, bool completed);
int task_ls(const Context& context, const std::string& task, const std::string& path);
/// Into `to`, or the file's own name in the working directory; nothing is overwritten.
int task_download(const Context& context, const std::string& task, const std::string& file, std::string to);

/// A stream of events that goes on where it broke off, for as long as opsd comes back. `on_event` says false
/// when it has enough. Returns the exit status.
int follow_events(const Context& context, StreamQuestion question,
                  const std::function<bool(const ServerEvent&)>& on_event);

/// Writes to stdout at once; false when nobody reads it any more.
[[nodiscard]] bool put(std::string_view text);

}  // namespace opsd::cli
