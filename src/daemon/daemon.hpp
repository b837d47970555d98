#pragma once
// The daemon: start, reload, stop. In: configuration, signals, what systemd passes. Out: modules that run, an
// API that answers, and an exit status.
//
//   start   read the configuration (all mistakes, or a plan), open the store (not waiting for long), create
//           the modules, bind, run, READY=1 once every module has its first data or says why not
//   SIGHUP  RELOADING=1, read certificates again, build the new plan beside the old one, replace what
//           changed, keep all of the old on any mistake, READY=1
//   SIGTERM STOPPING=1, no new connections, modules end, requests in flight finish within http.stop_grace; at
//           any time, also while a start or a reload hangs
//
// Exit statuses: 0 stopped by a signal, 78 configuration refused, 1 anything else (the reason is the last
// line).

#include "opsd/config.hpp"
#include "opsd/module.hpp"

#include <chrono>

namespace opsd::daemon {

struct DaemonOptions {
    config::Sources sources;
    Paths paths;
    bool journald = false;  ///< stderr is the journal: prefix lines with their priority
    /// After both graces of a stop, then it leaves without what hangs: below TimeoutStopSec=, so that it is
    /// us who say why.
    std::chrono::milliseconds last_wait{5'000};
};

/// Runs until a signal ends it; returns the exit status.
int run_daemon(DaemonOptions options);

}  // namespace opsd::daemon
