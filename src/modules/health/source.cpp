// The life of a connection. Lists and what follows from them are in lists.cpp.

#include "modules/health/source.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

namespace opsd::health {

using namespace std::chrono_literals;

namespace {

constexpr Monotonic reread_pause = 100ms;     // after an answer that a signal overtook
constexpr Monotonic failed_read_pause = 10s;  // before a unit that could not be read is tried again
constexpr Monotonic refresh_pause = 100ms;    // lists are refreshed once for a burst of signals
constexpr std::size_t reads_at_a_time = 256;  // tasks; the Manager's window bounds the calls
constexpr std::size_t reads_per_turn = 16;    // begun before others have the loop
constexpr int turns_of_others = 32;  // of the loop: more than it takes from the first version to READY=1

/// Lets the connection go, however following it ends.
struct Followed {
    std::shared_ptr<systemd::Manager>& manager;
    ~Followed() { manager.reset(); }
};

}  // namespace

Source::Source(Parts parts)
  : parts_{std::move(parts)}
  , tracker_{parts_.tracker}
  , clock_{parts_.clock}
  , bell_{parts_.executor}
  , retry_pause_{parts_.options.systemd.reconnect_min}
  , jitter_{static_cast<std::minstd_rand::result_type>(clock_.monotonic().count())}
{}

Task<> Source::run()
{
    for (;;) {
        auto manager = parts_.connect();
        Error ended;
        if (manager) {
            manager_ = std::move(*manager);
            const Followed followed{manager_};
            ended = co_await apart(parts_.executor, serve(*manager_));
        } else {
            ended = std::move(manager).error();
        }
        co_await pause_before_retry(ended);
    }
}

Task<> Source::pause_before_retry(const Error& error)
{
    if (counters_.connected) {
        parts_.log.warning("lost systemd: {}", error.message);
    } else {
        ++counters_.failed_connections;
        parts_.log.warning("{}", error.message);
    }
    counters_.connected = false;
    const auto sentence = fmt::format("systemd cannot be read: {}", error.message);
    tracker_.systemd_lost(sentence, clock_.monotonic());
    parts_.report("systemd", sentence);
    parts_.publisher.start();
    const auto pause = retry_pause_.count();
    std::uniform_int_distribution<Duration::rep> some{pause * 3 / 4, pause};
    retry_pause_ = std::min(retry_pause_ * 2, parts_.options.systemd.reconnect_max);
    co_await clock_.sleep_for(Duration{some(jitter_)});
}

/// One connection from subscribe to its end. Readers are gone when it returns.
Task<Error> Source::serve(systemd::Manager& manager)
{
    reads_.clear();
    reading_.clear();
    to_confirm_.clear();
    held_.clear();
    asked_.clear();
    new_triggers_.clear();
    triggers_at_.reset();
    reloading_ = false;
    refresh_at_.reset();
    look_at_.reset();
    wants_at_.reset();
    early_.clear();
    looking_ = true;
    const auto failed = [this](std::string_view task, const std::exception_ptr& e) {
        parts_.log.error("cannot go on with {}: {}", task, describe(e).what);
    };
    TaskGroup readers{parts_.executor, failed};
    std::exception_ptr thrown;
    Error ended;
    try {
        ended = co_await first_of(manager.run(), follow(manager, readers));
    } catch (...) {
        thrown = std::current_exception();
    }
    readers.cancel();
    held_.clear();  // they hold on to the connection
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await readers.join();
    if (thrown) std::rethrow_exception(thrown);
    co_return ended;
}

Task<Error> Source::follow(systemd::Manager& manager, TaskGroup& readers)
{
    auto looked = co_await first_look(manager);
    if (!looked) co_return std::move(looked).error();
    // Whoever waits for the states, and systemd for READY=1, has them before it is busy with our details.
    co_await parts_.publisher.shown();
    for (int i = 0; i < turns_of_others; ++i)
        co_await asio::post(parts_.executor, asio::use_awaitable);
    for (;;) {
        auto done = co_await turn(manager, readers);
        if (!done) co_return std::move(done).error();
        co_await asio::post(parts_.executor, asio::use_awaitable);
        co_await bell_.wait(clock_, next_time());
        bell_.reset();
    }
}

/// Signals first, then the lists: nothing that happens in between is missed.
Task<Result<>> Source::first_look(systemd::Manager& manager)
{
    auto subscribed = co_await manager.subscribe(*this);
    if (!subscribed) co_return subscribed;
    auto refreshed = co_await refresh(manager, true);
    if (!refreshed) co_return refreshed;
    tracker_.systemd_back(clock_.monotonic());
    ++counters_.connections;
    counters_.connected = true;
    retry_pause_ = parts_.options.systemd.reconnect_min;
    resync_at_ = clock_.monotonic() + parts_.options.systemd.resync;
    parts_.report("systemd", "");
    parts_.publisher.start();
    parts_.log.info("follows {} units of systemd", tracker_.size());
    co_return Result<>{};
}

/// Whatever is due now.
Task<Result<>> Source::turn(systemd::Manager& manager, TaskGroup& readers)
{
    Result<> done;
    release_held();
    start_reads(manager, readers);  // what waits for a list need not wait with it
    const auto now = clock_.monotonic();
    if (wants_at_ && *wants_at_ <= now) look_at_wants_again();
    if (refresh_at_ && *refresh_at_ <= now) {
        refresh_at_.reset();
        first_files_wait_ = false;
        done = co_await refresh(manager, std::exchange(refresh_everything_, false));
        if (!done) co_return done;
    }
    if (!to_confirm_.empty()) {
        done = co_await confirm(manager);
        if (!done) co_return done;
    }
    if (triggers_at_ && *triggers_at_ <= now) {
        triggers_at_.reset();
        done = co_await look_at_triggers(manager, readers);
        if (!done) co_return done;
    }
    if (look_at_ && *look_at_ <= now) {
        look_at_.reset();
        auto found = co_await find_missed(manager);
        if (!found) co_return fail(std::move(found).error());
    }
    if (now >= resync_at_) {
        resync_at_ = now + parts_.options.systemd.resync;
        done = co_await resync(manager);
    }
    co_return done;
}

std::optional<Monotonic> Source::next_time() const
{
    if (!to_confirm_.empty()) return clock_.monotonic();
    auto first = resync_at_;
    if (refresh_at_) first = std::min(first, *refresh_at_);
    if (look_at_) first = std::min(first, *look_at_);
    if (wants_at_) first = std::min(first, *wants_at_);
    if (triggers_at_) first = std::min(first, *triggers_at_);
    for (const auto& [id, held] : held_)
        first = std::min(first, held.until);
    if (reading_.size() < reads_at_a_time) {
        for (const auto& [id, at] : reads_)
            if (!reading_.contains(id)) first = std::min(first, at);
    }
    return first;
}

// --- details

void Source::want_read(const std::string& id, Monotonic at)
{
    const auto [it, fresh] = reads_.try_emplace(id, at);
    if (!fresh && it->second <= at) return;
    it->second = at;
    bell_.ring();
}

void Source::start_reads(systemd::Manager& manager, TaskGroup& readers)
{
    const auto now = clock_.monotonic();
    const auto most = std::min(reading_.size() + reads_per_turn, reads_at_a_time);
    for (auto it = reads_.begin(); it != reads_.end() && reading_.size() < most;) {
        const bool due = it->second <= now && !reading_.contains(it->first);
        if (!due) {
            ++it;
            continue;
        }
        const auto id = it->first;
        it = reads_.erase(it);
        if (!tracker_.contains(id)) continue;
        reading_.insert(id);
        readers.spawn("read " + id, read_one(manager, id));
    }
}

Task<> Source::read_one(systemd::Manager& manager, std::string id)
{
    const auto signals = tracker_.signals(id);
    const auto gathered = counters_.gathered;
    asked_.insert_or_assign(id, clock_.monotonic());
    ++counters_.reads;
    auto facts = co_await manager.read_unit(systemd::unit_path(id));
    reading_.erase(id);
    if (!facts) {
        read_failed(id, facts.error());
    } else {
        read_triggered(id, facts->triggers);
        const bool overtaken = tracker_.signals(id) != signals;
        tracker_.read(id, std::move(*facts), clock_.monotonic(), overtaken);
        const auto held = held_.find(systemd::unit_path(id));
        // What came since the question may be newer than the answer, which can take two calls.
        const bool newer = held != held_.end() && held->second.number > gathered;
        if (overtaken || newer) want_read(id, clock_.monotonic() + reread_pause);
        if (held != held_.end() && !newer) held_.erase(held);
        parts_.publisher.confirmed();
    }
    parts_.publisher.wake();
    bell_.ring();
}

void Source::read_failed(const std::string& id, const Error& error)
{
    ++counters_.failed_reads;
    // Without a connection the whole node is unknown, not this unit.
    const bool lost = error.code == Errc::unavailable || error.code == Errc::cancelled;
    if (!lost) tracker_.unreadable(id, error.message, true);
    if (error.code == Errc::timeout) resync_at_ = clock_.monotonic();  // does systemd hang?
    want_read(id, clock_.monotonic() + failed_read_pause);
}

// --- systemd::Observer: called inside the connection's pump; must be quick

void Source::heard()
{
    ++counters_.signals;
    parts_.publisher.confirmed();
}

/// What was heard may need no judgement.
void Source::judge_soon()
{
    if (tracker_.dirty()) parts_.publisher.wake();
}

/// Some fourteen signals come with every restart of a unit. For one that does nothing else they say nothing
/// new: the newest are looked at once in a while, if possible when we are awake for one anyway.
void Source::hold(const systemd::UnitChange& change)
{
    const auto it = held_.try_emplace(std::string{change.object_path()}).first;
    it->second.until = clock_.monotonic() + parts_.options.flapping.gather;
    hold(it, change);
    bell_.ring();
}

void Source::hold(Holds::iterator it, const systemd::UnitChange& change)
{
    ++counters_.gathered;
    manager_->linger();
    auto& held = it->second;
    held.number = counters_.gathered;
    (change.of_unit() ? held.unit : held.own) = change.keep();
    if (clock_.monotonic() >= held.until - parts_.options.flapping.gather / 4) release(it);
}

void Source::release(Holds::iterator it)
{
    const auto held = std::move(it->second);
    held_.erase(it);
    // systemd sends a unit's own properties first.
    for (const auto* change : {held.own.get(), held.unit.get()})
        if (change != nullptr) take(*change, tracker_.signal(*change, clock_.monotonic(), true));
}

void Source::release_held()
{
    const auto now = clock_.monotonic();
    for (auto it = held_.begin(); it != held_.end();) {
        const auto due = it++;
        if (due->second.until <= now) release(due);
    }
}

void Source::changed(const systemd::UnitChange& change)
{
    const auto held = held_.find(change.object_path());
    if (held != held_.end()) {
        ++counters_.signals;
        return hold(held, change);
    }
    heard();
    take(change, tracker_.signal(change, clock_.monotonic()));
}

void Source::take(const systemd::UnitChange& change, Tracker::Heard heard)
{
    switch (heard) {
    case Tracker::Heard::must_read:
        want_read(systemd::unit_id(change.object_path()));
        return judge_soon();
    case Tracker::Heard::applied:
        return judge_soon();
    case Tracker::Heard::can_wait:
        return hold(change);
    case Tracker::Heard::unwatched:
        break;
    }
    if (!selection_.automatic() && !looking_) return;
    UnitFacts scratch;
    (void)change.apply_to(scratch);
    if (scratch.active_state != "failed") return;
    const auto id = systemd::unit_id(change.object_path());
    remember_early(id, true);
    if (!selection_.automatic() || !selection_.watches(id, true)) return;
    if (!watch_unnamed(id)) return report_left_out();
    to_confirm_.insert(id);
    bell_.ring();
}

void Source::unit_new(std::string_view id, std::string_view)
{
    heard();
    trigger_loaded(id);
    if (asked_lately(id)) return echoed(id);
    if (!tracker_.contains(id)) {
        remember_early(id, false);
        if (!selection_.watches(id, false)) return;
        if (!watch_unnamed(id)) return report_left_out();
    }
    to_confirm_.emplace(id);
    bell_.ring();
}

/// Perhaps our own doing, perhaps a unit that went and came again. The list of what is loaded tells, and
/// loads nothing; it is looked at once the echo is over.
void Source::echoed(std::string_view id)
{
    const bool wanted = looking_ || selection_.watches(id, false);
    if (tracker_.contains(id) || !wanted || look_at_) return;
    look_at_ = clock_.monotonic() + echo_time;
    bell_.ring();
}

void Source::unit_removed(std::string_view id, std::string_view)
{
    heard();
    trigger_unloaded(id);
    if (const auto it = refused_.find(id); it != refused_.end()) refused_.erase(it);
    report_left_out();
    if (reloading_) return;  // a reload unloads and loads all units, and everything is read after it
    switch (tracker_.removed(id, {clock_.monotonic(), clock_.now()})) {
    case Tracker::Removed::must_ask:
        if (asked_lately(id)) {  // perhaps our own doing: look once more when the echo is over
            want_read(std::string{id}, clock_.monotonic() + echo_time);
            return;
        }
        to_confirm_.emplace(id);
        bell_.ring();
        return;
    case Tracker::Removed::dropped:
        parts_.publisher.announce();
        return;
    case Tracker::Removed::kept:
    case Tracker::Removed::unwatched:
        return;
    }
}

void Source::job_removed(std::string_view unit, std::string_view result)
{
    heard();
    tracker_.job_ended(unit, result);
    judge_soon();
}

void Source::unit_files_changed()
{
    heard();
    // A burst of signals is one look, so the first sets the time; a later time, after a failed list, gives
    // way. What starts then is loaded when the first list is made.
    if (std::exchange(first_files_wait_, false)) refresh_at_.reset();
    refresh_by(clock_.monotonic() + refresh_pause);
}

void Source::reloading(bool active)
{
    heard();
    reloading_ = active;
    if (active) return;
    refresh_everything_ = true;
    unit_files_changed();
}

}  // namespace opsd::health
