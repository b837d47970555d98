#pragma once
// Logstash's beats input, and whatever else speaks Lumberjack 2, over TCP or TLS.
//
// In: batches of EcsWriter's records. Out: verdicts. Accepted: the far side has acknowledged the record,
// which for Logstash means that it has left the input; with a persistent queue it survives a crash then.
//
// A batch is one window. Acknowledgements for a part of it count, also when the connection breaks after them.
// Acknowledgements of 0 are signs of life: while they come the wait goes on, up to a limit.

#include "pipeline/delivery.hpp"
#include "pipeline/sinks/lumberjack.hpp"
#include "pipeline/sinks/network.hpp"

namespace opsd::pipeline {

struct LumberjackOptions {
    StreamTarget target;
    std::chrono::milliseconds timeout{60'000};   ///< without a sign of life
    std::chrono::milliseconds longest{300'000};  ///< of a window, whatever signs of life come

    /// After which a window has ended by itself, and what was acknowledged until then counts; a delivery's
    /// own deadline should be later.
    [[nodiscard]] std::chrono::milliseconds deadline() const
    {
        return target.connect_timeout + longest + std::chrono::seconds{5};
    }
};

class LumberjackSink final : public Sink {
public:
    LumberjackSink(LumberjackOptions options, Clock& clock)
      : options_{std::move(options)}
      , clock_{clock}
      , streams_{options_.target, Unasked::nothing}
    {}

    Task<Verdict> send(const Batch& batch) override;

    /// What "accepted" means, for people.
    [[nodiscard]] std::string_view acknowledged_means() const noexcept override
    {
        return "the beats input has acknowledged it; only a persistent queue keeps it through a crash";
    }
    [[nodiscard]] std::uint64_t connections() const noexcept { return streams_.opened(); }

private:
    struct Window;
    Task<Result<>> write(Window& window);
    Task<Result<>> read(Window& window);
    Task<Result<>> watch(Window& window);

    LumberjackOptions options_;
    Clock& clock_;
    Streams streams_;
};

}  // namespace opsd::pipeline
