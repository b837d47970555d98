#pragma once
// How often systemd restarted a unit by itself within a sliding window. Pure; bounded whatever the unit does.

#include "opsd/clock.hpp"

#include <cstdint>
#include <deque>
#include <optional>

namespace opsd::health {

class RestartWindow {
public:
    explicit RestartWindow(Monotonic window) : window_{window} {}

    /// NRestarts as read now. A rise counts as that many restarts, a fall (somebody started the unit by hand)
    /// begins anew, the first reading is the base line.
    void observe(std::uint32_t restarts, Monotonic now);

    /// The unit entered auto-restart while its NRestarts is not known yet.
    void saw_auto_restart(Monotonic now);

    /// The next reading is a base line again: nobody watched for so long that a rise says nothing about when.
    void rebase() noexcept { last_.reset(); }

    [[nodiscard]] std::uint32_t count(Monotonic now);

    /// When count() will be smaller by the mere passing of time.
    [[nodiscard]] std::optional<Monotonic> next_change() const;

private:
    struct Bucket {
        Monotonic from{};
        Monotonic to{};
        std::uint32_t count = 0;
    };
    void add(std::uint32_t count, Monotonic at);

    Monotonic window_;
    std::optional<std::uint32_t> last_;
    std::deque<Bucket> buckets_;  // at most 61: each spans a sixtieth of the window
};

}  // namespace opsd::health
