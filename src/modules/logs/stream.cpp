// Following: the journal's slices up to its end, then the follower's chunks, and the slices again whenever
// the follower lets the client go. The journal is the buffer of a slow client.

#include "core/first_of.hpp"

#include "modules/logs/answer.hpp"

namespace opsd::logs {
namespace {

using systemd::From;
using systemd::JournalSlice;
using systemd::Subscription;

constexpr Duration ping_interval{15'000};   // what DC/OS's own have; proxies close silent connections later
constexpr Duration poll_interval{250};      // where the follower does not serve
constexpr Duration full_interval{1'000};    // while the follower has no room
constexpr Duration write_delay{1'000};      // from an entry's time until readers see it
constexpr Duration look_around{3'600'000};  // of a client who needs no pings
constexpr std::string_view ping = ": ping\n\n";

Task<> until_closed(http::StreamWriter& writer, bool& over)
{
    co_await writer.closed();
    over = true;
}

Task<> until_finished(Core& core, bool& over)
{
    co_await core.until_finished();
    over = true;
}

/// One client.
class Follow {
public:
    Follow(std::shared_ptr<Flow> flow, http::StreamWriter& writer)
      : flow_{std::move(flow)}
      , core_{*flow_->core}
      , writer_{writer}
      , sse_{is_sse(flow_->query.format)}
      , written_{core_.services.clock.monotonic()}
    {}

    Task<> run()
    {
        // The DC/OS command line takes a clean end for good and waits for ever; torn, it comes again.
        writer_.set_whole(false);
        auto slice = std::move(*flow_->first);
        // The head said it, which those who read events do not see.
        if (!tells_loss(flow_->query.format)) slice.loss.reset();
        for (bool on = true; on;) {
            on = co_await give(slice);
            if (!on) co_return;
            if (slice.complete || (slice.ended && is_over())) co_return co_await end();
            if (slice.ended) {
                on = co_await wait_for_news();
                if (!on) co_return;
            }
            flow_->asked = core_.services.clock.now();
            auto next = co_await flow_->next(slice_limits(flow_->query));
            core_.count(next);
            if (!next) {
                // The journal is away; it may come back, and the client's place in it is known.
                on = co_await pause(full_interval);
                slice = JournalSlice{.position = position_};
                continue;
            }
            slice = std::move(*next);
        }
    }

private:
    Task<bool> write(std::string_view text)
    {
        written_ = core_.services.clock.monotonic();
        const auto written = co_await writer_.write(text);
        co_return written.has_value();
    }

    Task<bool> ping_if_silent()
    {
        const bool silent = core_.services.clock.monotonic() - written_ >= ping_interval;
        if (!sse_ || !silent) co_return true;
        co_return co_await write(ping);
    }

    Task<bool> give(JournalSlice& slice)
    {
        if (core_.finished()) co_return false;
        if (!slice.position.empty()) position_ = slice.position;
        if (!tell_loss(core_, slice, flow_->query.format)) co_return false;
        auto text = std::move(slice.text);
        if (text.empty()) co_return co_await ping_if_silent();
        core_.count(slice.entries, text.size());
        co_return co_await write(text);
    }

    /// Nothing that came after the last slice was asked for can be of the time before `until`.
    [[nodiscard]] bool is_over() const
    {
        const auto& until = flow_->query.range.until;
        return until && flow_->asked >= WallTime{std::chrono::microseconds{*until}} + write_delay;
    }

    /// What was asked for is given. An event stream stays, silent but for pings: who gets an end comes again.
    Task<> end()
    {
        if (!sse_) {
            writer_.set_whole(true);
            co_return;
        }
        for (bool on = true; on;)
            on = co_await pause(ping_interval);
    }

    /// Waits for `time`, or the client's or the module's end: false.
    Task<bool> pause(Duration time)
    {
        bool over = false;
        auto ends = first_of(until_closed(writer_, over), until_finished(core_, over));
        co_await first_of(core_.services.clock.sleep_for(time), std::move(ends));
        if (over) co_return false;
        co_return co_await ping_if_silent();
    }

    /// At the end of the journal: gives what the follower tells, until it is time to read slices again.
    /// False: the stream is over.
    Task<bool> wait_for_news()
    {
        const auto& range = flow_->query.range;
        // The follower knows neither limit nor until.
        if (range.limit || range.until) co_return co_await pause(poll_interval);
        const auto spec = spec_of(flow_->query);
        systemd::FollowKey key{range.matches, name_of(spec)};
        systemd::JournalFollower::MakeWriter writer = [spec] { return make_writer(spec); };
        auto joined = co_await core_.outside.follow(std::move(key), std::move(writer), position_);
        if (!joined) {
            const bool too_far = joined.error().code == Errc::timeout;
            // Twice too far from one place: whoever reads slices would find nothing new, so not at once.
            const bool at_once = too_far && position_ != refused_at_;
            refused_at_ = position_;
            if (at_once) co_return true;
            const auto while_away = too_far ? poll_interval : full_interval;
            co_return co_await pause(while_away);
        }
        const auto subscription = std::move(*joined);
        const bool on = co_await give_news(*subscription);
        if (on) read_on();
        co_return on;
    }

    /// From the last position, with a reading of its own.
    void read_on()
    {
        ++core_.counters.behind;
        auto& range = flow_->query.range;
        range.from = position_.empty() ? From::head : From::cursor;
        range.cursor = position_;
        range.skip = 0;
        range.skip_taken = false;
        flow_->next = core_.outside.read(range, make_writer(spec_of(flow_->query)));
    }

    /// An argument takes the chunk: none is lost when the race is decided otherwise at the same moment.
    static Task<> take(Subscription& subscription, std::optional<systemd::FollowChunk>& chunk, bool& taken)
    {
        chunk = co_await subscription.next();
        taken = true;
    }

    /// False: the stream is over; true: the follower let go.
    Task<bool> give_news(Subscription& subscription)
    {
        for (;;) {
            std::optional<systemd::FollowChunk> chunk;
            bool taken = false;
            bool over = false;
            auto ends = first_of(until_closed(writer_, over), until_finished(core_, over));
            auto waits = first_of(take(subscription, chunk, taken),
                                  core_.services.clock.sleep_for(sse_ ? ping_interval : look_around));
            co_await first_of(std::move(waits), std::move(ends));
            if (taken && !chunk) co_return !over;
            if (taken) {
                core_.count(chunk->entries, chunk->text->size());
                const bool on = co_await write(*chunk->text);
                if (!on) co_return false;
                position_ = chunk->position;
            }
            if (over) co_return false;
            if (taken) continue;
            const bool on = co_await ping_if_silent();
            if (!on) co_return false;
        }
    }

    std::shared_ptr<Flow> flow_;
    Core& core_;
    http::StreamWriter& writer_;
    bool sse_;
    Monotonic written_;
    std::string position_;
    std::optional<std::string> refused_at_;  ///< where the follower said that it is too far
};

}  // namespace

Task<> follow(std::shared_ptr<Flow> flow, http::StreamWriter& writer)
{
    Follow client{std::move(flow), writer};
    co_await client.run();
}

}  // namespace opsd::logs
