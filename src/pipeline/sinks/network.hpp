#pragma once
// What sinks that write to a stream of their own share: where it leads, connections that are used again, and
// the verdict on a request that nobody answered.
//
// In: an address and TLS files. Out: transports. Promises: a connection is used again only by whom it was
// given back, so one that a cancelled request was written to never is; a peer that left is noticed before
// anything is written.

#include "io/net/connection.hpp"
#include "opsd/clock.hpp"
#include "pipeline/verdict.hpp"

#include <memory>
#include <string>
#include <vector>

namespace opsd::pipeline {

/// Of a request without an answer: certificates and settings want somebody to act (Kind::keep), all else
/// passes.
[[nodiscard]] Verdict verdict_of_error(const Error& error);

/// Where an output that speaks over TCP sends to.
struct StreamTarget {
    std::string host;  ///< a name or an address
    std::uint16_t port = 0;
    bool secure = false;        ///< TLS; the host's name and chain are verified as `tls` says
    net::TlsClientOptions tls;  ///< its certificate is shown to a far side that asks for one
    std::chrono::milliseconds connect_timeout{10'000};  ///< name, connection and TLS together
    std::chrono::milliseconds dead_after{30'000};       ///< a peer whose kernel is silent for so long is gone

    /// "host:port", for sentences.
    [[nodiscard]] std::string text() const;
};

/// What a far side may say while nobody asked it anything.
enum class Unasked {
    nothing,   ///< such a connection is given up: its next answer could not be told from that
    anything,  ///< it is read and dropped
};

/// True while the peer has not closed. Reads what is there: TLS sends records of its own, which are no word
/// of the far side. Leaves the transport's deadline in the past.
Task<bool> still_open(net::Transport& transport, Unasked unasked);

/// Open connections to one far side; as many as requests were in flight at once.
class Streams {
public:
    Streams(StreamTarget target, Unasked unasked);
    /// Says goodbye on those that are idle, as TLS wants it.
    ~Streams();
    Streams(const Streams&) = delete;
    Streams& operator=(const Streams&) = delete;

    /// One that is still open, or a new one, without a deadline.
    Task<Result<std::unique_ptr<net::Transport>>> take();
    /// For the next request: everything that was written is answered.
    void give_back(std::unique_ptr<net::Transport> transport) { idle_.push_back(std::move(transport)); }

    [[nodiscard]] const StreamTarget& target() const noexcept { return target_; }
    /// Connections opened in all, for tests and metrics.
    [[nodiscard]] std::uint64_t opened() const noexcept { return opened_; }

private:
    StreamTarget target_;
    Unasked unasked_;
    net::Connector connector_;
    std::vector<std::unique_ptr<net::Transport>> idle_;
    std::uint64_t opened_ = 0;
};

}  // namespace opsd::pipeline
