#pragma once
// The right to read everybody's files (CAP_DAC_READ_SEARCH): who was given it, who keeps it, who gives it up.
// Of the calling thread: before there is another.

#include "opsd/result.hpp"

namespace opsd::sandbox {

/// Would a program that we run have it? (It is in our ambient set, as AmbientCapabilities= puts it there.)
[[nodiscard]] bool reading_is_inherited() noexcept;

/// Out of all our sets (the bounding one where we may): neither we nor what we run has it any more. What
/// else was given to us stays.
[[nodiscard]] Result<> give_up_reading();

/// Keeps it, if we have it, and gives up every other right for good; what we run has none.
[[nodiscard]] Result<> keep_only_reading();

}  // namespace opsd::sandbox
