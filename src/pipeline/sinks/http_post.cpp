#include "pipeline/sinks/http_post.hpp"

#include "core/cancelled.hpp"
#include "pipeline/sinks/network.hpp"

#include <algorithm>

namespace opsd::pipeline {
namespace {

constexpr std::size_t largest_answer = 1024 * 1024;
constexpr std::size_t smallest_packed = 1024;  // bytes; below, a header more costs as much as it saves
constexpr std::size_t most_cookies = 8;
constexpr std::size_t largest_cookie = 4096;

/// As many as an output may have in flight stay open, and a pulled cable is noticed.
net::ConnectionOptions connections()
{
    net::ConnectionOptions options;
    options.idle_per_host = 16;
    options.dead_after = std::chrono::seconds{30};
    return options;
}

}  // namespace

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
  : target_{std::move(target)}
  , clock_{clock}
  , client_{executor, target_.tls, connections()}
{
    while (target_.url.ends_with('/'))
        target_.url.pop_back();
}

Task<Result<PostAnswer>> HttpPoster::post(std::string path, HttpBody body, Headers more,
                                          std::chrono::milliseconds limit)
{
    net::ClientRequest request;
    request.method = "POST";
    request.url = target_.url + path;
    request.headers = target_.headers;
    request.headers.insert(request.headers.end(), more.begin(), more.end());
    request.headers.emplace_back("Content-Type", std::move(body.type));
    if (body.packed) request.headers.emplace_back("Content-Encoding", "gzip");
    if (auto cookies = cookies_.text(); !cookies.empty())
        request.headers.emplace_back("Cookie", std::move(cookies));
    request.body = std::move(body.bytes);
    request.timeout = std::min(target_.timeout, limit);
    request.connect_timeout = std::min(target_.connect_timeout, request.timeout);
    request.max_body = largest_answer;
    auto response = co_await client_.send(std::move(request));
    co_await throw_if_cancelled();
    if (!response) co_return fail(std::move(response).error());
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
    co_return verdict_of_status(answer->status, answer->body, answer->after);
}

}  // namespace opsd::pipeline
