#pragma once
// opsd about itself: liveness, readiness, the state of its modules, its metrics, its API description.

#include "http/router.hpp"
#include "opsd/module.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace opsd::daemon {

/// What a reload left behind; shown on /api/v1/modules and as metrics.
struct ConfigState {
    bool last_reload_ok = true;
    WallTime loaded_at{};
    std::vector<std::string> mistakes;       ///< of the last refused reload
    std::vector<std::string> needs_restart;  ///< settings that differ from what runs
};

/// What the routes of this file show.
struct SelfView {
    Board& board;
    const Clock& clock;
    telemetry::Registry& metrics;
    const ConfigState& config;
    const std::shared_ptr<const http::Router>& router;
    std::function<std::vector<std::string>()> degraded;  ///< what of the daemon itself works only in part
};

/// /-/healthy, /-/ready, /metrics, /api/v1/modules, /api/v1/version, /api/openapi.json.
std::vector<http::Route> self_routes(SelfView view);

/// Reasons why opsd is not ready; empty when it is (spec health 13.1: degraded stays ready).
[[nodiscard]] std::vector<std::string> not_ready_reasons(const Board& board);

/// opsd_process_*, opsd_build_info, opsd_module_state: read at each scrape.
[[nodiscard]] std::shared_ptr<void> export_self(telemetry::Registry& metrics, const Board& board,
                                                const ConfigState& config, Executor executor);

/// Beats until cancelled: pings systemd's watchdog from the loop and measures how late the loop is.
Task<> heartbeat(Clock& clock, telemetry::Registry& metrics);

}  // namespace opsd::daemon
