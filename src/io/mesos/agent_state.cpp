#include "io/mesos/agent_state.hpp"

#include "io/mesos/json_walk.hpp"
#include "io/mesos/tasks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace opsd::mesos {
namespace {

using Kind = JsonEvent::Kind;

constexpr std::string_view answer = "the agent's answer to /state";

constexpr std::array<JsonList, 2> frameworks{{{"frameworks[]", false}, {"completed_frameworks[]", true}}};
constexpr std::array<JsonList, 2> executors{{{"executors[]", false}, {"completed_executors[]", true}}};
constexpr std::array<JsonList, 4> tasks{{{"tasks[]", false},
                                         {"queued_tasks[]", false},
                                         {"completed_tasks[]", true},
                                         {"terminated_tasks[]", true}}};

class StateReader {
public:
    explicit StateReader(std::size_t most) : most_{most} {}

    Result<AgentState> read(std::string_view body) &&
    {
        bool lists = false;
        auto done = walk_json(body, answer, [&](const JsonEvent& event) {
            if (event.path == "frameworks" && event.kind == Kind::begin_array) lists = true;
            if (event.path == "id" && event.kind == Kind::text) state_.id = event.text;
            const auto framework = place_in(frameworks, event.path);
            return framework ? in_framework(*framework, event) : Result<>{};
        });
        if (!done) return fail(std::move(done).error());
        if (!lists || !usable_id(state_.id))
            return fail(Errc::protocol, fmt::format("cannot read {}: it has no id or no list of frameworks; "
                                                    "is this a Mesos agent?",
                                                    answer));
        return std::move(state_);
    }

private:
    Result<> in_framework(const JsonPlace& at, const JsonEvent& event)
    {
        if (at.field.empty() && event.kind == Kind::begin_object) {
            framework_.clear();
            first_run_ = state_.runs.size();
        }
        if (at.field == "id" && event.kind == Kind::text) framework_ = event.text;
        if (at.field.empty() && event.kind == Kind::end_object) name_runs();
        const auto executor = place_in(executors, at.field);
        if (!executor) return {};
        return in_executor({executor->field, executor->completed || at.completed}, event);
    }

    /// Its id may stand behind its executors.
    void name_runs()
    {
        if (!usable_id(framework_)) state_.runs.resize(first_run_);
        for (auto i = first_run_; i < state_.runs.size(); ++i)
            state_.runs[i].framework = framework_;
    }

    Result<> in_executor(const JsonPlace& at, const JsonEvent& event)
    {
        if (at.field.empty() && event.kind == Kind::begin_object) run_ = {};
        if (event.kind == Kind::text) {
            if (at.field == "id") run_.executor = event.text;
            if (at.field == "container") run_.container = event.text;
            if (at.field == "type") run_.pod = event.text == "DEFAULT";
            if (at.field == "directory") state_.folder = event.text;
        }
        if (const auto task = place_in(tasks, at.field)) in_task(*task, event);
        if (!at.field.empty() || event.kind != Kind::end_object) return {};
        if (!usable_id(run_.executor) || !usable_id(run_.container)) return {};
        if (state_.runs.size() == most_)
            return fail(Errc::protocol,
                        fmt::format("cannot read {}: it lists more than {} executors", answer, most_));
        run_.running = !at.completed;
        run_.pod = run_.pod || std::ranges::any_of(run_.tasks, &AgentTask::nested);
        state_.runs.push_back(std::move(run_));
        return {};
    }

    void in_task(const JsonPlace& at, const JsonEvent& event)
    {
        constexpr std::string_view container = "statuses[].container_status.container_id";
        if (at.field.empty() && event.kind == Kind::begin_object) task_ = {};
        if (event.kind == Kind::text) {
            if (at.field == "id") task_.id = event.text;
            if (at.field == "name") task_.name = event.text;
            if (at.field.starts_with(container)) {
                const auto below = at.field.substr(container.size());
                if (below == ".value") task_.container = event.text;
                if (below == ".parent.value") task_.nested = true;
            }
        }
        if (at.field.empty() && event.kind == Kind::end_object && usable_id(task_.id)
            && run_.tasks.size() < most_tasks)
            run_.tasks.push_back(std::move(task_));
    }

    std::size_t most_;
    AgentState state_;
    std::string framework_;
    std::size_t first_run_ = 0;
    AgentRun run_;
    AgentTask task_;
};

}  // namespace

Result<AgentState> parse_agent_state(std::string_view body, std::size_t most)
{
    return StateReader{most}.read(body);
}

}  // namespace opsd::mesos
