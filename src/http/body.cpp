// Request bodies. The framing was decided by the strict reading of the head; Beast only takes chunks apart.

#include "http/session_parts.hpp"

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/core.h>

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

}  // namespace

Task<std::expected<std::string, Refusal>> Session::read_body(const Head& head, const Limits& limits)
{
    if (!head.has_body()) co_return std::string{};
    if (head.content_length > limits.body.count) co_return too_large(limits.body.count);
    io_.expires_after(limits.body_timeout);
    if (head.expects_continue && pending_.empty()) {
        auto told = co_await io_.write_all("HTTP/1.1 100 Continue\r\n\r\n");
        if (!told) co_return interrupted(told.error(), limits);
    }
    if (!head.chunked) {
        while (pending_.size() < head.content_length) {
            auto more = co_await more_input();
            if (!more) co_return interrupted(more.error(), limits);
        }
        auto body = pending_.substr(0, head.content_length);
        pending_.erase(0, head.content_length);
        co_return body;
    }
    const auto parser = chunk_parser(limits.body.count);
    for (;;) {
        const auto step = feed(*parser, pending_);
        if (step == Step::done) co_return std::move(parser->get().body());
        if (step == Step::too_large) co_return too_large(limits.body.count);
        if (step == Step::bad) {
            co_return std::unexpected{
                Refusal{400, "framing", "cannot read the request: its chunks are malformed"}};
        }
        auto more = co_await more_input();
        if (!more) co_return interrupted(more.error(), limits);
    }
}

}  // namespace opsd::http
