// Which runs there are, whose their files are, and which are over.

#include "modules/forward/task_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

namespace opsd::forward {

using pipeline::TailBounds;
using What = LedgerSpot::What;

namespace {

/// Whose the file is: of a pod's task, of the only task, or of the executor.
TaskNames names_of(const TaskRun& run, std::string_view file)
{
    constexpr std::string_view tasks = "tasks/";
    if (run.pod && file.starts_with(tasks)) {
        const auto id = file.substr(tasks.size(), file.find('/', tasks.size()) - tasks.size());
        const auto task = std::ranges::find(run.tasks, id, &mesos::AgentTask::id);
        if (task != run.tasks.end()) {
            const bool nested = task->nested && !task->container.empty();
            return {task->id, task->name, nested ? run.name.container + "." + task->container : ""};
        }
    }
    if (!run.pod && run.tasks.size() == 1) return {run.tasks[0].id, run.tasks[0].name, {}};
    return {{}, run.name.executor, {}};
}

}  // namespace

void TaskFiles::take(const FoundTasks& found, Monotonic now, TaskBlock& block)
{
    taken_ = found.number;
    for (const auto& run : found.runs)
        know(run, found.by_agent, block);
    if (!found.by_agent && !options_.agent) lose_patience();
    end_missing(found, block);
    forget_done(found, block);
    not_followed_ = 0;
    const auto begin = first_ && options_.skip ? TaskStream::Begin::end : TaskStream::Begin::start;
    for (auto& [container, run] : runs_)
        open_files(run, begin, now, block);
    first_ = false;
    looked_ = found.at;
}

/// A run that was found: a new one, or what is new about it.
void TaskFiles::know(const TaskRun& run, bool by_agent, TaskBlock& block)
{
    const auto& container = run.name.container;
    if (done_.contains(container)) return;
    auto known = runs_.find(container);
    if (known == runs_.end()) {
        if (runs_.size() >= TailBounds::runs) return;
        const bool skipped = first_ && options_.skip;
        if (skipped && !run.running) {
            note(block, {What::done, run.name, {}, {}}, 0);
            done_.insert(container);
            return;
        }
        // Folders stay for days: only those that somebody has written to since the last look are news.
        if (!by_agent && !skipped && !written_lately(run)) return;
        known = runs_.try_emplace(container).first;
        known->second.path = path_of(run.name);
        known->second.is = run;
        known->second.named = by_agent || run.named;
        note_run(known->second, block);
    } else {
        know_more(known->second, run, by_agent, block);
    }
    known->second.ended = by_agent && !run.running;
    for (auto& [name, file] : known->second.files)
        set_names(known->second, name, *file);
}

void TaskFiles::know_more(Run& known, const TaskRun& run, bool by_agent, TaskBlock& block)
{
    if (by_agent || (run.named && !known.named)) {
        const auto same = [](const mesos::AgentTask& a, const mesos::AgentTask& b) {
            return std::tie(a.id, a.name, a.container, a.nested)
                   == std::tie(b.id, b.name, b.container, b.nested);
        };
        const bool news = !known.named || known.is.pod != run.pod || !known.unnamed.empty()
                          || !std::ranges::equal(known.is.tasks, run.tasks, same);
        known.is = run;
        known.named = true;
        known.unnamed.clear();
        if (news) note_run(known, block);
        return;
    }
    if (known.is.tasks.empty()) {
        known.is = run;
        known.named = run.named;
        return;
    }
    // Any task may have folders in a `tasks` of its own: only those of a pod are tasks.
    if (!run.pod || !known.is.pod) return;
    std::set<std::string, std::less<>> ids;
    for (const auto& task : known.is.tasks)
        ids.insert(task.id);
    for (const auto& task : run.tasks) {
        if (!ids.insert(task.id).second) {
            const auto before = std::ranges::find(known.is.tasks, task.id, &mesos::AgentTask::id);
            if (!known.named || known.unnamed.contains(task.id)) before->name = task.name;
            continue;
        }
        if (known.is.tasks.size() >= most_tasks_of_a_run) return;
        known.is.tasks.push_back(task);
        known.unnamed.insert(task.id);
    }
}

/// With the names of its tasks when they are known.
void TaskFiles::note_run(const Run& run, TaskBlock& block)
{
    LedgerSpot spot{What::run, run.is.name, {}, {}};
    spot.pod = run.is.pod;
    if (run.named) {
        for (const auto& task : run.is.tasks)
            if (!run.unnamed.contains(task.id))
                spot.tasks.push_back({task.id, task.name, task.container, task.nested});
    }
    note(block, std::move(spot), 0);
}

void TaskFiles::set_names(const Run& run, const std::string& name, Followed& file) const
{
    file.names = names_of(run.is, name);
    file.named = !options_.await_names || (run.named && !run.unnamed.contains(file.names.id));
    if (file.named) file.held = false;
}

/// Nobody but a checkpoint can name what has none by now: the task of an executor of a framework's own.
void TaskFiles::lose_patience()
{
    constexpr unsigned enough_looks = 3;  // an agent writes it before it starts the task
    for (auto& [container, run] : runs_) {
        if (run.named || ++run.unnamed_looks < enough_looks) continue;
        run.named = true;
        run.unnamed.clear();
        for (auto& [name, file] : run.files)
            set_names(run, name, *file);
    }
}

/// The agent has forgotten it: nobody will tell what its tasks were called.
void TaskFiles::never_named(Run& run, TaskBlock& block)
{
    run.named = true;
    run.unnamed.clear();
    for (auto& [name, file] : run.files) {
        if (file->held)
            block.lost(fmt::format(
                "cannot tell whose {}/{} is: the agent does not list its task any more; what filter.matches "
                "does not select by the executor's name is passed over from byte {} on",
                run.path, name, file->stream.at().offset));
        set_names(run, name, *file);
    }
}

void TaskFiles::end_missing(const FoundTasks& found, TaskBlock& block)
{
    std::set<std::string_view> listed;
    for (const auto& run : found.runs)
        listed.insert(run.name.container);
    for (auto& [container, run] : runs_) {
        if (listed.contains(container)) continue;
        if (found.by_agent) never_named(run, block);
        // A folder that is not listed may only not have been permitted.
        const auto there = found.by_agent ? fail(Errc::not_found, "") : folder_.list(run.path, 1);
        if (!there && there.error().code == Errc::not_found) run.ended = true;
    }
}

void TaskFiles::forget_done(const FoundTasks& found, TaskBlock& block)
{
    std::set<std::string_view> listed;
    for (const auto& run : found.runs)
        listed.insert(run.name.container);
    std::erase_if(done_, [&](const std::string& container) {
        if (listed.contains(container)) return false;
        note(block, {What::forget, {{}, {}, {}, container}, {}, {}}, 0);
        return true;
    });
}

}  // namespace opsd::forward
