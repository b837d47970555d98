// What an agent has checkpointed of a task, cut or overwritten.

#include "io/mesos/task_info.hpp"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes{reinterpret_cast<const char*>(data), size};
    const auto info = opsd::mesos::parse_task_info(bytes);
    if (!info) return 0;
    // Nothing is made up, and what follows changes nothing.
    if (bytes.find(info->id) == std::string_view::npos || bytes.find(info->name) == std::string_view::npos)
        std::abort();
    const auto more = opsd::mesos::parse_task_info(std::string{bytes} + "more");
    if (!more || *more != *info) std::abort();
    return 0;
}
