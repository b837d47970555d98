// What cannot be opened, listed or read now is read later, and told meanwhile: never taken as "there is
// none".

#include "unit/forward/task_tail.hpp"

namespace opsd::forward::test {
namespace {

using Messages = std::vector<std::string>;

TEST_F(TaskTail, ARunThatEndsWhileItsFilesWaitForAPlaceIsReadBeforeItIsDone)
{
    options.max_files = 1;
    for (const auto* task : {"a", "b"})
        append(task, "stdout", std::string{task} + "\n");
    found({run("a"), run("b")});
    start();
    read_all();
    found({run("a"), run("b", false)});
    read_all();
    EXPECT_EQ(messages(), Messages{"a"});
    save();
    EXPECT_FALSE(saved.contains("done c-b")) << saved;
    EXPECT_GE(facts.not_followed, 1U);
    for (int i = 0; i < 2; ++i) {
        found({run("a", false), run("b", false)});
        read_all();
    }
    EXPECT_EQ(messages(), Messages{"b"});
    EXPECT_EQ(facts.runs, 0U);
}

TEST_F(TaskTail, FilesOfOneRunTakeTheSamePlaceInTurnWhenItHasEnded)
{
    options.max_files = 1;
    append("a", "stdout", "1\n");
    append("a", "stderr", "2\n");
    for (int i = 0; i < 3; ++i) {
        found({run("a", false)});
        if (!files) start();
        read_all();
    }
    EXPECT_EQ(messages(), (Messages{"2", "1"}));
    EXPECT_EQ(facts.runs, 0U);
}

TEST_F(TaskTail, AFolderThatCannotBeListedIsToldAndItsRunIsNotDone)
{
    options.files = {"logs/*.log"};
    append("web", "logs/a.log", "a\n");
    for (const auto code : {Errc::internal, Errc::unavailable, Errc::timeout, Errc::denied}) {
        faults->list["/logs"] = code;
        found({run("web", false)});
        if (!files) start();
        read_all();
        EXPECT_EQ(messages(), Messages{});
        EXPECT_EQ((std::pair{facts.runs, facts.unreadable}), (std::pair<std::size_t, std::size_t>{1, 1}));
        EXPECT_TRUE(facts.why.contains("/logs: a fault")) << facts.why;
    }
    faults->list.clear();
    found({run("web", false)});
    read_all();
    EXPECT_EQ(messages(), Messages{"a"});
    EXPECT_EQ((std::pair{facts.runs, facts.unreadable}), (std::pair<std::size_t, std::size_t>{0, 0}));
}

TEST_F(TaskTail, ARunThatWasFoundIsReadAfterAKillAlsoWhenItWasQuietSince)
{
    append("a", "stdout", "1\n2\n");
    append("b", "stdout", "3\n");
    append("c", "stdout", "half");
    now = std::chrono::duration_cast<Monotonic>(std::chrono::system_clock::now().time_since_epoch()) + 3600s;
    found({run("a"), run("b"), run("c")});
    start();
    next();
    ASSERT_EQ(seen.size(), 3U);
    const auto first = ledger.text_up_to(seen[0].number);
    const auto all = ledger.text_up_to(handed);
    for (const auto& confirmed : {first, all}) {
        saved = confirmed;
        seen.clear();
        found({run("a"), run("b"), run("c")}, false);
        start();
        read_all(16);
        EXPECT_EQ(messages(), confirmed == first ? (Messages{"2", "3", "half"}) : Messages{"half"});
    }
}

/// As folders show it: its task is called as its executor.
TaskRun by_folder(TaskRun run)
{
    run.tasks = {{.id = run.name.executor, .name = run.name.executor, .container = {}}};
    return run;
}

TEST_F(TaskTail, AFilterOfNamesWaitsForThemWhileTheAgentIsAway)
{
    only = "named";
    auto web = run("web");
    web.tasks[0].name = "named";
    append("web", "stdout", "1\n2\n");
    found({by_folder(web)}, false);
    start();
    read_all();
    EXPECT_EQ(messages(), Messages{});
    EXPECT_EQ(facts.unreadable, 1U);
    EXPECT_TRUE(facts.why.contains("names of its task are not known")) << facts.why;
    restart();  // and nothing was passed over
    read_all();
    found({web});
    read_all();
    EXPECT_EQ(messages(), (Messages{"1", "2"}));
    EXPECT_EQ(facts.unreadable, 0U);
    // From now on they are in the position, whoever lists the task.
    append("web", "stdout", "3\n");
    found({by_folder(web)}, false);
    restart();
    read_all();
    EXPECT_EQ(messages(), Messages{"3"});
    append("web", "stdout", "4\n");
    found({});
    restart();
    read_all();
    EXPECT_EQ(messages(), Messages{"4"});
    EXPECT_EQ(losses, Messages{});
}

TEST_F(TaskTail, AFilterThatDoesNotLookAtNamesDoesNotWaitForThem)
{
    options.await_names = false;
    only = "named";  // stands for what the filter leaves out whatever the name is
    append("web", "stdout", "1\n");
    found({by_folder(run("web"))}, false);
    start();
    read_all();
    EXPECT_EQ(messages(), Messages{});
    EXPECT_EQ(facts.unreadable, 0U);
    EXPECT_EQ(facts.behind_bytes, 0U) << "it was read and passed over";
}

TEST_F(TaskTail, NamesThatNobodyWillTellAnyMoreAreALossThatIsTold)
{
    only = "named";
    append("web", "stdout", "1\n");
    found({by_folder(run("web"))}, false);
    start();
    read_all();
    EXPECT_EQ(facts.unreadable, 1U);
    found({});
    read_all();
    EXPECT_EQ(facts.runs, 0U);
    ASSERT_EQ(losses.size(), 1U);
    EXPECT_TRUE(losses[0].contains("passed over from byte 0 on")) << losses[0];
}

TEST_F(TaskTail, FoldersInTheSandboxOfATaskAreNoTasks)
{
    append("web", "stdout", "1\n");
    append("web", "tasks/mine/stdout", "no\n");
    found({run("web")});
    start();
    read_all();
    auto seen_folders = run("web");
    seen_folders.pod = true;
    seen_folders.tasks = {{.id = "mine", .name = "mine", .container = {}, .nested = true}};
    found({seen_folders}, false);
    read_all();
    append("web", "stdout", "2\n");
    read_all();
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_EQ(seen[1].line, "2|web.1|web|c-web|stdout|stdout");
}

TEST_F(TaskTail, ARemovedFileIsLetGoOfWhenNobodyHasWrittenToItForLong)
{
    options.files = {"*.log"};
    append("web", "a.log", "1\n");
    found({run("web")});
    start();
    read_all();
    std::ofstream writer{path("web", "a.log"), std::ios::app};
    std::filesystem::remove(path("web", "a.log"));
    read_all(100);
    writer << "2\n" << std::flush;  // it had it open
    read_all();
    EXPECT_EQ(messages(), (Messages{"1", "2"}));
    EXPECT_EQ(facts.files, 1U);
    read_all(1'000);
    EXPECT_EQ((std::pair{facts.files, faults->opened}), (std::pair<std::size_t, std::size_t>{0, 0}));
    save();
    EXPECT_FALSE(saved.contains("file ")) << saved;
    // One that gets the name and the inode has other ids, also after a kill.
    found({run("web")});
    start();
    append("web", "a.log", "3\n");
    next();
    EXPECT_EQ(messages(), Messages{"3"});
    save();
    EXPECT_TRUE(saved.contains(" 101 ")) << saved;
}

TEST_F(TaskTail, AShareOfAFileIsBoundedHoweverShortItsLinesAre)
{
    constexpr std::size_t lines = 5'000;
    append("yes", "stdout", std::string(lines, '\n'));
    found({run("yes")});
    start();
    next();
    EXPECT_GE(seen.size(), 1'000U);
    EXPECT_LE(seen.size(), 3'000U) << "until there is enough text";
    read_all();
    EXPECT_EQ(seen.size(), lines);
    std::set<std::string> ids;
    for (const auto& one : seen)
        ids.insert(one.id);
    EXPECT_EQ(ids.size(), lines);
}

TEST_F(TaskTail, AShareOfAFileIsBoundedHoweverMuchIsMadeOfItsLines)
{
    auto web = run("web");
    web.tasks[0].name = std::string(10'000, 'n');
    std::string lines;
    for (int i = 0; i < 500; ++i)
        lines += std::to_string(i) + "\n";
    append("web", "stdout", lines);
    found({web});
    start();
    EXPECT_LT(next().text->bytes.size(), 600'000U);
    restart();
    read_all();
    ASSERT_EQ(seen.size(), 500U);
    for (int i = 0; i < 500; ++i)
        EXPECT_EQ(seen[static_cast<std::size_t>(i)].message, std::to_string(i));
}

TEST_F(TaskTail, SiblingsThatCannotBeListedNowAreNotTakenAsGone)
{
    append("web", "stdout", "1\n");
    found({run("web")});
    start();
    read_all();
    append("web", "stdout", "2\n");
    rotate("web", "stdout");
    append("web", "stdout", "3\n");
    rotate("web", "stdout");
    append("web", "stdout", "4\n");
    faults->list["/c-web"] = Errc::internal;
    read_all();
    EXPECT_EQ(messages(), (Messages{"1", "2"})) << "what is open is read meanwhile";
    EXPECT_EQ(facts.unreadable, 1U);
    faults->list.clear();
    read_all(16);
    EXPECT_EQ(messages(), (Messages{"3", "4"}));
    append("web", "stdout", "5\n");
    copy_and_truncate("web", "stdout");
    append("web", "stdout", "6\n");
    faults->open["/stdout.1"] = Errc::unavailable;
    read_all();
    EXPECT_EQ(messages(), Messages{});
    restart();
    read_all();
    EXPECT_EQ(messages(), Messages{});
    EXPECT_TRUE(facts.why.contains("stdout.1: a fault")) << facts.why;
    faults->open.clear();
    found({run("web")});
    read_all(16);
    EXPECT_EQ(messages(), (Messages{"5", "6"}));
    EXPECT_EQ((std::pair{losses, facts.unreadable}), (std::pair{Messages{}, std::size_t{0}}));
}

TEST_F(TaskTail, AnEndedTaskIsNotDoneWhileItsLastFileCannotBeOpened)
{
    append("web", "stdout", "1\n");
    found({run("web")});
    start();
    read_all();
    rotate("web", "stdout");
    append("web", "stdout", "2\n");
    faults->open["/stdout"] = Errc::internal;
    found({run("web", false)});
    read_all();
    EXPECT_EQ(messages(), Messages{"1"});
    EXPECT_EQ((std::pair{facts.runs, facts.unreadable}), (std::pair<std::size_t, std::size_t>{1, 1}));
    faults->open.clear();
    read_all();
    EXPECT_EQ(messages(), Messages{"2"});
    EXPECT_EQ(facts.runs, 0U);
}

TEST_F(TaskTail, FilesThatWaitForOthersOfTheirNameAreBounded)
{
    options.tail.most_queued = 3;
    for (const auto* task : {"a", "b"})
        append(task, "stdout", "0\n");
    found({run("a"), run("b")});
    start();
    read_all();
    for (const auto* task : {"a", "b"}) {
        for (const auto* line : {"1\n", "2\n", "3\n"}) {
            rotate(task, "stdout");
            append(task, "stdout", line);
        }
    }
    next();
    EXPECT_EQ(facts.unreadable, 1U);
    EXPECT_TRUE(facts.why.contains("of others are open")) << facts.why;
    read_all(16);
    EXPECT_EQ(facts.unreadable, 0U);
    const auto all = messages();
    EXPECT_EQ(all.size(), 8U);
    for (const auto* line : {"0", "1", "2", "3"})
        EXPECT_EQ(std::ranges::count(all, line), 2) << line;
    EXPECT_EQ((std::pair{losses, *options.tail.queued}), (std::pair{Messages{}, std::size_t{0}}));
}

TEST_F(TaskTail, ABadBlockInTheMiddleOfALineIsToldAndNotReadAgainAndAgain)
{
    append("web", "stdout", "1\nand more words\n");
    faults->bad["/stdout"] = 8;
    found({run("web")});
    start();
    bool more = true;
    for (int i = 0; i < 8; ++i)
        more = next().more;
    EXPECT_FALSE(more);
    EXPECT_EQ(messages(), Messages{"1"});
    EXPECT_EQ(facts.unreadable, 1U);
    EXPECT_TRUE(facts.why.contains("a bad block")) << facts.why;
    EXPECT_EQ(faults->opened, 0U) << "it has no place among the open ones any more";
    faults->bad.clear();
    found({run("web")});
    read_all();
    EXPECT_EQ(messages(), Messages{"and more words"});
    EXPECT_EQ(facts.unreadable, 0U);
}

TEST_F(TaskTail, FoldersOfTasksOfOneRunAreBounded)
{
    const auto name = run("pod").name;
    for (std::size_t i = 0; i < most_tasks_of_a_run + 10; ++i)
        std::filesystem::create_directories(dir / (path_of(name) + "/tasks/t" + std::to_string(i)));
    const auto runs = list_runs(*folder);
    ASSERT_TRUE(runs) << runs.error().message;
    ASSERT_EQ(runs->size(), 1U);
    EXPECT_EQ(runs->front().tasks.size(), most_tasks_of_a_run);
}

/// As the agent writes it: a length, then fields 1 (name), 2 (id: field 1 of it) and others.
void checkpoint(const std::string& path, const std::string& id, const std::string& name)
{
    const auto text = [](char field, const std::string& value) {
        return std::string{static_cast<char>(field << 3 | 2)} + static_cast<char>(value.size()) + value;
    };
    std::filesystem::create_directories(path + "/" + id);
    std::ofstream{path + "/" + id + "/task.info", std::ios::binary}
        << std::string("\xa5\0\0\0", 4) << text(1, name) << text(2, text(1, id)) << text(3, "rest");
}

std::string checkpoints_of(const opsd::test::TempDir& dir, const TaskRun& run)
{
    return dir / ("meta/" + path_of(run.name) + "/tasks");
}

TEST_F(TaskTail, NamesAreReadFromWhatTheAgentHasCheckpointed)
{
    append("web", "stdout", "1\n");
    append("web", "tasks/mine/stdout", "it made a folder itself\n");
    append("pod", "tasks/t1/stdout", "2\n");
    append("pod", "tasks/t2/stdout", "3\n");
    append("own", "stdout", "4\n");
    append("torn", "stdout", "5\n");
    checkpoint(checkpoints_of(dir, run("web")), "web", "the web");
    checkpoint(checkpoints_of(dir, run("pod")), "t1", "first");
    checkpoint(checkpoints_of(dir, run("own")), "a", "one of several");
    std::filesystem::create_directories(checkpoints_of(dir, run("torn")) + "/torn");
    std::ofstream{checkpoints_of(dir, run("torn")) + "/torn/task.info"} << "torn";
    const auto runs = list_runs(*folder);
    ASSERT_TRUE(runs);
    std::map<std::string, const TaskRun*> by_name;
    for (const auto& one : *runs)
        by_name[one.name.executor] = &one;
    const auto& web = *by_name.at("web");
    ASSERT_EQ(web.tasks.size(), 1U);
    EXPECT_EQ((std::tuple{web.named, web.pod, web.tasks[0].name}), (std::tuple{true, false, "the web"}));
    const auto& pod = *by_name.at("pod");
    ASSERT_EQ(pod.tasks.size(), 2U);
    EXPECT_EQ((std::tuple{pod.named, pod.pod}), (std::tuple{false, true})) << "containers are not known";
    for (const auto& task : pod.tasks)
        EXPECT_EQ(task.name, task.id == "t1" ? "first" : "t2");
    for (const auto* other : {"own", "torn"}) {
        EXPECT_FALSE(by_name.at(other)->named) << other << ": another task may come, or may have come";
        EXPECT_EQ(by_name.at(other)->tasks[0].name, other);
    }
    // A command has one task: what is known of it is not read again. All others are.
    std::filesystem::remove_all(dir / "meta");
    const auto again = list_runs(*folder, *runs);
    ASSERT_TRUE(again);
    for (const auto& one : *again)
        EXPECT_EQ(one.named, one.name.executor == "web");
}

/// As an agent's commands are: the executor is called as its task.
TaskRun command(TaskRun run)
{
    run.tasks = {{.id = run.name.executor, .name = run.name.executor, .container = {}}};
    return run;
}

TEST_F(TaskTail, AFilterOfNamesTakesThoseOfACheckpoint)
{
    for (const bool agent : {true, false}) {
        options.agent = agent;
        only = "the web";
        const std::string name = agent ? "with" : "without";
        append(name, "stdout", "1\n");
        found({command(run(name))}, false);
        saved.clear();
        start();
        read_all();
        EXPECT_EQ(facts.unreadable, 1U) << "not known yet";
        checkpoint(checkpoints_of(dir, run(name)), name, "the web");
        found(list_runs(*folder).value(), false);
        read_all();
        EXPECT_EQ(messages(), Messages{"1"}) << name;
        EXPECT_EQ(facts.unreadable, 0U);
        std::filesystem::remove_all(dir / path_of(run(name).name));
    }
}

TEST_F(TaskTail, WithoutAnAgentWhatHasNoCheckpointIsNotWaitedForForEver)
{
    options.agent = false;
    only = "another";
    append("own", "stdout", "1\n");
    found({command(run("own"))}, false);
    start();
    read_all();
    EXPECT_EQ(facts.unreadable, 1U);
    for (int look = 0; look < 3; ++look) {
        found({command(run("own"))}, false);
        read_all();
    }
    EXPECT_EQ(facts.unreadable, 0U);
    EXPECT_EQ(facts.behind_bytes, 0U) << "passed over: its task is not called so";
    EXPECT_EQ(losses, Messages{});
}

TEST_F(TaskTail, ANameThatIsReadLaterIsTaken)
{
    append("pod", "tasks/t1/stdout", "1\n");
    found(list_runs(*folder).value(), false);
    start();
    read_all();
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_TRUE(seen[0].line.contains("|t1|t1|")) << seen[0].line;
    checkpoint(checkpoints_of(dir, run("pod")), "t1", "first");
    found(list_runs(*folder).value(), false);
    append("pod", "tasks/t1/stdout", "2\n");
    read_all();
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_TRUE(seen[1].line.contains("|t1|first|")) << seen[1].line;
}

TEST_F(TaskTail, SiblingsAreFoundByNameInAFolderThatIsTooFull)
{
    append("web", "stdout", "1\n");
    rotate("web", "stdout");
    append("web", "stdout", "2\n");
    faults->full = "/c-web";
    found({run("web")});
    start();
    read_all();
    for (const auto* line : {"3\n", "4\n"}) {
        rotate("web", "stdout");
        append("web", "stdout", line);
    }
    read_all(16);
    EXPECT_EQ(messages(), (Messages{"1", "2", "3", "4"}));
    EXPECT_EQ(losses, Messages{});
}

}  // namespace
}  // namespace opsd::forward::test
