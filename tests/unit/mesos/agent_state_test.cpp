#include "io/mesos/agent_state.hpp"

#include "unit/mesos/stub.hpp"

#include <algorithm>

namespace opsd::mesos {
namespace {

using test::fixture;

const AgentRun& run_of(const AgentState& state, std::string_view executor)
{
    return *std::ranges::find(state.runs, executor, &AgentRun::executor);
}

TEST(MesosAgentState, ARealAgentsCommandTaskPodAndCompletedOnes)
{
    const auto state = parse_agent_state(fixture("agent/state-with-pod.json")).value();
    EXPECT_EQ(state.id, "54836ef5-80d6-4178-83cc-76db9ff61daf-S0");
    EXPECT_TRUE(state.folder.starts_with("/var/lib/mesos/agent2/slaves/")) << state.folder;
    ASSERT_EQ(state.runs.size(), 5U);
    const auto& command = run_of(state, "ticker");
    EXPECT_TRUE(command.running);
    EXPECT_FALSE(command.pod);
    EXPECT_EQ(command.framework, "54836ef5-80d6-4178-83cc-76db9ff61daf-0000");
    EXPECT_EQ(command.container, "088b8a02-2fff-408e-a5d9-d738c7d38acc");
    ASSERT_EQ(command.tasks.size(), 1U);
    EXPECT_EQ(command.tasks[0].name, "ticker");
    EXPECT_FALSE(command.tasks[0].nested);
    const auto& pod = run_of(state, "default-executor");
    EXPECT_TRUE(pod.pod && pod.running);
    ASSERT_EQ(pod.tasks.size(), 2U);
    EXPECT_EQ(pod.tasks[0].id, "pod-a");
    EXPECT_EQ(pod.tasks[0].container, "49a665c7-14f9-4ec1-8d30-600c461d17f6");
    EXPECT_TRUE(pod.tasks[0].nested);
    const auto& ended = run_of(state, "bad-exit");
    EXPECT_FALSE(ended.running);
    EXPECT_EQ(ended.tasks.at(0).id, "bad-exit");
    EXPECT_EQ(std::ranges::count(state.runs, true, &AgentRun::running), 2);
}

TEST(MesosAgentState, IdsThatDoNotBelongIntoAPathArePassedOver)
{
    const auto state =
        parse_agent_state(
            R"({"frameworks":[{"executors":[{"id":"../x","container":"c"},{"id":"e","container":"a/b"},
                           {"container":"c","id":"e","tasks":[{"id":".."},{"id":"t","name":"n"}]}],"id":"f"},
                           {"id":"..","executors":[{"id":"e","container":"c2"}]}],"id":"S0"})")
            .value();
    ASSERT_EQ(state.runs.size(), 1U);
    EXPECT_EQ(state.runs[0].framework, "f");
    ASSERT_EQ(state.runs[0].tasks.size(), 1U);
    EXPECT_EQ(state.runs[0].tasks[0].name, "n");
}

TEST(MesosAgentState, WhatIsNoAgentsIsRefused)
{
    for (const auto* body :
         {"", "[]", "{}", R"({"id":"S0"})", R"({"frameworks":[]})", R"({"id":"S0","frameworks":[)"})
        EXPECT_EQ(parse_agent_state(body).error().code, Errc::protocol) << body;
    EXPECT_TRUE(parse_agent_state(R"({"id":"S0","frameworks":[]})"));
    const auto two = R"({"id":"S0","frameworks":[{"id":"f","executors":[{"id":"a","container":"a"},
                        {"id":"b","container":"b"}]}]})";
    EXPECT_EQ(parse_agent_state(two, 1).error().code, Errc::protocol);
}

}  // namespace
}  // namespace opsd::mesos
