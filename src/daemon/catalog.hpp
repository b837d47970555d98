#pragma once
// The list of modules. Adding one is a folder under src/modules and a line in catalog.cpp.

#include "io/sandbox/opener.hpp"
#include "opsd/module.hpp"

#include <vector>

namespace opsd::daemon {

/// All modules of this build, in the order of their sections in the documentation. `open_tasks` opens files
/// of tasks.
std::vector<CatalogEntry> catalog(const sandbox::MakeOpener& open_tasks = sandbox::make_own_opener);

}  // namespace opsd::daemon
