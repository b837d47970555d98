#include "io/net/connection.hpp"

#include "io/net/socket.hpp"

#include <unistd.h>

namespace opsd::net {
namespace {

constexpr std::chrono::seconds idle_time{60};
constexpr std::size_t idle_total = 2'000;

}  // namespace

Result<TlsContext> Connector::context(bool identified)
{
    auto& slot = identified ? with_certificate_ : without_certificate_;
    if (!slot) {
        auto loaded = load_tls_client(options_, identified);
        if (!loaded) return loaded;
        slot = *loaded;
    }
    return slot;
}

Task<Result<std::unique_ptr<Transport>>> Connector::secure(int fd, Url url, bool identified,
                                                           Deadline deadline)
{
    const auto executor = co_await asio::this_coro::executor;
    auto tls = context(identified);
    if (!tls) {
        ::close(fd);
        co_return fail(std::move(tls).error());
    }
    auto transport = TlsTransport::client(executor, fd, *tls, url.host);
    if (!transport) co_return fail(std::move(transport).error());
    (*transport)->expires_at(deadline);
    auto shaken = co_await (*transport)->handshake();
    if (!shaken) co_return fail(std::move(shaken).error());
    co_return std::unique_ptr<Transport>{std::move(*transport)};
}

Task<Result<std::unique_ptr<Transport>>> Connector::open(Url url, bool identified, Deadline deadline)
{
    const auto executor = co_await asio::this_coro::executor;
    std::vector<Endpoint> endpoints;
    if (url.scheme == Url::Scheme::unix_socket) {
        auto endpoint = unix_endpoint(url.host);
        if (!endpoint) co_return fail(std::move(endpoint).error());
        endpoints.push_back(*endpoint);
    } else {
        auto found = co_await resolver_.resolve(url.host, url.port, deadline);
        if (!found) co_return fail(std::move(found).error());
        endpoints = std::move(*found);
    }
    Error last;
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
        const auto now = std::chrono::steady_clock::now();
        const auto share = (deadline - now) / static_cast<long>(endpoints.size() - i);
        auto fd = co_await connect_socket(endpoints[i], now + share);
        if (fd && url.scheme == Url::Scheme::https) co_return co_await secure(*fd, url, identified, deadline);
        if (fd) co_return make_socket_transport(executor, *fd);
        last = std::move(fd).error();
        if (last.code == Errc::cancelled) break;
    }
    co_return fail(std::move(last));
}

std::unique_ptr<Transport> IdlePool::take(const std::string& key)
{
    for (auto it = idle_.rbegin(); it != idle_.rend(); ++it) {
        if (it->key != key) continue;
        auto transport = std::move(it->transport);
        idle_.erase(std::next(it).base());
        if (transport->quiet()) return transport;
        return take(key);
    }
    return nullptr;
}

void IdlePool::put(const std::string& key, std::unique_ptr<Transport> transport)
{
    const auto same = [&key](const Idle& idle) { return idle.key == key; };
    if (static_cast<std::size_t>(std::ranges::count_if(idle_, same)) >= per_host_) return;
    if (idle_.size() >= idle_total) idle_.pop_front();
    idle_.push_back({key, std::move(transport), std::chrono::steady_clock::now() + idle_time});
    arm();
}

void IdlePool::close()
{
    idle_.clear();
    timer_.cancel();
}

void IdlePool::arm()
{
    if (armed_ || idle_.empty()) return;
    armed_ = true;
    timer_.expires_at(idle_.front().until);
    timer_.async_wait([weak = weak_from_this()](error_code ec) {
        auto self = weak.lock();
        if (self && !ec) self->sweep();
    });
}

void IdlePool::sweep()
{
    armed_ = false;
    const auto now = std::chrono::steady_clock::now();
    while (!idle_.empty() && idle_.front().until <= now)
        idle_.pop_front();
    arm();
}

}  // namespace opsd::net
