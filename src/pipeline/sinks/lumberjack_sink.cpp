#include "pipeline/sinks/lumberjack_sink.hpp"

#include "core/cancelled.hpp"
#include "core/first_of.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace opsd::pipeline {
namespace {

constexpr std::size_t piece_size = 64 * 1024;  // bytes between two signs of life while writing

}  // namespace

/// One on its way.
struct LumberjackSink::Window {
    Window(const Batch& batch, Monotonic now)
      : bytes{lumberjack_window(batch)}
      , acks{batch.size()}
      , begun{now}
      , alive{now}
    {}
    std::string bytes;
    LumberjackAcks acks;
    std::unique_ptr<net::Transport> transport;
    Monotonic begun;
    Monotonic alive;  ///< when something moved last
};

Task<Verdict> LumberjackSink::send(const Batch& batch)
{
    auto taken = co_await streams_.take();
    co_await throw_if_cancelled();
    if (!taken) co_return verdict_of_error(taken.error());
    Window window{batch, clock_.monotonic()};
    window.transport = std::move(*taken);
    // Reading goes on beside writing: a far side that is stuck takes nothing, but says that it lives.
    const auto ended = co_await first_of(read(window), first_of(write(window), watch(window)));
    co_await throw_if_cancelled();
    if (ended) streams_.give_back(std::move(window.transport));
    co_return window.acks.verdict(ended ? std::string{} : ended.error().message);
}

/// Until all is acknowledged.
Task<Result<>> LumberjackSink::read(Window& window)
{
    std::array<char, 1024> bytes{};
    for (;;) {
        const auto count = co_await window.transport->read_some(bytes);
        if (!count) co_return fail(count.error());
        if (*count == 0) {
            co_return fail(Errc::unavailable,
                           fmt::format("cannot get all acknowledgements: {} closed the "
                                       "connection after {} of them",
                                       options_.target.text(), window.acks.acknowledged()));
        }
        window.alive = clock_.monotonic();
        const auto all = window.acks.feed({bytes.data(), *count});
        if (!all) co_return fail(all.error());
        if (*all) co_return Result<>{};
    }
}

/// Never ends by itself: what a write that failed means is seen when reading, behind the last
/// acknowledgements.
Task<Result<>> LumberjackSink::write(Window& window)
{
    std::string_view rest = window.bytes;
    while (!rest.empty()) {
        const auto written = co_await window.transport->write_all(rest.substr(0, piece_size));
        if (!written) break;
        rest.remove_prefix(std::min(rest.size(), piece_size));
        window.alive = clock_.monotonic();
    }
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer forever{executor, never};
    co_await wait_event(forever);
    co_return Result<>{};
}

Task<Result<>> LumberjackSink::watch(Window& window)
{
    for (;;) {
        const auto now = clock_.monotonic();
        const auto silent = window.alive + options_.timeout - now;
        const auto over = window.begun + options_.longest - now;
        if (silent.count() <= 0) {
            co_return fail(Errc::timeout,
                           fmt::format("cannot get all acknowledgements: no sign of life of "
                                       "{} for {}",
                                       options_.target.text(), human_duration(options_.timeout)));
        }
        if (over.count() <= 0) {
            co_return fail(Errc::timeout,
                           fmt::format("cannot get all acknowledgements: {} is still at it "
                                       "after {}",
                                       options_.target.text(), human_duration(options_.longest)));
        }
        co_await clock_.sleep_for(std::chrono::ceil<std::chrono::milliseconds>(std::min(silent, over)));
    }
}

}  // namespace opsd::pipeline
