#include "io/systemd/notify.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

using namespace opsd::systemd;

namespace {

/// systemd's end of $NOTIFY_SOCKET.
class NotifySocket {
public:
    NotifySocket() : path_{"/tmp/opsd-notify-" + std::to_string(::getpid())}
    {
        ::unlink(path_.c_str());
        fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
        EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        ::setenv("NOTIFY_SOCKET", path_.c_str(), 1);
    }
    ~NotifySocket()
    {
        ::unsetenv("NOTIFY_SOCKET");
        ::close(fd_);
        ::unlink(path_.c_str());
    }
    NotifySocket(const NotifySocket&) = delete;
    NotifySocket& operator=(const NotifySocket&) = delete;

    std::string received()
    {
        std::array<char, 512> buffer{};
        const auto n = ::recv(fd_, buffer.data(), buffer.size(), 0);
        return n < 0 ? std::string{} : std::string{buffer.data(), static_cast<std::size_t>(n)};
    }

private:
    std::string path_;
    int fd_ = -1;
};

/// Runs `child` in a process of its own and returns its exit status.
int in_child(const std::function<int()>& child)
{
    const auto pid = ::fork();
    if (pid == 0) ::_exit(child());
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST(SystemdNotify, TellsSystemdInItsWords)
{
    NotifySocket systemd;
    notify_ready("serving 3 units");
    EXPECT_EQ(systemd.received(), "READY=1\nSTATUS=serving 3 units");
    notify_status("busy\nMAINPID=1");
    EXPECT_EQ(systemd.received(), "STATUS=busy MAINPID=1");
    notify_reloading();
    EXPECT_TRUE(systemd.received().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    notify_stopping("draining");
    EXPECT_EQ(systemd.received(), "STOPPING=1\nSTATUS=draining");
    notify_watchdog();
    EXPECT_EQ(systemd.received(), "WATCHDOG=1");
}

TEST(SystemdNotify, IsSilentWithoutSystemd)
{
    ::unsetenv("NOTIFY_SOCKET");
    notify_ready("nobody listens");
    ::setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
    notify_watchdog();
    ::unsetenv("NOTIFY_SOCKET");
}

TEST(SystemdNotify, TheWatchdogIsForThisProcessOnly)
{
    ::unsetenv("WATCHDOG_PID");
    ::unsetenv("WATCHDOG_USEC");
    EXPECT_EQ(watchdog_period(), std::nullopt);
    ::setenv("WATCHDOG_USEC", "2000000", 1);
    EXPECT_EQ(watchdog_period(), std::chrono::seconds{2});
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
    EXPECT_EQ(watchdog_period(), std::chrono::seconds{2});
    ::setenv("WATCHDOG_PID", "1", 1);
    EXPECT_EQ(watchdog_period(), std::nullopt);
    ::setenv("WATCHDOG_USEC", "nonsense", 1);
    EXPECT_EQ(watchdog_period(), std::nullopt);
    ::unsetenv("WATCHDOG_PID");
    ::unsetenv("WATCHDOG_USEC");
}

TEST(SystemdNotify, PassedSocketsHaveNamesAndKindsAndAreNotInherited)
{
    EXPECT_TRUE(passed_sockets().empty());
    const auto status = in_child([] {
        const int local = ::socket(AF_UNIX, SOCK_STREAM, 0);
        const int tcp = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_un any{};
        any.sun_family = AF_UNIX;
        if (::bind(local, reinterpret_cast<const sockaddr*>(&any), sizeof(sa_family_t)) != 0
            || ::listen(local, 1) != 0)
            return 2;
        if (::listen(tcp, 1) != 0) return 2;
        ::dup2(local, 13);  // 3 and 4 may be taken by the two
        ::dup2(tcp, 14);
        ::dup2(13, 3);
        ::dup2(14, 4);
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        ::setenv("LISTEN_FDS", "2", 1);
        ::setenv("LISTEN_FDNAMES", "opsd.sock:opsd.http", 1);
        const auto sockets = passed_sockets();
        if (sockets.size() != 2 || ::getenv("LISTEN_FDS") != nullptr) return 3;
        if (sockets[0].fd != 3 || sockets[0].name != "opsd.sock" || !sockets[0].is_unix) return 4;
        if (sockets[1].fd != 4 || sockets[1].name != "opsd.http" || sockets[1].is_unix) return 5;
        return (::fcntl(3, F_GETFD) & FD_CLOEXEC) != 0 && (::fcntl(4, F_GETFD) & FD_CLOEXEC) != 0 ? 0 : 6;
    });
    EXPECT_EQ(status, 0);
}

TEST(SystemdNotify, KnowsWhetherStderrIsTheJournal)
{
    ::unsetenv("JOURNAL_STREAM");
    EXPECT_FALSE(stderr_is_journal());
    struct stat file{};
    ASSERT_EQ(::fstat(STDERR_FILENO, &file), 0);
    ::setenv("JOURNAL_STREAM", (std::to_string(file.st_dev) + ":" + std::to_string(file.st_ino)).c_str(), 1);
    EXPECT_TRUE(stderr_is_journal());
    ::setenv("JOURNAL_STREAM", "9:99999999", 1);
    EXPECT_FALSE(stderr_is_journal());
    ::unsetenv("JOURNAL_STREAM");
}
