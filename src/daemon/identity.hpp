#pragma once
// Who this node is. In: section `node`, /etc/mesosphere/roles, the ip_detect command, the agent's work
// directory. Out: Board::identity. What the configuration gives is published at once; what must be found out
// is looked up in the background, again and again until it is known, and never holds up an answer.

#include "daemon/options.hpp"
#include "opsd/module.hpp"

namespace opsd::daemon {

/// What is known without running or asking anything.
[[nodiscard]] NodeIdentity identity_at_start(const NodeOptions& options, const std::string& root = "/");

/// The local address that the default route would use, without sending anything; "" where there is no route.
[[nodiscard]] std::string address_of_default_route();

/// The agent's id: the name that <work_dir>/meta/slaves/latest points to; "" when it does not (spec mesos 8).
[[nodiscard]] std::string agent_id(const std::string& work_dir);

/// Publishes the identity and keeps it right; lives until cancelled.
Task<> keep_identity(NodeOptions options, Board& board, Clock& clock, Log log);

}  // namespace opsd::daemon
