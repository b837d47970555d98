// What pretends to be Elasticsearch answers a request: the first byte says how many records were sent, the
// rest is the answer. No record is accepted that the answer does not name.

#include "pipeline/sinks/elasticsearch.hpp"

#include <cstdint>
#include <cstdlib>

using namespace opsd::pipeline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const std::size_t sent = data[0] % 8U + 1;
    const std::string_view body{reinterpret_cast<const char*>(data) + 1, size - 1};
    const auto verdict = read_bulk_reply(200, body, sent);
    constexpr std::size_t shortest = std::string_view{R"({"":{"status":201}},)"}.size();
    if (verdict.kind == Verdict::Kind::accepted && body.size() < sent * shortest) std::abort();
    if (verdict.kind == Verdict::Kind::records && verdict.fates.size() != sent) std::abort();
    for (const auto& [place, reason] : verdict.reasons) {
        if (place >= sent || verdict.fates[place] != Fate::refused || reason.size() > 700) std::abort();
    }
    if (verdict.reason.size() > 1000) std::abort();
    for (const int status : {100, 204, 301, 400, 401, 404, 413, 429, 503})
        (void)read_bulk_reply(status, body, sent);
    return 0;
}
