// What an agent says about files and a master about tasks: usable values or a sentence. The first byte says
// which it is; a task is looked for by the first line.

#include "io/mesos/files.hpp"
#include "io/mesos/tasks.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

using namespace opsd::mesos;

void demand(bool truth)
{
    if (!truth) std::abort();
}

void check_segment(std::string_view id)
{
    demand(!id.empty() && id != "." && id != ".." && id.size() <= 255);
    demand(std::ranges::none_of(id, [](unsigned char c) { return c < ' ' || c == '/'; }));
}

template <class T>
void check_error(const opsd::Result<T>& result)
{
    if (result) return;
    const auto& message = result.error().message;
    demand(message.starts_with("cannot ") && message.size() < 8'000);
    demand(std::ranges::all_of(message, [](char c) { return c >= ' ' && c <= '~'; }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const std::string text{reinterpret_cast<const char*>(data) + 1, size - 1};
    if (data[0] == 'r') {
        const auto part = parse_file_part(text);
        check_error(part);
        if (part) demand(part->data.size() <= text.size());
    } else if (data[0] == 'b') {
        const auto list = parse_file_list(text, 4);
        check_error(list);
        if (!list) return 0;
        demand(list->size() <= 4);
        for (const auto& item : *list)
            demand(!item.path.empty());
    } else {
        const auto line = std::min(text.find('\n'), text.size());
        const auto task = find_task(std::string_view{text}.substr(line), text.substr(0, line));
        check_error(task);
        if (!task) return 0;
        check_segment(task->id);
        check_segment(task->agent_id);
        check_segment(task->framework_id);
        check_segment(task->executor());
        check_segment(task->run());
        demand(task->agent.host.empty() || is_ip(task->agent.host));
    }
    return 0;
}
