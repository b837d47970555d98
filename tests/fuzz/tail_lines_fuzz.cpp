// Records of a file: every byte of a block is in one of them, in order, however it is cut.

#include "pipeline/tail/multi_line.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace opsd::pipeline;
    if (size < 2) return 0;
    static const auto start = *LineStart::make("^[A-Z]");
    JoinRules rules;
    rules.max_line = 4 + data[0];
    rules.max_lines = 2 + data[1] / 2;
    if (data[1] % 2 == 1) rules.start = start;
    const std::string_view block{reinterpret_cast<const char*>(data) + 2, size - 2};
    const auto all = cut(block, rules, true);
    std::size_t at = 0;
    for (const auto& piece : all.pieces) {
        if (piece.begin != at || piece.end <= at || piece.text.size() > piece.end - at
            || piece.text.size() > rules.max_line)
            std::abort();
        at = piece.end;
    }
    if (at != block.size() || all.used != at) std::abort();
    const auto some = cut(block, rules, false);
    if (some.used > all.used || (block.size() >= block_for(rules) && some.used == 0)) std::abort();
    return 0;
}
