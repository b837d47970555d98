#include "modules/logs/backwards.hpp"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace opsd::logs {
namespace {

using systemd::From;
using systemd::JournalRange;
using systemd::JournalSlice;

/// One reading backwards.
class Backwards {
public:
    Backwards(std::shared_ptr<Core> core, const LogQuery& query)
      : core_{std::move(core)}
      , range_{query.range}
      , spec_{spec_of(query)}
      , left_{query.range.limit}
      , anchored_{range_.from == From::cursor}
    {
        range_.limit.reset();
    }

    Task<Result<JournalSlice>> next(systemd::SliceLimits limits)
    {
        JournalSlice out;
        out.ended = out.complete = true;
        if (ended_) co_return out;
        auto window = co_await read_window(limits);
        if (!window) co_return fail(std::move(window).error());
        out.loss = window->loss;
        out.skipped = std::exchange(first_skip_, 0);
        out.damaged = window->damaged;
        begun_ = true;
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
        std::uint64_t damaged = 0;
        std::optional<systemd::JournalLoss> loss;
    };

    /// The entries of a window, without that of the cursor and later ones.
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

    Task<Result<Window>> read_window(systemd::SliceLimits limits)
    {
        for (auto size = window_entries;; size = std::max<std::int64_t>(size / 8, 1)) {
            auto window = co_await try_window(size, limits);
            if (!window || window->text.size() <= most_text || size == 1) co_return window;
        }
    }

    /// Back over `size` entries from the place, then forward again.
    Task<Result<Window>> try_window(std::int64_t size, systemd::SliceLimits limits)
    {
        auto range = range_;
        const std::int64_t back = size + (anchored_ ? 1 : 0);
        range.skip -= back;
        range.limit = static_cast<std::uint64_t>(size);
        const auto next = core_->outside.read(range, make_framer(spec_));
        Window window;
        std::int64_t skipped = 0;
        for (;;) {
            auto slice = co_await next(limits);
            core_->note(slice ? nullptr : &slice.error());
            if (!slice) co_return fail(std::move(slice).error());
            window.damaged += slice->damaged;
            skipped += slice->skipped;
            if (!window.loss) window.loss = slice->loss;
            window.text += slice->text;
            if (slice->ended || window.text.size() > most_text) break;
        }
        window.ended = skipped > range.skip;
        window.keep = range_.skip - skipped - (anchored_ ? 1 : 0);
        if (!begun_) first_skip_ = std::min<std::int64_t>(skipped + back, 0);
        co_return window;
    }

    std::shared_ptr<Core> core_;
    JournalRange range_;
    RenderSpec spec_;
    std::optional<std::uint64_t> left_;
    std::int64_t first_skip_ = 0;  ///< that was asked for; told once
    bool anchored_;                ///< the place is before the entry of the range's cursor, not after it
    bool begun_ = false;
    bool ended_ = false;
};

}  // namespace

NextSlice read_backwards(std::shared_ptr<Core> core, const LogQuery& query)
{
    auto reading = std::make_shared<Backwards>(std::move(core), query);
    return [reading](systemd::SliceLimits limits) { return reading->next(limits); };
}

}  // namespace opsd::logs
