#include "modules/logs/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <utility>

namespace opsd::logs {
namespace {

using systemd::From;
using systemd::JournalRange;
using systemd::JournalSlice;

/// The cursors of the newest hits of one window.
struct Hits {
    std::deque<std::string> cursors;  ///< `most` at most
    std::string end;                  ///< a position after all that was looked at
    bool from_beginning = false;      ///< the window begins with the range
    bool late = false;
};

void take_lines(std::string_view text, std::size_t most, std::deque<std::string>& cursors)
{
    while (!text.empty()) {
        const auto end = text.find('\n');
        cursors.emplace_back(text.substr(0, end));
        if (cursors.size() > most) cursors.pop_front();
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
}

Task<Result<Hits>> search_window(Core& core, const LogQuery& query, std::int64_t window, std::size_t most,
                                 Monotonic deadline)
{
    auto range = query.range;
    range.skip = -window;
    range.limit.reset();
    const auto next = core.outside.read(std::move(range), make_locator(spec_of(query)));
    Hits hits;
    for (bool first = true;; first = false) {
        auto slice = co_await next(systemd::SliceLimits{});
        core.note(slice ? nullptr : &slice.error());
        if (!slice) co_return fail(std::move(slice).error());
        ++core.counters.slices;
        if (first) hits.from_beginning = slice->skipped > -window;
        take_lines(slice->text, most, hits.cursors);
        hits.end = std::move(slice->position);
        if (slice->ended) break;
        hits.late = core.services.clock.monotonic() >= deadline || core.finished();
        if (hits.late) break;
    }
    co_return hits;
}

}  // namespace

Task<Result<bool>> find_newest(Core& core, LogQuery& query)
{
    constexpr std::int64_t first_window = 1'000;  // entries: a fraction of a millisecond
    constexpr std::int64_t growth = 8;
    if (query.range.skip < -static_cast<std::int64_t>(most_searched))
        co_return fail(Errc::invalid_argument,
                       fmt::format("cannot go back further than {} entries where a pattern or your role "
                                   "(logs.allow) selects them",
                                   most_searched));
    const auto wanted = static_cast<std::size_t>(-query.range.skip);
    const auto deadline = core.services.clock.monotonic() + core.options.search;
    Hits hits;
    for (auto window = std::max<std::int64_t>(first_window, -query.range.skip * 4);; window *= growth) {
        auto found = co_await search_window(core, query, window, wanted, deadline);
        if (!found) co_return fail(std::move(found).error());
        // A window that was not read to its end has not the newest ones: the smaller one before had.
        if (!found->late || hits.end.empty())
            hits = std::move(*found);
        else
            hits.late = true;
        if (hits.late || hits.from_beginning || hits.cursors.size() >= wanted) break;
    }
    auto& range = query.range;
    range.from = From::cursor;
    range.cursor = hits.cursors.empty() ? hits.end : hits.cursors.front();
    range.skip = hits.cursors.empty() ? 0 : -1;
    if (range.cursor.empty()) range.from = From::head;  // of an empty journal
    // Who does not follow asked for so many, whatever came meanwhile.
    if (!query.follow) range.limit = wanted;
    co_return hits.late;
}

namespace {

/// One reading backwards.
class Backwards {
public:
    Backwards(std::shared_ptr<Core> core, const LogQuery& query)
      : core_{std::move(core)}
      , range_{query.range}
      , spec_{spec_of(query)}
      , left_{query.range.limit}
    {
        range_.limit.reset();
    }

    Task<Result<JournalSlice>> next()
    {
        JournalSlice out;
        out.ended = out.complete = true;
        if (ended_) co_return out;
        auto window = co_await read_window();
        if (!window) co_return fail(std::move(window).error());
        out.loss = window->loss;
        out.skipped = first_skip_;
        const auto entries = entries_of(*window);
        for (auto frame = entries.rbegin(); frame != entries.rend() && left_.value_or(1) > 0; ++frame) {
            if (frame->text.empty()) continue;
            out.text += frame->text;
            ++out.entries;
            if (left_) --*left_;
        }
        // The next window ends before the oldest entry of this one.
        if (entries.empty() || window->ended || left_ == 0) {
            ended_ = true;
        } else {
            range_.from = From::cursor;
            range_.cursor = entries.front().cursor;
            range_.skip = 0;
            anchored_ = true;
            out.position = range_.cursor;
        }
        out.ended = out.complete = ended_;
        co_return out;
    }

private:
    static constexpr std::int64_t window_entries = 200;
    static constexpr std::size_t most_text = 8 << 20;  // of a window; one with huge entries is made smaller

    struct Window {
        std::string text;       ///< frames
        std::int64_t keep = 0;  ///< of them: one that the journal's beginning shortened reads past the place
        bool ended = false;     ///< it begins with the journal
        std::optional<systemd::JournalLoss> loss;
    };

    /// The entries of a window, without the one that the window before began with.
    [[nodiscard]] std::vector<Frame> entries_of(const Window& window) const
    {
        std::vector<Frame> all;
        std::string_view frames{window.text};
        while (!frames.empty() && std::cmp_less(all.size(), window.keep)) {
            const auto frame = next_frame(frames);
            if (anchored_ && frame.cursor == range_.cursor) break;
            all.push_back(frame);
        }
        return all;
    }

    Task<Result<Window>> read_window()
    {
        for (auto size = window_entries;; size = std::max<std::int64_t>(size / 8, 1)) {
            auto window = co_await try_window(size);
            if (!window || window->text.size() <= most_text || size == 1) co_return window;
        }
    }

    /// Back over `size` entries from the place, then forward again.
    Task<Result<Window>> try_window(std::int64_t size)
    {
        auto range = range_;
        const std::int64_t back = size + (anchored_ ? 1 : 0);
        range.skip -= back;
        range.limit = static_cast<std::uint64_t>(size);
        const auto next = core_->outside.read(range, make_framer(spec_));
        Window window;
        for (bool first = true;; first = false) {
            auto slice = co_await next(systemd::SliceLimits{});
            core_->note(slice ? nullptr : &slice.error());
            if (!slice) co_return fail(std::move(slice).error());
            ++core_->counters.slices;
            if (first) {
                window.ended = slice->skipped > range.skip;
                window.keep = range_.skip - slice->skipped;
                window.loss = slice->loss;
                if (!anchored_) first_skip_ = std::min<std::int64_t>(slice->skipped + back, 0);
            }
            window.text += slice->text;
            if (slice->ended || window.text.size() > most_text) break;
        }
        co_return window;
    }

    std::shared_ptr<Core> core_;
    JournalRange range_;
    RenderSpec spec_;
    std::optional<std::uint64_t> left_;
    std::int64_t first_skip_ = 0;
    bool anchored_ = false;
    bool ended_ = false;
};

}  // namespace

NextSlice read_backwards(std::shared_ptr<Core> core, const LogQuery& query)
{
    auto reading = std::make_shared<Backwards>(std::move(core), query);
    return [reading](systemd::SliceLimits) { return reading->next(); };
}

}  // namespace opsd::logs
