#pragma once
// What was the case at a time: the states of units, rebuilt from transitions that were kept. Pure.
//
// A row says: at `at` the unit went from `from` to `to`; with a count, it did so again and again until
// `last_at`, and what lay between is not kept. So a time has one of four answers: the newest row before it
// says the state; a folded row spans it, and the unit was in either of its states: the worse is said, as not
// exact; only rows after it are there, and the first one's `from` is the state; or there are none, and the
// present state counts if it is older than the time. A unit that had gone by then, by its own row, is left
// out. Anything else is unknown, with the reason; so is a unit that is not there now and whose going nobody
// saw, from its last row on.

#include "opsd/model.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace opsd {

/// The state word of what is not there any more.
inline constexpr std::string_view gone_state = "gone";

/// A unit's state at a time.
struct StateThen {
    std::string unit;
    Health health = Health::unknown;
    std::string state = "unknown";
    std::string reason;             ///< of the row, or why it is not known
    std::optional<WallTime> since;  ///< when it entered the state, where that is kept
    bool exact = false;             ///< false: unknown, or one of several states between `at` and `last_at`
};

/// A unit as it is now.
struct StateNow {
    std::string unit;
    Health health = Health::unknown;
    std::string state;
    std::string reason;
    WallTime since{};
};

/// The units of one node at `time`, sorted: all of `now` and all that have a row, unless they were gone; the
/// node itself (unit "") is told as gone. `rows` in any order; of one folded row several versions may be
/// there. An empty `now`: not known. `begins`: when the first transition that is kept was made; before it
/// nothing is known except states that last until now.
[[nodiscard]] std::vector<StateThen> states_at(WallTime time, std::span<const Transition> rows,
                                               std::span<const StateNow> now, std::optional<WallTime> begins);

/// A node at a time.
struct NodeThen {
    std::string address;
    std::string hostname;
    bool answered = true;            ///< false: it did not answer then, and its units are the last known
    std::string why;                 ///< why it is unknown; "" when it is not
    std::optional<WallTime> begins;  ///< when the first transition of it that is kept was made
    std::vector<StateThen> units;
    /// Of the node by the roll-up rule; unknown when it did not answer or has no units.
    [[nodiscard]] Health health() const noexcept;
};

/// {"time","health","nodes":{"healthy","unhealthy","unknown"},"units":{...},"members":[{"address","hostname",
/// "health","reason","history_begins","units":[{"id","health","state","reason","since","exact"}]}]} and a
/// newline. Without `full` only units that were not healthy are listed.
[[nodiscard]] std::string report_json(WallTime time, std::span<const NodeThen> nodes, bool full);

}  // namespace opsd
