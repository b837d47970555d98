#include "pipeline/rate_limit.hpp"

#include <algorithm>
#include <cmath>

namespace opsd::pipeline {

RateLimit::RateLimit(std::size_t rate, std::size_t burst)
  : rate_{static_cast<double>(rate)}
  , burst_{static_cast<double>(std::max<std::size_t>(burst, 1))}
  , tokens_{burst_}
{}

void RateLimit::fill(Monotonic now)
{
    if (begun_ && now > filled_)
        tokens_ = std::min(burst_, tokens_ + rate_ * std::chrono::duration<double>(now - filled_).count());
    begun_ = true;
    filled_ = now;
}

std::chrono::milliseconds RateLimit::wait(Monotonic now)
{
    if (rate_ <= 0) return {};
    fill(now);
    if (tokens_ > 0) return {};
    const auto seconds = (1 - tokens_) / rate_;
    return std::chrono::milliseconds{static_cast<std::int64_t>(std::ceil(seconds * 1000))};
}

void RateLimit::spend(std::size_t bytes, Monotonic now)
{
    if (rate_ <= 0) return;
    fill(now);
    tokens_ -= static_cast<double>(bytes);
}

}  // namespace opsd::pipeline
