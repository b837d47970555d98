// Request bodies. The framing was decided by the strict reading of the head; Beast only takes chunks apart.

#include "http/session_parts.hpp"

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace opsd::http {
namespace {

namespace beast_http = boost::beast::http;
using ChunkParser = beast_http::request_parser<beast_http::string_body>;

std::unexpected<Refusal> too_large(std::uint64_t limit)
{
    return std::unexpected{Refusal{
        413, "body_size", fmt::format("cannot take the request: its body has more than {} bytes", limit)}};
}

std::unexpected<Refusal> interrupted(const Error& error, const Limits& limits)
{
    if (error.code != Errc::timeout) return std::unexpected{Refusal{.status = 0, .reason = {}, .detail = {}}};
    return std::unexpected{
        Refusal{408, "body_timeout",
                fmt::format("cannot wait longer for the request: its body took more than {}",
                            human_duration(limits.body_timeout))}};
}

/// A parser that believes it has read a head saying "chunked".
std::unique_ptr<ChunkParser> chunk_parser(std::uint64_t limit)
{
    constexpr std::string_view head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    auto parser = std::make_unique<ChunkParser>();
    parser->eager(true);
    parser->body_limit(limit);
    error_code ignored;
    parser->put(asio::buffer(head.data(), head.size()), ignored);
    return parser;
}

enum class Step { done, more, bad, too_large };

/// Feeds what is there; what was understood is erased.
Step feed(ChunkParser& parser, std::string& pending)
{
    constexpr std::size_t longest_line = 16 * 1024;  // chunk extensions and trailers
    while (!pending.empty() && !parser.is_done()) {
        error_code ec;
        const auto used = parser.put(asio::buffer(pending), ec);
        pending.erase(0, used);
        if (ec == beast_http::error::body_limit) return Step::too_large;
        if (ec && ec != beast_http::error::need_more) return Step::bad;
        if (ec || used == 0) break;
    }
    if (parser.is_done()) return Step::done;
    return pending.size() > longest_line ? Step::bad : Step::more;
}

std::unexpected<Refusal> no_room()
{
    return std::unexpected{
        Refusal{503, "body_memory",
                "cannot take the request: the bodies of other requests fill the memory there is for them; "
                "try again"}};
}

bool takes_body(const Request& request)
{
    return request.method == Method::post || request.method == Method::put;
}

/// What no handler reads is only skipped, and what anybody may send is short.
std::uint64_t limit_of(const Request& request, const Route& route, const Limits& limits)
{
    constexpr std::uint64_t skipped = 4 * 1024;
    constexpr std::uint64_t open = 16 * 1024;
    const std::uint64_t most = limits.body.count;
    if (!takes_body(request)) return std::min(skipped, most);
    return route.access == Access::open ? std::min(open, most) : most;
}

}  // namespace

Task<std::expected<std::string, Refusal>> Session::read_body(Turn& turn)
{
    const auto& head = turn.head;
    if (!head.has_body()) co_return std::string{};
    const auto limit = limit_of(turn.request, *turn.route, turn.limits);
    if (head.content_length > limit) co_return too_large(limit);
    if (!turn.share.resize(pending_.size() + 1)) co_return no_room();
    io_.expires_after(turn.limits.body_timeout);
    if (head.expects_continue && pending_.empty()) {
        auto told = co_await io_.write_all("HTTP/1.1 100 Continue\r\n\r\n");
        if (!told) co_return interrupted(told.error(), turn.limits);
    }
    std::string body;
    if (head.chunked) {
        auto chunks = co_await read_chunks(turn, limit);
        if (!chunks) co_return chunks;
        body = std::move(*chunks);
    } else {
        while (pending_.size() < head.content_length) {
            auto more = co_await more_input();
            if (!more) co_return interrupted(more.error(), turn.limits);
            if (!turn.share.resize(pending_.size())) co_return no_room();
        }
        auto rest = pending_.substr(head.content_length);
        pending_.resize(head.content_length);
        body = std::exchange(pending_, std::move(rest));  // not two of a large one
    }
    if (!takes_body(turn.request)) std::string{}.swap(body);
    co_return body;
}

Task<std::expected<std::string, Refusal>> Session::read_chunks(Turn& turn, std::uint64_t limit)
{
    const auto parser = chunk_parser(limit);
    for (;;) {
        const auto step = feed(*parser, pending_);
        if (!turn.share.resize(pending_.size() + parser->get().body().size())) co_return no_room();
        if (step == Step::done) co_return std::move(parser->get().body());
        if (step == Step::too_large) co_return too_large(limit);
        if (step == Step::bad) {
            co_return std::unexpected{
                Refusal{400, "framing", "cannot read the request: its chunks are malformed"}};
        }
        auto more = co_await more_input();
        if (!more) co_return interrupted(more.error(), turn.limits);
    }
}

}  // namespace opsd::http
