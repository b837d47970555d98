#pragma once
// What one node knows of the whole cluster: members, their units, and the roll-up of both. Plain values; the
// text that thousands of nodes repeat is shared.

#include "opsd/model.hpp"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace opsd {

/// What names a unit: one object for all nodes that say the same of it.
struct UnitLabel {
    std::string id;
    std::string name;
    std::string description;
    bool operator==(const UnitLabel&) const = default;
};

/// What is said of a unit: shared likewise, since most units of most nodes are "running".
struct UnitVerdict {
    Health health = Health::unknown;
    std::string state;   ///< state word; "" from a node that runs no opsd
    std::string reason;  ///< one sentence; "" from a node that runs no opsd
    bool operator==(const UnitVerdict&) const = default;
};

/// A unit on a member, as the member said it last.
struct MemberUnit {
    std::shared_ptr<const UnitLabel> label;      ///< never null
    std::shared_ptr<const UnitVerdict> verdict;  ///< never null
    WallTime since{};                            ///< by the member's own clock
    std::uint32_t restarts_in_window = 0;
    std::shared_ptr<const std::string> output;  ///< cause and journal lines; null when there are none
    std::shared_ptr<const Acknowledgement> acknowledged;
};

/// How far a member's picture can be trusted.
enum class Freshness {
    fresh,       ///< it answers, and nothing newer is known to exist
    stale,       ///< it answered once and does not now: its units are the last known
    unanswered,  ///< never answered since it is known; it has no units
};
std::string_view to_string(Freshness freshness) noexcept;

/// Who says that a member exists. Being named is all that a source decides; it removes nobody.
struct MemberSource {
    std::string name;  ///< "static", "dns", "mesos", "exhibitor", "zookeeper", "self"
    WallTime first{};
    WallTime last{};       ///< when the source last named it
    bool current = false;  ///< the source's newest list has it
    bool operator==(const MemberSource&) const = default;
};

/// One node of the cluster. Immutable once published.
struct Member {
    std::string address;  ///< what is dialed and what `host_ip` shows: "10.0.0.2"; with ":port" where that is
                          ///< not the cluster's
    NodeIdentity identity;  ///< by its own word; until it has answered, by the sources'
    std::string node_id;    ///< of the machine, from its own word; "" while not known
    std::string instance;   ///< of the opsd process that answered last; "" from a node that runs no opsd
    std::string opsd_version;
    bool self = false;                  ///< this node: read from the board, never pulled
    bool leader = false;                ///< of the Mesos masters, by a source that knows
    std::vector<MemberSource> sources;  ///< sorted by name
    Freshness freshness = Freshness::unanswered;
    std::string why;                           ///< why it is not fresh, as a sentence; "" when fresh
    WallTime answered_at{};                    ///< our clock; the epoch while it never answered
    WallTime changed_at{};                     ///< our clock: when its picture last changed
    std::chrono::milliseconds clock_offset{};  ///< its clock minus ours, as good as half the round trip
    Health health = Health::unknown;           ///< its own verdict when fresh, else unknown
    std::string reason;                        ///< its own, or `why`
    bool systemd_readable = false;
    std::vector<MemberUnit> units;  ///< sorted by id
    std::string previous_node_id;   ///< another machine had this address until `replaced_at`
    WallTime replaced_at{};
    std::shared_ptr<const Acknowledgement> acknowledged;  ///< planned work on the node, given here

    /// What counts in every roll-up: a picture that is not fresh is unknown, whatever it last showed.
    [[nodiscard]] Health current(const MemberUnit& unit) const noexcept
    {
        return freshness == Freshness::fresh && systemd_readable ? unit.verdict->health : Health::unknown;
    }
    /// The unit of that id; null when the member has none.
    [[nodiscard]] const MemberUnit* find(std::string_view unit_id) const noexcept;
};

/// How many parts are in which health.
struct HealthCounts {
    std::uint32_t healthy = 0;
    std::uint32_t unhealthy = 0;
    std::uint32_t unknown = 0;
    void add(Health health, int by = 1) noexcept;
    [[nodiscard]] std::uint32_t total() const noexcept { return healthy + unhealthy + unknown; }
    /// unhealthy if any is; else unknown if any is; else healthy (spec health 14).
    [[nodiscard]] Health rolled_up() const noexcept;
    bool operator==(const HealthCounts&) const = default;
};

/// One unit over all members that have it.
struct UnitRollup {
    std::shared_ptr<const UnitLabel> label;  ///< of most members; of equals the first by text
    HealthCounts nodes;
};

/// Another address of an opsd process that is shown once.
struct MemberAlias {
    std::string address;
    std::string of;  ///< the address that is shown
};

/// The cluster as published on the board.
struct Cluster {
    std::vector<std::shared_ptr<const Member>> members;  ///< sorted by address: numbers by value
    std::vector<MemberAlias> aliases;                    ///< of members that are shown
    std::vector<UnitRollup> units;                       ///< sorted by id
    HealthCounts nodes;
    bool watching = false;    ///< false: no source is configured, the cluster is this node alone
    std::string incomplete;   ///< why members may be missing; "" when none are known to be
    WallTime confirmed_at{};  ///< no member that answers was heard of longer ago; the epoch when none answers
    WallTime changed_at{};    ///< when anything but times of answers last changed; the epoch: not said
};

/// A transition of a unit on some member, or of a member itself (unit ""), in the order this node learned of
/// it.
struct ClusterTransition {
    std::int64_t id = 0;  ///< ascending on this node: the SSE id of its /api/v1/events
    std::string address;
    std::string hostname;
    WallTime seen_at{};                        ///< our clock
    std::chrono::milliseconds clock_offset{};  ///< the member's clock minus ours when we learned of it
    Transition transition;  ///< as the member recorded it, by its clock; its id is the member's own
};

}  // namespace opsd
