#include "io/net/connection.hpp"

#include "io/net/resolver.hpp"
#include "io/net/socket.hpp"

#include <fmt/core.h>

#include <sys/stat.h>
#include <unistd.h>

namespace opsd::net {
namespace {

/// What tells that one of the TLS files was written anew or replaced, also by an older one.
std::string state_of_files(const TlsClientOptions& options)
{
    std::string state;
    for (const auto* path : {&options.ca_file, &options.certificate_file, &options.key_file}) {
        struct stat file{};
        if (path->empty() || ::stat(path->c_str(), &file) != 0) continue;
        state +=
            fmt::format("{} {} {} {};", file.st_ino, file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec);
    }
    return state;
}

}  // namespace

Result<TlsContext> Connector::context(bool identified)
{
    // A renewed certificate is used without a restart. One that cannot be read leaves the old one in use.
    auto state = state_of_files(options_);
    if (state != files_) {
        auto fresh = load_tls_client(options_, identified);
        if (fresh) {
            with_certificate_ = without_certificate_ = {};
            files_ = std::move(state);
            (identified ? with_certificate_ : without_certificate_) = *fresh;
        }
    }
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
        auto found = co_await Resolver::of(executor).resolve(url.host, url.port, deadline);
        if (!found) co_return fail(std::move(found).error());
        endpoints = std::move(*found);
    }
    Error last;
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
        const auto now = std::chrono::steady_clock::now();
        const auto share = (deadline - now) / static_cast<long>(endpoints.size() - i);
        auto fd = co_await connect_socket(endpoints[i], now + share);
        if (fd && url.scheme != Url::Scheme::unix_socket) watch_peer(*fd, dead_after_);
        if (fd && url.scheme == Url::Scheme::https) co_return co_await secure(*fd, url, identified, deadline);
        if (fd) co_return make_socket_transport(executor, *fd);
        last = std::move(fd).error();
        if (last.code == Errc::cancelled) break;
    }
    co_return fail(std::move(last));
}

std::unique_ptr<Transport> IdlePool::take(const std::string& key)
{
    const auto known = by_key_.find(key);
    if (known == by_key_.end()) return nullptr;
    auto& places = known->second;
    std::unique_ptr<Transport> transport;
    while (!places.empty() && !transport) {
        transport = std::move(places.back()->transport);
        idle_.erase(places.back());
        places.pop_back();
        if (!transport->quiet()) transport.reset();
    }
    if (places.empty()) by_key_.erase(known);
    return transport;
}

void IdlePool::put(const std::string& key, std::unique_ptr<Transport> transport)
{
    const auto known = by_key_.find(key);
    if (known != by_key_.end() && known->second.size() >= options_.idle_per_host) return;
    if (options_.idle_per_host == 0 || options_.idle_total == 0) return;
    if (idle_.size() >= options_.idle_total) drop_oldest();
    const auto until = std::chrono::steady_clock::now() + options_.idle_time;
    by_key_[key].push_back(idle_.insert(idle_.end(), {key, std::move(transport), until}));
    arm();
}

void IdlePool::drop_oldest()
{
    const auto known = by_key_.find(idle_.front().key);
    known->second.erase(known->second.begin());  // the oldest of all is the oldest of its key
    if (known->second.empty()) by_key_.erase(known);
    idle_.pop_front();
}

void IdlePool::close()
{
    by_key_.clear();
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
        drop_oldest();
    arm();
}

}  // namespace opsd::net
