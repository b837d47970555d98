// What pretends to be another node's answer about its journal, in any pieces, and what clients come again
// with.

#include "modules/logs/node_lines.hpp"

#include <cstdint>
#include <cstdlib>

using namespace opsd;
using namespace opsd::logs;

namespace {

void require(bool promise)
{
    if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::string_view rest{reinterpret_cast<const char*>(data), size};
    const std::size_t step = size > 0 ? data[0] % 64U + 1 : 1;
    NodeLineCutter cutter;
    std::deque<NodeLine> lines;
    bool good = true;
    for (auto text = rest; good && !text.empty(); text.remove_prefix(std::min(step, text.size())))
        good = cutter.feed(text.substr(0, step), {}, lines).has_value();
    Places places;
    for (const auto format : {Format::json, Format::ndjson, Format::sse, Format::text}) {
        ManyWriter writer{format, true, 1 << 16};
        std::string out;
        for (const auto& line : lines) {
            require(line.json.starts_with('{') && line.json.ends_with('}'));
            if (!line.cursor.empty()) places["10.0.0.1"] = line.cursor;
            writer.entry(out, "10.0.0.1", line, places);
        }
        writer.end(out, places);
        if (format == Format::sse) require(lines.empty() || out.ends_with("\n\n"));
    }
    // What was written is read again.
    const auto again = parse_places("id", write_places(places), 9);
    require(again && *again == places);
    const auto read = parse_places("id", rest, 9);
    require(!read || read->size() <= 9);
    if (read) (void)newest_of(*read);
    return 0;
}
