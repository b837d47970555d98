#pragma once
// Times as cells of the store: on the wall clock, since they must hold across restarts.

#include "opsd/clock.hpp"
#include "opsd/store.hpp"

namespace opsd {

/// Microseconds since the epoch, as times are kept.
[[nodiscard]] inline std::int64_t micros(WallTime time) noexcept { return time.time_since_epoch().count(); }
[[nodiscard]] inline WallTime wall_time(const Cell& cell) noexcept
{
    return WallTime{std::chrono::microseconds{as_integer(cell)}};
}

}  // namespace opsd
