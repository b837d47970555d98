// The reader and the daemon's end of it, over a socket pair; the process itself is in
// reader_process_test.cpp.

#include "io/sandbox/checkpoints.hpp"
#include "io/sandbox/passing.hpp"
#include "io/sandbox/reader_place.hpp"
#include "io/sandbox/reader_protocol.hpp"
#include "io/sandbox/task_reader.hpp"

#include "files_of_tasks.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <optional>
#include <thread>

using namespace opsd;
using namespace opsd::sandbox;
using namespace std::chrono_literals;
using opsd::test::AsNobody;
using opsd::test::Sandboxes;
using opsd::test::text_of;

namespace {

struct Pair {
    UniqueFd ours, its;
    Pair()
    {
        int ends[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        ours = UniqueFd{ends[0]};
        its = UniqueFd{ends[1]};
    }
};

/// A reader on a thread instead of in a process, with the rights of nobody if it says so.
class Reader {
public:
    explicit Reader(UniqueFd socket, bool unprivileged = false)
      : thread_{[this, socket = std::move(socket), unprivileged]() mutable {
          std::optional<AsNobody> nobody;
          if (unprivileged) nobody.emplace();
          status_ = answer_requests(socket.get());
          socket = UniqueFd{};
      }}
    {}
    int ended()
    {
        thread_.join();
        return status_;
    }

private:
    std::atomic<int> status_ = -1;
    std::jthread thread_;
};

struct TaskReader : ::testing::Test {
    Sandboxes files;
    Pair pair;

    std::shared_ptr<ReaderLink> link(std::chrono::milliseconds limit = 5'000ms)
    {
        return std::make_shared<ReaderLink>(std::move(pair.ours), 0, limit);
    }
};

std::string code_of(const auto& result)
{
    return result ? std::string{"good"} : std::string{to_string(result.error().code)};
}

bool says(const auto& result, std::string_view text)
{
    return !result && result.error().message.find(text) != std::string::npos;
}

}  // namespace

TEST_F(TaskReader, OpensAndListsBelowItsFolder)
{
    Reader reader{std::move(pair.its)};
    {
        ReaderPlace place{link()};
        const auto opener = place.opener(files.slaves());
        const auto opened = opener->open("a/stdout");
        ASSERT_TRUE(opened) << opened.error().message;
        EXPECT_EQ(text_of(opened->descriptor.get()), "one\n");
        EXPECT_EQ(opened->size, 4U);
        EXPECT_NE(opened->identity.inode, 0U);
        EXPECT_NE(::fcntl(opened->descriptor.get(), F_GETFD) & FD_CLOEXEC, 0);
        EXPECT_EQ(::fcntl(opened->descriptor.get(), F_GETFL) & O_ACCMODE, O_RDONLY);
        const auto top = opener->list("", 10);
        ASSERT_TRUE(top && top->size() == 1);
        EXPECT_EQ(top->front().name, "a");
        EXPECT_TRUE(top->front().folder);
        const auto inside = opener->list("a", 10);
        ASSERT_TRUE(inside && inside->size() == 1);
        EXPECT_EQ(inside->front().name, "stdout");
        EXPECT_FALSE(inside->front().folder);
        EXPECT_EQ(code_of(opener->open("a/stderr")), "not_found");
    }
    EXPECT_EQ(reader.ended(), 0) << "it ends with the daemon, without a complaint";
}

TEST_F(TaskReader, RefusesWhatATaskPutsInItsWay)
{
    files.link("../../secret", "slaves/a/link");
    std::filesystem::create_hard_link(files.path("secret"), files.path("slaves/a/hard"));
    ASSERT_EQ(::mkfifo(files.path("slaves/a/pipe").c_str(), 0600), 0);
    Reader reader{std::move(pair.its)};
    {
        ReaderPlace place{link()};
        const auto opener = place.opener(files.slaves());
        for (const auto* path :
             {"a/link", "a/hard", "a/pipe", "../secret", "a/../../secret", "", "/etc/passwd"})
            EXPECT_EQ(code_of(opener->open(path)), "invalid_argument") << path;
        EXPECT_EQ(code_of(opener->list("..", 10)), "invalid_argument");
        EXPECT_EQ(code_of(opener->open("a/stdout")), "good") << "none of it ended the reader";
    }
    EXPECT_EQ(reader.ended(), 0);
}

TEST_F(TaskReader, OfTheAgentsCheckpointsOpensItsTasksOnly)
{
    const std::string run = "S0/frameworks/f/executors/e/runs/c";
    const auto meta = files.path("meta/slaves");
    std::filesystem::create_directories(meta + "/" + run + "/tasks/t");
    for (const auto* name : {"/tasks/t/task.info", "/tasks/t/task.updates", "/executor.info"})
        files.put("meta/slaves/" + run + name, "x");
    files.put("meta/slaves/S0/slave.info", "x");
    Reader reader{std::move(pair.its)};
    {
        ReaderPlace place{link()};
        const auto sandboxes = place.opener(files.slaves());
        const auto opener = place.opener(meta);
        EXPECT_EQ(code_of(opener->open(run + "/tasks/t/task.info")), "good");
        for (const auto* other : {"S0/slave.info", "S0", "S0/frameworks/f/executors/e/runs/c/tasks",
                                  "S0/frameworks/f/executors/e/runs/c/tasks/t",
                                  "S0/frameworks/f/executors/e/runs/c/executor.info",
                                  "S0/frameworks/f/executors/e/runs/c/tasks/t/task.updates",
                                  "S0/frameworks/f/executors/e/runs/c/tasks/t/task.info/x"})
            EXPECT_EQ(code_of(opener->open(other)), "denied") << other;
        EXPECT_EQ(code_of(opener->open(run + "/tasks/../executor.info")), "invalid_argument");
        EXPECT_EQ(code_of(opener->list("", 10)), "denied");
        EXPECT_EQ(code_of(place.opener(files.path("meta"))->open("slaves")), "denied");
        EXPECT_EQ(code_of(sandboxes->open("a/stdout")), "good") << "none of it ended the reader";
    }
    EXPECT_EQ(reader.ended(), 0);
}

TEST_F(TaskReader, EndsWhenAnotherCheckpointIsAskedFor)
{
    Reader reader{std::move(pair.its)};
    ASSERT_TRUE(send(pair.ours.get(), to_packet(Request{Request::Kind::folder, 1, files.slaves()})));
    ASSERT_TRUE(send(pair.ours.get(), to_packet(Request{Request::Kind::checkpoint, 2, "S0/slave.info"})));
    EXPECT_EQ(reader.ended(), 1);
}

TEST(Checkpoints, AreBesideTheSandboxesAndOfOneShape)
{
    EXPECT_EQ(checkpoints_beside("/var/lib/mesos/slave/slaves"), "/var/lib/mesos/slave/meta/slaves");
    EXPECT_EQ(checkpoints_beside("/slaves"), "/meta/slaves");
    EXPECT_EQ(checkpoints_beside("/srv/sandboxes"), "");
    const std::string run = "S0/frameworks/f/executors/e/runs/c";
    EXPECT_TRUE(is_checkpoint(run + "/tasks/t/task.info"));
    for (const auto* bad :
         {"", "/tasks", "/tasks/t", "/tasks/t/", "/tasks/t/task.info2", "/", "/tasks/", "/tasks//task.info",
          "/task", "/tasks/t/task.updates", "/tasks/t/task.info/", "/tasks/t/task.info/x"})
        EXPECT_FALSE(is_checkpoint(run + bad)) << bad;
    EXPECT_FALSE(is_checkpoint("S0/frameworks/f/executors/e/run/c/tasks/t/task.info"));
}

TEST_F(TaskReader, WhatIsStillDeniedSaysThatTheDropInIsNotTheReason)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root can stop being root";
    ASSERT_EQ(::chmod(files.path("").c_str(), 0755), 0);
    ASSERT_EQ(::chmod(files.path("slaves/a").c_str(), 0700), 0);
    Reader reader{std::move(pair.its), true};
    {
        ReaderPlace place{link()};
        const auto denied = place.opener(files.slaves())->open("a/stdout");
        EXPECT_EQ(code_of(denied), "denied");
        EXPECT_TRUE(says(denied, "files API")) << denied.error().message;
        EXPECT_FALSE(says(denied, "task-logs.conf")) << denied.error().message;
    }
    EXPECT_EQ(reader.ended(), 0);
}

TEST_F(TaskReader, EndsAtARequestThatItDoesNotUnderstand)
{
    Reader reader{std::move(pair.its)};
    ASSERT_TRUE(send(pair.ours.get(), to_packet(Request{Request::Kind::folder, 1, files.slaves()})));
    ASSERT_TRUE(send(pair.ours.get(), "O" + std::string(8, '\0') + "../secret"));
    EXPECT_EQ(reader.ended(), 1);
}

TEST_F(TaskReader, EndsWhenItIsAskedBeforeItHasAFolder)
{
    Reader reader{std::move(pair.its)};
    ASSERT_TRUE(send(pair.ours.get(), to_packet(Request{Request::Kind::open, 1, "a/stdout"})));
    EXPECT_EQ(reader.ended(), 1);
}

TEST_F(TaskReader, EndsWhenASecondFolderIsSent)
{
    Reader reader{std::move(pair.its)};
    const auto only = link();
    ASSERT_TRUE(only->fix(files.slaves()));
    ASSERT_TRUE(only->open("a/stdout"));
    ASSERT_TRUE(only->fix("/etc"));
    EXPECT_EQ(reader.ended(), 1);
    EXPECT_EQ(code_of(only->open("passwd")), "unavailable");
}

TEST_F(TaskReader, EndsWhenADescriptorComesAlong)
{
    Reader reader{std::move(pair.its)};
    ASSERT_TRUE(send(pair.ours.get(), to_packet(Request{Request::Kind::folder, 1, files.slaves()}), 0));
    EXPECT_EQ(reader.ended(), 1);
}

TEST_F(TaskReader, EndsAtARequestThatIsTooLong)
{
    Reader reader{std::move(pair.its)};
    ASSERT_TRUE(send(pair.ours.get(), "F" + std::string(8, '\0') + "/" + std::string(20'000, 'x')));
    EXPECT_EQ(reader.ended(), 1);
}

TEST_F(TaskReader, OneThatHasGoneIsNeverReplacedByLess)
{
    ReaderPlace place{link()};
    const auto opener = place.opener(files.slaves());
    pair.its = UniqueFd{};
    for (int i = 0; i < 2; ++i) {
        const auto opened = opener->open("a/stdout");
        EXPECT_EQ(code_of(opened), "unavailable");
        EXPECT_TRUE(says(opened, "restart opsd")) << opened.error().message;
        EXPECT_EQ(code_of(opener->list("", 10)), "unavailable");
    }
    const auto later = place.opener(files.slaves());
    EXPECT_EQ(code_of(later->open("a/stdout")), "unavailable") << "a module that was made anew";
}

TEST_F(TaskReader, OneThatHangsCostsTheLimitAndItsLateAnswersAreThrownAway)
{
    const auto slow = link(50ms);
    const auto late = slow->open("a/stdout");
    EXPECT_EQ(code_of(late), "unavailable");
    EXPECT_TRUE(says(late, "not answered")) << late.error().message;

    const UniqueFd file{::open(files.path("slaves/a/stdout").c_str(), O_RDONLY | O_CLOEXEC)};
    const UniqueFd secret{::open(files.path("secret").c_str(), O_RDONLY | O_CLOEXEC)};
    ASSERT_TRUE(send(pair.its.get(), to_packet(Reply{1, {}}), secret.get()));
    ASSERT_TRUE(send(pair.its.get(), to_packet(Reply{2, {}}), file.get()));
    const auto second = slow->open("a/stdout");
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_EQ(text_of(second->get()), "one\n");
}

TEST_F(TaskReader, OneThatTakesNothingMoreIsNotWaitedForEither)
{
    const auto full = link(1ms);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 2'000; ++i)
        ASSERT_EQ(code_of(full->open(std::string(4'000, 'x'))), "unavailable");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
    char byte = 0;
    int waiting = 0;
    while (::recv(pair.its.get(), &byte, 1, MSG_DONTWAIT) > 0)
        ++waiting;
    EXPECT_LT(waiting, 2'000) << "the kernel's queue never was full: the test tests nothing";
}

TEST_F(TaskReader, AnAnswerThatLiesEndsTheTrustInIt)
{
    const UniqueFd file{::open(files.path("slaves/a/stdout").c_str(), O_RDONLY | O_CLOEXEC)};
    const auto refused = [](std::uint64_t id) { return to_packet(Reply{id, Error{Errc::denied, "cannot"}}); };
    struct Lie {
        std::string what, packet;
        int descriptor;
    };
    for (const auto& lie :
         {Lie{"no descriptor", to_packet(Reply{1, {}}), -1}, Lie{"an error with one", refused(1), file.get()},
          Lie{"what was not asked", to_packet(Reply{2, {}}), file.get()}, Lie{"nonsense", "x", -1}}) {
        Pair one;
        ReaderLink trusting{std::move(one.ours), 0, 5'000ms};
        ASSERT_TRUE(send(one.its.get(), lie.packet, lie.descriptor));
        ASSERT_TRUE(send(one.its.get(), to_packet(Reply{2, {}}), file.get()));
        for (int i = 0; i < 2; ++i)
            EXPECT_EQ(code_of(trusting.open("a")), "unavailable") << lie.what;
    }
}

TEST_F(TaskReader, ADescriptorOfSomethingElseIsNotTaken)
{
    auto trusting = link();
    const auto opener = make_reader_opener(trusting, files.slaves());
    const UniqueFd device{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    ASSERT_TRUE(send(pair.its.get(), to_packet(Reply{1, {}}), device.get()));
    EXPECT_EQ(code_of(opener->open("a/stdout")), "invalid_argument");
}

TEST_F(TaskReader, ItsFolderIsFixedOnceAndAnotherNeedsARestart)
{
    Reader reader{std::move(pair.its)};
    {
        ReaderPlace place{link()};
        const auto first = place.opener(files.slaves());
        place.seal();
        const auto other = place.opener("/etc");
        const auto refused = other->open("passwd");
        EXPECT_EQ(code_of(refused), "denied");
        EXPECT_TRUE(says(refused, "restart opsd") && says(refused, files.slaves()))
            << refused.error().message;
        EXPECT_EQ(code_of(other->list("", 1)), "denied");
        EXPECT_EQ(code_of(place.opener(files.slaves())->open("a/stdout")), "good") << "a reload";
        EXPECT_EQ(code_of(first->open("a/stdout")), "good") << "what was there before";
    }
    EXPECT_EQ(reader.ended(), 0);
}

TEST_F(TaskReader, WithoutAFolderAtTheStartItEndsAndGetsNoneLater)
{
    Reader reader{std::move(pair.its)};
    ReaderPlace place{link()};
    place.seal();
    EXPECT_EQ(reader.ended(), 0);
    const auto late = place.opener(files.slaves())->open("a/stdout");
    EXPECT_EQ(code_of(late), "denied");
    EXPECT_TRUE(says(late, "restart opsd")) << late.error().message;
}

TEST_F(TaskReader, AFolderThatIsNoPathIsAnErrorOfEachCall)
{
    ReaderPlace place{link()};
    const auto refused = place.opener("slaves")->open("a/stdout");
    EXPECT_EQ(code_of(refused), "invalid_argument");
    EXPECT_TRUE(says(refused, "absolute")) << refused.error().message;
}
