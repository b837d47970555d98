// What a position keeps of runs besides their places: the names of their tasks, and where generations begin.

#include "pipeline/tail/file_position.hpp"

#include <gtest/gtest.h>

namespace opsd::pipeline {
namespace {

TEST(TaskPosition, KeepsNamesAndGenerations)
{
    TailPosition position;
    auto& run = position.runs["c"];
    run.run = {"S0", "f", "e", "c"};
    run.pod = true;
    run.tasks = {{"a.1", "a name % \n", "in", true}, {"b", "", "", false}, {"-", "=", "", true}};
    run.generation = 101;
    run.files["stdout"].offset = 7;
    position.runs["d"].run = {"S0", "f", "e", "d"};
    const auto back = parse_tail(tail_text(position));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, position);
}

TEST(TaskPosition, TheTextOfAnOlderOneIsRead)
{
    const auto old = parse_tail("opsd tasks 1\nlooked 5\nrun a b c d\nfile x 1:2 3 0:0 4\nend\n");
    ASSERT_TRUE(old);
    EXPECT_TRUE(old->runs.at("d").tasks.empty());
    EXPECT_EQ(old->runs.at("d").generation, 0U);
}

TEST(TaskPosition, NamesThatAreTooLongAreLeftOut)
{
    TailPosition position;
    auto& run = position.runs["c"];
    run.run = {"S0", "f", "e", "c"};
    run.tasks = {{"a", std::string(TailBounds::word + 1, 'n'), "", false}, {"b", "b", "", false}};
    const auto back = parse_tail(tail_text(position));
    ASSERT_TRUE(back) << back.error().message;
    ASSERT_EQ(back->runs.at("c").tasks.size(), 1U);
    EXPECT_EQ(back->runs.at("c").tasks[0].id, "b");
}

TEST(TaskPosition, LinesThatAreNotOursAreRefused)
{
    for (const auto* line :
         {"task 1 0 =a =b", "task 1 0 =a =b =c =d", "task 2 0 =a =b =c", "task 1 0 a =b =c",
          "task 1 0 =a =b =%4", "task 1 0 =a =b =c\ntask 0 0 =a =b =c", "from 0", "from x", "from 1\nfrom 2",
          "file x 1:2 3 0:0 4\ntask 1 0 =a =b =c", "file x 1:2 3 0:0 4\nfrom 1"}) {
        const auto text = std::string{"opsd tasks 1\nlooked 0\nrun a b c d\n"} + line + "\nend\n";
        EXPECT_FALSE(parse_tail(text)) << line;
    }
    for (const auto* line : {"task 1 0 =a =b =c", "from 1"})
        EXPECT_FALSE(parse_tail(std::string{"opsd tasks 1\nlooked 0\n"} + line + "\nend\n")) << line;
}

}  // namespace
}  // namespace opsd::pipeline
