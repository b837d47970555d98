// Files of tasks are read once and to their end, whatever becomes of them meanwhile.

#include "unit/forward/task_tail.hpp"

#include <map>
#include <random>

namespace opsd::forward::test {
namespace {

using Messages = std::vector<std::string>;

TEST_F(TaskTail, NewTasksAreReadFromTheirFirstLineAndCarryTheirNames)
{
    append("web", "stdout", "one\ntwo\r\n\ndrop\n");
    append("web", "stderr", "oops\n");
    found({run("web")});
    start();
    read_all();
    ASSERT_EQ(seen.size(), 4U);
    EXPECT_EQ(seen[0].line, "oops|web.1|web|c-web|stderr|stderr");
    EXPECT_EQ(seen[1].line, "one|web.1|web|c-web|stdout|stdout");
    EXPECT_EQ((Messages{seen[2].message, seen[3].message}), (Messages{"two", ""}));
    EXPECT_TRUE(seen[0].id.starts_with("c-web:")) << seen[0].id;
    EXPECT_EQ((std::pair{facts.files, facts.behind_bytes}), (std::pair<std::size_t, std::uint64_t>{2, 0}));
    seen.clear();
    append("web", "stdout", "three\n");
    read_all();
    EXPECT_EQ(messages(), Messages{"three"});
    restart();
    read_all();
    EXPECT_EQ(messages(), Messages{});
}

TEST_F(TaskTail, APositionInTheMiddleGoesOnThereWithTheSameIds)
{
    append("web", "stdout", "1\n2\n3\n4\ndrop\n");
    found({run("web")});
    start();
    next();
    ASSERT_EQ(seen.size(), 4U);
    const auto first = seen;
    for (std::size_t confirmed = 0; confirmed < 4; ++confirmed) {
        saved = confirmed == 0 ? ledger.text_up_to(0) : ledger.text_up_to(first[confirmed - 1].number);
        seen.clear();
        start();
        read_all();
        ASSERT_EQ(seen.size(), 4 - confirmed);
        for (std::size_t i = confirmed; i < 4; ++i) {
            EXPECT_EQ(seen[i - confirmed].id, first[i].id);
            EXPECT_EQ(seen[i - confirmed].message, first[i].message);
        }
        // Back to the first reading's numbers.
        saved = "opsd tasks 1\nlooked 0\nend\n";
        handed = 0;
        seen.clear();
        start();
        next();
        ASSERT_EQ(seen.size(), 4U);
        for (std::size_t i = 0; i < 4; ++i)
            EXPECT_EQ(seen[i].number, first[i].number);
    }
}

TEST_F(TaskTail, WhatIsThereAtTheFirstStartIsSkippedWhenTheConfigurationSaysSo)
{
    options.skip = true;
    append("web", "stdout", "old\nhalf");
    append("gone", "stdout", "done long ago\n");
    found({run("web"), run("gone", false)});
    start();
    read_all();
    EXPECT_EQ(messages(), Messages{});
    append("web", "stdout", " a line\n");
    append("new", "stdout", "first\n");
    found({run("web"), run("gone", false), run("new")});
    restart();
    read_all();
    EXPECT_EQ(messages(), (Messages{"first", "half a line"}));
}

TEST_F(TaskTail, ALineWithoutItsEndWaitsForIt)
{
    append("web", "stdout", "to");
    found({run("web")});
    start();
    read_all();
    EXPECT_EQ(messages(), Messages{});
    append("web", "stdout", "rn\nprogress 50%");
    for (int i = 0; i < 5; ++i)
        next();
    EXPECT_EQ(messages(), Messages{"torn"});
    for (int i = 0; i < 10; ++i)
        next();
    EXPECT_EQ(messages(), Messages{"progress 50%"});  // after partial_timeout
    append("web", "stdout", " 60%\n");
    read_all();
    EXPECT_EQ(messages(), Messages{" 60%"});
}

TEST_F(TaskTail, RecordsOfSeveralLinesAreWhole)
{
    options.tail.join.start = *pipeline::LineStart::make("^\\S");
    append("web", "stdout", "Error\n at a\n");
    found({run("web")});
    start();
    next();
    next();
    EXPECT_EQ(messages(), Messages{});
    append("web", "stdout", " at b\nNext\n");
    next();
    EXPECT_EQ(messages(), Messages{"Error\n at a\n at b"});
    restart();
    for (int i = 0; i < 6; ++i)
        next();
    EXPECT_EQ(messages(), Messages{"Next"});  // after multiline.timeout
}

TEST_F(TaskTail, ALongLineComesInPiecesThatMakeItWhole)
{
    const std::string megabyte(1 << 20, 'x');
    append("web", "stdout", megabyte + "\nend\n");
    found({run("web")});
    start();
    read_all();
    std::string all;
    for (const auto& message : messages())
        all += message;
    EXPECT_TRUE(all == megabyte + "end") << all.size();
}

TEST_F(TaskTail, ARenamedFileIsReadToItsEndBeforeTheNextOne)
{
    append("web", "stdout", "1\n");
    found({run("web")});
    start();
    read_all();
    std::ofstream old{path("web", "stdout"), std::ios::app};
    old << "2\n" << std::flush;
    rotate("web", "stdout");
    append("web", "stdout", "4\n");
    next();
    old << "3\n" << std::flush;  // the writer has not noticed yet
    read_all();
    EXPECT_EQ(messages(), (Messages{"1", "2", "3", "4"}));
    EXPECT_EQ(losses, Messages{});
}

TEST_F(TaskTail, TwoRotationsBetweenTwoLooksLoseNothing)
{
    append("web", "stdout", "1\n");
    found({run("web")});
    start();
    read_all();
    for (const auto* line : {"2\n", "3\n", "4\n"}) {
        append("web", "stdout", line);
        rotate("web", "stdout");
    }
    append("web", "stdout", "5\n");
    read_all(16);
    EXPECT_EQ(messages(), (Messages{"1", "2", "3", "4", "5"}));
    for (const auto* line : {"6\n", "7\n"}) {
        append("web", "stdout", line);
        rotate("web", "stdout");
    }
    restart();  // the file at the position is stdout.2 now, and nothing has the name
    read_all(16);
    EXPECT_EQ(messages(), (Messages{"6", "7"}));
    append("web", "stdout", "8\n");
    read_all(16);
    EXPECT_EQ(messages(), Messages{"8"});
    EXPECT_EQ(losses, Messages{});
}

TEST_F(TaskTail, ATruncatedFileGoesOnInItsCopy)
{
    append("web", "stdout", "1\n");
    found({run("web")});
    start();
    read_all();
    append("web", "stdout", "2\n");
    copy_and_truncate("web", "stdout");
    append("web", "stdout", "a line that is longer than all before it\n");
    copy_and_truncate("web", "stdout");
    append("web", "stdout", "4\n");
    read_all();
    EXPECT_EQ(messages(), (Messages{"1", "2", "a line that is longer than all before it", "4"}));
    append("web", "stdout", "5\n");
    copy_and_truncate("web", "stdout");
    append("web", "stdout", "grown beyond what was read before\n");
    restart();
    read_all();
    EXPECT_EQ(messages(), (Messages{"5", "grown beyond what was read before"}));
    EXPECT_EQ(losses, Messages{});
}

TEST_F(TaskTail, ATruncationWithoutACopyIsALossThatIsTold)
{
    append("web", "stdout", "1\n2\n");
    found({run("web")});
    start();
    read_all();
    std::filesystem::resize_file(path("web", "stdout"), 0);
    append("web", "stdout", "3\n");
    read_all();
    EXPECT_EQ(messages(), (Messages{"1", "2", "3"}));
    ASSERT_EQ(losses.size(), 1U);
    EXPECT_TRUE(losses[0].contains("from byte 4 on: it was truncated")) << losses[0];
}

TEST_F(TaskTail, AFileIsTruncatedTwiceBeforeItIsReadOnce)
{
    append("web", "stdout", "");
    found({run("web")});
    start();
    read_all();
    append("web", "stdout", "1\n");
    copy_and_truncate("web", "stdout", 1);
    read_all();
    EXPECT_EQ(messages(), Messages{"1"});
    append("web", "stdout", "two\n");
    std::filesystem::copy_file(path("web", "stdout"), path("web", "stdout.1"),
                               std::filesystem::copy_options::overwrite_existing);  // the same inode
    std::filesystem::resize_file(path("web", "stdout"), 0);
    append("web", "stdout", "3\n");
    read_all();
    EXPECT_EQ(messages(), (Messages{"two", "3"}));
}

TEST_F(TaskTail, TheSameLineOfAFileThatReusesAnInodeHasAnotherId)
{
    append("web", "stdout", "same\n");
    found({run("web")});
    start();
    read_all();
    std::filesystem::resize_file(path("web", "stdout"), 0);
    next();
    append("web", "stdout", "same\n");
    read_all();
    rotate("web", "stdout", 1);
    append("web", "stdout", "same\n");
    read_all();
    ASSERT_EQ(seen.size(), 3U);
    EXPECT_EQ((std::set{seen[0].id, seen[1].id, seen[2].id}).size(), 3U);
}

TEST_F(TaskTail, AFileThatIsRotatedAwayWhileNobodyReadsIsALossThatIsTold)
{
    append("web", "stdout", "1\n");
    found({run("web")});
    start();
    read_all();
    save();
    append("web", "stdout", "2\n");
    rotate("web", "stdout", 1);
    append("web", "stdout", "3\n");
    rotate("web", "stdout", 1);
    append("web", "stdout", "4\n");
    start();
    read_all();
    EXPECT_EQ(messages(), (Messages{"1", "3", "4"}));
    ASSERT_EQ(losses.size(), 1U);
    EXPECT_TRUE(losses[0].contains("rotated away")) << losses[0];
}

TEST_F(TaskTail, ADeletedFileIsReadToItsEndAndItsSuccessorFollows)
{
    append("web", "stdout", "1\n");
    found({run("web")});
    start();
    next();
    append("web", "stdout", "2\n");
    std::filesystem::remove(path("web", "stdout"));
    read_all();
    append("web", "stdout", "3\n");
    read_all(16);
    EXPECT_EQ(messages(), (Messages{"1", "2", "3"}));
}

TEST_F(TaskTail, AnEndedTaskIsReadToItsEndAndThenForgotten)
{
    append("web", "stdout", "1\n");
    found({run("web")});
    start();
    read_all();
    append("web", "stdout", "2\nno newline");
    found({run("web", false)});
    read_all();
    EXPECT_EQ(messages(), (Messages{"1", "2", "no newline"}));
    EXPECT_EQ((std::pair{facts.runs, facts.files}), (std::pair<std::size_t, std::size_t>{0, 0}));
    save();
    EXPECT_TRUE(saved.contains("\ndone c-web\n")) << saved;
    EXPECT_FALSE(saved.contains("file ")) << saved;
    found({run("web", false)});
    restart();
    read_all();
    EXPECT_EQ(messages(), Messages{});
    found({});
    read_all();
    save();
    EXPECT_FALSE(saved.contains("done")) << saved;
}

TEST_F(TaskTail, TasksThatBeganAndEndedUnseenAreReadToTheirEnd)
{
    found({});
    start();
    read_all();
    save();
    append("short", "stdout", "1\n2\n");
    rotate("short", "stdout");
    append("short", "stdout", "3\n");
    found({run("short", false)});
    start();
    read_all();
    EXPECT_EQ(messages(), (Messages{"1", "2", "3"}));
    EXPECT_EQ(facts.runs, 0U);
}

TEST_F(TaskTail, AFolderThatIsGoneEndsItsRun)
{
    append("web", "stdout", "1\n");
    found({run("web")});
    start();
    read_all();
    save();
    std::filesystem::remove_all(dir / path_of(run("web").name));
    found({});
    start();
    read_all();
    EXPECT_EQ(facts.runs, 0U);
    ASSERT_EQ(losses.size(), 1U);
    EXPECT_TRUE(losses[0].contains("after byte 2 is lost")) << losses[0];
}

TEST_F(TaskTail, TasksOfAPodHaveFoldersOfTheirOwn)
{
    auto pod = run("pod");
    pod.pod = true;
    pod.tasks = {{.id = "a", .name = "first", .container = "in-a", .nested = true},
                 {.id = "b", .name = "second", .container = "", .nested = true}};
    append("pod", "stdout", "executor\n");
    append("pod", "tasks/a/stdout", "1\n");
    append("pod", "tasks/b/stderr", "2\n");
    found({pod});
    start();
    read_all();
    ASSERT_EQ(seen.size(), 3U);
    EXPECT_EQ(seen[0].line, "executor||pod|c-pod|stdout|stdout");
    EXPECT_EQ(seen[1].line, "1|a|first|c-pod.in-a|tasks/a/stdout|stdout");
    EXPECT_EQ(seen[2].line, "2|b|second|c-pod|tasks/b/stderr|stderr");
}

TEST_F(TaskTail, PatternsFollowFilesAsTheyAppear)
{
    options.files = {"logs/*.log", "std*"};
    append("web", "stdout", "out\n");
    append("web", "stdout.1", "older\n");
    append("web", "logs/a.log", "a\n");
    append("web", "logs/.hidden.log", "no\n");
    append("web", "logs/a.txt", "no\n");
    found({run("web")});
    start();
    read_all();
    EXPECT_EQ(messages(), (Messages{"a", "older", "out"}));
    append("web", "logs/b.log", "b\n");
    found({run("web")});
    read_all();
    EXPECT_EQ(messages(), Messages{"b"});
}

TEST_F(TaskTail, FilesBeyondTheBoundWaitAndAreCounted)
{
    options.max_files = 2;
    for (const auto* task : {"a", "b", "c"})
        append(task, "stdout", std::string{task} + "\n");
    found({run("a"), run("b"), run("c")});
    start();
    read_all();
    EXPECT_EQ(messages(), (Messages{"a", "b"}));
    EXPECT_GE(facts.not_followed, 1U);
    found({run("a", false), run("b"), run("c")});
    read_all();
    found({run("a", false), run("b"), run("c")});
    read_all();
    EXPECT_EQ(messages(), Messages{"c"});
}

TEST_F(TaskTail, AChattyTaskDoesNotHoldUpTheOthers)
{
    std::string flood;
    for (int i = 0; i < 100'000; ++i)
        flood += "flood " + std::to_string(i) + "\n";
    append("a", "stdout", flood);
    append("b", "stdout", "hello\n");
    found({run("a"), run("b")});
    start();
    next();
    next();
    EXPECT_EQ(std::ranges::count(messages(), "hello"), 1);
}

TEST_F(TaskTail, WithoutTheAgentTasksAreFoundByTheirFoldersWhenTheyAreWrittenTo)
{
    append("old", "stdout", "1\n");
    append("web", "stdout", "1\n");
    now = std::chrono::duration_cast<Monotonic>(std::chrono::system_clock::now().time_since_epoch());
    found({run("web")});
    start();
    read_all();
    EXPECT_EQ(messages(), Messages{"1"});
    now += 3600s;
    found({run("web")});
    next();
    found({run("web"), run("old")}, false);
    read_all();
    EXPECT_EQ(facts.runs, 1U) << "nobody has written to the other one since the agent listed it no more";
    append("web", "stdout", "2\n");
    read_all();
    EXPECT_EQ(messages(), Messages{"2"});
    now -= 7200s;
    found({run("web")}, false);
    next();
    found({run("web"), run("old")}, false);
    read_all();
    EXPECT_EQ(messages(), Messages{"1"});
}

TEST_F(TaskTail, AReplayFromTheBeginningGivesTheSameIds)
{
    append("web", "stdout", "1\n");
    found({run("web")});
    start();
    read_all();
    for (const auto* line : {"2\n", "3\n"}) {
        rotate("web", "stdout");
        append("web", "stdout", line);
        read_all();
    }
    append("done", "stdout", "4\n");
    found({run("web"), run("done", false)});
    read_all();
    const auto first = std::exchange(seen, {});
    ASSERT_EQ(first.size(), 4U);
    save();
    saved = pipeline::tail_text(from_the_start(ledger.delivered()));
    found({run("web"), run("done", false)});
    start();
    read_all();
    std::map<std::string, std::string> before;
    std::map<std::string, std::string> after;
    for (const auto& one : first)
        before[one.id] = one.message;
    for (const auto& one : seen)
        after[one.id] = one.message;
    EXPECT_EQ(after, before);
}

TEST_F(TaskTail, AFileThatMayNotBeReadIsNamedAndReadWhenItMay)
{
    append("web", "stdout", "1\n");
    std::filesystem::create_symlink("/etc/passwd", path("web", "stderr"));
    found({run("web")});
    start();
    read_all();
    EXPECT_EQ(messages(), Messages{"1"});
    EXPECT_EQ(facts.unreadable, 1U);
    EXPECT_TRUE(facts.why.contains("stderr")) << facts.why;
    std::filesystem::remove(path("web", "stderr"));
    append("web", "stderr", "2\n");
    found({run("web")});
    read_all();
    EXPECT_EQ(messages(), Messages{"2"});
    EXPECT_EQ(facts.unreadable, 0U);
}

/// Lines are written, torn or whole, files are rotated, the reader is killed and goes on from what was saved.
class Kills : public TaskTail {
protected:
    void live(unsigned seed, bool by_copy)
    {
        std::minstd_rand random{seed};
        found({run("web")});
        append("web", "stdout", "line 1 end\n");
        lines = 1;
        start();
        next();
        save();
        for (int step = 0; step < 400; ++step) {
            switch (random() % 8) {
            case 0:
            case 1:
            case 2:
                line(random);
                break;
            case 3:
                if (!torn && std::filesystem::exists(path("web", "stdout")))
                    by_copy ? copy_and_truncate("web", "stdout", 60) : rotate("web", "stdout", 60);
                break;
            case 4:  // something is confirmed, not always all
                saved = ledger.text_up_to(handed - random() % std::min<std::uint64_t>(handed, 5));
                break;
            case 5:
                start();
                break;
            default:
                next(100ms);
            }
        }
        if (torn) append("web", "stdout", "end\n");
        found({run("web")});
        read_all(40);
    }
    void line(std::minstd_rand& random)
    {
        if (torn)
            append("web", "stdout", "end\n");
        else
            append("web", "stdout", "line " + std::to_string(++lines) + " ");
        torn = !torn;
        if (torn && random() % 4 != 0) line(random);
    }
    void expect_all_once()
    {
        std::map<std::string, std::set<std::string>> ids;
        for (const auto& one : seen)
            ids[one.message].insert(one.id);
        for (std::size_t i = 1; i <= lines; ++i)
            EXPECT_TRUE(ids.contains("line " + std::to_string(i) + " end")) << i;
        EXPECT_EQ(ids.size(), lines) << facts.behind_bytes << " " << facts.files << " " << facts.why << "\n"
                                     << ledger.text_up_to(handed) << listing();
        for (const auto& [message, all] : ids)
            EXPECT_EQ(all.size(), 1U) << message;
        EXPECT_EQ(losses, Messages{});
    }
    [[nodiscard]] std::string listing() const
    {
        std::string all;
        for (const auto& entry : std::filesystem::directory_iterator{dir / path_of(run("web").name)})
            all += entry.path().filename().string() + " " + std::to_string(entry.file_size()) + "\n";
        return all;
    }
    std::size_t lines = 0;
    bool torn = false;
};

class KillsSeeds : public Kills, public ::testing::WithParamInterface<unsigned> {};

TEST_P(KillsSeeds, LoseNothingAndRepeatOnlyIdsWithRenames)
{
    live(GetParam(), false);
    expect_all_once();
}

TEST_P(KillsSeeds, LoseNothingAndRepeatOnlyIdsWithCopies)
{
    live(GetParam(), true);
    expect_all_once();
}

INSTANTIATE_TEST_SUITE_P(Seeds, KillsSeeds, ::testing::Range(1U, 25U));

}  // namespace
}  // namespace opsd::forward::test
