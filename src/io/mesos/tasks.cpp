#include "io/mesos/tasks.hpp"

#include "io/mesos/documents.hpp"
#include "io/mesos/json_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <utility>

namespace opsd::mesos {
namespace {

using Kind = JsonEvent::Kind;

constexpr std::size_t longest_id = 255;      // Mesos' own limit
constexpr std::size_t most_candidates = 8;   // kept and listed; the others are counted
constexpr std::size_t most_containers = 32;  // one in the other; Mesos allows two levels

/// An id in a sentence, whole: it is there to be copied.
std::string shown(std::string_view id)
{
    std::string text;
    for (constexpr std::size_t step = 64; !id.empty(); id.remove_prefix(std::min(step, id.size())))
        text += printable(id.substr(0, step));
    return text;
}

/// The lists that tasks are in; those of the completed ones do not run.
constexpr std::array<JsonList, 6> task_lists{{{"frameworks[].tasks[]", false},
                                              {"frameworks[].completed_tasks[]", true},
                                              {"frameworks[].unreachable_tasks[]", true},
                                              {"completed_frameworks[].completed_tasks[]", true},
                                              {"completed_frameworks[].unreachable_tasks[]", true},
                                              {"completed_frameworks[].tasks[]", true}}};

/// How well a task fits, the best first.
enum class Fit { id, name, part, late_name, late_part, none };

Fit fit(const FoundTask& task, std::string_view wanted)
{
    if (task.id == wanted) return Fit::id;
    if (task.name == wanted) return task.completed ? Fit::late_name : Fit::name;
    if (task.id.contains(wanted)) return task.completed ? Fit::late_part : Fit::part;
    return Fit::none;
}

/// Fills a task from the events of its object and tells it, complete but for its agent.
class TaskReader {
public:
    using Each = std::function<Result<>(FoundTask task)>;
    explicit TaskReader(Each each) : each_{std::move(each)} {}

    /// All of a document. Errc::protocol for what is no master's.
    Result<> read(std::string_view state)
    {
        bool object = false;
        bool lists = false;
        auto done = walk_json(state, "the answer to /state", [&](const JsonEvent& event) {
            if (event.path.empty() && event.kind == Kind::begin_object) object = true;
            if (event.path == "frameworks" && event.kind == Kind::begin_array) lists = true;
            return take(event);
        });
        if (!done) return done;
        if (object && lists) return {};
        return fail(
            Errc::protocol,
            "cannot read the answer to /state: it has no list of frameworks; is this a Mesos master?");
    }

    /// Known when all is read.
    [[nodiscard]] FoundTask with_agent(FoundTask task) const
    {
        const auto agent = agents_.find(task.agent_id);
        if (agent != agents_.end()) task.agent = agent->second;
        return task;
    }

private:
    Result<> take(const JsonEvent& event)
    {
        if (event.path.starts_with("slaves[]")) return about_an_agent(event);
        const auto place = place_in(task_lists, event.path);
        if (!place) return {};
        if (!place->field.empty()) {
            about_the_task(place->field, event);
            return {};
        }
        if (event.kind == Kind::begin_object) task_ = {};
        if (event.kind != Kind::end_object) return {};
        return finish(place->completed);
    }

    Result<> about_an_agent(const JsonEvent& event)
    {
        const auto field = event.path.substr(std::string_view{"slaves[]"}.size());
        if (field.empty() && event.kind == Kind::begin_object) agent_ = {};
        if (event.kind == Kind::text && field == ".id") agent_.first = event.text.substr(0, longest_id + 1);
        if (event.kind == Kind::text && field == ".pid") {
            if (auto at = parse_pid(event.text)) agent_.second = std::move(*at);
        }
        if (!field.empty() || event.kind != Kind::end_object) return {};
        if (!usable_id(agent_.first) || agent_.second.host.empty()) return {};
        if (agents_.size() == most_agents)
            return fail(
                Errc::protocol,
                fmt::format("cannot read the answer to /state: it lists more than {} agents", most_agents));
        agents_.insert(std::move(agent_));
        return {};
    }

    void about_the_task(std::string_view field, const JsonEvent& event)
    {
        constexpr std::string_view container = "statuses[].container_status.container_id";
        if (field == container && event.kind == Kind::begin_object) chain_.clear();
        if (field == container && event.kind == Kind::end_object && !chain_.empty())
            task_.containers.assign(chain_.rbegin(), chain_.rend());
        if (event.kind != Kind::text) return;
        const auto text = event.text.substr(0, longest_id + 1);
        if (field == "id") task_.id = text;
        if (field == "name") task_.name = text;
        if (field == "state") task_.state = text;
        if (field == "slave_id") task_.agent_id = text;
        if (field == "framework_id") task_.framework_id = text;
        if (field == "executor_id") task_.executor_id = text;
        if (field.starts_with(container) && field.ends_with(".value")) add_container(field, text);
    }

    /// "...container_id.parent.value" is the second of the chain. In a document the inner ones come in any
    /// order.
    void add_container(std::string_view field, std::string_view id)
    {
        constexpr std::string_view up = ".parent";
        std::size_t depth = 0;
        for (auto at = field.find(up); at != std::string_view::npos; at = field.find(up, at + up.size()))
            ++depth;
        if (depth >= most_containers) return;
        if (chain_.size() <= depth) chain_.resize(depth + 1);
        chain_[depth] = id;
    }

    Result<> finish(bool completed)
    {
        task_.completed = completed;
        const bool whole = usable_id(task_.id) && usable_id(task_.agent_id) && usable_id(task_.framework_id)
                           && (task_.executor_id.empty() || usable_id(task_.executor_id))
                           && std::ranges::all_of(task_.containers, usable_id);
        if (!whole) return {};
        return each_(std::move(task_));
    }

    Each each_;
    std::map<std::string, HostPort, std::less<>> agents_;
    std::pair<std::string, HostPort> agent_;
    FoundTask task_;
    std::vector<std::string> chain_;  // the innermost first
};

/// The candidates among the tasks.
class TaskFinder {
public:
    explicit TaskFinder(std::string_view wanted) : wanted_{wanted} {}

    Result<FoundTask> find(std::string_view state)
    {
        TaskReader reader{[this](FoundTask task) {
            consider(std::move(task));
            return Result<>{};
        }};
        auto read = reader.read(state);
        if (!read) return fail(std::move(read).error());
        for (auto& group : groups_) {
            if (group.count == 1) return reader.with_agent(std::move(group.tasks.front()));
            if (group.count > 1) return ambiguous(group);
        }
        return fail(Errc::not_found,
                    fmt::format("cannot find the task \"{}\": no task has this name, or an id that contains "
                                "it; `opsd task list` shows them",
                                printable(wanted_)));
    }

private:
    struct Group {
        std::vector<FoundTask> tasks;
        std::size_t count = 0;
    };

    void consider(FoundTask task)
    {
        const auto how = fit(task, wanted_);
        if (how == Fit::none) return;
        auto& group = groups_[static_cast<std::size_t>(how)];
        if (++group.count <= most_candidates) group.tasks.push_back(std::move(task));
    }

    std::unexpected<Error> ambiguous(const Group& group) const
    {
        std::string list;
        for (const auto& task : group.tasks)
            list += fmt::format("{}{} ({}, framework {})", list.empty() ? "" : "; ", shown(task.id),
                                shown(task.state), shown(task.framework_id));
        if (group.count > group.tasks.size())
            list += fmt::format("; and {} more", group.count - group.tasks.size());
        return fail(Errc::invalid_argument,
                    fmt::format("cannot tell which task \"{}\" means: {} fit; give the whole id of one: {}",
                                printable(wanted_), group.count, list));
    }

    std::string_view wanted_;
    std::array<Group, static_cast<std::size_t>(Fit::none)> groups_;
};

}  // namespace

bool usable_id(std::string_view id)
{
    return !id.empty() && id.size() <= longest_id && id != "." && id != ".."
           && std::ranges::none_of(id, [](unsigned char c) { return c < ' ' || c == 0x7f || c == '/'; });
}

Result<FoundTask> find_task(std::string_view state, std::string_view wanted)
{
    if (!usable_id(wanted))
        return fail(Errc::invalid_argument,
                    fmt::format("cannot look for the task \"{}\": it is no id or name", printable(wanted)));
    return TaskFinder{wanted}.find(state);
}

Result<std::vector<FoundTask>> list_tasks(std::string_view state, bool completed, std::size_t most)
{
    std::vector<FoundTask> tasks;
    TaskReader reader{[&](FoundTask task) -> Result<> {
        if (task.completed && !completed) return {};
        if (tasks.size() == most)
            return fail(Errc::invalid_argument,
                        fmt::format("cannot list the tasks: there are more than {}; ask for one by its name "
                                    "or id",
                                    most));
        tasks.push_back(std::move(task));
        return {};
    }};
    auto read = reader.read(state);
    if (!read) return fail(std::move(read).error());
    for (auto& task : tasks)
        task = reader.with_agent(std::move(task));
    return tasks;
}

}  // namespace opsd::mesos
