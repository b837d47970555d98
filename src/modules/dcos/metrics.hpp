#pragma once
// What the module counts, for /metrics.

#include "modules/dcos/core.hpp"

namespace opsd::dcos {

void write_metrics(const Core& core, telemetry::Page& page);

}  // namespace opsd::dcos
