#pragma once
// Readings that the journal itself does not know: the newest entries that pass a filter of ours, and entries
// from the newest on. Both are made of readings forward.

#include "modules/logs/core.hpp"
#include "modules/logs/render.hpp"

namespace opsd::logs {

/// Turns "the newest N" of a filtered question, whose filter the journal does not know, into "from that entry
/// on". Searches further and further back, for `logs.search` at most: then those found so far are given.
/// True: the search was not finished.
Task<Result<bool>> find_newest(Core& core, LogQuery& query);

/// The entries before the question's place, newest first; a slice is what one window of entries gives.
[[nodiscard]] NextSlice read_backwards(std::shared_ptr<Core> core, const LogQuery& query);

}  // namespace opsd::logs
