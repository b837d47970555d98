// Answers that are held back until there is news: long polls. They are bounded like streams, are not subject
// to the handler timeout, and end when the client leaves or the server drains.

#include "http/session_parts.hpp"

#include <array>

namespace opsd::http {
namespace {

constexpr auto hold_grace = std::chrono::seconds{1};  // between "nobody waits" and cancelling who holds

}  // namespace

struct Session::Holding final : Holder {
    Holding(const Executor& executor, Response now)
      : response{std::move(now)}
      , ended_event{executor, never}
      , changed{executor, never}
    {}
    Task<> closed() override
    {
        while (!ended)
            co_await wait_event(ended_event);
    }

    Response response;      // what would be said without holding, then what is said
    bool ended = false;     // the client left or the server drains
    bool left = false;      // there is nobody to answer
    bool finished = false;  // the answer is there
    asio::steady_timer ended_event;
    asio::steady_timer changed;
};

Task<bool> Session::hold(Turn& turn, Response response)
{
    const Hold later = std::exchange(response.hold, {});
    const bool full = std::cmp_greater_equal(service_.streams, turn.limits.streams);
    if (full || service_.draining || turn.request.method == Method::head) {
        co_return co_await answer(turn, std::move(response));
    }
    Holding state{service_.executor, std::move(response)};
    holding_ = &state;
    service_.open_streams.set(static_cast<double>(++service_.streams));
    begin_tasks();
    tasks_->spawn("watch of a held answer", watch_held());
    tasks_->spawn(turn.route->pattern, run_hold(later, turn.request.id));
    for (bool in_grace = false; !state.finished;) {
        if (state.ended && !in_grace) {
            in_grace = true;
            state.changed.expires_after(hold_grace);
        }
        auto [ec] = co_await state.changed.async_wait(tuple);
        const auto cancellation = co_await asio::this_coro::cancellation_state;
        if (!ec || cancellation.cancelled() != asio::cancellation_type::none) break;
    }
    const bool answered = state.finished;
    co_await end_tasks();
    service_.open_streams.set(static_cast<double>(--service_.streams));
    holding_ = nullptr;
    if (!answered || state.left || service_.aborted) co_return false;
    turn.begin = std::chrono::steady_clock::now();  // the wait was asked for
    co_return co_await answer(turn, std::move(state.response));
}

Task<> Session::run_hold(const Hold& later, std::string_view request_id)
{
    auto& state = *holding_;
    try {
        auto response = co_await later(state);
        state.response = std::move(response);
        state.finished = true;
    } catch (...) {
        const auto failure = describe(std::current_exception());
        if (!failure.cancelled)
            service_.log.error("a held answer failed: {} (request {})", failure.what, request_id);
        state.finished = !failure.cancelled;  // then what stood at first is said
    }
    state.changed.cancel();
}

// Notices that the client left. What it sends meanwhile is its next request.
Task<> Session::watch_held()
{
    constexpr std::size_t enough = 64 * 1024;
    std::array<char, 512> more;
    while (pending_.size() < enough) {
        io_.expires_never();
        auto readable = co_await io_.wait_readable();
        if (!readable && readable.error().code == Errc::cancelled) co_return;  // the answer is there
        if (!readable) break;
        auto count = co_await io_.read_some(more);
        if (!count && count.error().code == Errc::cancelled) co_return;
        if (!count || *count == 0) break;
        pending_.append(more.data(), *count);
    }
    if (pending_.size() >= enough) co_return;
    holding_->left = true;
    end_hold();
}

void Session::end_hold()
{
    holding_->ended = true;
    holding_->ended_event.cancel();
    holding_->changed.cancel();
}

}  // namespace opsd::http
