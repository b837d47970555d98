#pragma once
// How often systemd restarted a unit by itself within a sliding window. Pure; bounded whatever the unit does.

#include "opsd/clock.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace opsd::health {

/// Restarts within a stretch of time.
struct RestartBucket {
    Monotonic from{};
    Monotonic to{};
    std::uint32_t count = 0;
    bool operator==(const RestartBucket&) const = default;
};

/// What a window knew at a time, for the next run of the daemon in the same boot: times are those of the
/// boot.
struct SavedRestarts {
    std::uint32_t last = 0;  ///< NRestarts
    Monotonic at{};
    std::vector<RestartBucket> buckets;
    bool operator==(const SavedRestarts&) const = default;
};

class RestartWindow {
public:
    explicit RestartWindow(Monotonic window) : window_{window} {}

    /// NRestarts as read now. A rise counts as that many restarts, a fall (somebody started the unit by hand)
    /// begins anew, the first reading is the base line. `last_start` is when the unit was last started, if
    /// known.
    void observe(std::uint32_t restarts, Monotonic now, Monotonic last_start = {});

    /// The unit entered auto-restart while its NRestarts is not known yet.
    void saw_auto_restart(Monotonic now);

    /// The next reading is a base line again: nobody watched for so long that a rise says nothing about when.
    void rebase() noexcept;

    /// What an earlier run of the daemon saved. What NRestarts rose by since then counts, too, unless that
    /// was too long ago.
    void restore(SavedRestarts saved);

    /// Has enough happened since the last save()? At most six times per window: a rise of NRestarts since
    /// then is not lost anyway.
    [[nodiscard]] bool worth_saving(Monotonic now) const noexcept;
    [[nodiscard]] bool unsaved() const noexcept { return unsaved_; }
    /// nullopt: NRestarts is not known.
    [[nodiscard]] std::optional<SavedRestarts> save(Monotonic now);

    [[nodiscard]] std::uint32_t count(Monotonic now);

    /// When count() will be smaller by the mere passing of time.
    [[nodiscard]] std::optional<Monotonic> next_change() const;

private:
    struct Reading {
        std::uint32_t restarts = 0;
        Monotonic at{};
        Monotonic last_start{};
    };
    void add(std::uint32_t count, Monotonic at);
    void join_saved();

    Monotonic window_;
    std::optional<std::uint32_t> last_;
    std::optional<Reading> first_;        // the base line
    std::optional<SavedRestarts> saved_;  // waits for the base line
    std::uint32_t early_ = 0;             // counted before the base line
    std::deque<RestartBucket>
        buckets_;  // at most 61, as each spans a sixtieth of the window, and as many saved
    bool unsaved_ = false;
    std::optional<Monotonic> saved_at_;
};

}  // namespace opsd::health
