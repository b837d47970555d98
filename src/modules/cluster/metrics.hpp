#pragma once
// The module's families on /metrics. No labels of members: there may be ten thousand.

#include "modules/cluster/core.hpp"

namespace opsd::cluster {

void write_metrics(const Core& core, telemetry::Page& page);

/// Nodes and units by health: on /api/v1/metrics/cluster, too.
void write_totals(const Cluster& cluster, telemetry::Page& page);

}  // namespace opsd::cluster
