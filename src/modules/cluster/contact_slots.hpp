#pragma once
// How many members are asked at the same time while nothing is known of them. A silent one gives its place
// back after a while and goes on waiting without it: ten silent members in a hundred delay nobody.

#include "opsd/clock.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <set>

namespace opsd::cluster {

class ContactSlots {
public:
    ContactSlots(Executor executor, Clock& clock, std::size_t capacity, std::chrono::milliseconds lease);

    /// Waits for a place, first come first served.
    Task<std::uint64_t> take();
    /// Early, or too late: then nothing happens.
    void give_back(std::uint64_t ticket);
    /// Takes back what is overdue; lives until cancelled.
    Task<> run();

    [[nodiscard]] std::size_t taken() const noexcept { return open_.size(); }
    [[nodiscard]] std::size_t waiting() const noexcept { return waiters_.size(); }

private:
    struct Waiter {
        explicit Waiter(const Executor& executor) : event{executor, never} {}
        asio::steady_timer event;
        std::uint64_t ticket = 0;  // set: it has a place
        bool gone = false;         // it was cancelled
    };
    struct Lease {
        std::uint64_t ticket = 0;
        Monotonic until{};
    };
    std::uint64_t begin_lease();

    Executor executor_;
    Clock& clock_;
    std::size_t capacity_;
    std::chrono::milliseconds lease_;
    std::set<std::uint64_t> open_;
    std::deque<Lease> leases_;  // oldest first, also of those that were given back
    std::deque<std::shared_ptr<Waiter>> waiters_;
    asio::steady_timer begun_;
    std::uint64_t next_ = 1;
};

}  // namespace opsd::cluster
