#include "modules/logs/sandbox_path.hpp"

#include "io/mesos/address.hpp"
#include "io/mesos/files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace opsd::logs {
namespace {

constexpr std::size_t longest_segment = 255;  // of a file system, and of an id of Mesos
constexpr std::size_t longest_file = 1'024;

bool is_segment(std::string_view text)
{
    return !text.empty() && text.size() <= longest_segment && text != "." && text != ".."
           && std::ranges::none_of(text, [](unsigned char c) { return c < ' ' || c == 0x7f || c == '/'; });
}

bool is_below(std::string_view file)
{
    if (file.size() > longest_file) return false;
    for (;;) {
        const auto slash = file.find('/');
        if (!is_segment(file.substr(0, slash))) return false;
        if (slash == std::string_view::npos) return true;
        file.remove_prefix(slash + 1);
    }
}

/// Each id encoded by `write`, between the words of the layout.
template <class Write>
std::string layout(const SandboxPlace& place, Write write)
{
    auto path = fmt::format("/frameworks/{}/executors/{}/runs/{}", write(place.framework),
                            write(place.executor), write(place.run));
    if (!place.task.empty()) path.append("/tasks/").append(write(place.task));
    return path;
}

}  // namespace

Result<> check(const SandboxPlace& place)
{
    for (const auto* id : {&place.framework, &place.executor, &place.run}) {
        if (!is_segment(*id))
            return fail(Errc::invalid_argument,
                        fmt::format("cannot find the sandbox: \"{}\" is no id", mesos::printable(*id)));
    }
    if (!place.task.empty() && !is_segment(place.task))
        return fail(Errc::invalid_argument,
                    fmt::format("cannot find the sandbox: \"{}\" is no id", mesos::printable(place.task)));
    if (!place.file.empty() && !is_below(place.file))
        return fail(Errc::invalid_argument, fmt::format("cannot read \"{}\": it is no file in the sandbox",
                                                        mesos::printable(place.file)));
    return {};
}

Result<SandboxPlace> place_of(const mesos::FoundTask& task, std::string file)
{
    SandboxPlace place{.framework = task.framework_id,
                       .executor = task.executor(),
                       .run = task.run(),
                       .task = task.in_pod() ? task.id : std::string{},
                       .file = std::move(file)};
    auto good = check(place);
    if (!good) return fail(std::move(good).error());
    return place;
}

std::string path_of(const SandboxPlace& place, std::string_view directory)
{
    auto path = std::string{directory} + layout(place, [](const std::string& id) { return id; });
    if (!place.file.empty()) path.append("/").append(place.file);
    return path;
}

std::string location_of(const SandboxPlace& place, std::string_view agent_id, SandboxVerb verb,
                        const http::Params& query)
{
    const auto encode = [](const std::string& id) { return mesos::encoded(id); };
    auto url =
        fmt::format("/system/v1/agent/{}/logs/v2/task{}", mesos::encoded(agent_id), layout(place, encode));
    if (verb == SandboxVerb::browse) {
        url += "/files/browse";
    } else {
        url.append("/").append(mesos::encoded(place.file, "/"));
        if (verb == SandboxVerb::download) url += "/download";
    }
    char before = '?';
    for (const auto& [name, value] : query) {
        url.append(1, std::exchange(before, '&')).append(mesos::encoded(name));
        url.append("=").append(mesos::encoded(value));
    }
    return url;
}

}  // namespace opsd::logs
