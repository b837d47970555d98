#include "io/net/incoming_parts.hpp"

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

Incoming::Incoming(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}

Incoming::~Incoming() = default;

const ClientResponse& Incoming::head() const noexcept { return impl_->head; }

std::optional<std::uint64_t> Incoming::length() const
{
    const auto text = impl_->head.header("content-length");
    std::uint64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    return value;
}

Task<Result<std::string>> Incoming::read() { return impl_->read(); }

Task<Result<>> Incoming::Impl::begin(const ClientRequest& request, const Url& url, Deadline deadline)
{
    const auto head_text = head_of(request, url);
    transport->expires_at(deadline);
    auto written = co_await transport->write_all(head_text, request.body);
    if (!written) co_return written;
    for (int interim = 0; interim < most_interim; ++interim) {
        parser.emplace();
        parser->eager(true);
        parser->header_limit(header_limit);
        parser->body_limit(boost::none);
        parser->skip(request.method == "HEAD");
        auto fed = feed();
        if (!fed) co_return fed;
        while (!parser->is_header_done()) {
            auto more = co_await receive();
            if (!more) co_return more;
        }
        auto known = take_head(*parser, head);
        if (!known || head.status / 100 != 1) co_return known;
        if (!parser->is_done()) co_return fail(Errc::protocol, "cannot read the answer: a 1xx has a body");
    }
    co_return fail(Errc::protocol, "cannot read the answer: it never gets beyond 1xx");
}

Task<Result<std::string>> Incoming::Impl::read()
{
    for (;;) {
        auto& body = parser->get().body();
        if (!body.empty()) {
            taken += body.size();
            if (taken > max_body)
                co_return fail(
                    Errc::protocol,
                    fmt::format("cannot take the answer: its body has more than {} bytes", max_body));
            co_return std::exchange(body, {});
        }
        if (parser->is_done()) co_return std::string{};
        transport->expires_after(idle);
        auto more = co_await receive();
        if (!more) co_return fail(std::move(more).error());
    }
}

/// One read of the connection.
Task<Result<>> Incoming::Impl::receive()
{
    auto readable = co_await transport->wait_readable();
    if (!readable) co_return readable;
    const auto had = pending.size();
    pending.resize(had + read_size);
    const auto room = std::span<char>(pending).subspan(had);
    auto count = co_await transport->read_some(room);
    pending.resize(had + count.value_or(0));
    if (!count) co_return fail(std::move(count).error());
    if (*count > 0) co_return feed();
    if (!parser->got_some())
        co_return fail(Errc::unavailable, "cannot read the answer: the connection was closed");
    error_code ec;
    parser->put_eof(ec);  // the end of a body without a length
    if (ec) co_return torn();
    co_return Result<>{};
}

/// Gives the parser what has come.
Result<> Incoming::Impl::feed()
{
    namespace beast_http = boost::beast::http;
    while (!pending.empty() && !parser->is_done()) {
        error_code ec;
        const auto used = parser->put(asio::buffer(pending), ec);
        pending.erase(0, used);
        if (ec && ec != beast_http::error::need_more)
            return fail(Errc::protocol, "cannot read the answer: " + ec.message());
        if (pending.size() > header_limit)
            return fail(Errc::protocol, "cannot read the answer: a line of it has no end");
        if (ec || used == 0) break;
    }
    return {};
}

}  // namespace opsd::net
