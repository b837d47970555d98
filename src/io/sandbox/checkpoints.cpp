#include "io/sandbox/checkpoints.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace opsd::sandbox {

std::string checkpoints_beside(std::string_view slaves)
{
    constexpr std::string_view name = "/slaves";
    if (!slaves.ends_with(name)) return {};
    return std::string{slaves.substr(0, slaves.size() - name.size())}.append("/meta/slaves");
}

bool is_checkpoint(std::string_view path) noexcept
{
    // "" is anybody's id.
    constexpr std::array<std::string_view, 10> shape{"",     "frameworks", "",      "executors", "",
                                                     "runs", "",           "tasks", "",          "task.info"};
    constexpr std::size_t shortest = 8;  // as far as "tasks"
    std::size_t parts = 0;
    for (bool more = true; more; ++parts) {
        const auto slash = path.find('/');
        const auto part = path.substr(0, slash);
        more = slash != std::string_view::npos;
        path.remove_prefix(more ? slash + 1 : path.size());
        if (parts == shape.size() || part.empty()) return false;
        if (!shape[parts].empty() && shape[parts] != part) return false;
    }
    return parts >= shortest;
}

}  // namespace opsd::sandbox
