#pragma once
// A syslog server that takes RFC 5424 over TCP (RFC 6587, octet counting) or TLS (RFC 5425).
//
// In: batches of SyslogWriter's records. Out: verdicts. BEST EFFORT: syslog acknowledges nothing. Accepted
// means that the peer's kernel has acknowledged every byte and that the peer had not closed the connection
// then; what its program had not read when it crashed is lost unnoticed. A connection that was closed is
// noticed before a batch is written and after, and the batch is sent again as a whole, so a part of it may
// arrive twice.

#include "pipeline/delivery.hpp"
#include "pipeline/sinks/network.hpp"

namespace opsd::pipeline {

struct SyslogSinkOptions {
    StreamTarget target;
    std::chrono::milliseconds timeout{30'000};  ///< until the peer's kernel has all of a batch

    /// After which a batch has ended by itself and said why; a delivery's own deadline should be later.
    [[nodiscard]] std::chrono::milliseconds deadline() const
    {
        return target.connect_timeout + timeout + std::chrono::seconds{5};
    }
};

class SyslogSink final : public Sink {
public:
    SyslogSink(SyslogSinkOptions options, Clock& clock)
      : options_{std::move(options)}
      , clock_{clock}
      , streams_{options_.target, Unasked::anything}
    {}

    Task<Verdict> send(const Batch& batch) override;

    /// What "accepted" means, for people.
    [[nodiscard]] std::string_view acknowledged_means() const noexcept override
    {
        return "best effort: the server's kernel has it; syslog has no acknowledgements, so what the server "
               "had not read when it crashed is lost";
    }
    [[nodiscard]] std::uint64_t connections() const noexcept { return streams_.opened(); }

private:
    Task<Result<>> write(net::Transport& transport, const std::string& bytes);

    SyslogSinkOptions options_;
    Clock& clock_;
    Streams streams_;
};

}  // namespace opsd::pipeline
