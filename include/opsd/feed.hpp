#pragma once
// Events to many. Bounded multicast: a slow subscriber is told how many it missed and never blocks the
// writer.

#include "opsd/async.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <utility>

namespace opsd {

/// Multicast of immutable events. Loop thread only; must outlive its subscriptions.
template <class T>
class Feed {
    struct Mailbox {
        Mailbox(const Executor& executor, std::size_t limit)
          : capacity{std::max<std::size_t>(limit, 1)}
          , arrived{executor, never}
        {}
        std::size_t capacity;
        std::deque<std::shared_ptr<const T>> events;
        std::uint64_t missed = 0;
        asio::steady_timer arrived;
    };

public:
    /// What a subscriber reads next: an event, or the number of events it was too slow for.
    struct Item {
        std::shared_ptr<const T> event;  ///< null when `missed` > 0
        std::uint64_t missed = 0;
    };

    /// Ends when destroyed.
    class Subscription {
    public:
        Subscription(Feed& feed, std::size_t capacity) : feed_{&feed}
        {
            feed.mailboxes_.emplace_front(feed.executor_, capacity);
            at_ = feed.mailboxes_.begin();
        }
        Subscription(const Subscription&) = delete;
        Subscription& operator=(const Subscription&) = delete;
        ~Subscription() { feed_->mailboxes_.erase(at_); }

        /// Waits for the next item. A gap is reported before the events that follow it.
        Task<Item> next()
        {
            auto& box = *at_;
            while (box.events.empty() && box.missed == 0)
                co_await wait_event(box.arrived);
            Item item;
            if (box.missed > 0) {
                item.missed = std::exchange(box.missed, 0);
            } else {
                item.event = std::move(box.events.front());
                box.events.pop_front();
            }
            co_return item;
        }

        [[nodiscard]] bool empty() const noexcept { return at_->events.empty() && at_->missed == 0; }

    private:
        Feed* feed_;
        typename std::list<Mailbox>::iterator at_;
    };

    explicit Feed(Executor executor) : executor_{std::move(executor)} {}
    Feed(const Feed&) = delete;
    Feed& operator=(const Feed&) = delete;

    /// `capacity` events may wait for this subscriber; beyond it the oldest are dropped and counted as
    /// missed.
    [[nodiscard]] std::unique_ptr<Subscription> subscribe(std::size_t capacity)
    {
        return std::make_unique<Subscription>(*this, capacity);
    }

    void publish(T event)
    {
        const auto shared = std::make_shared<const T>(std::move(event));
        for (auto& box : mailboxes_) {
            if (box.events.size() >= box.capacity) {
                box.events.pop_front();
                ++box.missed;
                ++missed_total_;
            }
            box.events.push_back(shared);
            box.arrived.cancel();
        }
    }

    [[nodiscard]] std::size_t subscribers() const noexcept { return mailboxes_.size(); }
    [[nodiscard]] std::uint64_t missed_total() const noexcept { return missed_total_; }

private:
    Executor executor_;
    std::list<Mailbox> mailboxes_;
    std::uint64_t missed_total_ = 0;
};

}  // namespace opsd
