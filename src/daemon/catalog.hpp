#pragma once
// The list of modules. Adding one is a folder under src/modules and a line in catalog.cpp.

#include "opsd/module.hpp"

#include <vector>

namespace opsd::daemon {

/// All modules of this build, in the order of their sections in the documentation.
std::vector<CatalogEntry> catalog();

}  // namespace opsd::daemon
