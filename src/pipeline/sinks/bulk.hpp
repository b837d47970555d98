#pragma once
// Elasticsearch and OpenSearch at work: requests that elasticsearch.hpp makes and understands, sent.

#include "pipeline/delivery.hpp"
#include "pipeline/sinks/http_post.hpp"

namespace opsd::pipeline {

/// What the poster's target must say for it: how large an answer about so many records may be, and that ids
/// tell repetitions.
[[nodiscard]] HttpTarget bulk_target(HttpTarget target, std::size_t records = 10'000);
/// Bytes of such an answer.
[[nodiscard]] std::size_t largest_bulk_answer(std::size_t records) noexcept;

class BulkSink final : public Sink {
public:
    /// `compress` unset: bodies are sent as they are.
    BulkSink(HttpPoster poster, Compress compress);
    Task<Verdict> send(const Batch& batch) override;

    /// What "accepted" means, for people.
    [[nodiscard]] std::string_view acknowledged_means() const noexcept override
    {
        return "it answered 200 or 201 for the document, or 409 as it was there already";
    }

private:
    Task<Verdict> read(PostAnswer answer, std::size_t sent);

    Packer packer_;
    HttpPoster poster_;
    RetiringWorker reader_{"bulk-reply"};  ///< of answers that would hold up the loop
};

}  // namespace opsd::pipeline
