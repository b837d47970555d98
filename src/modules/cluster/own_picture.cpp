#include "modules/cluster/own_picture.hpp"

#include "core/unit_text.hpp"
#include "opsd/version.hpp"

namespace opsd::cluster {

MemberUnit OwnPicture::make(const UnitState& unit, const NodeHealth& health)
{
    MemberUnit made;
    made.label = pool_.label({.id = unit.id, .name = unit.name, .description = unit.description});
    made.verdict = pool_.verdict(
        {.health = shown_health(unit, health), .state = unit.state, .reason = shown_reason(unit, health)});
    made.since = unit.since;
    made.restarts_in_window = unit.restarts_in_window;
    auto output = output_of(unit, true, node_reason_);
    if (!output.empty()) made.output = std::make_shared<const std::string>(std::move(output));
    if (unit.acknowledged) made.acknowledged = std::make_shared<const Acknowledgement>(*unit.acknowledged);
    return made;
}

NodeDocument OwnPicture::take(const NodeHealth& health, const NodeIdentity& identity, std::string node_id)
{
    const auto reason = health.systemd_readable ? std::string{} : health.reason;
    if (std::exchange(node_reason_, reason) != reason) made_.clear();  // every unit is shown otherwise
    auto old = std::exchange(made_, {});
    made_.reserve(health.units.size());
    NodeDocument document;
    document.units.reserve(health.units.size());
    for (const auto& unit : health.units) {
        auto known = old.find(unit.get());
        auto& made = made_[unit.get()];
        made = known != old.end() ? std::move(known->second) : Made{unit, make(*unit, health)};
        document.units.push_back(made.unit);
    }
    document.identity = identity;
    document.node_id = std::move(node_id);
    document.instance = instance_;
    document.version = ++version_;
    document.opsd_version = version;
    document.health = health.health;
    document.reason = health.reason;
    document.systemd_readable = health.systemd_readable;
    document.last_transition = health.last_transition;
    return document;
}

}  // namespace opsd::cluster
