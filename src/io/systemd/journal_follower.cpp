#include "io/systemd/journal_follower.hpp"

#include "core/first_of.hpp"
#include "io/systemd/journal_tap.hpp"
#include "opsd/worker.hpp"

#include <boost/asio/post.hpp>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <vector>

namespace opsd::systemd {
namespace {

using namespace std::chrono_literals;
using TapId = std::uint64_t;
using JoinId = std::uint64_t;

constexpr std::size_t most_in_flight = 4 * 1024 * 1024;  // from the thread to the loop; then it waits

/// Said to the thread.
struct Command {
    TapId tap = 0;
    JoinId join = 0;  // 0: nobody wants the tap any more
    std::string position;
    MatchGroups matches;                  // of a new tap
    std::unique_ptr<EntryWriter> writer;  // of a new tap; null: it is there
};

/// Said by the thread.
struct Report {
    TapId tap = 0;
    JoinId join = 0;  // set: the answer to this one, with what only the newcomer lacks
    TapText text;
    std::string failure;  // the tap, or the joining, has ended for this reason
    bool too_far = false;
};

/// What both halves have. The thread owns the taps.
struct Line {
    explicit Line(std::string d, FollowerLimits l)
      : directory{std::move(d)}
      , limits{l}
      , wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}
    {}
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;
    ~Line()
    {
        if (wake >= 0) ::close(wake);
    }
    void say(Command command)
    {
        {
            const std::scoped_lock lock{mutex};
            commands.push_back(std::move(command));
        }
        ring();
    }
    void ring() const
    {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(wake, &one, sizeof one);
    }

    const std::string directory;
    const FollowerLimits limits;
    const int wake;
    std::mutex mutex;
    std::deque<Command> commands;
    std::atomic<bool> stopping = false;
    std::atomic<std::size_t> in_flight = 0;
};

/// The thread's life.
class Watcher {
public:
    using Tell = std::function<void(Report)>;
    Watcher(Line& line, Tell tell) : line_{line}, tell_{std::move(tell)} {}

    void run()
    {
        while (!line_.stopping) {
            obey();
            const bool more = look();
            wait(more);
        }
    }

private:
    void obey()
    {
        for (;;) {
            Command command;
            {
                const std::scoped_lock lock{line_.mutex};
                if (line_.commands.empty()) return;
                command = std::move(line_.commands.front());
                line_.commands.pop_front();
            }
            if (command.join == 0)
                taps_.erase(command.tap);
            else
                join(std::move(command));
        }
    }

    void join(Command command)
    {
        const auto id = command.tap;
        if (command.writer)
            taps_.try_emplace(id, line_.directory, std::move(command.matches), std::move(command.writer),
                              command.position);
        const auto known = taps_.find(id);
        Report report{.tap = id, .join = command.join};
        if (known == taps_.end()) {
            report.failure = "the journal can no longer be followed";
            return tell_(std::move(report));
        }
        auto& tap = known->second;
        JournalTap::Joining joining;
        bool more = false;
        int r = tap.refresh();
        if (r >= 0)
            r = tap.read_news([&](TapText text) { tell_({.tap = id, .text = std::move(text)}); }, more);
        if (r >= 0 && more) {  // a flood: who joins reads on, and finds the end later
            report.too_far = true;
            return tell_(std::move(report));
        }
        const JournalTap::JoinLimits limits{.entries = line_.limits.catch_up,
                                            .bytes = line_.limits.queue_bytes};
        if (r >= 0) r = tap.join(command.position, limits, joining);
        if (r < 0) report.failure = reason(r);
        report.too_far = joining.too_far;
        report.text = std::move(joining.newcomer);
        tell_(std::move(report));
        if (joining.all.entries > 0) tell_({.tap = id, .text = std::move(joining.all)});
    }

    /// At all taps; true when one has more.
    bool look()
    {
        if (line_.in_flight > most_in_flight) return false;
        const bool due = std::chrono::steady_clock::now() >= refresh_at_;
        if (due) refresh_at_ = std::chrono::steady_clock::now() + 1s;
        bool any_more = false;
        for (auto at = taps_.begin(); at != taps_.end();) {
            auto& [id, tap] = *at;
            bool more = false;
            int r = due || noticed_.contains(id) || tap.fd() < 0 ? tap.refresh() : 0;
            if (r >= 0)
                r = tap.read_news(
                    [&, tap_id = id](TapText text) { tell_({.tap = tap_id, .text = std::move(text)}); },
                    more);
            any_more = any_more || more;
            if (r >= 0) {
                ++at;
                continue;
            }
            tell_({.tap = id, .failure = reason(r)});
            at = taps_.erase(at);
        }
        noticed_.clear();
        return any_more;
    }

    void wait(bool more)
    {
        std::vector<pollfd> all{{.fd = line_.wake, .events = POLLIN, .revents = 0}};
        std::vector<TapId> ids;
        for (const auto& [id, tap] : taps_) {
            all.push_back({.fd = tap.fd(), .events = POLLIN, .revents = 0});
            ids.push_back(id);
        }
        const int timeout = more ? 0 : taps_.empty() ? -1 : static_cast<int>(line_.limits.poll.count());
        ::poll(all.data(), all.size(), timeout);
        std::uint64_t rung = 0;
        [[maybe_unused]] const auto n = ::read(line_.wake, &rung, sizeof rung);
        for (std::size_t i = 0; i < ids.size(); ++i)
            if (all[i + 1].revents != 0) noticed_.insert(ids[i]);
    }

    [[nodiscard]] std::string reason(int r) const
    {
        return JournalHandle{line_.directory}.failure("follow the journal", -r).message;
    }

    Line& line_;
    Tell tell_;
    std::map<TapId, JournalTap> taps_;
    std::set<TapId> noticed_;
    std::chrono::steady_clock::time_point refresh_at_{};
};

}  // namespace

// --- the loop's half

struct JournalFollower::Impl {
    Impl(std::string directory, FollowerLimits limits)
      : line{std::make_shared<Line>(std::move(directory), limits)}
    {}

    /// Who follows, as the loop sees him.
    struct Reader {
        explicit Reader(const Executor& executor) : news{executor, never} {}
        asio::steady_timer news;
        std::deque<FollowChunk> chunks;
        std::size_t bytes = 0;
        std::string why;  // not "": no more chunks come
        bool joined = false;
        bool too_far = false;
    };
    struct Channel {
        TapId id = 0;
        std::set<std::shared_ptr<Reader>> readers;  // also those who are joining
    };
    class Seat;

    void hear(Report report);
    void deliver(Reader& reader, const std::shared_ptr<const std::string>& text, const TapText& meta) const;
    void leave(const FollowKey& key, const std::shared_ptr<Reader>& reader);
    void end(Channel& channel, const std::string& why);

    std::shared_ptr<Line> line;
    WorkerThread worker{"journal-tail", 2};
    std::optional<Executor> home;
    std::map<FollowKey, Channel> channels;
    std::map<TapId, FollowKey> keys;
    std::map<JoinId, std::weak_ptr<Reader>> joining;
    std::uint64_t last_id = 0;
    std::size_t seats = 0;
};

/// Somebody's place; his Subscription.
class JournalFollower::Impl::Seat final : public Subscription {
public:
    Seat(std::weak_ptr<Impl> impl, FollowKey key, std::shared_ptr<Reader> reader)
      : impl_{std::move(impl)}
      , key_{std::move(key)}
      , reader_{std::move(reader)}
    {}
    ~Seat() override
    {
        if (const auto impl = impl_.lock()) impl->leave(key_, reader_);
    }
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;

    Task<std::optional<FollowChunk>> next() override
    {
        const auto reader = reader_;
        while (reader->chunks.empty()) {
            if (!reader->why.empty()) co_return std::nullopt;
            co_await wait_event(reader->news);
        }
        auto chunk = std::move(reader->chunks.front());
        reader->chunks.pop_front();
        reader->bytes -= chunk.text->size();
        co_return chunk;
    }
    [[nodiscard]] const std::string& why() const override { return reader_->why; }

private:
    std::weak_ptr<Impl> impl_;
    FollowKey key_;
    std::shared_ptr<Reader> reader_;
};

/// What the thread says. Its order is kept, so that a newcomer gets what follows his answer, and only that.
void JournalFollower::Impl::hear(Report report)
{
    const auto newcomer = report.join == 0 ? nullptr : joining.extract(report.join).mapped().lock();
    const auto key = keys.find(report.tap);
    if (key == keys.end()) return;
    auto& channel = channels.at(key->second);
    const auto text = std::make_shared<const std::string>(std::move(report.text.text));
    if (report.join == 0) {
        if (!report.failure.empty()) return end(channel, report.failure);
        for (const auto& reader : channel.readers)
            if (reader->joined && reader->why.empty()) deliver(*reader, text, report.text);
        return;
    }
    if (!newcomer) return;
    newcomer->joined = report.failure.empty() && !report.too_far;
    newcomer->too_far = report.too_far;
    newcomer->why = report.failure;
    if (report.text.entries > 0) deliver(*newcomer, text, report.text);
    newcomer->news.cancel();
}

void JournalFollower::Impl::deliver(Reader& reader, const std::shared_ptr<const std::string>& text,
                                    const TapText& meta) const
{
    if (reader.bytes > 0 && reader.bytes + text->size() > line->limits.queue_bytes) {
        reader.why = "it did not keep up";
        return;
    }
    reader.bytes += text->size();
    reader.chunks.push_back({text, meta.entries, meta.position});
    reader.news.cancel();
}

void JournalFollower::Impl::end(Channel& channel, const std::string& why)
{
    for (const auto& reader : channel.readers) {
        if (reader->why.empty()) reader->why = why;
        reader->news.cancel();
    }
    keys.erase(channel.id);
    channel.id = 0;  // the next who joins has a new tap
}

void JournalFollower::Impl::leave(const FollowKey& key, const std::shared_ptr<Reader>& reader)
{
    --seats;
    const auto channel = channels.find(key);
    if (channel == channels.end()) return;
    channel->second.readers.erase(reader);
    if (!channel->second.readers.empty()) return;
    if (channel->second.id != 0) line->say({.tap = channel->second.id});
    keys.erase(channel->second.id);
    channels.erase(channel);
}

JournalFollower::JournalFollower(std::string directory, FollowerLimits limits)
  : impl_{std::make_shared<Impl>(std::move(directory), limits)}
{}

JournalFollower::~JournalFollower()
{
    impl_->line->stopping = true;
    impl_->line->ring();
    impl_->worker.retire(impl_->line);
}

Task<> JournalFollower::run()
{
    const auto executor = co_await asio::this_coro::executor;
    const auto impl = impl_;
    impl->home = executor;
    auto tell = [executor, weak = std::weak_ptr{impl}, line = impl->line.get()](Report report) {
        const auto size = report.text.text.size();
        line->in_flight += size;
        asio::post(executor, [weak, size, report = std::move(report)]() mutable {
            const auto self = weak.lock();
            if (!self) return;
            self->line->in_flight -= size;
            self->hear(std::move(report));
        });
    };
    auto job = [line = impl->line.get(), tell = std::move(tell)]() -> Result<> {
        Watcher{*line, tell}.run();
        return {};
    };
    auto ended = co_await impl->worker.run(std::move(job));
    if (!ended) throw std::runtime_error{ended.error().message};
}

Task<Result<std::unique_ptr<Subscription>>> JournalFollower::join(FollowKey key, MakeWriter make_writer,
                                                                  std::string position)
{
    const auto impl = impl_;
    const auto& limits = impl->line->limits;
    if (!impl->home) co_return fail(Errc::unavailable, "cannot follow the journal: nobody watches it yet");
    if (impl->seats >= limits.subscribers)
        co_return fail(
            Errc::unavailable,
            fmt::format("cannot follow the journal: {} do so already; try again later", impl->seats));
    auto channel = impl->channels.find(key);
    if (channel == impl->channels.end() && impl->channels.size() >= limits.handles)
        co_return fail(Errc::unavailable,
                       fmt::format("cannot follow the journal: {} different selections are followed already; "
                                   "try again later, or follow one of those",
                                   impl->channels.size()));
    if (channel == impl->channels.end()) channel = impl->channels.try_emplace(key).first;
    ++impl->seats;
    auto reader = std::make_shared<Impl::Reader>(*impl->home);
    channel->second.readers.insert(reader);
    auto seat = std::make_unique<Impl::Seat>(impl, key, reader);  // from here on it leaves by itself
    Command command{.tap = channel->second.id, .join = ++impl->last_id, .position = std::move(position)};
    if (command.tap == 0) {
        command.tap = channel->second.id = ++impl->last_id;
        command.matches = key.matches;
        command.writer = make_writer();
        impl->keys.emplace(command.tap, key);
    }
    impl->joining.emplace(command.join, reader);
    impl->line->say(std::move(command));
    while (!reader->joined && !reader->too_far && reader->why.empty())
        co_await wait_event(reader->news);
    if (reader->too_far)
        co_return fail(Errc::timeout, "cannot follow the journal from there: it is too far from the end");
    if (!reader->why.empty()) co_return fail(Errc::unavailable, reader->why);
    co_return seat;
}

std::size_t JournalFollower::subscribers() const { return impl_->seats; }
std::size_t JournalFollower::handles() const { return impl_->channels.size(); }

}  // namespace opsd::systemd
