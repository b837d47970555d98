#pragma once
// What the module shows at /metrics, read from the model at each scrape.

#include "modules/health/core.hpp"

namespace opsd::health {

void write_metrics(const Core& core, telemetry::Page& page);

}  // namespace opsd::health
