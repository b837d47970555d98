#pragma once
// Which units a target wants, read from its .wants and .requires directories as systemd does.

#include "modules/health/selection.hpp"

#include <string>
#include <vector>

namespace opsd::health {

/// Entries of TARGET.wants and TARGET.requires of dcos.target and `targets`, each name once, sorted by target
/// and name. `units` is the administrator's directory; with systemd's own (/etc/systemd/system), the runtime
/// and vendor directories are read too. A directory that is not there has no entries.
[[nodiscard]] std::vector<WantsEntry> read_wants(const std::string& units,
                                                 const std::vector<std::string>& targets);

/// This boot's id, "" when the kernel does not say.
[[nodiscard]] std::string boot_id();

}  // namespace opsd::health
