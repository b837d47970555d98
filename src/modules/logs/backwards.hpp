#pragma once
// Entries from the newest on, which the journal's readings do not know: made of windows read forward.

#include "modules/logs/core.hpp"
#include "modules/logs/render.hpp"

namespace opsd::logs {

/// The entries before the question's place, newest first; a slice is what one window of entries gives.
[[nodiscard]] NextSlice read_backwards(std::shared_ptr<Core> core, const LogQuery& query);

}  // namespace opsd::logs
