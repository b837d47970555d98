#include "io/net/incoming.hpp"

#include "io/net/connection.hpp"
#include "io/net/exchange.hpp"
#include "io/net/sink_body.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>

namespace opsd::net {
namespace {

namespace beast_http = boost::beast::http;

constexpr int most_interim = 8;  // answers of 1xx before the answer

/// The answer on its connection.
class Answer final : public Incoming {
public:
    Answer(std::unique_ptr<Transport> transport, std::chrono::milliseconds idle)
      : transport_{std::move(transport)}
      , idle_{idle}
    {}

    Task<Result<>> read_head(bool without_body)
    {
        for (int interim = 0; interim < most_interim; ++interim) {
            parser_.emplace();
            parser_->eager(true);
            parser_->header_limit(header_limit);
            parser_->body_limit(boost::none);
            parser_->skip(without_body);
            auto fed = feed();
            if (!fed) co_return fed;
            while (!parser_->is_header_done()) {
                auto more = co_await fill();
                if (!more) co_return fail(std::move(more).error());
                if (!*more)
                    co_return fail(Errc::unavailable, "cannot read the answer: the connection was closed");
            }
            status = parser_->get().result_int();
            if (status / 100 != 1) break;
        }
        if (status < 200) co_return fail(Errc::protocol, "cannot read the answer: it has no status");
        for (const auto& field : parser_->get()) {
            const auto name = field.name_string();
            const auto value = field.value();
            headers.emplace_back(lowered({name.data(), name.size()}),
                                 std::string{value.data(), value.size()});
        }
        co_return Result<>{};
    }

    Task<Result<std::string>> next() override
    {
        for (;;) {
            auto& body = parser_->get().body();
            if (!body.empty()) co_return std::exchange(body, std::string{});
            if (ended_ || parser_->is_done()) co_return std::string{};
            if (idle_.count() > 0)
                transport_->expires_after(idle_);
            else
                transport_->expires_never();
            auto more = co_await fill();
            if (!more) co_return fail(std::move(more).error());
        }
    }

private:
    /// Reads what is there and hands it to the parser. False: the other side has ended the stream, and that
    /// was the end of the answer.
    Task<Result<bool>> fill()
    {
        const auto had = pending_.size();
        pending_.resize(had + read_size);
        const auto room = std::span<char>(pending_).subspan(had);
        auto count = co_await transport_->read_some(room);
        pending_.resize(had + count.value_or(0));
        if (!count) co_return fail(std::move(count).error());
        if (*count > 0) {
            auto fed = feed();
            if (!fed) co_return fail(std::move(fed).error());
            co_return true;
        }
        if (!parser_->got_some()) co_return false;
        error_code ec;
        parser_->put_eof(ec);
        if (ec)
            co_return fail(Errc::unavailable,
                           "cannot read the answer: the connection was closed in the middle of it");
        ended_ = true;
        co_return false;
    }

    Result<> feed()
    {
        while (!pending_.empty() && !parser_->is_done()) {
            error_code ec;
            const auto used = parser_->put(asio::buffer(pending_), ec);
            pending_.erase(0, used);
            if (ec && ec != beast_http::error::need_more)
                return fail(Errc::protocol, "cannot read the answer: " + ec.message());
            if (ec || used == 0) break;
        }
        if (pending_.size() > header_limit)
            return fail(Errc::protocol, "cannot read the answer: a line of it has no end");
        return {};
    }

    std::unique_ptr<Transport> transport_;
    std::chrono::milliseconds idle_;
    std::optional<SinkParser> parser_;
    std::string pending_;  // read and not parsed
    bool ended_ = false;
};

Task<Result<std::unique_ptr<Incoming>>> exchange(std::shared_ptr<Connector> connector, ClientRequest request,
                                                 std::chrono::milliseconds idle)
{
    auto valid = check_request(request);
    if (!valid) co_return fail(std::move(valid).error());
    auto url = parse_url(request.url);
    if (!url) co_return fail(std::move(url).error());
    const auto what =
        fmt::format("{} {}{}", request.method, url->origin(), url->target.substr(0, url->target.find('?')));
    const auto now = std::chrono::steady_clock::now();
    const auto deadline = now + request.timeout;
    auto until = deadline;
    if (request.connect_timeout.count() > 0) until = std::min(until, now + request.connect_timeout);
    auto opened = co_await connector->open(*url, true, until);
    if (!opened) co_return fail(std::move(opened).error().wrap(what));
    auto transport = std::move(*opened);
    transport->expires_at(deadline);
    const auto head = request_head(request, *url);
    auto written = co_await transport->write_all(head, request.body);
    if (!written) co_return fail(std::move(written).error().wrap(what));
    auto answer = std::make_unique<Answer>(std::move(transport), idle);
    auto begun = co_await answer->read_head(request.method == "HEAD");
    if (!begun) co_return fail(std::move(begun).error().wrap(what));
    co_return std::unique_ptr<Incoming>{std::move(answer)};
}

}  // namespace

std::string_view Incoming::header(std::string_view name) const noexcept
{
    const auto found =
        std::ranges::find(headers, name, [](const auto& one) { return std::string_view{one.first}; });
    return found == headers.end() ? std::string_view{} : std::string_view{found->second};
}

StreamClient::StreamClient(TlsClientOptions tls, std::chrono::milliseconds dead_after)
  : connector_{std::make_shared<Connector>(std::move(tls), dead_after)}
{}

Task<Result<std::unique_ptr<Incoming>>> StreamClient::open(ClientRequest request,
                                                           std::chrono::milliseconds idle)
{
    return exchange(connector_, std::move(request), idle);
}

}  // namespace opsd::net
