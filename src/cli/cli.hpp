#pragma once
// `opsd <noun> <verb>`: a client of the daemon's HTTP API, plus the commands that need no daemon.

namespace opsd::cli {

/// Exit statuses (sysexits.h). `opsd health` and `opsd unit show` are Nagios plugins and use 0, 2 and 3 only.
enum Exit : int {
    exit_ok = 0,
    exit_failed = 1,
    exit_critical = 2,  ///< plugins: unhealthy
    exit_unknown = 3,   ///< plugins: unknown, not reachable, usage
    exit_usage = 64,
    exit_unavailable = 69,  ///< the daemon does not answer
    exit_denied = 77,
    exit_config = 78,
};

/// Parses the command line and runs the command; returns the exit status.
int run(int argc, char** argv);

}  // namespace opsd::cli
