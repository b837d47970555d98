#pragma once
// The modules without a daemon: what `opsd config check` and the generated pages need. Nothing is started,
// opened or bound.

#include "opsd/config.hpp"

#include <string>
#include <vector>

namespace opsd::daemon {

/// Reads and checks a configuration as the daemon would at start, up to creating every module.
std::expected<config::Value, config::Mistakes> check_configuration(const config::Sources& sources);

/// What check_configuration() accepted: the certificates and keys that it names, read as the daemon would.
/// Blocks. What only the daemon's own process can read is said in `unchecked`.
config::Mistakes check_files(const config::Value& root, const std::string& credentials_directory,
                             std::vector<std::string>& unchecked);

/// docs/api.md: the route table of the default configuration.
std::string api_page();

}  // namespace opsd::daemon
