// A position file that anything may have happened to: it is taken only as a whole.

#include "pipeline/position_file.hpp"

#include <cstdint>
#include <cstdlib>

using namespace opsd::pipeline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    if (const auto saved = parse_position(text)) {
        const auto again = parse_position(position_text(*saved));
        if (!again || again->position != saved->position || again->generation != saved->generation)
            std::abort();
    }
    // Any bytes are a position; none of its torn texts is one.
    const SavedPosition mine{size, std::string{text}};
    const auto written = position_text(mine);
    const auto back = parse_position(written);
    if (!back || back->position != mine.position) std::abort();
    if (parse_position(std::string_view{written}.substr(0, written.size() - 1 - size % 20))) std::abort();
    return 0;
}
