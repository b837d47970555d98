// What pretends to be Splunk answers: events, and questions for acknowledgements.

#include "pipeline/sinks/splunk_hec.hpp"

#include <cstdint>
#include <cstdlib>

using namespace opsd::pipeline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view body{reinterpret_cast<const char*>(data), size};
    for (const int status : {200, 400, 401, 403, 413, 500, 503}) {
        const auto reply = read_hec_reply(status, body);
        const bool good = reply.verdict.kind == Verdict::Kind::accepted;
        if (good && (status != 200 || body.find("code") == std::string_view::npos)) {
            // A name may be written with escapes.
            if (status != 200 || body.find('\\') == std::string_view::npos) std::abort();
        }
        if (reply.ack_id && !good) std::abort();
        (void)read_hec_acks(status, body);
    }
    return 0;
}
