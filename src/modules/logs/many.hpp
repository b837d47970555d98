#pragma once
// One answer of several nodes: each is asked the same, and their entries are merged by time.
//
// What comes in
//   A question with node=; each node's own answer to it.
// What goes out
//   All entries in the order of their time, each with its node, as json, ndjson, text or events; followed, if
//   that was asked for, with ids from which a client goes on with every node where it left off.
// What it promises
//   - All nodes are asked at once, each with its own deadline; one that does not answer delays the others by
//     that deadline at most, and is named: in X-Opsd-Missing when it is known before the answer begins, and
//     in the answer, with the reason. While entries are followed it is asked again.
//   - Of a node all entries come, once and in its order. Of several nodes an entry that is followed waits
//     logs.nodes.settle for earlier ones of others.
//   - No more is read of a node than one piece beyond what the client took.

#include "modules/logs/core.hpp"
#include "modules/logs/nodes.hpp"

#include <memory>

namespace opsd::logs {

/// Its cursor or id is of an answer of several nodes.
[[nodiscard]] bool goes_on_with_several(const http::Request& request);

Task<http::Response> answer_of_many(std::shared_ptr<Core> core, const http::Request& request,
                                    ChosenNodes chosen);

}  // namespace opsd::logs
