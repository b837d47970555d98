// The reader as a process: what it may, what it holds, and when it ends.

#include "io/sandbox/capabilities.hpp"
#include "io/sandbox/passing.hpp"
#include "io/sandbox/reader_place.hpp"
#include "io/sandbox/reader_protocol.hpp"
#include "io/sandbox/task_reader.hpp"

#include "files_of_tasks.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <sstream>

using namespace opsd;
using namespace opsd::sandbox;
using opsd::test::Sandboxes;
using opsd::test::text_of;

namespace {

constexpr unsigned long long reading = 1ULL << CAP_DAC_READ_SEARCH;

/// A line of /proc/PID/status, "CapEff" for example.
std::string status_of(pid_t pid, const std::string& name)
{
    std::ifstream lines{"/proc/" + std::to_string(pid) + "/status"};
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
    return {};
}

unsigned long long capabilities_of(pid_t pid, const std::string& set)
{
    return std::stoull(status_of(pid, set), nullptr, 16);
}

std::string limits_of(pid_t pid)
{
    std::ostringstream text;
    text << std::ifstream{"/proc/" + std::to_string(pid) + "/limits"}.rdbuf();
    return text.str();
}

int exit_of(pid_t pid)
{
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// A child that becomes the reader, without exec: as `opsd task-reader` does after it.
struct Child {
    UniqueFd socket;
    pid_t pid = -1;

    Child()
    {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
        pid = ::fork();
        if (pid == 0) {
            ::dup2(ends[1], 0);
            ::close(ends[0]);
            ::_exit(run_task_reader());
        }
        ::close(ends[1]);
        socket = UniqueFd{ends[0]};
    }
};

/// In a child of its own: what it does to its rights is not ours. The exit status.
int in_a_child(int (*body)())
{
    const auto pid = ::fork();
    if (pid == 0) ::_exit(body());
    return exit_of(pid);
}

/// As AmbientCapabilities= does.
bool be_given_reading()
{
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[2]{};
    if (::syscall(SYS_capget, &header, sets) != 0) return false;
    sets[0].inheritable |= CAP_TO_MASK(CAP_DAC_READ_SEARCH);
    return ::syscall(SYS_capset, &header, sets) == 0
           && ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0) == 0
           && reading_is_inherited();
}

bool has_reading_nowhere()
{
    for (const auto* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
        if ((capabilities_of(::getpid(), set) & reading) != 0) return false;
    return true;
}

}  // namespace

TEST(ReaderProcess, KeepsTheRightToReadAndNothingElse)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root has something to give up";
    const Sandboxes files;
    Child child;
    ReaderLink link{std::move(child.socket), 0, std::chrono::seconds{5}};
    ASSERT_TRUE(link.fix(files.slaves()));
    const auto opened = link.open("a/stdout");  // it is ready
    ASSERT_TRUE(opened) << opened.error().message;
    ASSERT_FALSE(link.open("a/none"));  // it has let go of what it opened before
    EXPECT_EQ(capabilities_of(child.pid, "CapEff"), reading);
    EXPECT_EQ(capabilities_of(child.pid, "CapPrm"), reading);
    for (const auto* set : {"CapInh", "CapAmb"})
        EXPECT_EQ(capabilities_of(child.pid, set), 0U) << set;
    EXPECT_EQ(capabilities_of(child.pid, "CapBnd") & ~reading, 0U);
    EXPECT_EQ(status_of(child.pid, "NoNewPrivs"), "1");
    EXPECT_NE(limits_of(child.pid).find("Max core file size        0"), std::string::npos);
    std::vector<std::string> open;
    for (const auto& entry :
         std::filesystem::directory_iterator{"/proc/" + std::to_string(child.pid) + "/fd"})
        open.push_back(entry.path().filename());
    EXPECT_LE(open.size(), 3U) << "stdin, stdout and stderr";
    ::kill(child.pid, SIGKILL);
    exit_of(child.pid);
}

TEST(ReaderProcess, OutlivesASignalToAllAndEndsWithTheDaemon)
{
    const Sandboxes files;
    Child child;
    {
        ReaderLink link{std::move(child.socket), 0, std::chrono::seconds{5}};
        ASSERT_TRUE(link.fix(files.slaves()));
        ASSERT_TRUE(link.open("a/stdout"));
        for (const int signal : {SIGTERM, SIGINT, SIGHUP})
            ASSERT_EQ(::kill(child.pid, signal), 0);
        const auto after = link.open("a/stdout");
        ASSERT_TRUE(after) << after.error().message;
        EXPECT_EQ(text_of(after->get()), "one\n");
    }
    EXPECT_EQ(exit_of(child.pid), 0);
}

TEST(ReaderProcess, OfAMalformedRequestItDies)
{
    const Child child;
    ASSERT_TRUE(send(child.socket.get(), "hello"));
    EXPECT_EQ(exit_of(child.pid), 1);
}

TEST(ReaderProcess, IsNothingForPeople)
{
    const auto by_hand = [] {
        ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
        return run_task_reader();
    };
    EXPECT_EQ(in_a_child(by_hand), 64);
}

TEST(ReaderProcess, WithoutTheRightNoneIsStarted)
{
    if (reading_is_inherited()) GTEST_SKIP() << "the tests themselves have the right";
    const Sandboxes files;
    const auto place = start_reader({"/bin/false"});
    ASSERT_TRUE(place);
    EXPECT_EQ((*place)->reader(), 0);
    const auto opened = (*place)->opener(files.slaves())->open("a/stdout");
    EXPECT_TRUE(opened) << "with our own rights: " << opened.error().message;
}

TEST(ReaderProcess, TheDaemonGivesTheRightToItAndHasItNoMore)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root gives rights";
    const auto body = [] {
        if (!be_given_reading()) return 2;
        const auto place = start_reader({"/bin/cat"});
        if (!place || (*place)->reader() == 0) return 3;
        if ((capabilities_of((*place)->reader(), "CapAmb") & reading) == 0) return 4;
        return has_reading_nowhere() ? 0 : 5;
    };
    EXPECT_EQ(in_a_child(body), 0);
}

TEST(ReaderProcess, OneThatCannotBeStartedIsSaidAndTheRightIsGivenUpAllTheSame)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root gives rights";
    const auto body = [] {
        if (!be_given_reading()) return 2;
        const auto place = start_reader({"/nowhere/opsd", reader_word});
        if (!place) return 3;
        const auto opened = (*place)->opener("/tmp")->open("x");
        if (opened || opened.error().code != Errc::unavailable) return 4;
        if (opened.error().message.find("restart opsd") == std::string::npos) return 5;
        return has_reading_nowhere() ? 0 : 6;
    };
    EXPECT_EQ(in_a_child(body), 0);
}
