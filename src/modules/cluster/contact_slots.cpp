#include "modules/cluster/contact_slots.hpp"

#include <algorithm>

namespace opsd::cluster {

ContactSlots::ContactSlots(Executor executor, Clock& clock, std::size_t capacity,
                           std::chrono::milliseconds lease)
  : executor_{std::move(executor)}
  , clock_{clock}
  , capacity_{std::max<std::size_t>(capacity, 1)}
  , lease_{lease}
  , begun_{executor_, never}
{}

std::uint64_t ContactSlots::begin_lease()
{
    const auto ticket = next_++;
    open_.insert(ticket);
    leases_.push_back({ticket, clock_.monotonic() + lease_});
    if (leases_.size() == 1) begun_.cancel();
    return ticket;
}

Task<std::uint64_t> ContactSlots::take()
{
    if (open_.size() < capacity_) co_return begin_lease();
    const auto waiter = std::make_shared<Waiter>(executor_);
    waiters_.push_back(waiter);
    // One that is cancelled hands its place on, if it had got one just then.
    struct Leave {
        Leave(ContactSlots& all, Waiter& who) : slots{all}, waiter{who} {}
        Leave(const Leave&) = delete;
        Leave& operator=(const Leave&) = delete;
        ~Leave()
        {
            if (served) return;
            waiter.gone = true;
            if (waiter.ticket != 0) slots.give_back(waiter.ticket);
        }
        ContactSlots& slots;
        Waiter& waiter;
        bool served = false;
    };
    Leave leave{*this, *waiter};
    while (waiter->ticket == 0)
        co_await wait_event(waiter->event);
    leave.served = true;
    co_return waiter->ticket;
}

void ContactSlots::give_back(std::uint64_t ticket)
{
    if (open_.erase(ticket) == 0) return;
    while (!leases_.empty() && !open_.contains(leases_.front().ticket))
        leases_.pop_front();
    while (!waiters_.empty() && open_.size() < capacity_) {
        const auto waiter = std::move(waiters_.front());
        waiters_.pop_front();
        if (waiter->gone) continue;
        waiter->ticket = begin_lease();
        waiter->event.cancel();
    }
}

Task<> ContactSlots::run()
{
    for (;;) {
        while (leases_.empty())
            co_await wait_event(begun_);
        const auto first = leases_.front();
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(first.until - clock_.monotonic());
        if (left.count() > 0) co_await clock_.sleep_for(left);
        if (!leases_.empty() && leases_.front().ticket == first.ticket) give_back(first.ticket);
    }
}

}  // namespace opsd::cluster
