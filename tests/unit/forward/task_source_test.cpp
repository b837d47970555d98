// Outputs of tasks as a part of the module: over a real folder, with an agent that answers as it is told.

#include "unit/forward/forward_node.hpp"

#include "temp_dir.hpp"

namespace opsd::forward::test {
namespace {

class TaskOutput : public ForwardNode {
protected:
    TaskOutput()
    {
        options.outputs[0].input = "tasks";
        options.cluster = "c1";
        options.tasks.work_dir = sandboxes.path();
        world.folder = [this](const TaskOptions& how) { return folder_of(how); };
        world.agent_state = [this](const TaskOptions&) { return answer(); };
    }
    ~TaskOutput() override { stop(); }

    std::unique_ptr<TaskFolder> folder_of(const TaskOptions& how)
    {
        return make_task_folder(sandbox::make_own_opener(how.work_dir));
    }
    Task<Result<std::string>> answer()
    {
        ++asked;
        if (agent_away) co_return fail(Errc::unavailable, "cannot ask the agent: connection refused");
        std::string executors;
        std::string completed;
        for (const auto& [name, running] : tasks) {
            auto& list = running ? executors : completed;
            list += std::string{list.empty() ? "" : ","} + R"({"id":")" + name + R"(","container":"c-)" + name
                    + R"(","directory":")" + sandboxes.path() + "/slaves/S0/x\"" + R"(,"tasks":[{"id":")"
                    + name + R"(","name":"name-)" + name + "\"}]}";
        }
        co_return R"({"id":"S0","frameworks":[{"id":"f","executors":[)" + executors
            + R"(],"completed_executors":[)" + completed + "]}]}";
    }
    void append(const std::string& task, const std::string& file, const std::string& bytes)
    {
        const auto folder = sandboxes / ("slaves/S0/frameworks/f/executors/" + task + "/runs/c-" + task);
        std::filesystem::create_directories(folder);
        std::ofstream{folder + "/" + file, std::ios::app | std::ios::binary} << bytes;
    }
    /// How often each message arrived, all its ids together.
    std::map<std::string, std::size_t> arrived()
    {
        std::map<std::string, std::size_t> times;
        for (const auto& [id, documents] : far.documents)
            for (const auto& document : documents)
                ++times[message_of(document)];
        return times;
    }
    static json body_of(const std::string& document)
    {
        return json::parse(document.substr(document.find('\n') + 1), nullptr, false);
    }
    static std::string message_of(const std::string& document)
    {
        return body_of(document).value("message", "");
    }
    void until_taken(std::uint64_t records)
    {
        until_after(200ms, [&] { return output()["acknowledged"] == records; });
    }

    opsd::test::TempDir sandboxes;
    std::map<std::string, bool> tasks;  ///< and whether they run
    bool agent_away = false;
    std::uint64_t asked = 0;
};

TEST_F(TaskOutput, SendsLinesWithTheLabelsOfTheirTasks)
{
    tasks["web"] = true;
    append("web", "stdout", "hello\n");
    start();
    until_delivered(1);
    const auto document = body_of(far.documents.begin()->second.at(0));
    EXPECT_EQ(document["message"], "hello");
    const auto& labels = document["labels"];
    EXPECT_EQ(labels["node"], "n1");
    EXPECT_EQ(labels["role"], "master");
    EXPECT_EQ(labels["cluster"], "c1");
    EXPECT_EQ(labels["agent"], "S0");
    EXPECT_EQ(labels["framework"], "f");
    EXPECT_EQ(labels["executor"], "web");
    EXPECT_EQ(labels["container"], "c-web");
    EXPECT_EQ(labels["task_id"], "web");
    EXPECT_EQ(labels["task_name"], "name-web");
    EXPECT_EQ(labels["stream"], "stdout");
    EXPECT_EQ(document["host"]["name"], "n1");
    EXPECT_EQ(document["log"]["file"]["path"], "stdout");
    EXPECT_EQ(document["log"]["syslog"]["appname"], "name-web");
    const auto now = output();
    EXPECT_EQ(now["input"], "tasks");
    EXPECT_EQ(now["tasks"]["found_by"], "agent");
    EXPECT_EQ(now["tasks"]["files"], 1);
    EXPECT_EQ(now["tasks"]["behind_bytes"], 0);
    EXPECT_EQ(now["position"], "");
    EXPECT_EQ(metric("opsd_forward_task_files"), 1);
    EXPECT_EQ(metric("opsd_forward_task_behind_bytes"), 0);
    EXPECT_EQ(status.condition, "running") << status.reason;
    expect_sum();
}

TEST_F(TaskOutput, AnOrderlyEndRepeatsNothing)
{
    for (const auto* task : {"a", "b", "c"})
        tasks[task] = true;
    std::size_t lines = 0;
    options.outputs[0].batch.records = 7;
    start();
    for (int life = 0; life < 6; ++life) {
        for (const auto& [task, running] : tasks)
            for (int i = 0; i < 10; ++i)
                append(task, "stdout", std::to_string(++lines) + "\n");
        for (int i = 0; i < 3 + life; ++i)
            advance(300ms);
        restart();
    }
    until_after(300ms, [&] { return arrived().size() == lines; });
    for (const auto& [message, times] : arrived())
        EXPECT_EQ(times, 1U) << message;
    expect_sum();
}

TEST_F(TaskOutput, AnIdleOneWritesNothing)
{
    tasks["web"] = true;
    append("web", "stdout", "hello\n");
    start();
    until_taken(1);
    until_after(300ms,
                [&] { return (content("elk.tasks.a") + content("elk.tasks.b")).contains("file stdout "); });
    const auto a = content("elk.tasks.a");
    const auto b = content("elk.tasks.b");
    for (int i = 0; i < 100; ++i)
        advance(500ms);
    EXPECT_EQ(content("elk.tasks.a"), a);
    EXPECT_EQ(content("elk.tasks.b"), b);
    EXPECT_GT(asked, 5U);
}

TEST_F(TaskOutput, WhileTheAgentIsAwayItGoesOnAndSaysSo)
{
    tasks["web"] = true;
    append("web", "stdout", "1\n");
    start();
    until_taken(1);
    agent_away = true;
    append("web", "stdout", "2\n");
    until_taken(2);
    until_after(1s, [&] { return output()["tasks"]["found_by"] == "folders"; });
    EXPECT_TRUE(output()["error"].get<std::string>().contains("connection refused")) << output().dump();
    until_after(1s, [&] { return status.condition == "degraded"; });
    append("web", "stdout", "3\n");
    until_taken(3);
    agent_away = false;
    until_after(1s, [&] { return status.condition == "running"; });
    EXPECT_EQ(output()["error"], "");
}

TEST_F(TaskOutput, AnErrorOfTheAgentIsOverWhenItAnswersAsBefore)
{
    tasks["web"] = true;  // it has no folder, nor has any other
    start();
    until_after(500ms, [&] { return output()["tasks"]["runs"] == 1; });
    agent_away = true;
    until_after(1s, [&] { return output()["error"] != ""; });
    agent_away = false;
    until_after(1s, [&] { return output()["error"] == ""; });
    EXPECT_EQ(output()["tasks"]["found_by"], "agent");
}

TEST_F(TaskOutput, LinesWaitForNamesOnlyWhereTheFilterLooksAtThem)
{
    options.outputs[0].filter.matches = {"TASK_NAME=name-web"};
    agent_away = true;
    tasks["web"] = true;
    append("web", "stdout", "1\n");
    start();
    until_after(1s, [&] { return output()["tasks"]["files_unreadable"] == 1; });
    EXPECT_TRUE(output()["tasks"]["unreadable_why"].get<std::string>().contains("names of its task"));
    EXPECT_EQ(output()["acknowledged"], 0);
    agent_away = false;
    until_taken(1);
    stop();
    options.outputs[0].filter.matches = {"STREAM=stdout"};
    agent_away = true;
    append("web", "stderr", "no\n");
    append("web", "stdout", "2\n");
    start();
    until_after(1s, [&] { return far.documents.size() == 2; });
    EXPECT_EQ(output()["tasks"]["files_unreadable"], 0);
}

TEST_F(TaskOutput, RotatedFilesThatWaitAreBoundedByTheirSetting)
{
    options.tasks.max_queued = 1;
    for (const auto* task : {"a", "b"}) {
        tasks[task] = true;
        append(task, "stdout", "first\n");
    }
    start();
    until_taken(2);
    // The end of a renamed file is waited for a while, and those that came after it are open meanwhile: the
    // one that has the name has the place of the file, all others are queued.
    for (const std::string task : {"a", "b"}) {
        const auto file =
            sandboxes / ("slaves/S0/frameworks/f/executors/" + task + "/runs/c-" + task + "/stdout");
        std::filesystem::rename(file, file + ".2");
        append(task, "stdout.1", "second\n");
        append(task, "stdout", "new\n");
    }
    until_after(100ms, [&] { return output()["tasks"]["files_queued"] == 1; });
    EXPECT_EQ(metric("opsd_forward_task_files_queued"), 1);
    EXPECT_EQ(output()["tasks"]["files_unreadable"], 1);
    EXPECT_TRUE(
        output()["tasks"]["unreadable_why"].get<std::string>().contains("forward.tasks.max_queued allows 1"))
        << output()["tasks"].dump();
    until_after(200ms, [&] { return arrived()["new"] == 2; });
    EXPECT_EQ(arrived()["second"], 2U);
    EXPECT_EQ(output()["tasks"]["files_queued"], 0);
    expect_sum();
}

TEST_F(TaskOutput, AReplayIsFromTheBeginningOnly)
{
    tasks["web"] = true;
    append("web", "stdout", "1\n2\n");
    start();
    until_taken(2);
    post("replay", R"({"from": "2h"})", 400);
    post("replay", R"({"from": "beginning"})");
    until_after(300ms, [&] { return arrived()["2"] == 2; });
    EXPECT_EQ(far.documents.size(), 2U) << "the ids are the same";
    expect_sum();
}

TEST_F(TaskOutput, AFarSideThatIsAwayLosesNothing)
{
    options.outputs[0].memory = {1 << 20};
    options.outputs[0].batch.bytes = {64 << 10};
    tasks["web"] = true;
    far.answer = pipeline::retry("connection refused");
    std::string lines;
    for (int i = 0; i < 12'000; ++i)
        lines += std::to_string(i) + " and some more words to make it long\n";
    append("web", "stdout", lines);
    start();
    until_after(300ms, [&] { return output()["held_bytes"] > 1 << 20; });
    EXPECT_GT(output()["tasks"]["behind_bytes"], 0);
    EXPECT_LT(output()["held_bytes"], 3 << 20);
    tasks["web"] = false;  // and ends meanwhile
    far.answer = pipeline::accepted();
    until_after(1s, [&] { return far.documents.size() == 12'000; });
    until_after(1s, [&] { return output()["tasks"]["runs"] == 0; });
    expect_sum();
}

TEST_F(TaskOutput, FilesThatCannotBeReadDegradeTheModule)
{
    tasks["web"] = true;
    append("web", "other", "");
    for (const auto* name : {"/stdout", "/stderr"})
        std::filesystem::create_symlink(
            "/etc/passwd",
            sandboxes / ("slaves/S0/frameworks/f/executors/web/runs/c-web" + std::string{name}));
    start();
    until_after(500ms, [&] { return output()["state"] == "failed"; });
    EXPECT_EQ(output()["tasks"]["files_unreadable"], 2);
    EXPECT_TRUE(output()["error"].get<std::string>().contains("2 files of tasks are not forwarded"));
    until_after(1s, [&] { return status.condition == "degraded"; });
    EXPECT_TRUE(status.reason.contains("cannot read 2 files of tasks")) << status.reason;
    EXPECT_EQ(metric("opsd_forward_task_files_unreadable"), 2);
}

TEST_F(TaskOutput, AnotherWorkDirIsNamed)
{
    tasks["web"] = true;
    options.tasks.work_dir = "/nowhere";
    start();
    until_after(500ms, [&] { return output()["error"] != ""; });
    EXPECT_TRUE(output()["error"].get<std::string>().contains("the agent keeps them in " + sandboxes.path()))
        << output().dump();
}

TEST_F(TaskOutput, TheFilterLooksAtTheFieldsOfTasks)
{
    options.outputs[0].filter.matches = {"TASK_NAME=name-w*", "TASK_NAME=name-db", "STREAM=stdout"};
    for (const auto* task : {"web", "db", "dbx"}) {
        tasks[task] = true;
        append(task, "stdout", std::string{task} + "\n");
        append(task, "stderr", "no\n");
    }
    start();
    until_delivered(2);
    for (int i = 0; i < 10; ++i)
        advance(500ms);
    EXPECT_EQ(arrived(), (std::map<std::string, std::size_t>{{"web", 1}, {"db", 1}}));
}

}  // namespace
}  // namespace opsd::forward::test
