#pragma once
// Elasticsearch and OpenSearch at work: requests that elasticsearch.hpp makes and understands, sent.

#include "pipeline/delivery.hpp"
#include "pipeline/sinks/http_post.hpp"

namespace opsd::pipeline {

/// What the poster's target must say for it: how large an answer may be, and that ids tell repetitions.
[[nodiscard]] HttpTarget bulk_target(HttpTarget target);

class BulkSink final : public Sink {
public:
    /// `compress` unset: bodies are sent as they are.
    BulkSink(HttpPoster poster, Compress compress);
    Task<Verdict> send(const Batch& batch) override;

    /// What "accepted" means, for people.
    [[nodiscard]] static constexpr std::string_view acknowledged_means() noexcept
    {
        return "it answered 200 or 201 for the document, or 409 as it was there already";
    }

private:
    Packer packer_;
    HttpPoster poster_;
};

}  // namespace opsd::pipeline
