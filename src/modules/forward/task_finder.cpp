#include "modules/forward/task_finder.hpp"

#include "io/mesos/task_info.hpp"
#include "io/mesos/tasks.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace opsd::forward {
namespace {

constexpr std::size_t most_entries = 20'000;  // of one folder

/// The folders in a folder that have the name of an id; none when it cannot be listed.
std::vector<std::string> folders_in(TaskFolder& folder, const std::string& path,
                                    std::size_t most = most_entries)
{
    std::vector<std::string> names;
    auto entries = folder.list(path, most);
    if (!entries) return names;
    for (auto& entry : *entries) {
        if (entry.folder && mesos::usable_id(entry.name)) names.push_back(std::move(entry.name));
    }
    return names;
}

/// What the agent has checkpointed of a task, as far as it may be read.
std::optional<mesos::TaskInfo> checkpointed(TaskFolder& folder, const std::string& run, const std::string& id)
{
    const auto file = folder.open(fmt::format("meta/{}/tasks/{}/task.info", run, id));
    if (!file) return std::nullopt;
    const auto bytes = (*file)->read(0, mesos::task_info_beginning);
    if (!bytes) return std::nullopt;
    auto info = mesos::parse_task_info(*bytes);
    return info && info->id == id ? std::optional{std::move(*info)} : std::nullopt;
}

/// Its only task is called as its executor: no other will come.
bool is_command(const TaskRun& run) { return run.tasks.size() == 1 && run.tasks[0].id == run.name.executor; }

/// A run and, by its folders, the tasks of a pod.
TaskRun listed_run(TaskFolder& folder, pipeline::RunName name)
{
    TaskRun run;
    const auto path = path_of(name);
    if (auto task = checkpointed(folder, path, name.executor)) {
        // A command's executor is called as its only task. What folders that makes says nothing then.
        run.named = true;
        run.tasks.push_back({.id = std::move(task->id), .name = std::move(task->name), .container = {}});
        run.name = std::move(name);
        return run;
    }
    const auto tasks = folders_in(folder, path + "/tasks", most_tasks_of_a_run);
    run.pod = !tasks.empty();
    for (const auto& id : tasks) {
        // Its container is not known: named, but not as the agent would tell it.
        const auto task = checkpointed(folder, path, id);
        run.tasks.push_back({.id = id, .name = task ? task->name : id, .container = {}, .nested = true});
    }
    if (!run.pod) run.tasks.push_back({.id = name.executor, .name = name.executor, .container = {}});
    run.name = std::move(name);
    return run;
}

}  // namespace

std::string path_of(const pipeline::RunName& run)
{
    return fmt::format("slaves/{}/frameworks/{}/executors/{}/runs/{}", run.agent, run.framework, run.executor,
                       run.container);
}

std::vector<TaskRun> runs_of(mesos::AgentState state)
{
    std::vector<TaskRun> runs;
    for (auto& run : state.runs) {
        TaskRun out;
        out.name = {state.id, std::move(run.framework), std::move(run.executor), std::move(run.container)};
        out.running = run.running;
        out.pod = run.pod;
        out.named = true;
        out.tasks = std::move(run.tasks);
        runs.push_back(std::move(out));
    }
    return runs;
}

Result<std::vector<TaskRun>> list_runs(TaskFolder& folder, const std::vector<TaskRun>& before)
{
    std::map<std::string_view, const TaskRun*> named;
    for (const auto& run : before)
        if (run.named && !run.pod && is_command(run)) named.emplace(run.name.container, &run);
    auto agents = folder.list("slaves", most_entries);
    if (!agents) return fail(std::move(agents).error());
    std::vector<TaskRun> runs;
    for (const auto& agent : folders_in(folder, "slaves")) {
        const auto frameworks = fmt::format("slaves/{}/frameworks", agent);
        for (const auto& framework : folders_in(folder, frameworks)) {
            const auto executors = fmt::format("{}/{}/executors", frameworks, framework);
            for (const auto& executor : folders_in(folder, executors)) {
                const auto all = fmt::format("{}/{}/runs", executors, executor);
                for (const auto& container : folders_in(folder, all)) {
                    if (runs.size() == mesos::most_runs)
                        return fail(
                            Errc::unavailable,
                            fmt::format("cannot list the tasks: there are more than {} folders of runs",
                                        mesos::most_runs));
                    const auto known = named.find(container);
                    runs.push_back(known != named.end()
                                       ? *known->second
                                       : listed_run(folder, {agent, framework, executor, container}));
                }
            }
        }
    }
    return runs;
}

std::string wrong_work_dir(const std::string& work_dir, const std::string& agents_folder)
{
    if (agents_folder.empty() || agents_folder.starts_with(work_dir + "/slaves/")) return {};
    const auto end = agents_folder.find("/slaves/");
    return fmt::format(
        "cannot read files of tasks: forward.tasks.work_dir is {}, but the agent keeps them in {}", work_dir,
        end == std::string::npos ? agents_folder : agents_folder.substr(0, end));
}

}  // namespace opsd::forward
