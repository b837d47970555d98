#pragma once
// A journal in memory that keeps the contract of io/systemd/journal_readers and journal_follower, and fails
// on demand. Everything on one loop.

#include "modules/logs/core.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace opsd::logs::test {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct FakeEntry {
    std::string cursor;
    std::int64_t realtime = 0;
    std::uint64_t sequence = 0;
    Fields fields;
};

/// Cursors of one sequence.
inline std::string cursor_at(std::uint64_t sequence)
{
    return fmt::format("s={0};i={1:x};b={0};m={1:x};t={2:x};x=cc", std::string(32, 'a'), sequence,
                       sequence * 1'000'000);
}

class FakeJournal {
public:
    explicit FakeJournal(Executor executor) : executor_{std::move(executor)} {}

    /// An entry `at` microseconds; the next second otherwise.
    FakeEntry& add(Fields fields, std::optional<std::int64_t> at = {})
    {
        const auto sequence = ++last_;
        const auto realtime = at.value_or(static_cast<std::int64_t>(sequence) * 1'000'000);
        entries.push_back({cursor_at(sequence), realtime, sequence, std::move(fields)});
        for (auto* event : waiting_)
            event->cancel();
        return entries.back();
    }
    void add_messages(int count, const std::string& unit = "a.service")
    {
        for (int i = 0; i < count; ++i)
            add({{"MESSAGE", "message " + std::to_string(last_ + 1)}, {"_SYSTEMD_UNIT", unit}});
    }
    /// The oldest ones go.
    void vacuum(std::size_t count)
    {
        entries.erase(entries.begin(), entries.begin() + std::ptrdiff_t(count));
    }
    /// Every subscription ends, as that of a client who does not keep up.
    void cut_followers()
    {
        ++cuts_;
        for (auto* event : waiting_)
            event->cancel();
    }

    [[nodiscard]] Outside outside()
    {
        Outside out;
        out.read = [this](systemd::JournalRange range, std::unique_ptr<systemd::EntryWriter> writer) {
            ranges.push_back(range);
            auto reading = std::make_shared<Reading>(Reading{std::move(range), std::move(writer)});
            return [this, reading](systemd::SliceLimits) { return next(*reading); };
        };
        out.follow = [this](systemd::FollowKey key, systemd::JournalFollower::MakeWriter make,
                            std::string position) {
            return join(std::move(key), make(), std::move(position));
        };
        out.values = [this](std::string field, std::size_t) { return values(std::move(field)); };
        out.run = [this] { return forever(); };
        out.boot_id = "0123456789abcdef0123456789abcdef";
        return out;
    }

    std::vector<FakeEntry> entries;
    std::size_t slice_entries = 1'000;  ///< looked at in one slice
    bool skips_in_slices = false;       ///< the first one only goes a part of the way
    std::function<Task<>()> before_slice;
    std::optional<Error> broken;     ///< readings fail
    std::optional<Error> no_follow;  ///< joining fails
    std::vector<systemd::JournalRange> ranges;
    std::vector<systemd::FollowKey> keys;
    int subscribers = 0;
    int slices = 0;

private:
    struct Reading {
        systemd::JournalRange range;
        std::unique_ptr<systemd::EntryWriter> writer;
        std::optional<std::uint64_t> after = {};  ///< the sequence number all up to which was seen
        std::uint64_t given = 0;
        std::int64_t skipped_later = 0;
        bool beyond = false;  ///< an entry later than `until` was seen
    };

    static bool matches(const FakeEntry& entry, const systemd::MatchGroups& groups)
    {
        return std::ranges::all_of(groups, [&](const std::vector<std::string>& group) {
            return std::ranges::any_of(group, [&](const std::string& match) {
                return std::ranges::any_of(entry.fields, [&](const auto& field) {
                    return field.first + "=" + field.second == match;
                });
            });
        });
    }

    static bool write(systemd::EntryWriter& writer, const FakeEntry& entry, std::string& out)
    {
        std::vector<systemd::JournalField> fields;
        for (const auto& [name, value] : entry.fields)
            fields.push_back({name, value});
        return writer.write({entry.cursor, entry.realtime, 7, fields}, out);
    }

    static std::uint64_t sequence_of(const std::string& cursor)
    {
        return std::stoull(cursor.substr(cursor.find("i=") + 2), nullptr, 16);
    }

    /// Where the reading begins: after that sequence number; tells how far it skipped.
    void begin(Reading& reading, systemd::JournalSlice& slice)
    {
        const auto& range = reading.range;
        std::vector<const FakeEntry*> all;
        for (const auto& entry : entries)
            if (matches(entry, range.matches)) all.push_back(&entry);
        std::size_t place = 0;  // entries of `all` before the place
        switch (range.from) {
        case systemd::From::head:
            break;
        case systemd::From::tail:
            place = all.size();
            break;
        case systemd::From::time:
            while (place < all.size() && all[place]->realtime < range.time)
                ++place;
            break;
        case systemd::From::cursor: {
            const auto after = sequence_of(range.cursor);
            while (place < all.size() && all[place]->sequence <= after)
                ++place;
            if (!entries.empty() && after + 1 < entries.front().sequence)
                slice.loss = systemd::JournalLoss{entries.front().sequence - after - 1};
            break;
        }
        }
        const auto before = static_cast<std::int64_t>(place);
        const auto most = static_cast<std::int64_t>(all.size());
        auto target = range.skip < -before ? 0 : std::min(before + range.skip, most);
        slice.skipped = target - before;
        if (range.skip < 0 && range.skip_taken) {
            std::string scratch;
            slice.skipped = 0;
            for (target = before; target > 0 && slice.skipped > range.skip;)
                if (write(*reading.writer, *all[static_cast<std::size_t>(--target)], scratch))
                    --slice.skipped;
        }
        const auto index = static_cast<std::size_t>(target);
        reading.after = index < all.size() ? all[index]->sequence - 1 : last_;
        // What came between the last match and the end belongs to the future, not to the past.
        if (index == all.size() && range.from == systemd::From::cursor && place == all.size())
            reading.after =
                std::max(sequence_of(range.cursor), entries.empty() ? 0 : entries.back().sequence);
    }

    Task<Result<systemd::JournalSlice>> next(Reading& reading)
    {
        co_await asio::post(executor_, asio::use_awaitable);
        if (before_slice) co_await before_slice();
        ++slices;
        if (broken) co_return fail(*broken);
        systemd::JournalSlice slice;
        const auto& range = reading.range;
        if (!reading.after) {
            begin(reading, slice);
            if (skips_in_slices && slice.skipped != 0) {
                reading.skipped_later = slice.skipped - slice.skipped / 2;
                slice.skipped /= 2;
                co_return slice;
            }
        } else {
            slice.skipped = std::exchange(reading.skipped_later, 0);
            if (!entries.empty() && *reading.after > 0 && *reading.after + 1 < entries.front().sequence)
                slice.loss = systemd::JournalLoss{entries.front().sequence - *reading.after - 1};
        }
        std::size_t looked_at = 0;
        slice.ended = true;
        for (const auto& entry : entries) {
            if (entry.sequence <= *reading.after) continue;
            if (range.limit && reading.given >= *range.limit) break;
            if (++looked_at > slice_entries) {
                slice.ended = false;
                break;
            }
            reading.after = entry.sequence;
            const bool early = range.since && entry.realtime < *range.since;
            const bool late = range.until && entry.realtime > *range.until;
            reading.beyond = reading.beyond || late;
            if (early || late || !matches(entry, range.matches) || !write(*reading.writer, entry, slice.text))
                continue;
            ++slice.entries;
            ++reading.given;
        }
        if (range.limit && reading.given >= *range.limit) slice.ended = slice.complete = true;
        slice.complete = slice.complete || (slice.ended && reading.beyond);
        if (*reading.after > 0) slice.position = cursor_at(*reading.after);
        co_return slice;
    }

    class FakeSubscription final : public systemd::Subscription {
    public:
        FakeSubscription(FakeJournal& journal, systemd::FollowKey key,
                         std::unique_ptr<systemd::EntryWriter> writer, std::uint64_t after)
          : journal_{journal}
          , key_{std::move(key)}
          , writer_{std::move(writer)}
          , after_{after}
          , cuts_{journal.cuts_}
          , event_{journal.executor_, never}
        {
            ++journal_.subscribers;
            journal_.waiting_.push_back(&event_);
        }
        ~FakeSubscription() override
        {
            --journal_.subscribers;
            std::erase(journal_.waiting_, &event_);
        }
        Task<std::optional<systemd::FollowChunk>> next() override
        {
            for (;;) {
                if (cuts_ != journal_.cuts_) co_return std::nullopt;
                systemd::FollowChunk chunk;
                std::string text;
                for (const auto& entry : journal_.entries) {
                    if (entry.sequence <= after_) continue;
                    after_ = entry.sequence;
                    if (!matches(entry, key_.matches) || !write(*writer_, entry, text)) continue;
                    ++chunk.entries;
                    chunk.position = entry.cursor;
                }
                if (chunk.entries > 0) {
                    chunk.text = std::make_shared<const std::string>(std::move(text));
                    co_return chunk;
                }
                co_await wait_event(event_);
            }
        }
        [[nodiscard]] const std::string& why() const override { return why_; }

    private:
        FakeJournal& journal_;
        systemd::FollowKey key_;
        std::unique_ptr<systemd::EntryWriter> writer_;
        std::uint64_t after_;
        int cuts_;
        asio::steady_timer event_;
        std::string why_ = "too slow";
    };

    Task<Result<std::unique_ptr<systemd::Subscription>>>
    join(systemd::FollowKey key, std::unique_ptr<systemd::EntryWriter> writer, std::string position)
    {
        co_await asio::post(executor_, asio::use_awaitable);
        keys.push_back(key);
        if (no_follow) co_return fail(*no_follow);
        const auto after = position.empty() ? 0 : sequence_of(position);
        co_return std::make_unique<FakeSubscription>(*this, std::move(key), std::move(writer), after);
    }

    Task<> forever() const
    {
        asio::steady_timer end{executor_, never};
        co_await wait_event(end);
    }

    Task<Result<std::vector<std::string>>> values(std::string field)
    {
        if (broken) co_return fail(*broken);
        std::vector<std::string> all;
        for (const auto& entry : entries)
            for (const auto& [name, value] : entry.fields)
                if (name == field) all.push_back(value);
        std::ranges::sort(all);
        const auto rest = std::ranges::unique(all);
        all.erase(rest.begin(), rest.end());
        co_return all;
    }

    Executor executor_;
    std::uint64_t last_ = 0;
    int cuts_ = 0;
    std::vector<asio::steady_timer*> waiting_;
};

}  // namespace opsd::logs::test
