#include "io/mesos/tasks.hpp"

#include "unit/mesos/stub.hpp"

namespace opsd::mesos {
namespace {

using test::fixture;

std::string why(const Result<FoundTask>& result, Errc code)
{
    EXPECT_FALSE(result.has_value());
    if (result) return {};
    EXPECT_EQ(result.error().code, code) << result.error().message;
    return result.error().message;
}

/// A task as a master tells it.
std::string task(std::string_view id, std::string_view name, std::string_view more = {})
{
    return R"({"id":")" + std::string{id} + R"(","name":")" + std::string{name}
           + R"(","framework_id":"f1","executor_id":"","slave_id":"S0","state":"TASK_RUNNING")"
           + std::string{more} + "}";
}

std::string state(std::string_view running, std::string_view completed = {}, std::string_view gone = {})
{
    return R"({"slaves":[{"id":"S0","pid":"slave(1)@10.0.0.7:5051","hostname":"n7"}],"frameworks":[{"tasks":[)"
           + std::string{running} + R"(],"completed_tasks":[)" + std::string{completed}
           + R"(],"executors":[{"executor_id":"x","id":"web"}]}],"completed_frameworks":[{"completed_tasks":[)"
           + std::string{gone} + "]}]}";
}

TEST(MesosTasks, ACommandTaskOfARealMaster)
{
    const auto found = find_task(fixture("master/state.json"), "ticker").value();
    EXPECT_EQ(found.id, "ticker");
    EXPECT_EQ(found.state, "TASK_RUNNING");
    EXPECT_EQ(found.agent_id, "54836ef5-80d6-4178-83cc-76db9ff61daf-S0");
    EXPECT_EQ(found.framework_id, "54836ef5-80d6-4178-83cc-76db9ff61daf-0000");
    EXPECT_EQ(found.executor(), "ticker") << "a command task is its own executor";
    EXPECT_EQ(found.run(), "088b8a02-2fff-408e-a5d9-d738c7d38acc");
    EXPECT_FALSE(found.in_pod());
    EXPECT_FALSE(found.completed);
    EXPECT_EQ(found.agent.host, "127.0.0.1");
    EXPECT_NE(found.agent.port, 0);
}

TEST(MesosTasks, ATaskOfAPodRunsInTheOutermostContainer)
{
    const auto found = find_task(fixture("master/state.json"), "pod-a").value();
    EXPECT_EQ(found.executor(), "default-executor");
    EXPECT_EQ(found.containers, (std::vector<std::string>{"0daab985-3222-40ee-8c61-4af1de877941",
                                                          "49a665c7-14f9-4ec1-8d30-600c461d17f6"}));
    EXPECT_EQ(found.run(), "0daab985-3222-40ee-8c61-4af1de877941");
    EXPECT_TRUE(found.in_pod());
}

TEST(MesosTasks, CompletedTasksOfCompletedFrameworksAreFound)
{
    const auto found = find_task(fixture("master/state.json"), "hello").value();
    EXPECT_TRUE(found.completed);
    EXPECT_EQ(found.state, "TASK_FINISHED");
    EXPECT_EQ(found.run(), "abc20a99-ec01-46f4-ba21-1f6bedd4a324")
        << "of the last status that names one: the update of the master does not";
}

TEST(MesosTasks, TheWholeIdWinsThenTheNameThenAPartOfTheId)
{
    const auto document =
        state(task("web.1", "web") + "," + task("web.10", "web-proxy") + "," + task("my-web.2", "my-web"),
              task("web.3", "web") + "," + task("old.1", "old"));
    EXPECT_EQ(find_task(document, "web.1")->id, "web.1") << "web.10 contains it too";
    EXPECT_EQ(find_task(document, "web")->id, "web.1") << "the name";
    EXPECT_EQ(find_task(document, "my-w")->id, "my-web.2");
    EXPECT_EQ(find_task(document, "web.3")->id, "web.3") << "completed, but the whole id";
    EXPECT_TRUE(find_task(document, "old")->completed);
    EXPECT_EQ(find_task(state(task("a.1", "x"), task("a.2", "a")), "a")->id, "a.1")
        << "running tasks before completed ones";
}

TEST(MesosTasks, SeveralThatFitAreListed)
{
    const auto document = state(task("web.1", "web") + "," + task("web.2", "web"));
    EXPECT_EQ(why(find_task(document, "web"), Errc::invalid_argument),
              "cannot tell which task \"web\" means: 2 fit; give the whole id of one: "
              "web.1 (TASK_RUNNING, framework f1); web.2 (TASK_RUNNING, framework f1)");
    std::string many;
    for (int i = 0; i < 100; ++i)
        many += (i == 0 ? "" : ",") + task("web." + std::to_string(i), "web");
    const auto message = why(find_task(state(many), "web"), Errc::invalid_argument);
    EXPECT_TRUE(message.contains(": 100 fit; "));
    EXPECT_TRUE(message.ends_with("; and 92 more"));
    EXPECT_LT(message.size(), 1'000U);
}

TEST(MesosTasks, NoTaskIsNotFound)
{
    EXPECT_EQ(why(find_task(state(""), "web"), Errc::not_found),
              "cannot find the task \"web\": no task has this name, or an id that contains it; `opsd task "
              "list` shows them")
        << "the executor named web is none";
    why(find_task(fixture("master/state.json"), "nobody"), Errc::not_found);
    for (const auto* bad : {"", "..", "a/b", "a\n"})
        why(find_task(state(""), bad), Errc::invalid_argument);
}

TEST(MesosTasks, IdsThatAreNoneNeverGetIntoAPath)
{
    EXPECT_FALSE(find_task(state(task("web/../x", "web")), "web").has_value());
    EXPECT_FALSE(find_task(state(task("web", "web", R"(,"executor_id":"../x")")), "web").has_value());
    EXPECT_FALSE(find_task(state(task("web", "web", R"(,"framework_id":"..")")), "web").has_value());
    EXPECT_FALSE(find_task(state(task("web", "web", R"(,"slave_id":"")")), "web").has_value());
    EXPECT_FALSE(find_task(state(task("web", "web",
                                      R"(,"statuses":[{"container_status":{"container_id":)"
                                      R"({"value":"a/b"}}}])")),
                           "web")
                     .has_value());
    EXPECT_FALSE(find_task(state(task(std::string(300, 'a'), "web")), "web").has_value());
}

TEST(MesosTasks, ATaskWithoutStatusRunsInItsLatestRun)
{
    const auto found = find_task(state(task("web", "web")), "web").value();
    EXPECT_EQ(found.run(), "latest");
    EXPECT_FALSE(found.in_pod());
    EXPECT_EQ(found.agent.host, "10.0.0.7");
    EXPECT_EQ(found.agent.port, 5051);
}

TEST(MesosTasks, AnAgentThatIsGoneOrComesLaterInTheDocument)
{
    const auto lost = find_task(state(task("web", "web", R"(,"slave_id":"S9")")), "web").value();
    EXPECT_EQ(lost.agent_id, "S9");
    EXPECT_EQ(lost.agent.host, "");
    const auto late = R"({"frameworks":[{"tasks":[)" + task("web", "web")
                      + R"(]}],"slaves":[{"id":"S0","pid":"slave(1)@10.0.0.7:5051"}]})";
    EXPECT_EQ(find_task(late, "web")->agent.host, "10.0.0.7");
}

TEST(MesosTasks, UnreachableTasksAreFoundToo)
{
    const auto document = R"({"frameworks":[{"unreachable_tasks":[)" + task("web", "web") + "]}]}";
    EXPECT_TRUE(find_task(document, "web")->completed);
}

TEST(MesosTasks, WhatIsNoStateIsSaidSo)
{
    why(find_task("", "web"), Errc::protocol);
    why(find_task("<html>", "web"), Errc::protocol);
    why(find_task("[]", "web"), Errc::protocol);
    EXPECT_EQ(why(find_task("{}", "web"), Errc::protocol),
              "cannot read the answer to /state: it has no list of frameworks; is this a Mesos master?");
    const auto whole = fixture("master/state.json");
    for (std::size_t size = 0; size + 1 < whole.size(); size += 997)
        why(find_task(whole.substr(0, size), "ticker"), Errc::protocol);
}

}  // namespace
}  // namespace opsd::mesos
