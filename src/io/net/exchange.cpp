#include "io/net/exchange.hpp"

#include "io/net/exchange_parts.hpp"
#include "io/net/too_large.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>

namespace opsd::net {
namespace {

namespace beast_http = boost::beast::http;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lowered(std::string_view text)
{
    std::string out{text};
    std::ranges::transform(out, out.begin(), lower);
    return out;
}

bool is_token(std::string_view text)
{
    constexpr std::string_view extra = "!#$%&'*+-.^_`|~";
    const auto fits = [extra](unsigned char c) {
        return std::isalnum(c) != 0 || extra.find(static_cast<char>(c)) != std::string_view::npos;
    };
    return !text.empty() && std::ranges::all_of(text, fits);
}

}  // namespace

std::string head_of(const ClientRequest& request, const Url& url)
{
    std::string head = fmt::format("{} {} HTTP/1.1\r\n", request.method, url.target);
    bool host = false;
    bool agent = false;
    for (const auto& [name, value] : request.headers) {
        host = host || lowered(name) == "host";
        agent = agent || lowered(name) == "user-agent";
        head.append(name).append(": ").append(value).append("\r\n");
    }
    if (!host) head.append("Host: ").append(url.authority()).append("\r\n");
    if (!agent) head.append("User-Agent: opsd\r\n");
    if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
        head += fmt::format("Content-Length: {}\r\n", request.body.size());
    }
    return head + "\r\n";
}

Result<> take_head(const AnswerParser& parser, ClientResponse& response)
{
    response.status = parser.get().result_int();
    if (response.status < 100)
        return fail(Errc::protocol,
                    fmt::format("cannot read the answer: {:03} is no status", response.status));
    if (response.status / 100 == 1) return {};
    for (const auto& field : parser.get()) {
        const auto name = field.name_string();
        const auto value = field.value();
        response.headers.emplace_back(lowered({name.data(), name.size()}),
                                      std::string{value.data(), value.size()});
    }
    return {};
}

Result<> check_request(const ClientRequest& request)
{
    if (!is_token(request.method)) {
        return fail(Errc::invalid_argument,
                    fmt::format("cannot send a request with the method \"{}\"", request.method));
    }
    for (const auto& [name, value] : request.headers) {
        const auto key = lowered(name);
        const bool ours = key == "content-length" || key == "transfer-encoding" || key == "connection";
        if (!is_token(name) || ours
            || value.find_first_of(std::string_view{"\r\n\0", 3}) != std::string::npos) {
            return fail(Errc::invalid_argument,
                        fmt::format("cannot send the header \"{}\"{}", name,
                                    ours ? ": the client sets it" : ": it is malformed"));
        }
    }
    return {};
}

Task<Result<>> Exchange::run(Transport& transport)
{
    const auto head = head_of(request, url);
    transport.expires_at(deadline);
    if (request.first_byte_timeout.count() > 0) {
        const auto limit = std::chrono::steady_clock::now() + request.first_byte_timeout;
        transport.expires_at(std::min(deadline, limit));
    }
    auto written = co_await transport.write_all(head, request.body);
    if (!written && written.error().code != Errc::unavailable) co_return written;
    // Who refuses a large body answers and closes before it was read: the answer says more than our EPIPE.
    auto received = co_await receive(transport);
    if (!received && !written && !answered) co_return written;
    co_return received;
}

Task<Result<>> Exchange::receive(Transport& transport)
{
    std::string pending;
    for (int interim = 0; interim < most_interim; ++interim) {
        AnswerParser parser;
        parser.eager(true);
        parser.header_limit(header_limit);
        if (on_chunk)
            parser.body_limit(boost::none);
        else
            parser.body_limit(request.max_body);
        parser.skip(request.method == "HEAD");
        auto received = co_await receive_one(transport, parser, pending);
        if (!received) co_return received;
        auto taken = take_head(parser, response);
        if (!taken) co_return taken;
        if (response.status / 100 == 1) continue;
        response.body.append(parser.get().body());
        reusable = parser.is_done() && parser.keep_alive() && pending.empty();
        co_return Result<>{};
    }
    co_return fail(Errc::protocol, "cannot read the answer: it never gets beyond 1xx");
}

// Hands a stream's bytes on; false: the caller has seen enough.
template <class P>
bool Exchange::deliver(P& parser)
{
    if (!on_chunk || !parser.is_header_done() || parser.get().result_int() / 100 != 2) return true;
    auto& body = parser.get().body();
    const bool more = body.empty() || on_chunk(body);
    body.clear();
    return more;
}

template <class P>
Task<Result<>> Exchange::receive_one(Transport& transport, P& parser, std::string& pending)
{
    while (!parser.is_done()) {
        error_code ec;
        if (!pending.empty()) {
            const auto used = parser.put(asio::buffer(pending), ec);
            pending.erase(0, used);
            if (ec == beast_http::error::body_limit) {
                co_return fail(answer_too_large(request.max_body));
            }
            if (ec && ec != beast_http::error::need_more) {
                co_return fail(Errc::protocol, "cannot read the answer: " + ec.message());
            }
            if (pending.size() > header_limit)
                co_return fail(Errc::protocol, "cannot read the answer: a line of it has no end");
            const bool more = deliver(parser);
            if (!more || parser.is_done()) co_return Result<>{};
            if (!ec && used > 0 && !pending.empty()) continue;
        }
        if (on_chunk && parser.is_header_done()) {
            if (parser.get().body().size() > request.max_body) {
                co_return fail(answer_too_large(request.max_body));
            }
            transport.expires_after(idle);
        }
        // Nothing is held for an answer that is yet to come: a long poll may wait for a minute.
        auto readable = co_await transport.wait_readable();
        if (!readable) co_return fail(std::move(readable).error());
        const auto had = pending.size();
        pending.resize(had + read_size);
        const auto room = std::span<char>(pending).subspan(had);
        auto count = co_await transport.read_some(room);
        pending.resize(had + count.value_or(0));
        if (!count) co_return fail(std::move(count).error());
        if (*count == 0) {
            if (!parser.got_some())  // nothing came at all, or nothing after a 1xx
                co_return fail(Errc::unavailable, "cannot read the answer: the connection was closed");
            parser.put_eof(ec);
            if (ec)
                co_return fail(Errc::unavailable,
                               "cannot read the answer: the connection was closed in the middle of it");
            co_return Result<>{};
        }
        if (!answered) transport.expires_at(deadline);
        answered = true;
    }
    co_return Result<>{};
}

}  // namespace opsd::net
