#include "modules/forward/bounds.hpp"

#include "pipeline/sinks/bulk.hpp"

#include <algorithm>

namespace opsd::forward {
namespace {

constexpr std::uint64_t body_copies = 2;
constexpr std::uint64_t small_answer = 1024 * 1024;  // HttpTarget::largest_answer

std::uint64_t answer_of(const OutputOptions& options)
{
    if (options.type == "elasticsearch")
        return pipeline::largest_bulk_answer(static_cast<std::size_t>(options.batch.records));
    return options.urls.empty() ? 0 : small_answer;
}

}  // namespace

std::uint64_t memory_of(const OutputOptions& options)
{
    const auto requests = static_cast<std::uint64_t>(options.batch.in_flight);
    auto bodies = requests * options.batch.bytes.count * body_copies;
    if (options.type == "kafka") bodies = std::max(bodies, body_copies * options.message_bytes.count);
    return options.memory.count + bodies + requests * answer_of(options);
}

}  // namespace opsd::forward
