#pragma once
// What the module shows at /metrics, read at each scrape.

#include "modules/logs/core.hpp"

namespace opsd::logs {

void write_metrics(const Core& core, telemetry::Page& page);

}  // namespace opsd::logs
