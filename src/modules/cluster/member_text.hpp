#pragma once
// A member as it is kept in the store: everything but the output of its units. Times are microseconds.

#include "modules/cluster/text_pool.hpp"
#include "opsd/result.hpp"

#include <string>
#include <string_view>

namespace opsd::cluster {

[[nodiscard]] std::string member_text(const Member& member);

/// Its freshness is the one it had when it was written. Errc::protocol when it is no such text, as of a
/// version of opsd that wrote another.
[[nodiscard]] Result<Member> read_member(std::string_view text, TextPool& pool);

}  // namespace opsd::cluster
