// The position of files of tasks: whatever is in the file, it is refused or comes back as it was.

#include "pipeline/tail/file_position.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace opsd::pipeline;
    const auto position = parse_tail({reinterpret_cast<const char*>(data), size});
    if (!position) return 0;
    const auto again = parse_tail(tail_text(*position));
    if (!again || *again != *position) std::abort();
    return 0;
}
