#pragma once
// Which units a target wants, read from its .wants and .requires directories as systemd does.

#include "modules/health/selection.hpp"

#include <string>
#include <vector>

namespace opsd::health {

/// What the directories say, as far as they could be read.
struct Wants {
    std::vector<WantsEntry> entries;  ///< each name once, sorted by target and name
    std::string problem;              ///< why more may be wanted than is known; "" when all was read
};

/// Entries read at most, of one target's directories together.
inline constexpr std::size_t most_wants = 20'000;

/// Entries of TARGET.wants and TARGET.requires of dcos.target and `targets`. `units` is the administrator's
/// directory; with systemd's own (/etc/systemd/system), the runtime and vendor directories are read too. A
/// directory that is not there has no entries; one that cannot be read (EACCES, EIO, ENOTDIR) is a problem.
[[nodiscard]] Wants read_wants(const std::string& units, const std::vector<std::string>& targets);

/// This boot's id, "" when the kernel does not say.
[[nodiscard]] std::string boot_id();

}  // namespace opsd::health
