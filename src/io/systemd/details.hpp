#pragma once
// Everything systemd says about one unit that helps to explain it: read on demand, never followed.

#include "opsd/model.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

struct sd_bus_message;

namespace opsd::systemd {

/// What a size or a time is when the unit sets none.
inline constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

/// One line of ExecStart=, ExecStartPre=, ... with how it ended the last time.
struct ExecCommand {
    std::string setting;  ///< "ExecStart"
    std::string path;
    std::vector<std::string> arguments;  ///< argv[0] included
    bool ignored = false;                ///< "-": its failure does not count
    WallTime began{};                    ///< epoch: not run
    WallTime ended{};
    int code = 0;  ///< as UnitFacts::main_code
    int status = 0;
};

/// One Condition...= or Assert...= with its last outcome.
struct ConditionCheck {
    std::string type;  ///< "ConditionPathExists"
    bool trigger = false;
    bool negated = false;
    std::string parameter;
    int result = 0;  ///< negative: not met; 0: not tested; positive: met
};

struct EnvironmentFile {
    std::string path;
    bool optional = false;
};

/// The facts and what is beyond them, as of one moment. Empty where a unit's type has no such property.
struct UnitDetails {
    UnitFacts facts;

    std::vector<std::string> drop_in_paths;
    std::string source_path;
    bool need_daemon_reload = false;
    std::vector<ConditionCheck> conditions;
    std::vector<ConditionCheck> asserts;
    std::vector<std::string> requires_units;
    std::vector<std::string> requisite;
    std::vector<std::string> binds_to;

    WallTime active_enter{};
    WallTime active_exit{};
    WallTime inactive_enter{};
    WallTime inactive_exit{};
    WallTime condition_at{};
    WallTime main_began{};
    WallTime main_ended{};

    std::vector<ExecCommand> commands;
    std::vector<EnvironmentFile> environment_files;
    std::vector<std::pair<std::string, std::string>> credentials;  ///< LoadCredential: name, path
    std::vector<std::string> directories;  ///< StateDirectory and its like, as absolute paths
    std::string working_directory;         ///< "!" and "-" before it as systemd prints them
    std::string root_directory;
    std::string root_image;
    std::string user;
    std::string group;
    bool dynamic_user = false;
    std::string pid_file;
    std::string control_group;
    std::string what;                 ///< of a mount
    std::string where;                ///< of a mount
    std::vector<std::string> listen;  ///< of a socket: "Stream 0.0.0.0:80"

    std::uint64_t memory_max = no_limit;
    std::uint64_t memory_high = no_limit;
    std::uint64_t memory_current = no_limit;  ///< no_limit: not known
    std::uint64_t memory_peak = no_limit;     ///< systemd 255 and later
    std::uint64_t timeout_start_usec = no_limit;
    std::uint64_t timeout_stop_usec = no_limit;
    std::uint64_t watchdog_usec = no_limit;
    std::uint64_t start_limit_interval_usec = 0;
    std::uint32_t start_limit_burst = 0;
};

/// Reads the a{sv} at the message's position into `details` (all but its facts). Properties of another type
/// than known are skipped; false when the message is broken.
bool read_details(sd_bus_message* message, UnitDetails& details);

}  // namespace opsd::systemd
