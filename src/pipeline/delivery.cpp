#include "pipeline/delivery.hpp"

#include "core/at.hpp"
#include "core/first_of.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace opsd::pipeline {
namespace {

using namespace std::chrono_literals;

constexpr auto trouble_pause = 5'000ms;      // after the source or the disk failed
constexpr auto log_interval = 10s;           // between two lines about failures
constexpr std::size_t letters_at_once = 16;  // of the dead: a part of a file's cap each

/// A place among those who are woken by every change.
class Waiting {
public:
    Waiting(std::list<asio::steady_timer*>& all, const Executor& executor)
      : event{executor, never}
      , all_{all}
      , here_{all.insert(all.end(), &event)}
    {}
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() { all_.erase(here_); }

    asio::steady_timer event;

private:
    std::list<asio::steady_timer*>& all_;
    std::list<asio::steady_timer*>::iterator here_;
};

Task<Verdict> give_up(Clock& clock, std::chrono::milliseconds deadline)
{
    co_await clock.sleep_for(deadline);
    co_return retry(fmt::format("no answer within {}", human_duration(deadline)));
}

/// A stop is over with the run that it ended.
class Stopped {
public:
    explicit Stopped(bool& stopping) : stopping_{stopping} {}
    Stopped(const Stopped&) = delete;
    Stopped& operator=(const Stopped&) = delete;
    ~Stopped() { stopping_ = false; }

private:
    bool& stopping_;
};

std::chrono::milliseconds until(Monotonic at, Monotonic now)
{
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(at - now), 1ms);
}

}  // namespace

std::string_view to_string(DeliveryStatus::State state) noexcept
{
    switch (state) {
    case DeliveryStatus::State::starting:
        return "starting";
    case DeliveryStatus::State::running:
        return "running";
    case DeliveryStatus::State::waiting:
        return "waiting";
    case DeliveryStatus::State::kept:
        return "kept";
    case DeliveryStatus::State::failed:
        return "failed";
    case DeliveryStatus::State::paused:
        return "paused";
    case DeliveryStatus::State::stopping:
        return "stopping";
    case DeliveryStatus::State::stopped:
        return "stopped";
    }
    return "stopped";
}

Task<Verdict> send_within(Sink& sink, const Batch& batch, Clock& clock, std::chrono::milliseconds deadline)
{
    auto verdict = co_await first_of(sink.send(batch), give_up(clock, deadline));
    co_return verdict;
}

Delivery::Delivery(DeliveryOptions options, DeliveryParts parts)
  : options_{options}
  , parts_{std::move(parts)}
  , rate_{options.rate, options.burst}
{}

Task<> Delivery::run()
{
    const At running{running_};
    const Stopped ended{stopping_};
    kept_ = false;
    unreadable_.clear();
    unburied_.clear();
    outbox_.reset();
    co_await begin();
    if (stopping_) co_return;
    co_await first_of(pull(), first_of(senders(options_.outbox.in_flight), keep_position()));
}

Task<> Delivery::begin()
{
    const auto executor = co_await asio::this_coro::executor;
    Waiting waiting{waiting_, executor};
    while (!stopping_) {
        auto start = co_await parts_.positions.load();
        if (start) {
            outbox_.emplace(options_.outbox, counters_, options_.seed++);
            outbox_->begin(start->position);
            status_.start = start->sentence;
            if (!start->sentence.empty()) parts_.log.error("{}", start->sentence);
            parts_.source.begin(*start);
            co_return;
        }
        failed(start.error().message);
        co_await parts_.clock.wait_for(waiting.event, trouble_pause);
    }
}

Task<> Delivery::pull()
{
    const auto executor = co_await asio::this_coro::executor;
    Waiting waiting{waiting_, executor};
    for (;;) {
        while (idle() || outbox_->full())
            co_await wait_event(waiting.event);
        auto slice = co_await next_slice();
        if (slice) {
            unreadable_.clear();
            outbox_->add(std::move(*slice), parts_.clock.monotonic());
            changed();
        } else {
            unreadable_ = slice.error().message + "; nothing is read meanwhile, it is tried again each 5 s";
            failed(unreadable_);
            co_await parts_.clock.sleep_for(trouble_pause);
        }
    }
}

/// What the source says of its end holds only while it is asked.
Task<Result<Slice>> Delivery::next_slice()
{
    const At pulling{pulling_};
    auto slice = co_await parts_.source.next();
    co_return slice;
}

Task<> Delivery::senders(std::size_t count)
{
    if (count <= 1)
        co_await send_batches();
    else
        co_await first_of(send_batches(), senders(count - 1));
}

Task<> Delivery::send_batches()
{
    const auto executor = co_await asio::this_coro::executor;
    Waiting waiting{waiting_, executor};
    for (;;) {
        waiting.event.expires_at(never);
        if (idle()) {
            co_await wait_event(waiting.event);
            continue;
        }
        const auto now = parts_.clock.monotonic();
        const auto pause = rate_.wait(now);
        if (pause > 0ms) {
            co_await parts_.clock.wait_for(waiting.event, pause);
            continue;
        }
        auto offer = outbox_->next(now);
        if (offer.batch)
            co_await deliver(std::move(*offer.batch));
        else if (offer.save_first && !saving_)
            co_await save();
        else if (offer.at)
            co_await parts_.clock.wait_for(waiting.event, until(*offer.at, now));
        else
            co_await wait_event(waiting.event);
    }
}

Task<> Delivery::deliver(Batch batch)
{
    rate_.spend(batch.bytes(), parts_.clock.monotonic());
    auto verdict = co_await send_within(parts_.sink, batch, parts_.clock, options_.deadline);
    kept_ = verdict.kind == Verdict::Kind::keep || verdict.alert;
    const bool taken = verdict.kind == Verdict::Kind::accepted
                       || (verdict.kind == Verdict::Kind::records
                           && std::ranges::find(verdict.fates, Fate::accepted) != verdict.fates.end());
    if (taken) status_.last_success_at = parts_.clock.now();
    if (verdict.reason.empty() && verdict.kind == Verdict::Kind::accepted)
        status_.error.clear();
    else if (!verdict.reason.empty())
        failed(fmt::format("cannot deliver {} of {} records: {}", kept_ ? "any" : "some", batch.size(),
                           verdict.reason));
    outbox_->settle(batch.number(), std::move(verdict), parts_.clock.monotonic());
    changed();
    co_await bury();
}

Task<> Delivery::bury()
{
    if (burying_) co_return;  // whoever is at it goes on until none is left
    co_await bury_all();
    changed();  // whoever waits for the end of it to stop
}

Task<> Delivery::bury_all()
{
    const At burying{burying_};
    const auto executor = co_await asio::this_coro::executor;
    Waiting waiting{waiting_, executor};
    for (;;) {
        auto letters = outbox_->refused(letters_at_once, parts_.clock.now());
        if (letters.empty()) break;
        const auto count = letters.size();
        auto sentence = fmt::format("cannot deliver record {}: {}; it is kept with the dead letters",
                                    letters.front().id, letters.front().reason);
        auto buried = co_await parts_.letters.bury(std::move(letters));
        if (buried) {
            unburied_.clear();
            outbox_->buried(count, *buried);
            failed(std::move(sentence));
            changed();
            continue;
        }
        unburied_ =
            buried.error().message
            + "; nothing is sent meanwhile: free space or mend the directory, it is tried again each 5 s";
        failed(unburied_);
        if (stopping_) break;  // not kept, so not passed over: it is read again after the next start
        co_await parts_.clock.wait_for(waiting.event, trouble_pause);
    }
}

Task<> Delivery::keep_position()
{
    const auto executor = co_await asio::this_coro::executor;
    Waiting waiting{waiting_, executor};
    for (;;) {
        waiting.event.expires_at(never);
        const bool settled = stopping_ && outbox_->in_flight() == 0 && !burying_;
        if (settled && !saving_) {
            if (outbox_->dirty()) co_await save();
            co_return;
        }
        const auto now = parts_.clock.monotonic();
        const auto due = saved_at_.value_or(now - options_.save_interval) + options_.save_interval;
        if (saving_ || !outbox_->dirty())
            co_await wait_event(waiting.event);
        else if (now < due)
            co_await parts_.clock.wait_for(waiting.event, until(due, now));
        else
            co_await save();
    }
}

Task<> Delivery::save()
{
    {
        const At saving{saving_};
        auto mark = outbox_->mark();
        auto position = mark.position;
        const auto saved = co_await parts_.positions.save(std::move(position));
        saved_at_ = parts_.clock.monotonic();
        if (saved) {
            outbox_->saved(std::move(mark));
        } else {
            outbox_->not_saved();
            failed(saved.error().message);
        }
    }
    changed();
}

void Delivery::changed()
{
    for (auto* event : waiting_)
        event->cancel();
}

void Delivery::failed(std::string sentence)
{
    // Few lines, whatever happens: they may be in what is forwarded.
    const auto now = parts_.clock.monotonic();
    if (!logged_at_ || now - *logged_at_ >= log_interval) {
        parts_.log.warning("{}{}", sentence, quiet_ == 0 ? "" : fmt::format(" ({} more since)", quiet_));
        logged_at_ = now;
        quiet_ = 0;
    } else {
        ++quiet_;
    }
    status_.error = sentence;
    status_.last_error = std::move(sentence);
    status_.last_error_at = parts_.clock.now();
}

void Delivery::pause()
{
    paused_ = true;
    changed();
}

void Delivery::resume()
{
    paused_ = false;
    changed();
}

void Delivery::stop()
{
    stopping_ = true;
    changed();
}

DeliveryStatus::State Delivery::state_now(bool held_up) const
{
    using State = DeliveryStatus::State;
    if (stopping_) return State::stopping;
    if (paused_) return State::paused;
    // A source that waits at its end could be read.
    const bool unreadable = !unreadable_.empty() && !(pulling_ && parts_.source.at_end());
    if (unreadable || !unburied_.empty()) return State::failed;
    if (!held_up) return State::running;
    return kept_ ? State::kept : State::waiting;
}

DeliveryStatus Delivery::status() const
{
    using State = DeliveryStatus::State;
    auto status = status_;
    status.counters = counters_;
    status.state = !running_ ? State::stopped : State::starting;
    if (!outbox_ || !running_) return status;
    const auto now = parts_.clock.monotonic();
    const bool held_up = outbox_->not_before() > now;
    if (held_up) status.next_attempt = until(outbox_->not_before(), now);
    status.at_end = pulling_ && parts_.source.at_end();
    status.state = state_now(held_up);
    if (status.state == State::failed) status.error = unburied_.empty() ? unreadable_ : unburied_;
    status.held_bytes = outbox_->held_bytes();
    status.in_flight = outbox_->in_flight();
    if (const auto oldest = outbox_->oldest()) {
        // The wall clock may have been set back since.
        const auto age = parts_.clock.now().time_since_epoch() - std::chrono::microseconds{*oldest};
        status.lag = std::max(std::chrono::duration_cast<std::chrono::milliseconds>(age), 0ms);
    }
    if (const auto behind = outbox_->behind()) status.behind = *behind + counters_.pending;
    status.position = outbox_->mark().position;
    return status;
}

}  // namespace opsd::pipeline
