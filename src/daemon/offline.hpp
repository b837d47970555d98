#pragma once
// The modules without a daemon: what `opsd config check` and the generated pages need. Nothing is started,
// opened or bound.

#include "opsd/config.hpp"

#include <string>

namespace opsd::daemon {

/// Reads and checks a configuration as the daemon would at start, up to creating every module.
std::expected<config::Value, config::Mistakes> check_configuration(const config::Sources& sources);

/// docs/api.md: the route table of the default configuration.
std::string api_page();

}  // namespace opsd::daemon
