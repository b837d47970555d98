#pragma once
// Reading the configuration, for the start and for a reload, and putting a new one in force.

#include "daemon/access.hpp"
#include "daemon/daemon.hpp"
#include "daemon/plan.hpp"
#include "daemon/supervisor.hpp"
#include "opsd/worker.hpp"

#include <chrono>
#include <expected>

namespace opsd::daemon {

/// A start and a reload wait so long for the answer of a state directory, which may be on a disk that hangs;
/// then they go on without.
inline constexpr std::chrono::milliseconds first_answer{50};

/// Reads and checks all of the configuration on `files`.
Task<std::expected<Plan, config::Mistakes>> read_plan(DaemonOptions options, WorkerThread& files);

/// The running parts that a reload changes; the references outlive it.
struct Running {
    http::Server& server;
    AccessControl& access;
    Supervisor& supervisor;
    WorkerThread& files;
};

/// What a reload has put in force, or why nothing of it.
using Reloaded = std::expected<Plan, config::Mistakes>;

/// Reads everything first: with a mistake anywhere nothing changes, except that certificates which could be
/// read are used: they are no matter of the configuration, and may end tonight. Of the plan, what belongs to
/// the daemon itself (limits, log, node) is left to the caller. Damage of auth.json is no mistake of the
/// configuration: `access` says so. Cancelling ends it while it reads; Supervisor::stop() ends it later.
Task<Reloaded> reload(DaemonOptions options, Running running);

}  // namespace opsd::daemon
