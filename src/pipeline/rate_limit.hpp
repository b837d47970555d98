#pragma once
// How much an output may send: a token bucket that may be overdrawn by one request, so that a request larger
// than the bucket passes too and is paid for after it. Pure; the time is an argument.

#include "opsd/clock.hpp"

#include <chrono>
#include <cstddef>

namespace opsd::pipeline {

class RateLimit {
public:
    /// `rate` in bytes per second, 0: no limit. `burst` in bytes: what an idle output may send at once.
    RateLimit(std::size_t rate, std::size_t burst);

    /// How long to wait before anything may be sent; 0: now.
    [[nodiscard]] std::chrono::milliseconds wait(Monotonic now);
    /// So much was sent.
    void spend(std::size_t bytes, Monotonic now);

private:
    void fill(Monotonic now);

    double rate_;
    double burst_;
    double tokens_;
    Monotonic filled_{};
    bool begun_ = false;
};

}  // namespace opsd::pipeline
