#pragma once
// Logstash's http input.
//
// In: batches of EcsWriter's records; with EcsOptions::id a repetition can be told. Out: verdicts. Any 2xx
// means that Logstash has queued the batch: it survives a crash of Logstash only with its persistent queue.
// A full Logstash answers 429 or not at all; both are tried again, ever slower.

#include "pipeline/delivery.hpp"
#include "pipeline/sinks/http_post.hpp"

namespace opsd::pipeline {

struct LogstashHttpOptions {
    HttpTarget target;  ///< the input's address, with a path where it wants one
    /// A line a record, for an input with `codec => json_lines`, as application/x-ndjson; else one JSON array
    /// as application/json, which every http input takes apart by itself.
    bool lines = false;
    Compress compress;  ///< gzip; unset: bodies are sent as they are

    [[nodiscard]] std::chrono::milliseconds deadline() const { return target.deadline(); }
};

/// What is posted.
[[nodiscard]] HttpBody logstash_body(const Batch& batch, bool lines);

class LogstashHttpSink final : public Sink {
public:
    LogstashHttpSink(const Executor& executor, LogstashHttpOptions options, const Clock& clock)
      : lines_{options.lines}
      , packer_{std::move(options.compress)}
      , poster_{executor, std::move(options.target), clock}
    {}

    Task<Verdict> send(const Batch& batch) override;

    /// What "accepted" means, for people.
    [[nodiscard]] std::string_view acknowledged_means() const noexcept override
    {
        return "Logstash has queued it; only its persistent queue keeps it through a crash";
    }

private:
    bool lines_;
    Packer packer_;
    HttpPoster poster_;
};

}  // namespace opsd::pipeline
