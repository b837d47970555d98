// One connection of a session: the bytes, the pings, the answers and the events.

#include "io/zookeeper/session_parts.hpp"

#include <boost/asio/post.hpp>

#include <fmt/core.h>

namespace opsd::zookeeper {
namespace {

constexpr std::size_t write_size = 64 * 1024;

Error not_zookeeper(std::string_view server, std::string_view why)
{
    return {Errc::protocol, fmt::format("cannot go on with ZooKeeper {}: {}", server, why)};
}

}  // namespace

Task<Result<std::string_view>> Session::next_frame(Link& link)
{
    for (;;) {
        auto frame = link.frames.next();
        if (!frame) co_return fail(std::move(frame).error());
        if (*frame) {
            link.heard = clock_.monotonic();
            co_return **frame;
        }
        auto count = co_await link.transport->read_some(link.chunk);
        if (!count) co_return fail(std::move(count).error());
        if (*count == 0) {
            co_return fail(Errc::unavailable,
                           "cannot read from ZooKeeper " + link.server + ": it closed the connection");
        }
        link.frames.feed({link.chunk.data(), *count});
        if (*count == link.chunk.size()) co_await asio::post(executor_, asio::use_awaitable);  // others first
    }
}

Task<Error> Session::read(Link& link)
{
    for (;;) {
        auto frame = co_await next_frame(link);
        if (!frame) co_return std::move(frame).error();
        last_contact_ = link.heard;
        auto broken = handle(link, *frame);
        if (broken) co_return std::move(*broken);
    }
}

void Session::fill(Link& link)
{
    while (!waiting_.empty() && link.out.size() < write_size) {
        const auto& next = waiting_.front();
        if (in_flight_.size() >= options_.window && next->request.op != Op::close) return;
        last_xid_ = last_xid_ == INT32_MAX ? 1 : last_xid_ + 1;
        next->xid = last_xid_;
        next->queued = false;
        link.out += request_frame(next->xid, next->request.op, next->request.record);
        in_flight_.splice(in_flight_.end(), waiting_, waiting_.begin());
    }
}

Task<Error> Session::write(Link& link)
{
    for (;;) {
        fill(link);
        if (link.out.empty()) {
            co_await wait_event(wake_);
            continue;
        }
        const auto bytes = std::exchange(link.out, {});
        link.sent = clock_.monotonic();
        auto written = co_await link.transport->write_all(bytes);
        if (!written) co_return std::move(written).error();
    }
}

Task<Error> Session::watch_silence(Link& link)
{
    const auto longest = timeout_ * 2 / 3;
    const auto idle = timeout_ / 3;
    for (;;) {
        const auto now = clock_.monotonic();
        if (now - link.heard >= longest) {
            co_return Error{Errc::timeout, fmt::format("cannot go on with ZooKeeper {}: it was silent for {}",
                                                       link.server, human_duration(longest))};
        }
        if (now - link.sent >= idle) {
            link.out += ping_frame();
            link.sent = now;
            wake_.cancel();
        }
        const auto next = std::min(link.heard + longest, link.sent + idle);
        co_await clock_.sleep_for(std::chrono::ceil<std::chrono::milliseconds>(next - now));
    }
}

std::optional<Error> Session::handle(Link& link, std::string_view frame)
{
    auto header = take_header(frame);
    if (!header) return std::move(header).error();
    switch (header->xid) {
    case xid::ping:
        return std::nullopt;
    case xid::watch_event: {
        const auto event = decode_event(frame);
        if (!event) return event.error();
        watches_.fire(*event);
        return std::nullopt;
    }
    case xid::auth:
        if (header->error == code::ok) return std::nullopt;
        return reply_error(header->error, "log in to ZooKeeper " + link.server);
    case xid::set_watches:
        if (header->error != code::ok) watches_.lose();  // not set again: nobody may wait for them
        return std::nullopt;
    default:
        return answer(link, *header, frame);
    }
}

std::optional<Error> Session::answer(Link& link, const ReplyHeader& header, std::string_view record)
{
    if (in_flight_.empty() || in_flight_.front()->xid != header.xid) {
        return not_zookeeper(
            link.server,
            fmt::format("it answered request {}, which is not the one it was asked next; its answers "
                        "cannot be told apart any more",
                        header.xid));
    }
    if (header.error == code::session_expired || header.error == code::session_moved)
        return reply_error(header.error, "keep the session at ZooKeeper " + link.server);
    const auto pending = in_flight_.front();
    in_flight_.pop_front();
    ++counters_.answers;
    last_zxid_ = std::max(last_zxid_, header.zxid);
    const auto& request = pending->request;
    if (request.watch) {
        const bool missing = request.watch->even_missing && header.error == code::no_node;
        // Also for a caller that left: the server has the watch now.
        if (header.error == code::ok || missing)
            watches_.add(missing ? WatchTable::Kind::missing : request.watch->kind, request.path,
                         request.watch->inbox);
    }
    if (!pending->outcome) {
        Reply reply{.zxid = header.zxid,
                    .error = header.error,
                    .record = std::string{record},
                    .what = fmt::format("{} {} at ZooKeeper {}", request.doing, request.path, link.server)};
        finish(*pending, std::move(reply));
    }
    if (!waiting_.empty()) wake_.cancel();
    return std::nullopt;
}

}  // namespace opsd::zookeeper
