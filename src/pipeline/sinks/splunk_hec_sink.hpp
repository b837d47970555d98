#pragma once
// Splunk's HTTP Event Collector, at work.
//
// In: batches of HecWriter's records. Out: verdicts. Where a token has indexer acknowledgement, a batch is
// accepted when an indexer has it; otherwise when the collector says "received", which is weaker: what it
// loses before indexing is lost. Splunk tells no repetition from news; the id in "fields" does.
//
// A channel has one batch at a time and is used again only when that batch is acknowledged: ids of
// acknowledgements begin anew when a collector restarts, and on a channel with several an old batch could be
// taken for a new one. So as many batches wait for acknowledgements as a delivery has in flight.

#include "pipeline/delivery.hpp"
#include "pipeline/sinks/http_post.hpp"
#include "pipeline/sinks/splunk_hec.hpp"

#include <memory>
#include <vector>

namespace opsd::pipeline {

struct HecSinkOptions {
    HttpTarget target;        ///< the collector's address without a path: https://splunk:8088
    bool acknowledge = true;  ///< wait for indexers where the token makes them answer
    std::chrono::milliseconds ack_timeout{300'000};  ///< then the batch is sent again
    std::chrono::milliseconds ack_interval{1'000};   ///< until the first question; doubled up to 10 s
    Compress compress;                               ///< gzip; unset: bodies are sent as they are

    /// As HttpTarget's, with the wait for an indexer and the last question to it.
    [[nodiscard]] std::chrono::milliseconds deadline() const
    {
        return target.deadline() + (acknowledge ? ack_timeout + ack_interval : std::chrono::milliseconds{0});
    }
};

class SplunkHecSink final : public Sink {
public:
    SplunkHecSink(Executor executor, HecSinkOptions options, Clock& clock);
    ~SplunkHecSink() override;

    Task<Verdict> send(const Batch& batch) override;

    /// What "accepted" means, for people.
    [[nodiscard]] std::string_view acknowledged_means() const noexcept override;

private:
    struct Channel;
    std::unique_ptr<Channel> take_channel();
    Task<Verdict> acknowledged(Channel& channel, std::uint64_t id);
    Task<Verdict> ask(Channel& channel, std::uint64_t id, std::chrono::milliseconds limit);

    Executor executor_;
    HecSinkOptions options_;
    Clock& clock_;
    Packer packer_;
    std::vector<std::unique_ptr<Channel>> free_;  ///< at most as many as batches were in flight
    bool acks_seen_ = false;
    bool acks_disabled_ = false;  ///< code 14: nothing is asked any more
};

}  // namespace opsd::pipeline
