#pragma once
// A byte stream: TCP, TLS, a Unix socket, or two ends in memory for a test.

#include "opsd/async.hpp"
#include "opsd/result.hpp"

#include <memory>
#include <span>
#include <string_view>

namespace opsd::net {

/// Every operation ends at the latest when the time given to expires_after() is over (Errc::timeout).
class Transport {
public:
    virtual ~Transport() = default;
    virtual Task<Result<std::size_t>> read_some(std::span<char> into) = 0;  ///< 0: end of stream
    virtual Task<Result<>> write_all(std::string_view bytes) = 0;
    /// Waits until the peer closes or sends something; for streams that only write.
    virtual Task<> wait_readable() = 0;
    virtual void expires_after(std::chrono::milliseconds limit) = 0;
    virtual void cancel() = 0;  ///< pending operations end with Errc::cancelled
    virtual void close() = 0;   ///< orderly: TLS close_notify, shutdown(SHUT_WR)
};

}  // namespace opsd::net
