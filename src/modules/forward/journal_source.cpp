#include "modules/forward/journal_source.hpp"

#include "core/first_of.hpp"
#include "modules/forward/place.hpp"
#include "pipeline/frames.hpp"

#include <utility>

namespace opsd::forward {
namespace {

using namespace std::chrono_literals;
using pipeline::Slice;
using systemd::JournalSlice;
using systemd::Subscription;

constexpr std::chrono::milliseconds poll_interval = 1s;  // where the follower does not serve
constexpr std::chrono::milliseconds look_around = 5min;  // how far what the filter leaves out has gone
constexpr std::size_t slice_bytes = std::size_t{512} * 1024;

/// An argument takes the chunk: none is lost when the race is decided otherwise at the same moment.
Task<> take(Subscription& subscription, std::optional<systemd::FollowChunk>& chunk)
{
    chunk = co_await subscription.next();
}

}  // namespace

JournalSource::JournalSource(JournalSourceOptions options, const Journal& journal,
                             systemd::JournalFollower::MakeWriter make_writer,
                             std::function<pipeline::Labels()> labels, Clock& clock)
  : options_{std::move(options)}
  , journal_{journal}
  , make_writer_{std::move(make_writer)}
  , labels_{std::move(labels)}
  , clock_{clock}
{}

void JournalSource::begin(const pipeline::Start& start)
{
    position_ = start.position.empty() ? options_.start : start.position;
    reading_ = nullptr;
    subscription_.reset();
    news_.reset();
    refused_at_.reset();
    at_end_ = false;
    follow_next_ = false;
}

Task<Result<Slice>> JournalSource::next()
{
    for (;;) {
        if (news_) {
            auto chunk = *std::exchange(news_, std::nullopt);
            co_return slice_of(*chunk.text, std::move(chunk.position));
        }
        if (subscription_) {
            co_await wait_for_news();
            continue;
        }
        if (follow_next_) {
            follow_next_ = false;
            co_await follow();
            continue;
        }
        auto read_slice = co_await read();
        if (!read_slice) co_return fail(std::move(read_slice).error());
        const auto loss = read_slice->loss;
        damaged_ += read_slice->damaged;
        at_end_ = follow_next_ = read_slice->ended;
        const auto before = position_;
        auto slice = slice_of(std::move(read_slice->text), std::move(read_slice->position));
        if (slice && loss) {
            slice->lost = loss->entries.value_or(0);
            slice->some_lost = !loss->entries;
        }
        if (!slice || loss || position_ != before || !slice->records.empty()) co_return slice;
    }
}

/// The follower, which all outputs share, is the module's.
Task<> JournalSource::attend()
{
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer nothing{executor, never};
    for (;;)
        co_await wait_event(nothing);
}

/// The next slice of the reading. It is taken out meanwhile: one that is cancelled or fails is given up, and
/// another begins at the position.
Task<Result<JournalSlice>> JournalSource::read()
{
    auto reading = std::exchange(reading_, nullptr);
    if (!reading) reading = journal_.read(range_from(position_, options_.matches), make_writer_());
    systemd::SliceLimits limits;
    limits.bytes = slice_bytes;
    auto slice = co_await reading(limits);
    if (slice) reading_ = std::move(reading);
    co_return slice;
}

Result<Slice> JournalSource::slice_of(std::string text, std::string position)
{
    auto shared = std::make_shared<pipeline::Text>();
    shared->bytes = std::move(text);
    shared->labels = labels_();
    auto records = pipeline::read_frames(*shared);
    if (!records) return fail(std::move(records).error());
    // An empty journal has no position yet: all that comes is wanted.
    position_ = position.empty() && position_.empty() ? std::string{beginning}
                : position.empty()                    ? position_
                                                      : std::move(position);
    Slice slice;
    slice.records = std::move(*records);
    slice.text = std::move(shared);
    slice.position = position_;
    if (at_end_) slice.behind = 0;
    return slice;
}

/// From the position on. Without a subscription slices are read, again and again.
Task<> JournalSource::follow()
{
    reading_ = nullptr;
    systemd::FollowKey key{options_.matches, options_.name};
    auto from = is_cursor(position_) ? position_ : std::string{};
    auto joined = co_await journal_.follow(std::move(key), make_writer_, std::move(from));
    if (joined) {
        subscription_ = std::move(*joined);
        co_return;
    }
    // Twice too far from one place: whoever reads slices would find nothing new, so not at once.
    const bool at_once = joined.error().code == Errc::timeout && refused_at_ != position_;
    refused_at_ = position_;
    if (!at_once) co_await clock_.sleep_for(poll_interval);
}

Task<> JournalSource::wait_for_news()
{
    co_await first_of(take(*subscription_, news_), clock_.sleep_for(look_around));
    if (news_) co_return;
    // It did not keep up or cannot follow, or nothing came for so long that the end is looked for anew.
    subscription_.reset();
    at_end_ = false;
}

}  // namespace opsd::forward
