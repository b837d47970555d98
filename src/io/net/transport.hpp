#pragma once
// A byte stream: TCP, TLS, a Unix socket, or two ends in memory for a test.

#include "opsd/async.hpp"
#include "opsd/result.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <string_view>

namespace opsd::net {

using Deadline = std::chrono::steady_clock::time_point;

/// Every operation ends at the latest at the deadline that stood when it began (Errc::timeout). A deadline
/// that passes ends the other pending operations too (Errc::cancelled). One reader and one writer at a time.
class Transport {
public:
    virtual ~Transport() = default;
    /// 0: end of stream.
    virtual Task<Result<std::size_t>> read_some(std::span<char> into) = 0;
    /// Writes both parts, as one gather write where the stream can: a header and a body that is not copied.
    virtual Task<Result<>> write_all(std::string_view bytes, std::string_view more = {}) = 0;
    /// Waits until the peer closes or sends something; for idle connections and streams that only write.
    virtual Task<Result<>> wait_readable() = 0;
    virtual void expires_at(Deadline when) = 0;
    void expires_after(std::chrono::milliseconds limit)
    {
        constexpr std::chrono::milliseconds year{std::chrono::hours{24 * 365}};  // no overflow of the clock
        expires_at(std::chrono::steady_clock::now() + std::min(limit, year));
    }
    void expires_never() { expires_at(Deadline::max()); }
    /// True when the peer has neither closed nor sent anything that was not read: fit to be used again.
    [[nodiscard]] virtual bool quiet() = 0;
    /// Bytes that were written and that the peer's kernel has not acknowledged; 0 where nobody can know.
    [[nodiscard]] virtual std::size_t unacknowledged() const { return 0; }
    virtual void cancel() = 0;  ///< pending operations end with Errc::cancelled
    virtual void close() = 0;   ///< orderly: TLS close_notify, shutdown(SHUT_WR); reading goes on
};

}  // namespace opsd::net
