#include "modules/logs/task_service.hpp"

#include "core/first_of.hpp"
#include "core/json_text.hpp"
#include "http/query.hpp"
#include "io/mesos/address.hpp"
#include "modules/logs/answer.hpp"
#include "modules/logs/caller.hpp"
#include "modules/logs/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace opsd::logs {
namespace {

using http::Request;
using http::Response;

using CorePtr = std::shared_ptr<Core>;

constexpr Duration agent_interval{5'000};  // an agent that was registered anew has another id

/// A client of a stream, who also goes when the module ends.
class UntilFinished final : public http::StreamWriter {
public:
    UntilFinished(http::StreamWriter& writer, Core& core) : writer_{writer}, core_{core} {}

    Task<Result<>> write(std::string_view chunk) override
    {
        if (core_.finished()) co_return fail(Errc::cancelled, "cannot write: module logs ends");
        core_.counters.sandbox_bytes += chunk.size();
        co_return co_await writer_.write(chunk);
    }
    Task<> closed() override { co_await first_of(writer_.closed(), core_.until_finished()); }
    void set_whole(bool whole) override { writer_.set_whole(whole); }

private:
    http::StreamWriter& writer_;
    Core& core_;
};

/// A stream and the place it takes.
struct Reading {
    CorePtr core;
    ReadSlots::Slot slot;
    http::Stream producer;
};

Task<> run_reading(std::shared_ptr<Reading> reading, http::StreamWriter& writer)
{
    const auto slot = std::move(reading->slot);  // given back when the stream ends
    UntilFinished client{writer, *reading->core};
    co_await reading->producer(client);
}

Task<Response> guarded(CorePtr core, http::Handler handler, const Request& request)
{
    for (const auto* name : {"path", "cursor"})
        if (const auto* value = request.query.find(name)) request.object.add(name, *value);
    if (!may_read_tasks(core->options, role_of(request))) {
        ++core->counters.forbidden;
        co_return Response::problem(Error{
            Errc::denied, "cannot read the logs of tasks: your role may read some units only (logs.allow)"});
    }
    auto slot = core->task_readings.take();
    if (!slot) co_return Response::problem(slot.error());
    auto response = co_await handler(request);
    if (!response.producer) {
        core->counters.sandbox_bytes += response.status == 200 ? response.body.size() : 0;
        co_return response;
    }
    auto reading = std::make_shared<Reading>(Reading{core, std::move(*slot), std::move(response.producer)});
    response.producer = [reading = std::move(reading)](http::StreamWriter& writer) {
        return run_reading(reading, writer);
    };
    co_return response;
}

constexpr auto masters_part = "mesos";

/// What Mesos cannot tell now degrades the module; what it does not know does not.
void note_masters(Core& core, const Error* error)
{
    const bool trouble = error != nullptr && error->code != Errc::not_found
                         && error->code != Errc::invalid_argument && error->code != Errc::denied;
    core.trouble(masters_part, trouble ? error->message : std::string{});
}

Task<Result<mesos::FoundTask>> find(CorePtr core, std::string wanted, std::string authorization)
{
    auto slot = core->finds.take();
    if (!slot) co_return fail(std::move(slot).error());
    auto found = co_await core->tasks.find(std::move(wanted), std::move(authorization));
    note_masters(*core, found ? nullptr : &found.error());
    ++(found ? core->counters.found : core->counters.not_found);
    co_return found;
}

void append_task(JsonText& json, const mesos::FoundTask& task)
{
    json.open('{').text("id", task.id).text("name", task.name).text("state", task.state);
    json.text("framework_id", task.framework_id).text("executor_id", task.executor_id);
    json.text("container_id", task.containers.empty() ? "" : task.containers.front());
    json.text("agent_id", task.agent_id);
    json.text("agent", task.agent.host.empty() ? std::string{}
                                               : mesos::join_host_port(task.agent.host, task.agent.port));
    json.boolean("completed", task.completed).close('}');
}

Task<Response> list_tasks(CorePtr core, const Request& request)
{
    auto slot = core->finds.take();
    if (!slot) co_return Response::problem(slot.error());
    const bool completed = http::is_set(request, "completed");
    const auto tasks = co_await core->tasks.list(completed, authorization_for_mesos(request));
    note_masters(*core, tasks ? nullptr : &tasks.error());
    if (!tasks) co_return Response::problem(tasks.error());
    std::string out;
    JsonText json{out};
    json.open('{').key("tasks").open('[');
    for (const auto& task : *tasks)
        append_task(json, task);
    json.close(']').close('}');
    co_return Response::json(std::move(out));
}

http::Route list_row(const CorePtr& core)
{
    auto handler = [core](const Request& request) { return list_tasks(core, request); };
    return {http::Method::get,
            "/api/v1/tasks",
            http::Access::read,
            "Tasks by the word of the leading Mesos master",
            std::move(handler),
            {{"completed", "query", "Also those that have ended", "boolean"}},
            true};
}

void take_agent(Core& core, Result<std::string> id)
{
    const bool none = !id && id.error().code == Errc::not_found;
    core.trouble("agent", id || none ? std::string{} : id.error().message);
    if (id)
        core.agent = {*id, fmt::format("{}/slaves/{}", core.options.tasks.work_dir, *id)};
    else if (none)
        core.agent = {};
}

/// Nobody may ask for a task for days: that the masters answer again must be known all the same.
Task<> look_again(Core& core)
{
    std::string nobody;
    const auto tasks = co_await core.tasks.list(false, std::move(nobody));
    note_masters(core, tasks ? nullptr : &tasks.error());
}

}  // namespace

bool may_read_tasks(const LogsOptions& options, http::Role role)
{
    const auto access = access_of(options);
    const auto* rule = access.rule(role);
    return rule == nullptr || rule->tasks;
}

std::shared_ptr<TaskLogs> task_logs(const std::shared_ptr<Core>& core)
{
    const auto& elsewhere = core->outside.elsewhere;
    TaskLogOptions options;
    options.poll = core->options.tasks.poll;
    return std::make_shared<TaskLogs>(TaskLogs{
        .find = [core](std::string wanted,
                       std::string caller) { return find(core, std::move(wanted), std::move(caller)); },
        .agent = [core] { return core->agent; },
        .size = elsewhere.size,
        .read = elsewhere.read,
        .browse = elsewhere.browse,
        .broken_off =
            [core](const Error& error) {
                core->services.log.warning("cut off the log of a task: {}", error.message);
            },
        .clock = core->services.clock,
        .options = options});
}

std::vector<http::Route> task_service(const std::shared_ptr<Core>& core)
{
    auto rows = task_routes(task_logs(core));
    rows.push_back(list_row(core));
    for (auto& row : rows) {
        row.handler = [core, inner = std::move(row.handler)](const Request& request) {
            return guarded(core, inner, request);
        };
    }
    return rows;
}

Task<> follow_agent(Core& core)
{
    for (;;) {
        auto id = co_await core.outside.elsewhere.agent_id();
        take_agent(core, std::move(id));
        if (core.troubled(masters_part)) co_await look_again(core);
        co_await core.services.clock.sleep_for(agent_interval);
    }
}

}  // namespace opsd::logs
