#pragma once
// sd_notify(3) and sd_listen_fds(3): what systemd and the daemon tell each other. No-ops without systemd.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace opsd::systemd {

void notify_ready(const std::string& status);
void notify_status(const std::string& status);
void notify_reloading();  ///< with MONOTONIC_USEC
void notify_stopping(const std::string& status);
void notify_watchdog();

/// The watchdog's period, if systemd asked this process for one ($WATCHDOG_USEC, $WATCHDOG_PID).
[[nodiscard]] std::optional<std::chrono::microseconds> watchdog_period();

/// Descriptors passed by socket activation with their names; marks them close-on-exec. Call once.
struct PassedSocket {
    int fd = -1;
    std::string name;
    bool is_unix = false;
};
[[nodiscard]] std::vector<PassedSocket> passed_sockets();

/// Is stderr connected to the journal ($JOURNAL_STREAM)?
[[nodiscard]] bool stderr_is_journal();

}  // namespace opsd::systemd
