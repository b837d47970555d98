#pragma once
// State files of outputs that are not configured any more: kept, as an output that comes back goes on where
// it was, but said once, as nobody else would: they are outside of max_disk. Blocks.

#include <cstdint>
#include <set>
#include <string>

namespace opsd::forward {

struct Leftovers {
    std::set<std::string> outputs;
    std::uint64_t bytes = 0;
};

/// In that directory, of others than the `configured` outputs. A directory that cannot be read has none.
[[nodiscard]] Leftovers find_leftovers(const std::string& directory, const std::set<std::string>& configured);

/// For people; "" when there are none.
[[nodiscard]] std::string leftovers_text(const std::string& directory, const Leftovers& leftovers);

}  // namespace opsd::forward
