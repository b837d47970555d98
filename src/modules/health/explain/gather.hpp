#pragma once
// Gathers the facts for one explanation: systemd's properties, the way to the first cause, the history, the
// journal, the files. One part after another, cheap ones first, so that a deadline costs the expensive ones
// only. What a part could not learn is said in Facts::unknown, never left out.

#include "io/systemd/manager.hpp"
#include "modules/health/explain/surroundings.hpp"

#include <functional>
#include <memory>
#include <set>
#include <string>

namespace opsd::health::explain {

/// Where the facts come from; tests bring their own.
struct Sources {
    /// The connection that the module follows systemd by; null while there is none.
    std::function<std::shared_ptr<systemd::Manager>()> manager;
    std::function<Task<Result<std::vector<Transition>>>(std::string unit)> history;
    std::function<Task<Result<Lines>>(systemd::JournalQuery)> journal;
    std::function<Task<Result<Answers>>(Questions)> look;
    /// What the module knows of a unit; null when it does not watch it.
    std::function<std::shared_ptr<const UnitState>(std::string_view id)> state;
};

/// Facts being gathered. When time is up, what was begun and not ended is said to be unknown.
struct Gathering {
    Facts facts;
    std::string part;               ///< what is being gathered now
    std::vector<std::string> left;  ///< parts that have not begun

    /// The facts as they are, with what is missing.
    Facts ended(std::string_view why) &&;
};

/// Begins with the unit's state as the module shows it.
[[nodiscard]] Gathering begin(const UnitState& state, bool systemd_readable, WallTime now, Duration window);

/// Fills the gathering. Sources and options must outlive it; it may be cancelled at any time.
Task<> gather(const Sources& sources, const ExplainOptions& options, Gathering& gathering);

}  // namespace opsd::health::explain
