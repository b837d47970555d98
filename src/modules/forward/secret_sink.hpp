#pragma once
// A sink that needs a secret to be made. It is read by a worker before the first request, and again after the
// far side has refused the output: a token can be changed while opsd runs.

#include "opsd/worker.hpp"
#include "pipeline/delivery.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace opsd::forward {

class SecretSink final : public pipeline::Sink {
public:
    using Read = std::function<Result<std::string>()>;
    using Make = std::function<std::unique_ptr<pipeline::Sink>(const std::string& secret)>;

    /// `read` blocks, so the worker calls it; the worker outlives the sink.
    /// `means`: what "accepted" means of the sinks that are made; outlives it.
    SecretSink(Read read, Make make, WorkerThread& worker, std::string_view means = {});
    Task<pipeline::Verdict> send(const pipeline::Batch& batch) override;
    [[nodiscard]] std::string_view acknowledged_means() const noexcept override { return means_; }

private:
    Read read_;
    Make make_;
    WorkerThread& worker_;
    std::string_view means_;
    std::shared_ptr<pipeline::Sink> sink_;  ///< null: the secret is to be read
};

}  // namespace opsd::forward
