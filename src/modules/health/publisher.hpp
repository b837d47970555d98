#pragma once
// From what the tracker knows to the board: judges changed units in small batches, so that a thousand
// flapping units starve nobody, and publishes at most one version per publish_interval (the first change at
// once).

#include "modules/health/bell.hpp"
#include "modules/health/tracker.hpp"
#include "opsd/board.hpp"

#include <functional>

namespace opsd::health {

class Publisher {
public:
    using OnEffects = std::function<void(Effects)>;

    Publisher(Executor executor, Clock& clock, Tracker& tracker, Latest<NodeHealth>& cell, Duration interval,
              OnEffects on_effects);

    /// Something may have changed.
    void wake() { bell_.ring(); }
    /// There is something to show: the first look at systemd ended, well or not.
    void start();
    /// The store's memory is there, or is not worth waiting for: the first answer has its acknowledgements.
    void open();
    /// Judges and publishes before it returns: whoever asks after his own change sees it.
    void publish_now();
    /// systemd confirmed the picture now.
    void confirmed();
    /// The newest transition that was made, for the next version.
    void made(std::int64_t transition) noexcept { last_transition_ = transition; }
    /// Publishes even if no unit changed: the connection was lost or is back.
    void announce();

    Task<> run();
    /// Returns when the first version is published.
    Task<> shown();

    [[nodiscard]] Monotonic confirmed_at() const noexcept { return confirmed_.monotonic; }
    [[nodiscard]] std::uint64_t versions() const noexcept { return versions_; }

private:
    [[nodiscard]] bool ready() const noexcept { return started_ && open_; }
    [[nodiscard]] Moment moment() const { return {clock_.monotonic(), clock_.now()}; }
    Task<> wait();
    Task<> judge_all();
    void publish();

    static constexpr std::size_t batch = 256;

    Executor executor_;
    Clock& clock_;
    Tracker& tracker_;
    Latest<NodeHealth>& cell_;
    Duration interval_;
    OnEffects on_effects_;
    Bell bell_;
    bool started_ = false;
    bool open_ = false;
    bool announce_ = false;
    Moment confirmed_;
    Monotonic published_at_{};
    std::uint64_t versions_ = 0;
    std::int64_t last_transition_ = 0;
    asio::steady_timer shown_;
};

}  // namespace opsd::health
