#pragma once
// The bounded hand-over between a source and a sink. Written here because asio::experimental::channel of
// Boost 1.81 never accepts an item again after a pending receive was cancelled. One executor, like
// everything.

#include "opsd/async.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace opsd {

/// What a full queue does with one more item. Metrics drop the oldest; logs wait, for the journal is the
/// buffer.
enum class WhenFull { wait, drop_newest, drop_oldest };

/// A queue with a capacity and a policy. Dropped items are counted, never silent. News wakes everybody who
/// waits: a wake-up of one is lost when that one is cancelled before it runs.
template <class T>
class BoundedQueue {
public:
    /// `capacity` in items, at least 1.
    BoundedQueue(const Executor& executor, std::size_t capacity, WhenFull when_full)
      : capacity_{std::max<std::size_t>(capacity, 1)}
      , when_full_{when_full}
      , not_empty_{executor, never}
      , not_full_{executor, never}
    {}
    BoundedQueue(const BoundedQueue&) = delete;
    BoundedQueue& operator=(const BoundedQueue&) = delete;

    /// True when the item is in. Never waits.
    bool try_push(T item)
    {
        if (closed_) return false;
        if (items_.size() >= capacity_) {
            ++dropped_;
            if (when_full_ != WhenFull::drop_oldest) return false;
            items_.pop_front();
        }
        items_.push_back(std::move(item));
        not_empty_.cancel();
        return true;
    }

    /// Waits for room when the policy says so. False: the queue is closed.
    Task<bool> push(T item)
    {
        while (when_full_ == WhenFull::wait && !closed_ && items_.size() >= capacity_) {
            co_await wait_event(not_full_);
        }
        co_return try_push(std::move(item));
    }

    /// The next item; nothing when the queue is closed and everything was handed out.
    Task<std::optional<T>> pop()
    {
        while (items_.empty()) {
            if (closed_) co_return std::nullopt;
            co_await wait_event(not_empty_);
        }
        std::optional<T> item{std::move(items_.front())};
        items_.pop_front();
        not_full_.cancel();
        co_return item;
    }

    /// At least one item unless closed, at most `max`; never waits for a batch to fill up.
    Task<std::vector<T>> pop_batch(std::size_t max)
    {
        std::vector<T> batch;
        auto first = co_await pop();
        if (!first) co_return batch;
        batch.push_back(std::move(*first));
        while (batch.size() < max && !items_.empty()) {
            batch.push_back(std::move(items_.front()));
            items_.pop_front();
            not_full_.cancel();
        }
        co_return batch;
    }

    /// Wakes everybody; what is inside can still be popped.
    void close()
    {
        closed_ = true;
        not_empty_.cancel();
        not_full_.cancel();
    }

    [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }

private:
    std::size_t capacity_;
    WhenFull when_full_;
    std::deque<T> items_;
    asio::steady_timer not_empty_;
    asio::steady_timer not_full_;
    std::uint64_t dropped_ = 0;
    bool closed_ = false;
};

}  // namespace opsd
