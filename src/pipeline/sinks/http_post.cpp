#include "pipeline/sinks/http_post.hpp"

#include "core/cancelled.hpp"
#include "pipeline/sinks/network.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::pipeline {
namespace {

constexpr std::size_t smallest_packed = 1024;  // bytes; below, a header more costs as much as it saves
constexpr std::size_t most_cookies = 8;
constexpr std::size_t largest_cookie = 4096;

/// As many as an output may have in flight stay open, and a pulled cable is noticed.
HttpPoster::Send own_client(const Executor& executor, const HttpTarget& target)
{
    net::ConnectionOptions options;
    options.idle_per_host = target.connections;
    options.dead_after = std::chrono::seconds{30};
    auto client = std::make_shared<net::HttpClient>(executor, target.tls, options);
    return [client](net::ClientRequest request) { return client->send(std::move(request)); };
}

}  // namespace

std::string basic_authorization(std::string_view user, std::string_view password)
{
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const auto plain = fmt::format("{}:{}", user, password);
    std::string out = "Basic ";
    for (std::size_t at = 0; at < plain.size(); at += 3) {
        const auto byte = [&plain, at](std::size_t i) {
            return at + i < plain.size() ? static_cast<unsigned char>(plain[at + i]) : 0U;
        };
        const unsigned three = byte(0) << 16U | byte(1) << 8U | byte(2);
        const auto left = std::min<std::size_t>(plain.size() - at, 3);
        for (std::size_t i = 0; i < 4; ++i)
            out += i <= left ? digits[three >> (18U - 6U * static_cast<unsigned>(i)) & 63U] : '=';
    }
    return out;
}

Task<Result<std::string>> Authorization::value()
{
    if (value_) co_return *value_;
    auto job = read_;
    auto read = co_await worker_.run(std::move(job));
    if (read) value_ = *read;
    co_return read;
}

std::string PostAnswer::text() const
{
    const auto shortened = excerpt(body);
    return fmt::format("{}{}{}", status, shortened.empty() ? "" : ": ", shortened);
}

Packer::Packer(Compress compress) : compress_{std::move(compress)} {}

Task<HttpBody> Packer::pack(HttpBody body)
{
    if (!compress_ || body.bytes.size() < smallest_packed) co_return body;
    // The thread has its own hold on both: it may still be at it when this task is gone.
    const auto plain = std::make_shared<const std::string>(std::move(body.bytes));
    auto job = [compress = compress_, plain]() -> Result<std::string> { return compress(*plain); };
    auto packed = co_await worker_.run(std::move(job));
    body.packed = packed && !packed->empty();
    if (body.packed)
        body.bytes = std::move(*packed);
    else
        body.bytes = *plain;
    co_return body;
}

void Cookies::set(std::string_view header)
{
    const auto pair = header.substr(0, header.find(';'));
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0 || pair.size() > largest_cookie) return;
    const auto name = pair.substr(0, equals);
    const auto known = std::ranges::find(all_, name, [](const auto& cookie) { return cookie.first; });
    if (known != all_.end())
        known->second = pair.substr(equals + 1);
    else if (all_.size() < most_cookies)
        all_.emplace_back(name, pair.substr(equals + 1));
}

std::string Cookies::text() const
{
    std::string text;
    for (const auto& [name, value] : all_)
        text.append(text.empty() ? "" : "; ").append(name).append(1, '=').append(value);
    return text;
}

HttpPoster::HttpPoster(const Executor& executor, HttpTarget target, const Clock& clock)
  : HttpPoster{own_client(executor, target), std::move(target), clock}
{}

HttpPoster::HttpPoster(Send send, HttpTarget target, const Clock& clock)
  : send_{std::move(send)}
  , target_{std::move(target)}
  , clock_{clock}
{
    for (auto& url : target_.urls)
        url.erase(url.find_last_not_of('/') + 1);
}

Task<Result<net::ClientResponse>> HttpPoster::send_somewhere(net::ClientRequest request,
                                                             const std::string& path)
{
    const auto& urls = target_.urls;
    const auto tries = std::max<std::size_t>(urls.size(), target_.repeatable ? 2 : 1);
    for (std::size_t i = 1;; ++i) {
        request.url = urls[turn_] + path;
        turn_ = (turn_ + 1) % urls.size();
        const bool last = i == tries;
        auto sent = last ? std::move(request) : request;  // held twice only while another try may follow
        auto response = co_await send_(std::move(sent));
        co_await throw_if_cancelled();
        const bool elsewhere = !response && response.error().code == Errc::unavailable && !last;
        if (!elsewhere) co_return response;
    }
}

Task<Result<PostAnswer>> HttpPoster::post(std::string path, HttpBody body, Headers more,
                                          std::chrono::milliseconds limit)
{
    net::ClientRequest request;
    request.method = "POST";
    request.headers = target_.headers;
    request.headers.insert(request.headers.end(), more.begin(), more.end());
    request.headers.emplace_back("Content-Type", std::move(body.type));
    if (body.packed) request.headers.emplace_back("Content-Encoding", "gzip");
    if (auto cookies = cookies_.text(); !cookies.empty())
        request.headers.emplace_back("Cookie", std::move(cookies));
    if (target_.authorization) {
        auto value = co_await target_.authorization->value();
        if (!value) co_return fail(std::move(value).error());
        request.headers.emplace_back("Authorization", std::move(*value));
    }
    request.body = std::move(body.bytes);
    request.timeout = std::min(target_.timeout, limit);
    request.connect_timeout = std::min(target_.connect_timeout, request.timeout);
    request.max_body = target_.largest_answer;
    auto response = co_await send_somewhere(std::move(request), path);
    if (!response) co_return fail(std::move(response).error());
    const bool refused_us = response->status == 401 || response->status == 403;
    if (refused_us && target_.authorization) target_.authorization->refused();
    for (const auto& [name, value] : response->headers) {
        if (target_.cookies && name == "set-cookie") cookies_.set(value);
    }
    PostAnswer answer;
    answer.status = static_cast<int>(response->status);
    answer.body = std::move(response->body);
    answer.after = parse_retry_after(response->header("retry-after"), clock_.now());
    co_return answer;
}

Task<Verdict> HttpPoster::deliver(std::string path, HttpBody body)
{
    const auto answer = co_await post(std::move(path), std::move(body));
    if (!answer) co_return verdict_of_error(answer.error());
    auto verdict = verdict_of_status(answer->status, answer->body, answer->after);
    verdict.answer = answer->text();
    co_return verdict;
}

}  // namespace opsd::pipeline
