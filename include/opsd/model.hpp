#pragma once
// What the modules publish and read: plain values. Each carries its age and its confidence; unknown is never
// rendered as healthy.

#include "opsd/clock.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace opsd {

/// The integer of /system/health/v1 (spec health 1): 2 is never produced.
enum class Health : int { healthy = 0, unhealthy = 1, unknown = 3 };

/// Combines by the roll-up rule: unhealthy if any is, else unknown if any is, else healthy.
[[nodiscard]] constexpr Health worse(Health a, Health b) noexcept
{
    if (a == Health::unhealthy || b == Health::unhealthy) return Health::unhealthy;
    return a == Health::unknown || b == Health::unknown ? Health::unknown : Health::healthy;
}

/// Who this node is.
struct NodeIdentity {
    std::string hostname;
    std::string ip;            ///< "" while not known
    std::string role;          ///< "master", "agent", "agent_public"; "" on a plain host
    std::string mesos_id;      ///< "" while not known
    std::string dcos_version;  ///< environment DCOS_VERSION or configuration; "" on a plain host
    bool operator==(const NodeIdentity&) const = default;
};

/// What systemd says about one unit. Text as D-Bus gives it; 0 or "" where it does not apply.
struct UnitFacts {
    std::string id;
    std::string description;
    std::string load_state;    ///< loaded, not-found, bad-setting, error, masked
    std::string active_state;  ///< active, reloading, inactive, failed, activating, deactivating, maintenance
    std::string sub_state;     ///< running, exited, dead, auto-restart, listening, ...
    std::string unit_file_state;  ///< enabled, disabled, static, masked, ...
    std::string fragment_path;
    std::string load_error;  ///< text of LoadError
    bool details = false;    ///< false: only load/active/sub state and description are known yet
    std::string type;        ///< of a service: simple, oneshot, notify, ...
    std::string result;  ///< success, exit-code, signal, core-dump, timeout, watchdog, start-limit-hit, ...
    bool remain_after_exit = false;
    int main_code = 0;    ///< CLD_EXITED 1, CLD_KILLED 2, CLD_DUMPED 3; 0: never ran or runs
    int main_status = 0;  ///< exit status or signal number
    std::uint32_t main_pid = 0;
    std::uint32_t last_main_pid = 0;  ///< of the present or the last main process
    WallTime main_started{};          ///< of that process
    WallTime main_exited{};           ///< 0: it has not ended
    std::uint32_t restarts = 0;       ///< NRestarts since the last manual start
    std::string status_text;          ///< STATUS= of the service
    bool condition_result = true;
    bool assert_result = true;
    Monotonic condition_at{};  ///< when conditions were last evaluated; 0: never
    std::vector<std::string> triggered_by;
    std::vector<std::string> triggers;  ///< of a timer, socket, path or automount
    std::string job_type;               ///< of the pending job, "" without one
    std::string invocation_id;          ///< 32 hex digits
    Monotonic state_change_at{};
    Monotonic active_enter_at{};
    Monotonic active_exit_at{};
    Monotonic inactive_enter_at{};
    Monotonic inactive_exit_at{};
    WallTime state_change_time{};  ///< wall clock of state_change_at
    bool operator==(const UnitFacts&) const = default;
};

/// Planned work on a unit: shown beside its state, never instead of it.
struct Acknowledgement {
    std::string by;
    std::string reason;
    WallTime at{};
    WallTime until{};
    bool operator==(const Acknowledgement&) const = default;
};

/// The verdict about one unit with its evidence.
struct UnitState {
    std::string id;
    std::string name;  ///< spec health 3.4: from the Description
    std::string description;
    std::vector<std::string> aliases;  ///< other names it was asked for by
    Health health = Health::unknown;
    std::string state;   ///< one word: running, done, waiting, failed, flapping, stuck, stopped, ...
    std::string reason;  ///< one sentence saying why
    WallTime since{};    ///< when it entered this state
    std::uint32_t restarts_in_window = 0;
    std::string journal;            ///< lines of this invocation, newest last; readable by viewers only
    bool journal_complete = false;  ///< false: the lines may still be coming
    std::optional<Acknowledgement> acknowledged;
    std::shared_ptr<const UnitFacts> facts;
};

/// The node's health: units sorted by id.
struct NodeHealth {
    Health health = Health::unknown;
    std::string reason;             ///< "" when healthy
    bool systemd_readable = false;  ///< false: the units are what was last known
    std::string incomplete;         ///< why expected units may be missing from `units`; "" when none can be
    WallTime read_at{};             ///< when systemd last confirmed this picture
    std::int64_t last_transition = 0;  ///< newest id of its transitions; 0: not known yet
    std::vector<std::shared_ptr<const UnitState>> units;
};

/// One change of a unit's state, as kept in the history and sent as an event.
struct Transition {
    std::int64_t id = 0;  ///< ascending, the SSE id
    std::string unit;
    WallTime at{};            ///< first time
    WallTime last_at{};       ///< of the newest folded repetition
    std::uint32_t count = 1;  ///< repetitions folded into this row
    std::string from;         ///< state words
    std::string to;
    Health from_health = Health::unknown;
    Health to_health = Health::unknown;
    std::string result;
    int main_code = 0;
    int main_status = 0;
    std::string invocation_id;
    std::string reason;
};

/// Life of a module (spec architecture 3).
enum class ModuleCondition { starting, running, degraded, failed, stopped };
std::string_view to_string(ModuleCondition condition) noexcept;
struct ModuleState {
    std::string name;
    ModuleCondition condition = ModuleCondition::starting;
    std::string reason;  ///< why degraded or failed
    WallTime since{};
    std::uint64_t restarts = 0;
};

}  // namespace opsd
