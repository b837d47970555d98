#include "http/server.hpp"

#include "http/listener.hpp"
#include "http/service.hpp"
#include "http/session.hpp"
#include "io/net/readiness.hpp"
#include "opsd/task_group.hpp"

#include <fmt/core.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace opsd::http {
namespace {

using namespace std::chrono_literals;

/// A connection as accept() gave it; closes it unless somebody takes it.
struct Accepted {
    Accepted(int descriptor, const net::Endpoint& from) : fd{descriptor}, peer{from} {}
    Accepted(Accepted&& other) noexcept : fd{std::exchange(other.fd, -1)}, peer{other.peer} {}
    Accepted& operator=(Accepted&&) = delete;
    ~Accepted()
    {
        if (fd >= 0) ::close(fd);
    }
    int take() noexcept { return std::exchange(fd, -1); }

    int fd;
    net::Endpoint peer;
};

bool is_exhausted(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

void tune(const Accepted& accepted)
{
    if (accepted.peer.address.ss_family == AF_UNIX) return;
    const int yes = 1;
    const int idle = 60;
    ::setsockopt(accepted.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    ::setsockopt(accepted.fd, SOL_SOCKET, SO_KEEPALIVE, &yes,
                 sizeof yes);  // a follow stream may write nothing for hours
    ::setsockopt(accepted.fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
}

}  // namespace

class Server::Impl {
public:
    struct Listening {
        Listening(Listener given, ListenSocket opened, const Executor& executor)
          : listener{std::move(given)}
          , socket{std::move(opened)}
          , ready{executor, socket.release()}
        {}
        Listener listener;
        ListenSocket socket;  // keeps the name and the file; the descriptor is below
        net::Readiness ready;
        net::TlsContext tls;
        bool started = false;
    };

    /// A connection's part of the limits, for as long as it lives.
    struct Place {
        Place(Impl& server, const net::Endpoint& peer)
          : impl{&server}
          , address{net::is_loopback(peer) ? "" : net::host_of(peer)}
        {
            impl->open.add(1);
            if (!address.empty()) ++impl->by_address[address];
        }
        Place(Place&& other) noexcept
          : impl{std::exchange(other.impl, nullptr)}
          , address{std::move(other.address)}
        {}
        Place& operator=(Place&&) = delete;
        ~Place()
        {
            if (impl == nullptr) return;
            impl->open.add(-1);
            if (!address.empty() && --impl->by_address[address] == 0) impl->by_address.erase(address);
        }
        Impl* impl;
        std::string address;
    };

    Impl(Executor executor, Limits limits, Authenticator& authenticator, AuditSink& audit, const Clock& clock,
         telemetry::Registry& metrics, Log log)
      : service{executor, limits, authenticator, audit, clock, metrics, std::move(log)}
      , open{metrics.gauge("opsd_http_connections", "Open connections")}
      , sessions{executor, failure_log("session")}
      , acceptors{executor, failure_log("listener")}
      , changed{executor, never}
      , reserve{::open("/dev/null", O_RDONLY | O_CLOEXEC)}
    {}
    ~Impl()
    {
        if (reserve >= 0) ::close(reserve);
    }

    Result<net::TlsServer> load(const Listener& listener) const;
    void use(Listening& listening, const net::TlsServer& tls);
    Task<> accept(Listening& listening);
    Task<> make_room(int number);
    void admit(Listening& listening, Accepted accepted);
    void refuse(const Listening& listening, const Accepted& accepted, std::string_view reason);
    void count_refused(std::string_view reason);
    Task<> serve(Accepted accepted, Place place, net::TlsContext tls);
    Task<std::unique_ptr<net::Transport>> secure(int fd, net::TlsContext tls, Credentials& credentials);

    TaskGroup::OnFailure failure_log(std::string kind)
    {
        return [this, kind = std::move(kind)](std::string_view task, std::exception_ptr e) {
            service.log.error("{} {} failed: {}", kind, task, describe(e).what);
        };
    }

    Service service;
    telemetry::Gauge& open;
    TaskGroup sessions;
    TaskGroup acceptors;
    asio::steady_timer changed;  // a listener was added, or the end
    std::list<Listening> listeners;
    std::list<net::Transport*> handshakes;
    std::unordered_map<std::string, std::int64_t> by_address;
    int reserve;  // given up for a moment to refuse a connection when descriptors run out
};

Result<net::TlsServer> Server::Impl::load(const Listener& listener) const
{
    auto tls = net::load_tls_server({.certificate_file = listener.certificate_file,
                                     .key_file = listener.key_file,
                                     .client_ca_file = listener.client_ca_file});
    if (tls && tls->not_after < service.clock.now()) {
        // Served all the same: who checks sees it, and a node nobody can reach helps nobody.
        service.log.error("certificate {} ({}) expired at {}: clients will refuse it; replace it and reload",
                          listener.certificate_file, tls->subject, rfc3339(tls->not_after));
    }
    return tls;
}

void Server::Impl::use(Listening& listening, const net::TlsServer& tls)
{
    listening.tls = tls.context;
    const auto seconds = std::chrono::duration<double>{tls.not_after.time_since_epoch()}.count();
    service.registry
        .gauge("opsd_tls_certificate_not_after_seconds",
               "When the certificate of a listener expires, Unix time",
               {{"listener", listening.socket.endpoint().text}})
        .set(seconds);
}

Task<> Server::Impl::accept(Listening& listening)
{
    constexpr int batch = 64;  // then everybody else has a turn
    for (;;) {
        auto ready = co_await listening.ready.readable();
        if (!ready) {
            if (ready.error().code != Errc::cancelled) {
                service.log.error("{}: no longer listening: {}", listening.socket.endpoint().text,
                                  ready.error().message);
            }
            co_return;
        }
        for (int i = 0; i < batch && !service.draining; ++i) {
            sockaddr_storage address{};
            socklen_t length = sizeof address;
            const int fd = ::accept4(listening.ready.fd(), reinterpret_cast<sockaddr*>(&address), &length,
                                     SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0) {
                admit(listening, Accepted{fd, net::describe_endpoint(address, length)});
                continue;
            }
            const int number = errno;
            if (is_exhausted(number)) co_await make_room(number);
            if (number != ECONNABORTED && number != EINTR) break;
        }
    }
}

// No descriptor left: the connection that waits is refused with the reserve, or it would ring for ever.
Task<> Server::Impl::make_room(int number)
{
    service.log.error("cannot accept a connection: {}; raise LimitNOFILE or lower http.limits.connections",
                      std::generic_category().message(number));
    count_refused("descriptors");
    if (reserve >= 0) ::close(reserve);
    for (auto& listening : listeners) {
        const int fd = ::accept4(listening.ready.fd(), nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) ::close(fd);
    }
    reserve = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    asio::steady_timer pause{service.executor, 100ms};
    co_await pause.async_wait(asio::use_awaitable);
}

void Server::Impl::count_refused(std::string_view reason)
{
    service.registry
        .counter("opsd_http_connections_refused_total", "Connections refused, by reason",
                 {{"reason", std::string{reason}}})
        .add();
}

void Server::Impl::refuse(const Listening& listening, const Accepted& accepted, std::string_view reason)
{
    count_refused(reason);
    constexpr std::string_view busy = "HTTP/1.1 503 Service Unavailable\r\nServer: opsd\r\nRetry-After: 1\r\n"
                                      "Content-Length: 0\r\nConnection: close\r\n\r\n";
    if (!listening.tls) ::send(accepted.fd, busy.data(), busy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Server::Impl::admit(Listening& listening, Accepted accepted)
{
    const auto& limits = service.limits;
    if (std::cmp_greater_equal(sessions.size(), limits.connections))
        return refuse(listening, accepted, "total");
    if (!net::is_loopback(accepted.peer)) {
        const auto same = by_address.find(net::host_of(accepted.peer));
        if (same != by_address.end() && same->second >= limits.connections_per_address) {
            return refuse(listening, accepted, "address");
        }
    }
    tune(accepted);
    auto name = accepted.peer.text;
    Place place{*this, accepted.peer};
    sessions.spawn(std::move(name), serve(std::move(accepted), std::move(place), listening.tls));
}

Task<> Server::Impl::serve(Accepted accepted, [[maybe_unused]] Place place, net::TlsContext tls)
{
    auto credentials = credentials_of(accepted.fd, accepted.peer);
    std::unique_ptr<net::Transport> transport;
    if (tls)
        transport = co_await secure(accepted.take(), std::move(tls), credentials);
    else
        transport = net::make_socket_transport(service.executor, accepted.take());
    if (!transport) co_return;
    Session session{*transport, service, std::move(credentials)};
    co_await session.run();
}

// Null when the handshake failed.
Task<std::unique_ptr<net::Transport>> Server::Impl::secure(int fd, net::TlsContext tls,
                                                           Credentials& credentials)
{
    auto transport = net::TlsTransport::server(service.executor, fd, tls);
    const auto here = handshakes.insert(handshakes.end(), transport.get());
    transport->expires_after(service.limits.header_timeout);
    auto shaken = co_await transport->handshake();
    handshakes.erase(here);
    if (!shaken) {
        count_refused(shaken.error().code == Errc::denied ? "client_certificate" : "handshake");
        service.log.debug("no TLS with {}: {}", credentials.address, shaken.error().message);
        co_return nullptr;
    }
    credentials.certificate_subject = transport->peer_subject();
    co_return transport;
}

Server::Server(Executor executor, Limits limits, Authenticator& authenticator, AuditSink& audit,
               const Clock& clock, telemetry::Registry& metrics, Log log)
  : impl_{std::make_unique<Impl>(std::move(executor), limits, authenticator, audit, clock, metrics,
                                 std::move(log))}
{}
Server::~Server() = default;

void Server::set_routes(std::shared_ptr<const Router> router)
{
    impl_->service.table = std::make_shared<Table>(std::move(router), impl_->service.registry);
}

void Server::set_limits(Limits limits) { impl_->service.limits = limits; }

Result<std::uint16_t> Server::listen(const Listener& listener)
{
    std::optional<net::TlsServer> tls;
    if (!listener.certificate_file.empty()) {
        auto loaded = impl_->load(listener);
        if (!loaded) return fail(std::move(loaded).error());
        tls = std::move(*loaded);
    }
    auto socket = ListenSocket::open(listener);
    if (!socket) return fail(std::move(socket).error());
    const auto port = socket->port();
    auto& listening = impl_->listeners.emplace_back(listener, std::move(*socket), impl_->service.executor);
    if (tls) impl_->use(listening, *tls);
    impl_->service.log.info("listening on {}{}", listening.socket.endpoint().text, tls ? " with TLS" : "");
    impl_->changed.cancel();
    return port;
}

Result<> Server::reload_certificates()
{
    std::vector<std::pair<Impl::Listening*, net::TlsServer>> loaded;
    for (auto& listening : impl_->listeners) {
        if (!listening.tls) continue;
        auto tls = impl_->load(listening.listener);
        if (!tls) return fail(std::move(tls).error());
        loaded.emplace_back(&listening, std::move(*tls));
    }
    for (const auto& [listening, tls] : loaded)
        impl_->use(*listening, tls);
    return {};
}

Task<> Server::run()
{
    auto& impl = *impl_;
    co_await asio::this_coro::throw_if_cancelled(false);
    while (!impl.service.draining) {
        for (auto& listening : impl.listeners) {
            if (std::exchange(listening.started, true)) continue;
            impl.acceptors.spawn(listening.socket.endpoint().text, impl.accept(listening));
        }
        [[maybe_unused]] auto [ec] = co_await impl.changed.async_wait(tuple);
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) break;
    }
    impl.acceptors.cancel();
    co_await impl.acceptors.join();
    impl.listeners.clear();
}

void Server::drain()
{
    auto& impl = *impl_;
    impl.service.draining = true;
    impl.acceptors.cancel();
    impl.changed.cancel();
    for (auto* transport : impl.handshakes)
        transport->cancel();
    for (auto* session : impl.service.sessions)
        session->drain();  // only posts; nobody leaves the list meanwhile
}

void Server::abort()
{
    impl_->service.draining = true;
    impl_->service.aborted = true;
    impl_->sessions.cancel();
}

Task<> Server::joined() { return impl_->sessions.join(); }

std::size_t Server::connections() const { return impl_->sessions.size(); }

}  // namespace opsd::http
