#pragma once
// The verdict about one unit: a table of rows, first match wins. Pure: facts and time come as arguments.
// docs/health.md shows the same table; a test keeps them equal.

#include "modules/health/options.hpp"
#include "opsd/model.hpp"

#include <span>
#include <string>
#include <string_view>

namespace opsd::health {

/// What a verdict depends on besides the facts.
struct Context {
    Monotonic now{};
    Monotonic
        seen_at{};  ///< since when we see this ActiveState: used while systemd's own time is not read yet
    Monotonic job_since{};       ///< since when we see its pending job
    bool expected = false;       ///< named in the configuration, wanted by a watched target, or enabled
    std::uint32_t restarts = 0;  ///< automatic restarts within the window
    std::string job_result;      ///< how the last job about it ended, since it last was active
    std::string problem;         ///< it is no unit at all: "is not a unit name"
    std::string unreadable;      ///< why systemd could not tell us about it
    Flapping flapping;
    StuckAfter stuck_after;
};

struct Verdict {
    Health health = Health::unknown;
    std::string_view state;
    std::string reason;
    std::string_view rule;
};

/// The state word of a unit that keeps restarting.
inline constexpr std::string_view flapping_state = "flapping";

/// One row. `when` and `advice` are for the operators' page.
struct Rule {
    std::string_view name;
    std::string_view when;
    bool (*matches)(const UnitFacts&, const Context&);
    Health health;
    std::string_view state;
    std::string (*sentence)(const UnitFacts&, const Context&);
    std::string_view advice;
};

/// All rows in order; the last one matches everything.
[[nodiscard]] std::span<const Rule> rules();

[[nodiscard]] Verdict judge(const UnitFacts& facts, const Context& context);

/// Since when the unit is in its transitional state (activating, deactivating, reloading).
[[nodiscard]] Monotonic transitional_since(const UnitFacts& facts, const Context& context);

/// When the verdict will change by the mere passing of time because the unit is stuck then; 0: never.
[[nodiscard]] Monotonic stuck_at(const UnitFacts& facts, const Context& context);

/// Until when a unit at rest that kept restarting may still be between two runs.
[[nodiscard]] Monotonic between_runs_until(const UnitFacts& facts, const Context& context);

/// When a pending start job will have waited for so long that it counts; 0: there is none.
[[nodiscard]] Monotonic queued_at(const UnitFacts& facts, const Context& context);

/// Is a unit with this UnitFileState meant to run?
[[nodiscard]] bool enabled(std::string_view unit_file_state) noexcept;

/// Has the unit been started since boot, as far as systemd remembers?
[[nodiscard]] bool ever_started(const UnitFacts& facts) noexcept;

/// "3 (NOTIMPLEMENTED)", "203 (EXEC)", "42".
[[nodiscard]] std::string exit_status_text(int status);
/// "9 (KILL)".
[[nodiscard]] std::string signal_text(int number);

/// The table as Markdown, for docs/health.md.
[[nodiscard]] std::string rules_markdown();

/// Name and description from systemd's Description (spec health 3.4): "A: B" is name A and description B,
/// anything else is the id and the whole text.
struct Titles {
    std::string name;
    std::string description;
};
[[nodiscard]] Titles titles(std::string_view id, std::string_view description);

}  // namespace opsd::health
