#pragma once
// Elasticsearch and OpenSearch at work: requests that elasticsearch.hpp makes and understands, sent.

#include "opsd/clock.hpp"
#include "pipeline/delivery.hpp"
#include "pipeline/sinks/http_sender.hpp"

namespace opsd::pipeline {

class BulkSink final : public Sink {
public:
    BulkSink(HttpSenderOptions options, HttpSenderParts parts, Clock& clock);
    Task<Verdict> send(const Batch& batch) override;

private:
    HttpSender sender_;
    Clock& clock_;
};

}  // namespace opsd::pipeline
