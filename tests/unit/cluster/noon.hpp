#pragma once
// When it is in these tests.

#include "opsd/clock.hpp"

namespace opsd::cluster::test {

inline constexpr WallTime noon{std::chrono::microseconds{1'795'000'000'000'000}};

}  // namespace opsd::cluster::test
