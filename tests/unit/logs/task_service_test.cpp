// The logs of tasks as the module serves them: found by the masters' word, read of the agent, for those who
// may.

#include "modules/logs/task_service.hpp"

#include "other_nodes.hpp"
#include "temp_dir.hpp"

#include <filesystem>

namespace opsd::logs {
namespace {

using namespace test;
using nlohmann::json;

const std::string by_name = "/system/v1/logs/v2/task/web";
const std::string run_of_web = "/system/v1/logs/v2/task/frameworks/f1/executors/web.1/runs/c1";

class LogsTasks : public LogsCluster {
protected:
    LogsTasks()
    {
        elsewhere.agent_id = [this] { return agent_id(); };
        elsewhere.mesos_state = [this](net::Deadline, std::string caller) {
            return state(std::move(caller));
        };
        elsewhere.size = [this](std::string path, std::string caller) {
            return size(std::move(path), std::move(caller));
        };
        elsewhere.read = [this](std::string path, std::uint64_t offset, std::size_t length, std::string) {
            return read(std::move(path), offset, length);
        };
        elsewhere.browse = [this](std::string path, std::string) { return browse(std::move(path)); };
        files["/var/lib/mesos/slave/slaves/a-S1/frameworks/f1/executors/web.1/runs/c1/stdout"] = "one\ntwo\n";
        files["/var/lib/mesos/slave/slaves/a-S1/frameworks/f1/executors/web.1/runs/c1/logs/today/x.log"] =
            "nested\n";
    }

    std::map<std::string, std::string> files;
    Result<std::string> agent = std::string{"a-S1"};
    std::optional<Error> masters;
    std::vector<std::string> callers;
    std::vector<std::string> browsed;

private:
    Task<Result<std::string>> agent_id() { co_return agent; }
    Task<Result<std::string>> state(std::string caller)
    {
        callers.push_back(std::move(caller));
        if (masters) co_return fail(*masters);
        const auto task = [](const std::string& id, const std::string& name, const std::string& agent_of) {
            return R"({"id":")" + id + R"(","name":")" + name
                   + R"(","framework_id":"f1","executor_id":"","slave_id":")" + agent_of
                   + R"(","state":"TASK_RUNNING","statuses":[{"container_status":{"container_id":)"
                     R"({"value":"c1"}}}]})";
        };
        co_return R"({"slaves":[{"id":"a-S2","pid":"slave(1)@10.0.0.2:5051"}],"frameworks":[{"tasks":[)"
            + task("web.1", "web", "a-S1") + "," + task("far.1", "far", "a-S2")
            + R"(],"completed_tasks":[{"id":"old.1","name":"old","framework_id":"f1","executor_id":"",)"
              R"("slave_id":"a-S2","state":"TASK_FINISHED"}]}]})";
    }
    Task<Result<std::uint64_t>> size(std::string path, std::string caller)
    {
        callers.push_back(std::move(caller));
        const auto file = files.find(path);
        if (file == files.end()) co_return fail(Errc::not_found, "cannot read " + path);
        co_return file->second.size();
    }
    Task<Result<std::string>> read(std::string path, std::uint64_t offset, std::size_t length)
    {
        const auto file = files.find(path);
        if (file == files.end()) co_return fail(Errc::not_found, "cannot read " + path);
        if (offset >= file->second.size()) co_return std::string{};
        co_return file->second.substr(offset, length);
    }
    Task<Result<std::vector<mesos::FileItem>>> browse(std::string path)
    {
        browsed.push_back(path);
        co_return std::vector<mesos::FileItem>{{.path = path + "/stdout"}};
    }
};

TEST_F(LogsTasks, ATaskOfThisNodeIsReadAtOnce)
{
    EXPECT_EQ(get(by_name + "?cursor=END&skip=-1", {{"authorization", "token=abc"}}), "two\n");
    EXPECT_EQ(callers, (std::vector<std::string>{"token=abc", "token=abc"}))
        << "of the masters, of the agent";
    EXPECT_EQ(get(run_of_web + "/stdout"), "one\ntwo\n");
    EXPECT_EQ(metric("opsd_logs_tasks_found_total"), 1);
    EXPECT_EQ(metric("opsd_logs_task_bytes_total"), 12);
    EXPECT_EQ(last_request().object.size(), 0U);
    (void)get(by_name + "?cursor=4");
    EXPECT_EQ(last_request().object.get("cursor"), "4") << "for the audit";
}

TEST_F(LogsTasks, FilesInFoldersOfTheSandboxAreRead)
{
    EXPECT_EQ(get(by_name + "/file/logs/today/x.log"), "nested\n");
    EXPECT_EQ(get(run_of_web + "/logs/today/x.log"), "nested\n");
    EXPECT_EQ(get(run_of_web + "/logs/today/x.log/download"), "nested\n");
    EXPECT_EQ(ask(run_of_web + "/logs/today/none.log").status, 404U);
    (void)get(by_name + "/browse?path=logs/today");
    (void)get(run_of_web + "/files/browse");
    const std::string sandbox = "/var/lib/mesos/slave/slaves/a-S1/frameworks/f1/executors/web.1/runs/c1";
    EXPECT_EQ(browsed, (std::vector<std::string>{sandbox + "/logs/today", sandbox}));
    EXPECT_EQ(ask(by_name + "/browse?path=../../x").status, 400U);
}

TEST_F(LogsTasks, ATaskOfAnotherNodeIsReachedThroughThisOne)
{
    const auto response = ask("/system/v1/logs/v2/task/far/file/a/b?skip=-1");
    EXPECT_EQ(response.status, 303U);
    const auto location = header(response, "Location");
    EXPECT_EQ(location,
              "/system/v1/agent/a-S2/logs/v2/task/frameworks/f1/executors/far.1/runs/c1/a/b?skip=-1");
    auto there = script("10.0.0.2");
    there->headers = {{"content-type", "text/plain"}, {"content-length", "4"}};
    there->pieces = {"far\n"};
    EXPECT_EQ(get(location, {{"authorization", "token=abc"}}), "far\n");
    EXPECT_EQ(asked.at(0).address, "10.0.0.2");
    EXPECT_EQ(asked.at(0).header("x-opsd-mesos-authorization"), "token=abc");
}

TEST_F(LogsTasks, OfItsOwnIdAnAgentAnswersItself)
{
    EXPECT_EQ(get("/system/v1/agent/a-S1/logs/v2/task/frameworks/f1/executors/web.1/runs/c1/stdout"),
              "one\ntwo\n");
    EXPECT_TRUE(asked.empty());
    EXPECT_EQ(last_request().object.get("run"), "c1") << "the audit has what was read";
}

TEST_F(LogsTasks, AnAgentThatRegisteredAnewHasItsNewId)
{
    EXPECT_EQ(ask(run_of_web + "/stdout").status, 200U);
    agent = fail(Errc::not_found, "cannot find the agent: it is gone");
    advance(5s);
    EXPECT_EQ(ask(run_of_web + "/stdout").status, 404U);
    EXPECT_EQ(status.condition, "running") << "a node without an agent is well";
    agent = fail(Errc::denied, "cannot read /var/lib/mesos/slave/meta/slaves/latest: permission denied");
    advance(5s);
    EXPECT_EQ(status.condition, "degraded");
    EXPECT_EQ(status.reason, agent.error().message);
    agent = std::string{"a-S9"};
    advance(5s);
    EXPECT_EQ(status.condition, "running");
    EXPECT_EQ(ask(by_name).status, 303U) << "a-S1 is another one now";
}

TEST_F(LogsTasks, MastersThatDoNotAnswerDegradeTheModuleUntilTheyDo)
{
    masters = Error{Errc::unavailable, "cannot ask the Mesos leader: nobody answers"};
    EXPECT_EQ(ask(by_name).status, 503U);
    EXPECT_EQ(status.condition, "degraded");
    EXPECT_EQ(status.reason, "cannot ask the Mesos leader: nobody answers");
    EXPECT_EQ(metric("opsd_logs_tasks_not_found_total"), 1);
    EXPECT_EQ(ask(run_of_web + "/stdout").status, 200U) << "what needs no master is served";
    masters.reset();
    advance(5s);
    for (int i = 0; i < 5'000 && status.condition != "running"; ++i)
        io.restart(), io.run_one_for(1ms);  // what they say is read on a thread
    EXPECT_EQ(status.condition, "running") << "also when nobody asks for a task";
    EXPECT_EQ(ask("/system/v1/logs/v2/task/none").status, 404U);
    EXPECT_EQ(status.condition, "running") << "a task that is not there is no trouble";
}

TEST_F(LogsTasks, TasksAreListed)
{
    auto list = json::parse(get("/api/v1/tasks"));
    ASSERT_EQ(list["tasks"].size(), 2U);
    EXPECT_EQ(list["tasks"][1]["id"], "far.1");
    EXPECT_EQ(list["tasks"][1]["agent"], "10.0.0.2:5051");
    EXPECT_EQ(list["tasks"][1]["container_id"], "c1");
    list = json::parse(get("/api/v1/tasks?completed"));
    ASSERT_EQ(list["tasks"].size(), 3U);
    EXPECT_EQ(list["tasks"][2]["completed"], true);
}

TEST_F(LogsTasks, ARoleWhoseUnitsAreListedReadsNoTasksUnlessItMay)
{
    options.allow = {{.role = "viewer", .units = {"a.service"}}};
    for (const auto& target : {by_name, run_of_web + "/stdout", std::string{"/api/v1/tasks"}})
        EXPECT_EQ(ask(target, {}, http::Role::viewer).status, 403U) << target;
    EXPECT_EQ(ask(by_name, {}, http::Role::operator_).status, 200U);
    EXPECT_EQ(ask(by_name, {{"x-opsd-role", "viewer"}}, http::Role::operator_).status, 403U)
        << "also by way of another node";
    EXPECT_EQ(metric("opsd_logs_forbidden_total"), 4);
    options.allow[0].tasks = true;
    EXPECT_TRUE(may_read_tasks(options, http::Role::viewer));
    options.allow[0] = {.role = "viewer", .units = {"*"}};
    EXPECT_TRUE(may_read_tasks(options, http::Role::viewer));
    EXPECT_TRUE(may_read_tasks({}, http::Role::viewer));
}

TEST_F(LogsTasks, AFollowedFileEndsWithTheModuleAndTakesAPlace)
{
    options.tasks.readings = 1;
    auto& client = listen(by_name, {{"accept", "text/event-stream"}});
    settle();
    EXPECT_EQ(metric("opsd_logs_task_readings"), 1);
    EXPECT_EQ(ask(by_name).status, 503U);
    EXPECT_EQ(metric("opsd_logs_task_readings_refused_total"), 1);
    stop();
    EXPECT_TRUE(client.ended);
    EXPECT_FALSE(client.whole) << "the client comes again";
}

TEST(LogsElsewhere, TheAgentsIdIsWhereItsFolderLeads)
{
    const opsd::test::TempDir folder;
    EXPECT_EQ(read_agent_id(folder.path()).error().code, Errc::not_found);
    std::filesystem::create_directories(folder / "meta/slaves");
    std::filesystem::create_directory_symlink(folder / "meta/slaves/0a-S7", folder / "meta/slaves/latest");
    EXPECT_EQ(read_agent_id(folder.path()).value_or(""), "0a-S7");
    std::filesystem::remove(folder / "meta/slaves/latest");
    std::filesystem::create_directory(folder / "meta/slaves/latest");
    const auto strange = read_agent_id(folder.path());
    EXPECT_FALSE(strange);
    EXPECT_TRUE(strange.error().message.starts_with("cannot read ")) << strange.error().message;
}

TEST(LogsElsewhere, MarathonsAnswerIsReadStrictly)
{
    EXPECT_EQ(parse_marathon_leader(R"({"leader":"10.0.0.1:8080"})").value_or(""), "10.0.0.1:8080");
    for (const auto* wrong : {"", "{}", "[]", R"({"leader":7})", R"({"leader":"a b:1"})", R"({"leader":""})"})
        EXPECT_EQ(parse_marathon_leader(wrong).error().code, Errc::protocol) << wrong;
}

TEST(LogsOptions, AddressesAreChecked)
{
    LogsOptions options;
    EXPECT_TRUE(validate(options));
    options.tasks.agent = "https://10.0.0.1:5051";
    EXPECT_TRUE(validate(options));
    for (const auto* wrong : {"10.0.0.1:5051", "http://a/", "http://kim:secret@a", "unix:/x:/"}) {
        options.tasks.agent = wrong;
        const auto refused = validate(options);
        ASSERT_FALSE(refused) << wrong;
        EXPECT_TRUE(refused.error().message.starts_with("cannot use logs.tasks.agent: ")) << wrong;
    }
    options.tasks.agent.clear();
    options.tasks.work_dir = "mesos";
    EXPECT_FALSE(validate(options));
}

}  // namespace
}  // namespace opsd::logs
