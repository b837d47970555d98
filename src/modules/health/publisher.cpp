#include "modules/health/publisher.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace opsd::health {

Publisher::Publisher(Executor executor, Clock& clock, Tracker& tracker, Latest<NodeHealth>& cell,
                     Duration interval, OnEffects on_effects)
  : executor_{std::move(executor)}
  , clock_{clock}
  , tracker_{tracker}
  , cell_{cell}
  , interval_{interval}
  , on_effects_{std::move(on_effects)}
  , bell_{executor_}
  , published_at_{clock.monotonic() - std::chrono::hours{1}}
  , shown_{executor_, never}
{}

void Publisher::start()
{
    started_ = true;
    announce();
}

void Publisher::open()
{
    if (std::exchange(open_, true)) return;
    announce();
}

void Publisher::announce()
{
    announce_ = true;
    wake();
}

void Publisher::publish()
{
    announce_ = false;
    published_at_ = clock_.monotonic();
    auto node = tracker_.node(confirmed_.wall);
    node.last_transition = last_transition_;
    cell_.publish(std::move(node), clock_.now());
    if (++versions_ == 1) shown_.cancel();
}

Task<> Publisher::shown()
{
    while (versions_ == 0)
        co_await wait_event(shown_);
}

void Publisher::publish_now()
{
    wake();  // for what is beyond one batch
    if (!ready()) return;
    on_effects_(tracker_.evaluate(moment(), batch));
    publish();
}

void Publisher::confirmed() { confirmed_ = moment(); }

Task<> Publisher::wait()
{
    const auto until = ready() ? tracker_.next_deadline() : std::nullopt;
    const bool pending = ready() && (tracker_.dirty() || announce_);
    if (!pending) co_await bell_.wait(clock_, until);
    // Whatever rings within the interval joins the same version.
    const auto left = std::chrono::ceil<Duration>(published_at_ + interval_ - clock_.monotonic());
    if (ready() && left.count() > 0) co_await clock_.sleep_for(left);
    bell_.reset();
}

Task<> Publisher::judge_all()
{
    const auto begin = clock_.monotonic();
    for (;;) {
        auto effects = tracker_.evaluate(moment(), batch);
        const bool full = effects.changed && tracker_.dirty();
        if (effects.changed) announce_ = true;
        on_effects_(std::move(effects));
        if (!full) co_return;
        co_await asio::post(executor_, asio::use_awaitable);  // others first
        if (clock_.monotonic() - begin > std::chrono::seconds{1}) co_return;
    }
}

Task<> Publisher::run()
{
    for (;;) {
        co_await wait();
        tracker_.tick(clock_.monotonic());
        if (!ready()) continue;
        co_await judge_all();
        if (!announce_) continue;
        publish();
        co_await asio::post(executor_, asio::use_awaitable);
    }
}

}  // namespace opsd::health
