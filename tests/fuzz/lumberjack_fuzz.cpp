// What pretends to be Logstash acknowledges a window of 3 records, in pieces: acknowledged is only what a
// frame named, and it never becomes less.

#include "pipeline/sinks/lumberjack.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

using namespace opsd::pipeline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
    const std::size_t piece = data[0] % 7U + 1;
    LumberjackAcks whole{3};
    LumberjackAcks pieces{3};
    const auto at_once = whole.feed(bytes);
    opsd::Result<bool> last = false;
    for (std::size_t at = 0; at < bytes.size() && last; at += piece) {
        const auto before = pieces.acknowledged();
        last = pieces.feed(bytes.substr(at, piece));
        if (pieces.acknowledged() < before || pieces.acknowledged() > 3) std::abort();
    }
    if (bytes.empty()) return 0;
    if (at_once.has_value() != last.has_value() || whole.acknowledged() != pieces.acknowledged())
        std::abort();
    if (at_once && *at_once != (whole.acknowledged() == 3)) std::abort();
    const auto verdict = pieces.verdict("gone");
    if (verdict.kind == Verdict::Kind::accepted && pieces.acknowledged() != 3) std::abort();
    return 0;
}
