#include "io/net/incoming_parts.hpp"
#include "io/net/too_large.hpp"

#include <fmt/core.h>

#include <charconv>
#include <utility>

namespace opsd::net {
namespace {

std::unexpected<Error> torn()
{
    return fail(Errc::unavailable, "cannot read the answer: the connection was closed in the middle of it");
}

}  // namespace

std::optional<std::uint64_t> Incoming::length() const
{
    const auto text = head_.header("content-length");
    std::uint64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    return value;
}

Task<Result<>> OpenedAnswer::begin(const ClientRequest& request, const Url& url, Deadline deadline)
{
    const auto head_text = head_of(request, url);
    transport_->expires_at(deadline);
    auto written = co_await transport_->write_all(head_text, request.body);
    if (!written) co_return written;
    for (int interim = 0; interim < most_interim; ++interim) {
        parser_.emplace();
        parser_->eager(true);
        parser_->header_limit(header_limit);
        parser_->body_limit(boost::none);
        parser_->skip(request.method == "HEAD");
        auto fed = feed();
        if (!fed) co_return fed;
        while (!parser_->is_header_done()) {
            auto more = co_await receive();
            if (!more) co_return more;
        }
        auto known = take_head(*parser_, head_);
        if (!known || head_.status / 100 != 1) co_return known;
        if (!parser_->is_done()) co_return fail(Errc::protocol, "cannot read the answer: a 1xx has a body");
    }
    co_return fail(Errc::protocol, "cannot read the answer: it never gets beyond 1xx");
}

Task<Result<std::string>> OpenedAnswer::next()
{
    for (;;) {
        auto& body = parser_->get().body();
        if (!body.empty()) {
            taken_ += body.size();
            if (taken_ > max_body_) co_return fail(answer_too_large(max_body_));
            co_return std::exchange(body, {});
        }
        if (parser_->is_done()) co_return std::string{};
        if (idle_.count() > 0)
            transport_->expires_after(idle_);
        else
            transport_->expires_never();
        auto more = co_await receive();
        if (!more) co_return fail(std::move(more).error());
    }
}

/// One read of the connection.
Task<Result<>> OpenedAnswer::receive()
{
    auto readable = co_await transport_->wait_readable();
    if (!readable) co_return readable;
    const auto had = pending_.size();
    pending_.resize(had + read_size);
    const auto room = std::span<char>(pending_).subspan(had);
    auto count = co_await transport_->read_some(room);
    pending_.resize(had + count.value_or(0));
    if (!count) co_return fail(std::move(count).error());
    if (*count > 0) co_return feed();
    if (!parser_->got_some())
        co_return fail(Errc::unavailable, "cannot read the answer: the connection was closed");
    error_code ec;
    parser_->put_eof(ec);  // the end of a body without a length
    if (ec) co_return torn();
    co_return Result<>{};
}

/// Gives the parser what has come.
Result<> OpenedAnswer::feed()
{
    namespace beast_http = boost::beast::http;
    while (!pending_.empty() && !parser_->is_done()) {
        error_code ec;
        const auto used = parser_->put(asio::buffer(pending_), ec);
        pending_.erase(0, used);
        if (ec && ec != beast_http::error::need_more)
            return fail(Errc::protocol, "cannot read the answer: " + ec.message());
        if (pending_.size() > header_limit)
            return fail(Errc::protocol, "cannot read the answer: a line of it has no end");
        if (ec || used == 0) break;
    }
    return {};
}

}  // namespace opsd::net
