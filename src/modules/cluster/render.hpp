#pragma once
// The cluster as text: the shapes of DC/OS (field counts and order by the contract: 4 of a unit, 3 of a node,
// 5 of a node of a unit, 6 of a unit of a node) and ours. Pure; whole lists give way to others by slices.

#include "core/json_text.hpp"
#include "opsd/cluster.hpp"

#include <string>
#include <string_view>

namespace opsd::cluster {

/// "Sun Nov 22 15:26:27 2026": local time without a zone, the form of Last-Modified-3DT.
[[nodiscard]] std::string local_time(WallTime time);

/// The output of a unit for a caller: the cause line only for those who may not read journal lines.
[[nodiscard]] std::string_view output_for(const MemberUnit& unit, bool with_journal) noexcept;

/// What to do about a unit on a node; names the node.
[[nodiscard]] std::string help_for(const Member& member, std::string_view unit);

// --- DC/OS shapes
void append_unit(JsonText& json, const UnitLabel& label, Health health);  // 4 fields
void append_node(JsonText& json, const Member& member, Health health);    // 3 fields
void append_unit_node(JsonText& json, const Member& member, const MemberUnit& unit, Health health,
                      bool with_journal);  // 5 fields
void append_node_unit(JsonText& json, const Member& member, const MemberUnit& unit,
                      bool with_journal);  // 6 fields

// --- ours
void append_counts(JsonText& json, const HealthCounts& counts);
/// One element of /api/v1/nodes.
void append_member(JsonText& json, const Member& member);
/// One unit of a node with state, reason, since and acknowledgement.
void append_member_unit(JsonText& json, const Member& member, const MemberUnit& unit, bool with_journal);
/// The counts of a member's units.
[[nodiscard]] HealthCounts unit_counts(const Member& member) noexcept;

}  // namespace opsd::cluster
