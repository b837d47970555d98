#include "io/sandbox/checkpoints.hpp"

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
    for (std::size_t i = 0; i < shape.size(); ++i) {
        const auto slash = path.find('/');
        const auto part = path.substr(0, slash);
        const bool more = slash != std::string_view::npos;
        if (part.empty() || more != (i + 1 < shape.size())) return false;
        if (!shape[i].empty() && shape[i] != part) return false;
        path.remove_prefix(more ? slash + 1 : path.size());
    }
    return true;
}

}  // namespace opsd::sandbox
