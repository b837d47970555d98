#pragma once
// The members that the configuration names.

#include "modules/cluster/sources.hpp"

namespace opsd::cluster {

/// "10.0.0.2", "10.0.0.2:1051", "fd00::2", "[fd00::2]:1051". Errc::invalid_argument naming the entry.
[[nodiscard]] Result<std::vector<FoundMember>> parse_members(const std::vector<std::string>& addresses);

[[nodiscard]] std::unique_ptr<Source> static_members(std::vector<FoundMember> members,
                                                     const Executor& executor);

}  // namespace opsd::cluster
