#pragma once
// A unit in words, the same wherever it is shown: on its node, in /system/health/v1, on a master.

#include "core/json_text.hpp"
#include "opsd/model.hpp"

#include <string>
#include <string_view>

namespace opsd {

/// What systemd cannot confirm is not shown as healthy.
[[nodiscard]] Health shown_health(const UnitState& unit, const NodeHealth& node) noexcept;

/// The unit's reason; while systemd cannot be read, why not and what was last known.
[[nodiscard]] std::string shown_reason(const UnitState& unit, const NodeHealth& node);

/// The cause line and, for viewers, the journal lines; "" when healthy. `node_reason`: why systemd cannot be
/// read, "" when it can.
[[nodiscard]] std::string output_of(const UnitState& unit, bool with_journal, std::string_view node_reason);

/// {"by","reason","at","until"}, or null.
void append_acknowledgement(JsonText& json, const Acknowledgement* ack);
void append_acknowledgement_members(JsonText& json, const Acknowledgement& ack);

}  // namespace opsd
