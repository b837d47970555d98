#include "io/systemd/notify.hpp"

#include <systemd/sd-daemon.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <string_view>

namespace opsd::systemd {
namespace {

/// A line break in a status would start another assignment.
std::string one_line(std::string text)
{
    std::ranges::replace(text, '\n', ' ');
    return text;
}

void send(const std::string& state) { sd_notify(0, state.c_str()); }

}  // namespace

void notify_ready(const std::string& status) { send("READY=1\nSTATUS=" + one_line(status)); }

void notify_status(const std::string& status) { send("STATUS=" + one_line(status)); }

void notify_reloading()
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const auto usec =
        static_cast<std::uint64_t>(now.tv_sec) * 1'000'000U + static_cast<std::uint64_t>(now.tv_nsec) / 1000U;
    send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec));
}

void notify_stopping(const std::string& status) { send("STOPPING=1\nSTATUS=" + one_line(status)); }

void notify_watchdog() { send("WATCHDOG=1"); }

std::optional<std::chrono::microseconds> watchdog_period()
{
    std::uint64_t usec = 0;
    if (sd_watchdog_enabled(0, &usec) <= 0) return std::nullopt;
    return std::chrono::microseconds{static_cast<std::int64_t>(usec)};
}

std::vector<PassedSocket> passed_sockets()
{
    std::vector<PassedSocket> sockets;
    char** names = nullptr;
    const int count = sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < count; ++i) {
        const int fd = SD_LISTEN_FDS_START + i;
        sockets.push_back({fd, names[i], sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0});
        std::free(names[i]);
    }
    std::free(static_cast<void*>(names));
    return sockets;
}

bool stderr_is_journal()
{
    const char* stream = ::secure_getenv("JOURNAL_STREAM");
    struct stat file{};
    if (stream == nullptr || ::fstat(STDERR_FILENO, &file) != 0) return false;
    return std::string_view{stream} == std::to_string(file.st_dev) + ":" + std::to_string(file.st_ino);
}

}  // namespace opsd::systemd
