#pragma once
// What journal lines give away: known phrases, and the path or port that they are about. Pure.

#include "modules/health/explain/facts.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace opsd::health::explain {

/// A line that says why.
struct Clue {
    std::string_view kind;  ///< a cause word: "port-in-use", "permission-denied", ...
    const systemd::JournalLine* line = nullptr;
    std::string path;     ///< that the line is about, "" when it names none
    std::string address;  ///< of a port in use: "127.0.0.1:80" or "80"; "" when it names none
};

/// The last line of the failed attempt that matches a known phrase. `began`: when the attempt began.
[[nodiscard]] std::optional<Clue> last_clue(const Lines& journal, WallTime began);

/// The last line of the attempt that contains this text; null without one.
[[nodiscard]] const systemd::JournalLine* last_line_with(const Lines& journal, WallTime began,
                                                         std::string_view text);

/// The absolute path that a message names last before `phrase`, else first after it; "" without one.
[[nodiscard]] std::string path_near(std::string_view message, std::size_t phrase);

/// "0.0.0.0:8080", "[::1]:80", "8080"; "" when the message names no port.
[[nodiscard]] std::string address_in(std::string_view message);

/// The port of such an address.
[[nodiscard]] std::string_view port_of(std::string_view address);

}  // namespace opsd::health::explain
