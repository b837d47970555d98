#pragma once
// How health, times and acknowledgements are worded, the same for units, nodes and the cluster.

#include "cli/table.hpp"
#include "opsd/result.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>

namespace opsd::cli {

/// The health integer of an object; anything that cannot be read is unknown.
[[nodiscard]] std::int64_t health_of(const nlohmann::json& object);

struct Word {
    const char* nagios;
    const char* plain;
    Colour colour;
    int exit;
};
[[nodiscard]] Word word_of(std::int64_t health);

/// For the first line of a plugin: one line, and no bar, which would begin the performance data.
[[nodiscard]] std::string one_line(std::string sentence);

/// "2026-11-22T17:39:05.123Z" -> "2026-11-22 17:39:05": what fits a column.
[[nodiscard]] std::string short_time(const std::string& time);

/// "acknowledged by kim until ...: new disk", "" without one.
[[nodiscard]] std::string acknowledgement(const nlohmann::json& object);

/// "UNKNOWN - why", and the exit status of a plugin.
int plugin_unknown(const Error& error);

}  // namespace opsd::cli
