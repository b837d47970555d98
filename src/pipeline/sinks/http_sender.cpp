#include "pipeline/sinks/http_sender.hpp"

#include "core/gzip.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::pipeline {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds longest_connect = 10s;
constexpr std::size_t worth_packing = 1024;

/// A kept connection may have died unnoticed, so one address is tried twice, too.
constexpr std::size_t fewest_tries = 2;

/// Trouble that somebody has to mend (certificate, address, secret), or that may pass.
Verdict verdict_of(const Error& error)
{
    const bool ours =
        error.code == Errc::denied || error.code == Errc::invalid_argument || error.code == Errc::not_found;
    return ours ? keep(error.message) : retry(error.message);
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

std::string answer_text(const net::ClientResponse& answer)
{
    const auto body = excerpt(answer.body);
    return fmt::format("{}{}{}", answer.status, body.empty() ? "" : ": ", body);
}

std::string HttpSender::next_url()
{
    const auto& url = options_.urls[turn_ % options_.urls.size()];
    turn_ = (turn_ + 1) % options_.urls.size();
    return url;
}

Task<Result<std::string>> HttpSender::authorization()
{
    if (!parts_.authorization) co_return std::string{};
    if (authorization_) co_return *authorization_;
    auto job = parts_.authorization;
    auto read = co_await parts_.reader.run(std::move(job));
    if (read) authorization_ = *read;
    co_return read;
}

Task<net::ClientRequest> HttpSender::packed(std::string content_type, std::string body)
{
    net::ClientRequest request;
    request.method = "POST";
    request.headers = options_.headers;
    request.headers.emplace_back("Content-Type", std::move(content_type));
    request.timeout = options_.timeout;
    request.connect_timeout = std::min(options_.timeout, longest_connect);
    request.max_body = options_.largest_answer;
    request.body = std::move(body);
    if (!options_.compress || request.body.size() < worth_packing) co_return request;
    // The text is shared: whoever is cancelled leaves it to the worker.
    const auto plain = std::make_shared<const std::string>(std::move(request.body));
    auto job = [plain]() -> Result<std::string> { return gzip(*plain, gzip_fast); };
    auto small = co_await parts_.packer.run(std::move(job));
    const bool usable = small && !small->empty();
    request.body = usable ? std::move(*small) : *plain;
    if (usable) request.headers.emplace_back("Content-Encoding", "gzip");
    co_return request;
}

Task<HttpAnswer> HttpSender::post(std::string target, std::string content_type, std::string body)
{
    const auto credentials = co_await authorization();
    if (!credentials) {
        // A worker that is busy is no fault of the secret.
        const bool busy = credentials.error().retryable() || credentials.error().code == Errc::cancelled;
        auto verdict = busy ? retry(credentials.error().message) : keep(credentials.error().message);
        co_return std::unexpected{std::move(verdict)};
    }
    auto request = co_await packed(std::move(content_type), std::move(body));
    if (!credentials->empty()) request.headers.emplace_back("Authorization", *credentials);
    const auto tries = std::max(options_.urls.size(), fewest_tries);
    for (std::size_t i = 1;; ++i) {
        request.url = next_url() + target;
        auto copy = request;
        auto answer = co_await parts_.send(std::move(copy));
        if (answer) {
            if (answer->status == 401 || answer->status == 403) authorization_.reset();
            co_return std::move(*answer);
        }
        const bool elsewhere = answer.error().code == Errc::unavailable && i < tries;
        if (!elsewhere) co_return std::unexpected{verdict_of(answer.error())};
    }
}

}  // namespace opsd::pipeline
