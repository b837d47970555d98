#include "modules/cluster/rollup.hpp"

#include <algorithm>
#include <tuple>

namespace opsd::cluster {
namespace {

/// Does `other` have that unit of `member` too, and say the same of it?
bool counts_alike(const Member& member, std::size_t index, const Member& other)
{
    const auto& unit = member.units[index];
    const bool same_place = index < other.units.size() && other.units[index].label == unit.label;
    const auto* its = same_place ? &other.units[index] : other.find(unit.label->id);
    return its != nullptr && its->label == unit.label && other.current(*its) == member.current(unit);
}

}  // namespace

void Rollup::account(const Member& member, int by, const Member* beside)
{
    nodes_.add(member.health, by);
    for (std::size_t i = 0; i < member.units.size(); ++i) {
        if (beside != nullptr && counts_alike(member, i, *beside)) continue;
        const auto& unit = member.units[i];
        auto& roll = rolls_[unit.label->id];
        roll.nodes.add(member.current(unit), by);
        auto at = std::ranges::find(roll.labels, unit.label, &Label::first);
        if (at == roll.labels.end()) at = roll.labels.insert(at, {unit.label, 0});
        at->second = static_cast<std::uint32_t>(static_cast<std::int64_t>(at->second) + by);
        if (at->second == 0) roll.labels.erase(at);
        if (roll.labels.empty()) rolls_.erase(unit.label->id);
    }
}

std::vector<UnitRollup> Rollup::units() const
{
    std::vector<UnitRollup> all;
    all.reserve(rolls_.size());
    for (const auto& [id, roll] : rolls_) {
        const auto better = [](const Label& a, const Label& b) {
            if (a.second != b.second) return a.second > b.second;
            return std::tie(a.first->name, a.first->description)
                   < std::tie(b.first->name, b.first->description);
        };
        all.push_back({std::ranges::min_element(roll.labels, better)->first, roll.nodes});
    }
    return all;
}

}  // namespace opsd::cluster
