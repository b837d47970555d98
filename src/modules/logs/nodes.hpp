#pragma once
// Which nodes a question is for. Pure: over what module cluster published.

#include "opsd/cluster.hpp"
#include "opsd/result.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::logs {

using MemberPtr = std::shared_ptr<const Member>;

/// The nodes of `node=`.
struct ChosenNodes {
    std::vector<MemberPtr> nodes;  ///< each once, in the cluster's order
    std::string incomplete;        ///< why more may belong to "all"; "" when none are known to
    bool group = false;            ///< others may belong to it tomorrow, though it is one today
};

/// "all", "leader" (of the Mesos masters), "masters", "agents", or what names a node; several with commas or
/// by several names. `cluster`: null while nothing is known. Errc::not_found, invalid_argument (ambiguous, or
/// more than `most`), unavailable (nothing known yet).
[[nodiscard]] Result<ChosenNodes> choose_nodes(const Cluster* cluster,
                                               const std::vector<std::string_view>& names, std::size_t most);

/// The leader of the Mesos masters; null when nobody is known to lead.
[[nodiscard]] MemberPtr leader_of(const Cluster& cluster);
/// The agent with that Mesos id; null when it is not known.
[[nodiscard]] MemberPtr agent_of(const Cluster& cluster, std::string_view id);

}  // namespace opsd::logs
