#include "modules/forward/secret_sink.hpp"

#include <utility>

namespace opsd::forward {

SecretSink::SecretSink(Read read, Make make, WorkerThread& worker, std::string_view means)
  : read_{std::move(read)}
  , make_{std::move(make)}
  , worker_{worker}
  , means_{means}
{}

Task<pipeline::Verdict> SecretSink::send(const pipeline::Batch& batch)
{
    if (!sink_) {
        auto job = read_;
        const auto secret = co_await worker_.run(std::move(job));
        if (!secret) {
            // A worker that is busy is no fault of the secret.
            const auto& error = secret.error();
            const bool busy = error.retryable() || error.code == Errc::cancelled;
            co_return busy ? pipeline::retry(error.message) : pipeline::keep(error.message);
        }
        if (!sink_) sink_ = make_(*secret);  // another request may have done that meanwhile
    }
    const auto sink = sink_;
    auto verdict = co_await sink->send(batch);
    if (verdict.kind == pipeline::Verdict::Kind::keep && sink_ == sink) sink_.reset();
    co_return verdict;
}

}  // namespace opsd::forward
