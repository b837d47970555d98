#pragma once
// Answers of other nodes, passed on as they come; and the routes by which DC/OS reaches a node through
// another one: /system/v1/leader/mesos, /system/v1/leader/marathon, /system/v1/agent/ID.
//
// What comes in
//   Questions; who is who in the cluster (Board); other nodes' answers (Elsewhere::open).
// What goes out
//   The same answers: status, the headers that say something about it, the body. What is here is answered
//   here, without a detour.
// What it promises
//   - A stream is passed on as fast as its reader takes it, and no faster; torn there, it is torn here, and
//     also when the other node has stopped.
//   - A question that was passed on is not passed on again.
//   - The other node hears whose question it is, and gives him no more than this one would.

#include "http/router.hpp"
#include "modules/logs/core.hpp"
#include "modules/logs/nodes.hpp"

#include <memory>
#include <string>
#include <vector>

namespace opsd::logs {

/// Asks the node for `target`, a path with its query.
Task<http::Response> pass_on(std::shared_ptr<Core> core, const http::Request& request, MemberPtr node,
                             std::string target);

/// The rows of these routes. `here`: this node's rows below /system/v1/logs.
[[nodiscard]] std::vector<http::Route> relay_routes(const std::shared_ptr<Core>& core,
                                                    const std::vector<http::Route>& here);

/// Why the node did not answer as it should, as a sentence; "" when it did.
[[nodiscard]] std::string refusal_of(const std::string& address, const net::Incoming& answer);

}  // namespace opsd::logs
