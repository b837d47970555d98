#include "pipeline/sinks/network.hpp"

#include "core/cancelled.hpp"

#include <fmt/format.h>

#include <array>

namespace opsd::pipeline {
namespace {

constexpr int most_unasked_reads = 16;  // beyond, a far side talks without an end

}  // namespace

Verdict verdict_of_error(const Error& error)
{
    const bool settings =
        error.code == Errc::denied || error.code == Errc::invalid_argument || error.code == Errc::not_found;
    return settings ? keep(error.message) : retry(error.message);
}

std::string StreamTarget::text() const
{
    return fmt::format("{}:{}", host.find(':') == std::string::npos ? host : "[" + host + "]", port);
}

Task<bool> still_open(net::Transport& transport, Unasked unasked)
{
    if (transport.quiet()) co_return true;
    std::array<char, 4096> bytes{};
    for (int i = 0; i < most_unasked_reads; ++i) {
        transport.expires_at(std::chrono::steady_clock::now());
        const auto count = co_await transport.read_some(bytes);
        if (!count) co_return count.error().code == Errc::timeout;  // there is nothing more
        if (*count == 0 || unasked == Unasked::nothing) break;
    }
    co_return false;
}

Streams::Streams(StreamTarget target, Unasked unasked)
  : target_{std::move(target)}
  , unasked_{unasked}
  , connector_{target_.tls, target_.dead_after}
{}

Streams::~Streams()
{
    for (const auto& transport : idle_)
        transport->close();
}

Task<Result<std::unique_ptr<net::Transport>>> Streams::take()
{
    while (!idle_.empty()) {
        auto transport = std::move(idle_.back());
        idle_.pop_back();
        const bool open = co_await still_open(*transport, unasked_);
        if (!open) continue;
        transport->expires_never();
        co_return std::move(transport);
    }
    net::Url url;
    url.scheme = target_.secure ? net::Url::Scheme::https : net::Url::Scheme::http;  // with and without TLS
    url.host = target_.host;
    url.port = target_.port;
    const auto deadline = std::chrono::steady_clock::now() + target_.connect_timeout;
    auto opened = co_await connector_.open(std::move(url), true, deadline);
    co_await throw_if_cancelled();
    if (!opened) co_return fail(std::move(opened).error().wrap("connection to " + target_.text()));
    ++opened_;
    (*opened)->expires_never();
    co_return opened;
}

}  // namespace opsd::pipeline
