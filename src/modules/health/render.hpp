#pragma once
// Answers from the model. A whole answer is rendered once per version and shared; a unit's part of it once
// per state of that unit.

#include "opsd/board.hpp"
#include "opsd/http.hpp"
#include "opsd/model.hpp"

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace opsd::health {

/// Appends one element of `units` of /system/health/v1: six fields.
void append_dcos_unit(std::string& out, const UnitState& unit, bool with_journal,
                      std::string_view node_reason);

/// Appends one element of /api/v1/units.
void append_unit(std::string& out, const UnitState& unit, const NodeHealth& node);

/// /api/v1/units/{unit}.
[[nodiscard]] std::string unit_json(const UnitState& unit, const NodeHealth& node, bool with_journal);

/// /api/v1/health. `age`: nullopt while systemd confirmed nothing yet.
[[nodiscard]] std::string node_json(const NodeHealth& node, std::optional<std::chrono::milliseconds> age);

/// One transition, as in the history and in events.
void append_transition(std::string& out, const Transition& transition);

/// `note` says why it will not survive a restart, "" when it will.
[[nodiscard]] std::string acknowledgement_json(const std::optional<Acknowledgement>& ack,
                                               std::string_view note);

/// /system/health/v1, cached per version of health and identity, for viewers and others, plain and gzip.
class DcosAnswer {
public:
    [[nodiscard]] std::shared_ptr<const http::Content>
    get(const Latest<NodeHealth>& health, const Latest<NodeIdentity>& identity, bool with_journal, bool gzip);

private:
    struct Variant {
        std::uint64_t health_version = 0;
        std::uint64_t identity_version = 0;
        std::shared_ptr<const std::string> body;
        std::array<std::shared_ptr<const http::Content>, 2> contents;  // plain, gzip
        struct Fragment {
            std::shared_ptr<const UnitState> unit;  // kept, so that its address stays its name
            std::string text;
        };
        std::unordered_map<const UnitState*, Fragment> fragments;
        std::string node_reason;
    };
    void render(Variant& variant, const NodeHealth& node, const NodeIdentity& who, bool with_journal);

    std::array<Variant, 2> variants_;  // without and with journal lines
};

}  // namespace opsd::health
