#pragma once
// The health of nodes and of units over all members that are shown, kept up to date in O(units of the changed
// member). Pure.

#include "opsd/cluster.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace opsd::cluster {

class Rollup {
public:
    /// What `beside`, an older or newer picture of the same member, counts alike is left as it is: of a node
    /// that flaps one unit changes, hundreds do not.
    void add(const Member& member, const Member* beside = nullptr) { account(member, 1, beside); }
    void remove(const Member& member, const Member* beside = nullptr) { account(member, -1, beside); }

    [[nodiscard]] const HealthCounts& nodes() const noexcept { return nodes_; }
    /// Sorted by id.
    [[nodiscard]] std::vector<UnitRollup> units() const;

private:
    using Label = std::pair<std::shared_ptr<const UnitLabel>, std::uint32_t>;  // how many say so
    struct Roll {
        HealthCounts nodes;
        std::vector<Label> labels;
    };
    void account(const Member& member, int by, const Member* beside);

    std::map<std::string, Roll, std::less<>> rolls_;
    HealthCounts nodes_;
};

}  // namespace opsd::cluster
