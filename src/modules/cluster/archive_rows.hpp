#pragma once
// How the archive's members and transitions become rows, and back.

#include "opsd/cluster.hpp"
#include "opsd/store.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace opsd::cluster {

[[nodiscard]] std::string transition_columns();
[[nodiscard]] ClusterTransition transition_from(const Row& row);
/// Is `newer` the same row as `older`, folded further?
[[nodiscard]] bool supersedes(const ClusterTransition& newer, const ClusterTransition& older);
/// The row, the older versions of a folded row that it replaces, and the member's position.
void append_statements(std::vector<Statement>& all, const ClusterTransition& transition,
                       const std::string& node_id);
/// Null: it is forgotten.
void append_member(std::vector<Statement>& all, const std::string& address, const Member* member);
/// A run that is silent for longer has a gap: it is written every minute that it goes on, and a slow store
/// may hold that up.
inline constexpr std::chrono::seconds longest_gap{120};
/// opsd has watched since `began`, until `now` at least.
[[nodiscard]] Statement watched(WallTime began, WallTime now);

}  // namespace opsd::cluster
