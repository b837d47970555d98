// An agent's answer to /state: every id that comes out of it is safe in a path.

#include "io/mesos/agent_state.hpp"
#include "io/mesos/tasks.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto state = opsd::mesos::parse_agent_state({reinterpret_cast<const char*>(data), size});
    if (!state) return 0;
    if (!opsd::mesos::usable_id(state->id)) std::abort();
    for (const auto& run : state->runs) {
        for (const auto* id : {&run.framework, &run.executor, &run.container})
            if (!opsd::mesos::usable_id(*id)) std::abort();
        for (const auto& task : run.tasks)
            if (!opsd::mesos::usable_id(task.id)) std::abort();
    }
    return 0;
}
