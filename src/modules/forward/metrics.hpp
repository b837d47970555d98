#pragma once
// The module's families on /metrics.

#include "modules/forward/core.hpp"
#include "opsd/telemetry.hpp"

namespace opsd::forward {

void write_metrics(const Core& core, telemetry::Page& page);

}  // namespace opsd::forward
