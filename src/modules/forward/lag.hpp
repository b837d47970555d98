#pragma once
// How far an output is behind, and when that is trouble. Pure.

#include "modules/forward/output.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace opsd::forward {

struct Lag {
    std::chrono::milliseconds time{};  ///< age of the oldest entry that is not delivered; 0: there is none
    /// At the end of the journal: entries that wait for their acknowledgement. Else all entries behind the
    /// position, whether or not the filter takes them. Nothing: not known.
    std::optional<std::uint64_t> entries;
};

/// `end` is a cursor of the newest entry, as last seen; "" when it was not.
[[nodiscard]] Lag lag_of(const OutputStatus& status, const std::string& end, WallTime now);

/// What an operator should know without asking, as a sentence; "" when all is well. The far side's words are
/// not in it: the sentence is logged, and what is logged may be forwarded.
[[nodiscard]] std::string trouble_of(const std::string& name, const OutputStatus& status, WallTime started,
                                     WallTime now);

}  // namespace opsd::forward
