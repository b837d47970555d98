#include "modules/logs/task_routes.hpp"

#include "modules/logs/caller.hpp"
#include "modules/logs/sandbox_path.hpp"
#include "modules/logs/task_answers.hpp"

#include <utility>

namespace opsd::logs {

using http::Access;
using http::Method;
using http::Parameter;
using http::Request;
using http::Response;

namespace {

using LogsPtr = std::shared_ptr<TaskLogs>;

constexpr auto task_prefix = "/system/v1/logs/v2/task/{task}";
constexpr auto run_prefix = "/system/v1/logs/v2/task/frameworks/{framework}/executors/{executor}/runs/{run}";

Task<Response> serve(LogsPtr logs, const Request& request, SandboxPlace place, SandboxVerb verb)
{
    if (verb == SandboxVerb::browse)
        co_return co_await serve_list(std::move(logs), request, std::move(place));
    if (verb == SandboxVerb::download)
        co_return co_await serve_download(std::move(logs), request, std::move(place));
    co_return co_await serve_lines(std::move(logs), request, std::move(place));
}

/// By the task: here, or at the node where it ran.
Task<Response> by_task(LogsPtr logs, const Request& request, SandboxVerb verb)
{
    std::string wanted{request.path_params.get("task")};
    auto task = co_await logs->find(std::move(wanted), authorization_for_mesos(request));
    if (!task) co_return Response::problem(task.error());
    std::string file{verb == SandboxVerb::browse ? request.query.get("path")
                                                 : request.path_params.get("file", "stdout")};
    auto place = place_of(*task, std::move(file));
    if (!place) co_return Response::problem(place.error());
    if (task->agent_id == logs->agent().id)
        co_return co_await serve(std::move(logs), request, std::move(*place), verb);
    const auto location = location_of(*place, task->agent_id, verb, request.query);
    auto response = Response::text("the task ran on another node: " + location + "\n", 303);
    co_return std::move(response.with("Location", location));
}

/// By the folders of a task of this node.
Task<Response> by_run(LogsPtr logs, const Request& request, SandboxVerb verb)
{
    const auto& ids = request.path_params;
    SandboxPlace place{
        .framework = std::string{ids.get("framework")},
        .executor = std::string{ids.get("executor")},
        .run = std::string{ids.get("run")},
        .task = std::string{ids.get("task")},
        .file = std::string{verb == SandboxVerb::browse ? request.query.get("path") : ids.get("file")}};
    const auto good = check(place);
    if (!good) co_return Response::problem(good.error());
    co_return co_await serve(std::move(logs), request, std::move(place), verb);
}

std::vector<Parameter> reading()
{
    return {
        {"cursor", "query", "Where to begin: BEG, END or a byte offset", "string"},
        {"skip", "query", "Lines to skip from there; negative: lines before it; empty lines do not count",
         "integer"},
        {"limit", "query", "So many lines at most", "integer"},
        {"max_entry", "query",
         "Bytes of an event, 16384 to 1048576 (64000): a longer line comes in several events", "integer"},
    };
}

}  // namespace

std::vector<http::Route> task_routes(LogsPtr logs)
{
    std::vector<http::Route> routes;
    // Who reads which log is audited.
    const auto add = [&](std::string pattern, std::string summary, SandboxVerb verb, auto answer) {
        const auto handler = [logs, verb, answer](const Request& request) {
            return answer(logs, request, verb);
        };
        std::vector<Parameter> parameters;
        if (verb == SandboxVerb::read) parameters = reading();
        if (verb == SandboxVerb::browse)
            parameters = {{"path", "query", "A folder in the sandbox instead of it", "string"}};
        routes.push_back({Method::get, std::move(pattern), Access::read, std::move(summary), handler,
                          std::move(parameters), true});
    };
    const std::string task = task_prefix;
    add(task, "The stdout of a task: here, or 303 to the node where it ran", SandboxVerb::read, by_task);
    add(task + "/file/{file...}", "A file of a task: here, or 303 to the node where it ran",
        SandboxVerb::read, by_task);
    add(task + "/browse", "The files of a task: here, or 303", SandboxVerb::browse, by_task);
    add(task + "/download", "The whole stdout of a task: here, or 303", SandboxVerb::download, by_task);
    add(task + "/file/{file...}/download", "A whole file of a task: here, or 303", SandboxVerb::download,
        by_task);
    for (const bool pod : {false, true}) {
        const auto base = std::string{run_prefix} + (pod ? "/tasks/{task}" : "");
        const std::string whose =
            pod ? "a task of a pod that ran on this node" : "a task that ran on this node";
        add(base + "/{file...}",
            "Lines of a file of " + whose + ": text, or events with Accept: text/event-stream",
            SandboxVerb::read, by_run);
        add(base + "/files/browse", "The files of " + whose, SandboxVerb::browse, by_run);
        add(base + "/{file...}/download", "A whole file of " + whose, SandboxVerb::download, by_run);
    }
    return routes;
}

}  // namespace opsd::logs
