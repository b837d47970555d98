#pragma once
// This node for its own table: what the document says to others, without the way through JSON. Only units
// that changed since the last time are made anew.

#include "modules/cluster/document.hpp"

#include <unordered_map>

namespace opsd::cluster {

class OwnPicture {
public:
    OwnPicture(std::string instance, TextPool& pool) : instance_{std::move(instance)}, pool_{pool} {}

    /// `node_id`: of this machine.
    [[nodiscard]] NodeDocument take(const NodeHealth& health, const NodeIdentity& identity,
                                    std::string node_id);

private:
    struct Made {
        std::shared_ptr<const UnitState> from;  // kept, so that its address stays its name
        MemberUnit unit;
    };
    [[nodiscard]] MemberUnit make(const UnitState& unit, const NodeHealth& health);

    std::string instance_;
    TextPool& pool_;
    std::unordered_map<const UnitState*, Made> made_;
    std::string node_reason_;
    std::uint64_t version_ = 0;
};

}  // namespace opsd::cluster
