// The requests of a session: waiting for a server, for their turn and for their answer, with a limit.

#include "io/zookeeper/session_parts.hpp"

#include <fmt/core.h>

namespace opsd::zookeeper {

/// A caller's place in the queue, given up when the caller leaves. A request that was sent stays where it is:
/// its answer will come, and has to be told apart from the next one's.
class Session::Place {
public:
    Place(Session& session, const std::shared_ptr<Pending>& pending, bool first)
      : session_{session}
      , pending_{*pending}
    {
        auto& list = session.waiting_;
        at_ = list.insert(first ? list.begin() : list.end(), pending);
        if (pending_.request.watch) ++session_.wishes_;
        session.wake_.cancel();
    }
    ~Place()
    {
        if (pending_.queued) session_.waiting_.erase(at_);
        if (pending_.request.watch) --session_.wishes_;
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

private:
    Session& session_;
    Pending& pending_;
    PendingList::iterator at_;
};

std::optional<Error> Session::refusal(const Request& request)
{
    const auto what =
        fmt::format("{} {} at ZooKeeper {}", request.doing, request.path, options_.address.text());
    const auto refused = [&](Errc code, std::string_view why) {
        ++counters_.refused;
        return Error{code, fmt::format("cannot {}: {}", what, why)};
    };
    const bool goodbye = request.op == Op::close;
    if (ended_ || (closing_ && !goodbye)) return refused(Errc::cancelled, "the session was closed here");
    if (!running_) return refused(Errc::unavailable, "the client does not run");
    if (!goodbye && waiting_.size() >= options_.queue) {
        return refused(
            Errc::unavailable,
            fmt::format("{} requests wait already, the most allowed; ask less at once", waiting_.size()));
    }
    if (request.watch && watches_.size() + wishes_ >= options_.watches) watches_.forget_abandoned();
    if (request.watch && watches_.size() + wishes_ >= options_.watches) {
        return refused(Errc::unavailable, fmt::format("{} paths are watched already, the most allowed",
                                                      watches_.size() + wishes_));
    }
    if (request.record.size() > options_.max_packet) {
        return refused(Errc::invalid_argument,
                       fmt::format("the request has {} bytes, more than max_packet", request.record.size()));
    }
    return std::nullopt;
}

Task<Result<Reply>> Session::call(Request request)
{
    auto refused = refusal(request);
    if (refused) co_return fail(std::move(*refused));
    ++counters_.requests;
    const bool first = request.op == Op::close;
    const auto deadline = clock_.monotonic() + options_.request_timeout;
    const auto pending = std::make_shared<Pending>(executor_, std::move(request), deadline);
    const Place place{*this, pending, first};
    while (!pending->outcome)
        co_await wait_event(pending->done);
    co_return std::move(*pending->outcome);
}

void Session::finish(Pending& pending, Result<Reply> outcome)
{
    pending.outcome = std::move(outcome);
    pending.done.cancel();
}

void Session::expire(Monotonic now)
{
    const auto limit = human_duration(options_.request_timeout);
    for (const auto& pending : in_flight_) {
        if (pending->deadline > now) break;
        if (pending->outcome) continue;
        ++counters_.late;
        finish(*pending,
               fail(Errc::timeout,
                    fmt::format("cannot {} {} at ZooKeeper {}: no answer within {}; is the server hanging, "
                                "or without its ensemble?",
                                pending->request.doing, pending->request.path,
                                link_ != nullptr ? link_->server : options_.address.text(), limit)));
    }
    while (!waiting_.empty() && waiting_.front()->deadline <= now) {
        const auto pending = waiting_.front();
        pending->queued = false;
        waiting_.pop_front();
        ++counters_.late;
        const auto busy = fmt::format("its turn did not come within {}, {} requests are unanswered", limit,
                                      in_flight_.size());
        const auto gone = fmt::format("no server within {}; the last failure: {}", limit,
                                      last_failure_ ? last_failure_->message : "none");
        const bool denied = last_failure_ && last_failure_->code == Errc::denied;
        finish(*pending, fail(link_ == nullptr && denied ? Errc::denied : Errc::timeout,
                              fmt::format("cannot {} {} at ZooKeeper {}: {}", pending->request.doing,
                                          pending->request.path, options_.address.text(),
                                          link_ != nullptr ? busy : gone)));
    }
}

// All requests have the same limit, so that they expire in the order in which they came; one that comes while
// expire_requests() sleeps expires later than it wakes.
Monotonic Session::next_expiry(Monotonic now) const
{
    auto next = now + options_.request_timeout;
    for (const auto& pending : in_flight_) {
        if (pending->outcome) continue;
        next = std::min(next, pending->deadline);
        break;
    }
    if (!waiting_.empty()) next = std::min(next, waiting_.front()->deadline);
    return next;
}

Task<> Session::expire_requests()
{
    for (;;) {
        const auto now = clock_.monotonic();
        expire(now);
        co_await clock_.sleep_for(std::chrono::ceil<std::chrono::milliseconds>(next_expiry(now) - now));
    }
}

void Session::fail_in_flight(std::string_view server, const Error& why)
{
    const auto all = std::exchange(in_flight_, {});
    for (const auto& pending : all) {
        if (pending->outcome) continue;
        ++counters_.lost;
        const auto code =
            why.code == Errc::denied || why.code == Errc::cancelled ? why.code : Errc::unavailable;
        finish(*pending,
               fail(code, fmt::format("cannot {} {} at ZooKeeper {}: ConnectionLoss, {}; try again",
                                      pending->request.doing, pending->request.path, server, why.message)));
    }
}

void Session::fail_waiting(const Error& why)
{
    const auto all = std::exchange(waiting_, {});
    for (const auto& pending : all) {
        pending->queued = false;
        finish(*pending,
               fail(why.code, fmt::format("cannot {} {} at ZooKeeper {}: {}", pending->request.doing,
                                          pending->request.path, options_.address.text(), why.message)));
    }
}

}  // namespace opsd::zookeeper
