// `opsd task ...`: the tasks of Mesos and their files.

#include "cli/cli.hpp"
#include "cli/event_lines.hpp"
#include "cli/json_text.hpp"
#include "cli/log_commands.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace opsd::cli {

using nlohmann::json;

namespace {

/// How opsd marks the message of an event whose line goes on in the next one.
constexpr std::string_view goes_on = " [the line goes on in the next event]";

std::string task_path(const std::string& task) { return "/system/v1/logs/v2/task/" + encode(task); }

/// A path in a sandbox, segment by segment.
std::string file_path(std::string_view file)
{
    std::string path;
    while (!file.empty()) {
        const auto slash = std::min(file.find('/'), file.size());
        if (slash > 0) path.append("/").append(encode(file.substr(0, slash)));
        file.remove_prefix(std::min(slash + 1, file.size()));
    }
    return path;
}

/// A line for a terminal, or as it is for whoever reads it otherwise.
std::string shown(const Context& context, std::string_view line)
{
    if (context.json) return body_of(json{{"message", line}}) + "\n";
    return (context.style.width > 0 ? printable(line) : std::string{line}) + "\n";
}

/// A line of the file, or a part of one.
std::string piece_of(const Context& context, const json& event, std::string_view data)
{
    if (context.json) return std::string{data} + "\n";
    const auto fields = event.value("fields", json::object());
    auto message = fields.contains("MESSAGE") && fields["MESSAGE"].is_string()
                       ? fields["MESSAGE"].get<std::string>()
                       : std::string{};
    if (!message.ends_with(goes_on)) return shown(context, message);
    message.resize(message.size() - goes_on.size());
    return context.style.width > 0 ? printable(message) : message;
}

int follow_file(const Context& context, StreamQuestion question)
{
    question.accept = "text/event-stream";
    return follow_events(context, std::move(question), [&](const ServerEvent& event) {
        const auto object = json::parse(event.data, nullptr, false);
        return !object.is_object() || put(piece_of(context, object, event.data));
    });
}

/// "2026-11-28 02:51" of a time in seconds, UTC.
std::string minute_of(std::int64_t seconds)
{
    const std::time_t time = seconds;
    std::tm parts{};
    if (::gmtime_r(&time, &parts) == nullptr) return {};
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                       parts.tm_hour, parts.tm_min);
}

Error not_written(const std::string& path)
{
    const auto code = errno == EEXIST ? Errc::invalid_argument : Errc::internal;
    const auto* remedy = errno == EEXIST ? "; name another one with --to" : "";
    return {code, fmt::format("cannot write {}: {}{}", path, std::strerror(errno), remedy)};
}

bool write_all(int fd, std::string_view bytes)
{
    while (!bytes.empty()) {
        const auto count = ::write(fd, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

}  // namespace

int task_log(const Context& context, const TaskLogOptions& options)
{
    StreamQuestion question;
    question.path = task_path(options.task) + "/file" + file_path(options.file);
    if (options.lines != "all") question.path += "?cursor=END&skip=-" + encode(options.lines);
    if (options.follow) return follow_file(context, std::move(question));
    question.accept = "text/plain";
    LineCutter lines;
    bool read = true;
    const auto done = Api{context.target}.stream(question, [&](std::string_view bytes) {
        return lines.feed(bytes, [&](std::string_view line) { return read = put(shown(context, line)); });
    });
    if (!read) return exit_ok;
    if (!lines.rest().empty()) (void)put(shown(context, lines.rest()));
    return done ? exit_ok : report(done.error());
}

int task_list(const Context& context, bool completed)
{
    const auto list =
        Api{context.target}.json("GET", completed ? "/api/v1/tasks?completed" : "/api/v1/tasks");
    if (!list) return report(list.error());
    if (context.json) {
        print_json(*list);
        return exit_ok;
    }
    Table table{{"name", "state", "agent", "id"}};
    for (const auto& task : list->value("tasks", json::array())) {
        auto state = text(task, "state");
        if (state.starts_with("TASK_")) state.erase(0, 5);
        const bool bad = state == "FAILED" || state == "LOST" || state == "ERROR" || state == "UNREACHABLE";
        auto agent = text(task, "agent");
        if (agent.empty()) agent = text(task, "agent_id");
        table.row(
            {{text(task, "name")}, {state, bad ? Colour::red : Colour::none}, {agent}, {text(task, "id")}});
    }
    if (table.size() == 0)
        fmt::print("No tasks.\n");
    else
        fmt::print("{}", table.render(context.style));
    return exit_ok;
}

int task_ls(const Context& context, const std::string& task, const std::string& path)
{
    StreamQuestion question;
    question.path = task_path(task) + "/browse" + (path.empty() ? "" : "?path=" + encode(path));
    question.accept = "application/json";
    std::string body;
    const auto done = Api{context.target}.stream(question, [&](std::string_view bytes) {
        body += bytes;
        return true;
    });
    if (!done) return report(done.error());
    const auto list = json::parse(body, nullptr, false);
    if (!list.is_array()) return report({Errc::protocol, "cannot read the list of files: it is none"});
    if (context.json) {
        print_json(list);
        return exit_ok;
    }
    Table table{{"mode", "user", "group", "size", "changed", "name"}};
    for (const auto& item : list) {
        const auto whole = text(item, "path");
        table.row({{text(item, "mode")},
                   {text(item, "uid")},
                   {text(item, "gid")},
                   {std::to_string(number(item, "size"))},
                   {minute_of(number(item, "mtime"))},
                   {whole.substr(whole.rfind('/') + 1)}});
    }
    if (table.size() == 0)
        fmt::print("No files.\n");
    else
        fmt::print("{}", table.render(context.style));
    return exit_ok;
}

int task_download(const Context& context, const std::string& task, const std::string& file, std::string to)
{
    if (to.empty()) to = file.substr(file.rfind('/') + 1);
    if (to.empty()) return report({Errc::invalid_argument, "cannot write the file: give its name with --to"});
    const int fd = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return report(not_written(to));
    StreamQuestion question;
    question.path = task_path(task) + "/file" + file_path(file) + "/download";
    question.accept = "application/octet-stream";
    Result<> written;
    auto done = Api{context.target}.stream(question, [&](std::string_view bytes) {
        if (!write_all(fd, bytes)) written = fail(not_written(to));
        return written.has_value();
    });
    if (::close(fd) != 0 && written) written = fail(not_written(to));
    if (!written) done = fail(written.error());
    if (done) {
        fmt::print("{}\n", to);
        return exit_ok;
    }
    ::unlink(to.c_str());  // a part of a file is not left for the whole one
    return report(done.error());
}

}  // namespace opsd::cli
