#include "modules/forward/task_finder.hpp"

#include "io/mesos/task_info.hpp"
#include "io/mesos/tasks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
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

/// What the agent has checkpointed of the run's tasks; those that cannot be read are left out.
std::vector<mesos::TaskInfo> checkpointed(TaskFolder& folder, const std::string& run)
{
    const auto tasks = fmt::format("meta/{}/tasks", run);
    std::vector<mesos::TaskInfo> all;
    for (const auto& id : folders_in(folder, tasks, most_tasks_of_a_run)) {
        const auto file = folder.open(fmt::format("{}/{}/task.info", tasks, id));
        if (!file) continue;
        const auto bytes = (*file)->read(0, mesos::task_info_beginning);
        auto info = bytes ? mesos::parse_task_info(*bytes) : fail(bytes.error());
        if (info && info->id == id) all.push_back(std::move(*info));
    }
    return all;
}

/// A run and, by its folders, the tasks of a pod.
TaskRun listed_run(TaskFolder& folder, pipeline::RunName name)
{
    TaskRun run;
    const auto path = path_of(name);
    const auto tasks = folders_in(folder, path + "/tasks", most_tasks_of_a_run);
    run.pod = !tasks.empty();
    for (const auto& id : tasks)
        run.tasks.push_back({.id = id, .name = id, .container = {}, .nested = true});
    auto known = checkpointed(folder, path);
    if (run.pod) {
        // Their containers are not known: they are named, but not as the agent would name them.
        for (auto& task : run.tasks) {
            const auto info = std::ranges::find(known, task.id, &mesos::TaskInfo::id);
            if (info != known.end()) task.name = info->name;
        }
    } else if (known.empty()) {
        run.tasks.push_back({.id = name.executor, .name = name.executor, .container = {}});
    } else {
        run.named = true;
        for (auto& info : known)
            run.tasks.push_back({.id = std::move(info.id), .name = std::move(info.name), .container = {}});
    }
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
        if (run.named && !run.pod) named.emplace(run.name.container, &run);
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
