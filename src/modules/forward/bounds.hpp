#pragma once
// What an output may hold of memory, all copies counted. Pure.

#include "modules/forward/options.hpp"

#include <cstdint>

namespace opsd::forward {

/// Text that waits, and for each request in flight its body twice (joined and packed, or packed and handed to
/// the connection) and the far side's answer. What Kafka's library holds is such a copy, too.
[[nodiscard]] std::uint64_t memory_of(const OutputOptions& options);

}  // namespace opsd::forward
