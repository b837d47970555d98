#include "pipeline/sinks/logstash_http_sink.hpp"

namespace opsd::pipeline {

HttpBody logstash_body(const Batch& batch, bool lines)
{
    HttpBody body;
    body.type = lines ? "application/x-ndjson" : "application/json";
    body.bytes.reserve(batch.bytes() + batch.size() + 2);
    for (const auto& record : batch.records()) {
        if (!lines) body.bytes += body.bytes.empty() ? '[' : ',';
        body.bytes += record.bytes;
        if (lines) body.bytes += '\n';
    }
    if (!lines) body.bytes += ']';
    return body;
}

Task<Verdict> LogstashHttpSink::send(const Batch& batch)
{
    auto body = co_await packer_.pack(logstash_body(batch, lines_));
    co_return co_await poster_.deliver("", std::move(body));
}

}  // namespace opsd::pipeline
