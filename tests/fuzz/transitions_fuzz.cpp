// A page of transitions that another node tells.

#include "core/transition_text.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const auto page = opsd::read_page(text, 100);
    if (!page) return 0;
    std::int64_t last = 0;
    for (const auto& row : page->rows) {
        if (row.id <= last || row.unit.empty() || row.last_at < row.at || row.count == 0) std::abort();
        last = row.id;
    }
    const auto again = opsd::read_page(opsd::page_json(*page), 100);
    if (!again || again->rows.size() != page->rows.size()) std::abort();
    return 0;
}
