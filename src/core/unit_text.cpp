#include "core/unit_text.hpp"

#include <fmt/format.h>

namespace opsd {
namespace {

std::string last_known(const UnitState& unit, std::string_view node_reason)
{
    return fmt::format("{} (last known: {}, {})", node_reason, unit.state, unit.reason);
}

}  // namespace

Health shown_health(const UnitState& unit, const NodeHealth& node) noexcept
{
    return node.systemd_readable ? unit.health : Health::unknown;
}

std::string shown_reason(const UnitState& unit, const NodeHealth& node)
{
    return node.systemd_readable ? unit.reason : last_known(unit, node.reason);
}

std::string output_of(const UnitState& unit, bool with_journal, std::string_view node_reason)
{
    if (node_reason.empty() && unit.health == Health::healthy) return {};
    std::string text = node_reason.empty() ? unit.reason : last_known(unit, node_reason);
    if (unit.acknowledged)
        text += fmt::format("; acknowledged by {} until {}: {}", unit.acknowledged->by,
                            rfc3339(unit.acknowledged->until), unit.acknowledged->reason);
    text += '\n';
    if (with_journal) text += unit.journal;
    return text;
}

void append_acknowledgement(JsonText& json, const Acknowledgement* ack)
{
    if (ack == nullptr) {
        json.null();
        return;
    }
    json.open('{');
    append_acknowledgement_members(json, *ack);
    json.close('}');
}

void append_acknowledgement_members(JsonText& json, const Acknowledgement& ack)
{
    json.text("by", ack.by).text("reason", ack.reason);
    json.text("at", rfc3339(ack.at)).text("until", rfc3339(ack.until));
}

}  // namespace opsd
