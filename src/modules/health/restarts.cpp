#include "modules/health/restarts.hpp"

#include <algorithm>
#include <utility>

namespace opsd::health {
namespace {

constexpr std::size_t most_buckets = 128;

}  // namespace

void RestartWindow::observe(std::uint32_t restarts, Monotonic now, Monotonic last_start)
{
    if (last_ && restarts < *last_) {
        buckets_.clear();
        first_.reset();
        saved_.reset();
        unsaved_ = true;
    }
    if (last_ && restarts > *last_) add(restarts - *last_, now);
    const bool base_line = !std::exchange(last_, restarts);
    if (!base_line) return;
    first_ = Reading{restarts, now, last_start};
    if (saved_) join_saved();
}

void RestartWindow::saw_auto_restart(Monotonic now)
{
    if (last_) return;
    add(1, now);
    ++early_;
}

void RestartWindow::rebase() noexcept
{
    last_.reset();
    first_.reset();  // what was saved still waits: how long ago that was is asked with the base line
}

void RestartWindow::restore(SavedRestarts saved)
{
    saved_ = std::move(saved);
    if (first_) join_saved();
}

void RestartWindow::join_saved()
{
    const auto saved = *std::exchange(saved_, std::nullopt);
    const bool by_hand = first_->restarts < saved.last;
    const bool long_ago = first_->at < saved.at || first_->at - saved.at > window_;
    if (by_hand || long_ago) return;
    std::deque<RestartBucket> joined{saved.buckets.begin(), saved.buckets.end()};
    auto missed = first_->restarts - saved.last;
    missed -= std::min(missed, early_);
    const auto start = first_->last_start;
    const bool dated = start > saved.at && start <= first_->at;
    if (missed > 0) joined.push_back({saved.at, dated ? start : first_->at, missed});
    joined.insert(joined.end(), buckets_.begin(), buckets_.end());
    while (joined.size() > most_buckets) {
        joined[1].from = joined[0].from;
        joined[1].count += joined[0].count;
        joined.pop_front();
    }
    buckets_ = std::move(joined);
    unsaved_ |= missed > 0;
}

bool RestartWindow::worth_saving(Monotonic now) const noexcept
{
    return unsaved_ && last_ && (!saved_at_ || now - *saved_at_ >= window_ / 6);
}

std::optional<SavedRestarts> RestartWindow::save(Monotonic now)
{
    if (!last_) return std::nullopt;
    (void)count(now);  // what left the window
    unsaved_ = false;
    saved_at_ = now;
    return SavedRestarts{*last_, now, {buckets_.begin(), buckets_.end()}};
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
    unsaved_ = true;
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
