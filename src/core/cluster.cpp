#include "opsd/cluster.hpp"

#include <algorithm>

namespace opsd {

std::string_view to_string(Freshness freshness) noexcept
{
    switch (freshness) {
    case Freshness::fresh:
        return "fresh";
    case Freshness::stale:
        return "stale";
    case Freshness::unanswered:
        return "unanswered";
    }
    return "";
}

const MemberUnit* Member::find(std::string_view unit_id) const noexcept
{
    const auto by_id = [](const MemberUnit& unit) { return std::string_view{unit.label->id}; };
    const auto at = std::ranges::lower_bound(units, unit_id, {}, by_id);
    return at != units.end() && at->label->id == unit_id ? &*at : nullptr;
}

void HealthCounts::add(Health health, int by) noexcept
{
    auto& count = health == Health::healthy ? healthy : health == Health::unhealthy ? unhealthy : unknown;
    count = static_cast<std::uint32_t>(static_cast<std::int64_t>(count) + by);
}

Health HealthCounts::rolled_up() const noexcept
{
    if (unhealthy > 0) return Health::unhealthy;
    return unknown > 0 ? Health::unknown : Health::healthy;
}

}  // namespace opsd
