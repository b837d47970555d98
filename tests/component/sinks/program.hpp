#pragma once
// Real receivers for the length of a test: where Debian puts them or where packaging/dependencies.sh unpacks
// them, on loopback ports, gone with the object.

#include "temp_dir.hpp"

#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace opsd::test {

/// "/usr/sbin/rsyslogd" or the same below build/tools; "" where there is neither.
inline std::string find_program(const std::string& path)
{
    for (const auto& place : {path, std::string{OPSD_SOURCE_DIR} + "/build/tools" + path}) {
        if (::access(place.c_str(), R_OK) == 0) return place;
    }
    return {};
}

/// Why a test cannot be made; "" when all are there.
inline std::string missing(const std::vector<std::string>& paths)
{
    std::string all;
    for (const auto& path : paths) {
        if (find_program(path).empty()) all += " " + path;
    }
    return all.empty() ? "" : "NOT TESTED: missing" + all + " (packaging/dependencies.sh installs them)";
}

/// A port that was free a moment ago.
inline std::uint16_t free_port()
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(fd);
    return ntohs(address.sin_port);
}

inline bool answers(std::uint16_t port)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool open = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    return open;
}

/// At most 10 s.
inline bool comes_about(const std::function<bool()>& condition)
{
    for (int i = 0; i < 1'000 && !condition(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    return condition();
}

inline std::string text_of(const std::string& path)
{
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

/// Runs until the object is gone; what it says is in `log`.
class Program {
public:
    Program(std::vector<std::string> command, std::string log_file) : log{std::move(log_file)}
    {
        std::vector<char*> arguments;
        for (auto& word : command)
            arguments.push_back(word.data());
        arguments.push_back(nullptr);
        const auto parent = ::getpid();
        int input[2];
        if (::pipe2(input, O_CLOEXEC) != 0) return;
        pid_ = ::fork();
        if (pid_ != 0) {
            ::close(input[0]);
            input_ = input[1];  // open, so that who reads it to its end goes on
            return;
        }
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // it must not outlive a test that crashes
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(input[0], 0);
        ::dup2(out, 1);
        ::dup2(out, 2);
        if (::getppid() == parent) ::execv(arguments[0], arguments.data());
        ::_exit(127);
    }
    ~Program() { end(SIGKILL); }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    /// In an orderly way.
    void stop() { end(SIGTERM); }

    const std::string log;

private:
    void end(int signal)
    {
        if (pid_ <= 0) return;
        ::kill(pid_, signal);
        ::waitpid(pid_, nullptr, 0);
        ::close(input_);
        pid_ = -1;
    }
    pid_t pid_ = -1;
    int input_ = -1;
};

}  // namespace opsd::test
