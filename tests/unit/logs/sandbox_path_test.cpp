#include "modules/logs/sandbox_path.hpp"

#include <gtest/gtest.h>

namespace opsd::logs {
namespace {

SandboxPlace place(std::string file, std::string task = {})
{
    return {
        .framework = "f1", .executor = "e1", .run = "c1", .task = std::move(task), .file = std::move(file)};
}

TEST(SandboxPath, IsBelowTheDirectoryOfTheAgent)
{
    EXPECT_EQ(path_of(place("stdout"), "/w/slaves/S0"),
              "/w/slaves/S0/frameworks/f1/executors/e1/runs/c1/stdout");
    EXPECT_EQ(path_of(place("log/a b.txt", "t1"), "/w/slaves/S0"),
              "/w/slaves/S0/frameworks/f1/executors/e1/runs/c1/tasks/t1/log/a b.txt");
    EXPECT_EQ(path_of(place(""), "/w"), "/w/frameworks/f1/executors/e1/runs/c1");
}

TEST(SandboxPath, NothingLeavesTheSandbox)
{
    for (const auto* bad :
         {"..", ".", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "a/.", "a\nb", "a\x7f"}) {
        const auto result = check(place(bad));
        ASSERT_FALSE(result.has_value()) << bad;
        EXPECT_EQ(result.error().code, Errc::invalid_argument);
        EXPECT_TRUE(result.error().message.starts_with("cannot read ")) << result.error().message;
    }
    EXPECT_FALSE(check(place(std::string("a\0b", 3))).has_value());
    EXPECT_FALSE(check(place(std::string(256, 'a'))).has_value());
    EXPECT_FALSE(check(place(std::string(600, 'a') + "/" + std::string(600, 'b'))).has_value());
    for (const auto* good : {"stdout", "..a", "a..b/c", ".hidden", "a b", "%2e%2e", "\xc3\xa4"})
        EXPECT_TRUE(check(place(good)).has_value()) << good;
}

TEST(SandboxPath, IdsAreSingleSegments)
{
    for (const auto* bad : {"", "..", ".", "a/b", "a\n"}) {
        auto one = place("stdout");
        one.framework = bad;
        EXPECT_FALSE(check(one).has_value()) << bad;
        one = place("stdout");
        one.executor = bad;
        EXPECT_FALSE(check(one).has_value()) << bad;
        one = place("stdout");
        one.run = bad;
        EXPECT_FALSE(check(one).has_value()) << bad;
    }
    EXPECT_FALSE(check(place("stdout", "..")).has_value());
    EXPECT_FALSE(check(place("stdout", "a/b")).has_value());
}

TEST(SandboxPath, ATaskIsFoundByItsExecutorAndOutermostContainer)
{
    mesos::FoundTask task{.id = "t1", .agent_id = "S0", .framework_id = "f1", .containers = {"c1"}};
    auto found = place_of(task, "stdout").value();
    EXPECT_EQ(path_of(found, ""), "/frameworks/f1/executors/t1/runs/c1/stdout") << "a command task";
    task.executor_id = "own";
    found = place_of(task, "stdout").value();
    EXPECT_EQ(path_of(found, ""), "/frameworks/f1/executors/own/runs/c1/stdout")
        << "a framework's own executor has one sandbox for all its tasks";
    task.containers = {"outer", "inner"};
    found = place_of(task, "stdout").value();
    EXPECT_EQ(path_of(found, ""), "/frameworks/f1/executors/own/runs/outer/tasks/t1/stdout") << "a pod";
    task.containers.clear();
    found = place_of(task, "stdout").value();
    EXPECT_EQ(path_of(found, ""), "/frameworks/f1/executors/own/runs/latest/tasks/t1/stdout");
    EXPECT_FALSE(place_of(task, "../x").has_value());
}

TEST(SandboxPath, TheLocationIsEncodedAndKeepsTheQuery)
{
    http::Params query;
    EXPECT_EQ(location_of(place("stdout"), "a-S0", SandboxVerb::read, query),
              "/system/v1/agent/a-S0/logs/v2/task/frameworks/f1/executors/e1/runs/c1/stdout");
    query.add("cursor", "END");
    query.add("skip", "-10");
    query.add("x", "a&b=c\r\n");
    EXPECT_EQ(
        location_of(place("d/a b#.txt", "t?1"), "a-S0", SandboxVerb::download, query),
        "/system/v1/agent/a-S0/logs/v2/task/frameworks/f1/executors/e1/runs/c1/tasks/t%3F1/d/a%20b%23.txt/"
        "download?cursor=END&skip=-10&x=a%26b%3Dc%0D%0A");
    EXPECT_EQ(location_of(place(""), "a-S0", SandboxVerb::browse, {}),
              "/system/v1/agent/a-S0/logs/v2/task/frameworks/f1/executors/e1/runs/c1/files/browse");
}

}  // namespace
}  // namespace opsd::logs
