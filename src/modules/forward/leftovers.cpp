#include "modules/forward/leftovers.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <string_view>

namespace opsd::forward {
namespace {

constexpr std::size_t most_named = 20;

/// The output whose state the file is; "" for any other file.
std::string owner_of(const std::string& file)
{
    for (const std::string_view end :
         {".position.a", ".position.b", ".letters", ".letters.1", ".letters.next", ".state"}) {
        if (file.ends_with(end)) return file.substr(0, file.size() - end.size());
    }
    return {};
}

}  // namespace

Leftovers find_leftovers(const std::string& directory, const std::set<std::string>& configured)
{
    Leftovers found;
    std::error_code failure;
    std::filesystem::directory_iterator files{directory, failure};
    for (const std::filesystem::directory_iterator end; !failure && files != end; files.increment(failure)) {
        const auto owner = owner_of(files->path().filename());
        if (owner.empty() || configured.contains(owner)) continue;
        if (found.outputs.size() < most_named) found.outputs.insert(owner);
        std::error_code gone;
        const auto size = files->file_size(gone);
        if (!gone) found.bytes += size;
    }
    return found;
}

std::string leftovers_text(const std::string& directory, const Leftovers& leftovers)
{
    if (leftovers.outputs.empty()) return {};
    return fmt::format(
        "{} has the state of outputs that are not configured: {} ({} bytes); one that comes back "
        "goes on where it was, else remove its files (NAME.*)",
        directory, fmt::join(leftovers.outputs, ", "), leftovers.bytes);
}

}  // namespace opsd::forward
