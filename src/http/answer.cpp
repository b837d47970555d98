// The way back: answers, refusals and streams.

#include "http/session_parts.hpp"

#include <fmt/core.h>

#include <array>

namespace opsd::http {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t slice =
    256 * 1024;  // each gets the whole write timeout: a slow client may be slow, not stuck
constexpr auto producer_grace =
    std::chrono::seconds{1};  // between "the stream ends" and cancelling who produces it
constexpr Monotonic recheck =
    1s;  // between two looks whether a stream's caller still has the role it began with

}  // namespace

Task<bool> Session::refuse(Turn& turn, Refusal refusal)
{
    if (refusal.status == 0) co_return false;  // there is nobody to tell
    service_.count_bad(refusal.reason);
    turn.keep_alive = false;
    unread_ = true;
    auto response = Response::problem(refusal.status, refusal.detail);
    if (refusal.status == 503) response.with("Retry-After", "5");
    co_return co_await answer(turn, std::move(response));
}

Task<bool> Session::answer(Turn& turn, Response response)
{
    turn.keep_alive = turn.keep_alive && !ending_ && !service_.draining;
    if (response.producer) co_return co_await stream(turn, std::move(response));
    const Envelope envelope{.http11 = turn.head.http11,
                            .keep_alive = turn.keep_alive,
                            .date = service_.date(),
                            .request_id = turn.request.id};
    const auto outgoing = prepare(std::move(response), turn.understood ? &turn.request : nullptr, envelope);
    const bool sent = co_await send(turn, *outgoing);
    finish(turn, outgoing->status, sent);
    co_return sent&& turn.keep_alive;
}

Task<bool> Session::send(Turn& turn, const Outgoing& outgoing)
{
    std::string_view head = outgoing.head;
    auto body = outgoing.body;
    do {
        if (service_.aborted) co_return false;
        io_.expires_after(turn.limits.write_timeout);
        auto written = co_await io_.write_all(head, body.substr(0, slice));
        if (!written) {
            unread_ = false;  // who does not take an answer gets no farewell
            co_return false;
        }
        head = {};
        body.remove_prefix(std::min(slice, body.size()));
    } while (!body.empty());
    co_return true;
}

void Session::finish(Turn& turn, unsigned status, bool told)
{
    auto& metrics = turn.table->metrics(turn.route);
    const bool named = turn.understood && turn.known_method;
    metrics.count(named ? to_string(turn.request.method) : "other", status);
    metrics.observe(std::chrono::steady_clock::now() - turn.begin);
    if (turn.route == nullptr || !turn.route->audited || turn.cut) return;
    service_.audit.record(turn.request, status,
                          told ? ""
                               : "not told: the client left, or opsd stopped, before the answer was out");
}

// Closing with unread input would reset the connection, and the answer might be lost on its way.
Task<> Session::linger()
{
    constexpr std::size_t enough = 1U << 20U;
    io_.close();
    io_.expires_after(std::chrono::seconds{2});
    std::array<char, 4096> scrap;
    for (std::size_t total = 0; total < enough;) {
        auto count = co_await io_.read_some(scrap);
        if (!count || *count == 0) break;
        total += *count;
    }
}

// --- streams

Task<bool> Session::stream(Turn& turn, Response response)
{
    if (std::cmp_greater_equal(service_.streams, turn.limits.streams)) {
        auto busy =
            Response::problem(503, fmt::format("cannot open another stream: {} are open, which is the limit "
                                               "http.limits.streams",
                                               service_.streams));
        busy.with("Retry-After", "5");
        co_return co_await answer(turn, std::move(busy));
    }
    const Stream producer = response.producer;
    const bool head_only = turn.request.method == Method::head;
    turn.keep_alive = turn.keep_alive && head_only;
    const Envelope envelope{.http11 = turn.head.http11,
                            .keep_alive = turn.keep_alive,
                            .date = service_.date(),
                            .request_id = turn.request.id};
    const auto outgoing = prepare(std::move(response), &turn.request, envelope);
    const bool sent = co_await send(turn, *outgoing);
    finish(turn, outgoing->status, sent);
    if (!sent || head_only) co_return sent&& turn.keep_alive;

    Streaming state{service_.executor, turn, service_.clock.monotonic()};
    streaming_ = &state;
    service_.open_streams.set(static_cast<double>(++service_.streams));
    begin_tasks();
    tasks_->spawn("watch of a stream", watch_client());
    tasks_->spawn(turn.route->pattern, run_producer(producer, turn.request.id));
    if (ending_ || service_.draining) end_stream();
    co_await await_producer();
    co_await end_tasks();
    service_.open_streams.set(static_cast<double>(--service_.streams));
    streaming_ = nullptr;
    if (!state.failed && state.whole && state.chunked && !service_.aborted) {
        io_.expires_after(turn.limits.write_timeout);
        co_await io_.write_all("0\r\n\r\n");
    }
    co_return false;
}

Task<> Session::run_producer(const Stream& producer, std::string_view request_id)
{
    try {
        co_await producer(*this);
    } catch (...) {
        const auto failure = describe(std::current_exception());
        if (!failure.cancelled) {
            streaming_->failed = true;
            service_.log.error("a stream failed: {} (request {})", failure.what, request_id);
        }
    }
    streaming_->finished = true;
    streaming_->changed.cancel();
}

// Notices that the client left while nothing is written. What it sends meanwhile is not read as a request.
Task<> Session::watch_client()
{
    constexpr std::size_t enough = 64 * 1024;
    std::array<char, 512> scrap;
    for (std::size_t total = 0; total < enough;) {
        io_.expires_never();
        auto readable = co_await io_.wait_readable();
        if (!readable) break;
        // A write meanwhile set its own limit; half a TLS record is readable and may stay half.
        io_.expires_never();
        auto count = co_await io_.read_some(scrap);
        if (!count || *count == 0) break;
        total += *count;
    }
    end_stream();
}

Task<> Session::await_producer()
{
    auto& state = *streaming_;
    bool in_grace = false;
    while (!state.finished) {
        if (state.ended && !in_grace) {
            in_grace = true;
            state.changed.expires_after(producer_grace);
        }
        auto [ec] = co_await state.changed.async_wait(tuple);
        const auto cancellation = co_await asio::this_coro::cancellation_state;
        if (!ec || cancellation.cancelled() != asio::cancellation_type::none) break;
    }
}

void Session::end_stream()
{
    streaming_->ended = true;
    streaming_->ended_event.cancel();
    streaming_->changed.cancel();
}

// Tokens are revoked, groups change and certificates expire while a stream runs for days.
bool Session::still_allowed()
{
    auto& state = *streaming_;
    const auto now = service_.clock.monotonic();
    if (now - state.checked < recheck) return true;
    state.checked = now;
    peer_.authorization = state.authorization;
    const auto caller = service_.authenticator.identify(peer_);
    const bool allowed = caller && caller->role >= state.role;
    if (!allowed) {
        service_.log.info("a stream to {} ends: {}", peer_.address,
                          caller ? "its caller has a lesser role now" : caller.error().message);
    }
    return allowed;
}

Task<Result<>> Session::write(std::string_view chunk)
{
    auto& state = *streaming_;
    if (state.ended || state.failed) {
        co_return fail(Errc::cancelled, "cannot write to the stream: the client left or opsd is stopping");
    }
    if (!still_allowed()) {
        end_stream();
        co_return fail(Errc::denied, "cannot write to the stream: its caller may no longer read it");
    }
    if (chunk.empty()) co_return Result<>{};  // an empty chunk would be the last one
    std::string framed;
    if (state.chunked) {
        framed = fmt::format("{:x}\r\n", chunk.size());
        framed.append(chunk).append("\r\n");
        chunk = framed;
    }
    io_.expires_after(state.write_timeout);
    state.failed = true;  // until the chunk is out: a cancelled task does not come back
    auto written = co_await io_.write_all(chunk);
    state.failed = !written;
    if (!written) end_stream();
    co_return written;
}

void Session::set_whole(bool whole) { streaming_->whole = whole; }

Task<> Session::closed()
{
    while (!streaming_->ended)
        co_await wait_event(streaming_->ended_event);
}

}  // namespace opsd::http
