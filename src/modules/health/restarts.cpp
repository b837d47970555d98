#include "modules/health/restarts.hpp"

namespace opsd::health {

void RestartWindow::observe(std::uint32_t restarts, Monotonic now)
{
    if (last_ && restarts < *last_) buckets_.clear();
    if (last_ && restarts > *last_) add(restarts - *last_, now);
    last_ = restarts;
}

void RestartWindow::saw_auto_restart(Monotonic now)
{
    if (!last_) add(1, now);
}

std::uint32_t RestartWindow::count(Monotonic now)
{
    while (!buckets_.empty() && buckets_.front().to + window_ <= now)
        buckets_.pop_front();
    std::uint32_t sum = 0;
    for (const auto& bucket : buckets_)
        sum += bucket.count;
    return sum;
}

std::optional<Monotonic> RestartWindow::next_change() const
{
    if (buckets_.empty()) return std::nullopt;
    return buckets_.front().to + window_;
}

void RestartWindow::add(std::uint32_t count, Monotonic at)
{
    while (!buckets_.empty() && buckets_.front().to + window_ <= at)
        buckets_.pop_front();
    if (!buckets_.empty() && at - buckets_.back().from < window_ / 60) {
        buckets_.back().to = at;
        buckets_.back().count += count;
    } else {
        buckets_.push_back({at, at, count});
    }
}

}  // namespace opsd::health
