#include "http/server_impl.hpp"

#include "http/session.hpp"

#include <fmt/core.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <stdexcept>

namespace opsd::http {
namespace {

/// What the descriptors of this process leave for connections, when files, journals, the bus and what opsd
/// itself connects to have theirs.
std::int64_t descriptors_for_connections(std::int64_t reserved)
{
    constexpr std::int64_t others = 512;
    rlimit now{};
    if (::getrlimit(RLIMIT_NOFILE, &now) != 0 || now.rlim_cur == RLIM_INFINITY) return INT64_MAX;
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(now.rlim_cur) - others - reserved);
}

}  // namespace

Result<std::optional<net::TlsServer>> read_certificate(const Listener& listener)
{
    if (listener.certificate_file.empty()) return std::nullopt;
    auto tls = net::load_tls_server({.certificate_file = listener.certificate_file,
                                     .key_file = listener.key_file,
                                     .client_ca_file = listener.client_ca_file});
    if (!tls) return fail(std::move(tls).error());
    return std::move(*tls);
}

Result<Certificates> read_certificates(const std::map<std::string, Listener>& listeners)
{
    Certificates all;
    for (const auto& [name, listener] : listeners) {
        auto tls = read_certificate(listener);
        if (!tls) return fail(std::move(tls).error());
        if (*tls) all.emplace(name, std::move(**tls));
    }
    return all;
}

Server::Impl::Place::Place(Impl& server, const net::Endpoint& peer)
  : impl{&server}
  , address{net::is_loopback(peer) ? "" : net::host_of(peer)}
{
    impl->open_connections.add(1);
    if (!address.empty()) ++impl->by_address[address];
}

Server::Impl::Place::~Place()
{
    if (impl == nullptr) return;
    impl->open_connections.add(-1);
    if (!address.empty() && --impl->by_address[address] == 0) impl->by_address.erase(address);
}

Server::Impl::Impl(Executor executor, Limits limits, Authenticator& authenticator, AuditSink& audit,
                   const Clock& clock, telemetry::Registry& metrics, Log log)
  : service{executor, limits, authenticator, audit, clock, metrics, std::move(log)}
  , open_connections{metrics.gauge("opsd_http_connections", "Open connections")}
  , room{metrics.gauge("opsd_http_connections_limit",
                       "Places for connections of anybody: http.limits.connections, or what LimitNOFILE "
                       "leaves of it")}
  , reserve_used{metrics.counter("opsd_http_reserved_connections_total",
                                 "Connections of operators that found all places taken and used the reserve")}
  , sessions{executor, failure_log("session")}
  , acceptors{executor, failure_log("listener")}
  , changed{executor, never}
  , spare{::open("/dev/null", O_RDONLY | O_CLOEXEC)}
{
    set_limits(limits);
}

Server::Impl::~Impl()
{
    if (spare >= 0) ::close(spare);
}

TaskGroup::OnFailure Server::Impl::failure_log(std::string kind)
{
    return [this, kind = std::move(kind)](std::string_view task, std::exception_ptr e) {
        service.log.error("{} {} failed: {}", kind, task, describe(e).what);
    };
}

void Server::Impl::set_limits(Limits limits)
{
    service.limits = limits;
    const auto possible = descriptors_for_connections(limits.reserved_connections);
    places = std::min(limits.connections, possible);
    room.set(static_cast<double>(places));
    if (places < limits.connections) {
        service.log.warning("only {} of the {} connections of http.limits.connections fit into the "
                            "descriptors this process may open; raise LimitNOFILE",
                            places, limits.connections);
    }
}

void Server::Impl::use(Listening& listening, const net::TlsServer& tls)
{
    if (tls.not_after < service.clock.now()) {
        // Served all the same: who checks sees it, and a node nobody can reach helps nobody.
        service.log.error("certificate {} ({}) expired at {}: clients will refuse it; replace it and reload",
                          listening.listener.certificate_file, tls.subject, rfc3339(tls.not_after));
    }
    listening.tls = tls.context;
    const auto seconds = std::chrono::duration<double>{tls.not_after.time_since_epoch()}.count();
    service.registry
        .gauge("opsd_tls_certificate_not_after_seconds",
               "When the certificate of a listener expires, Unix time", {{"listener", listening.name}})
        .set(seconds);
}

Task<> Server::Impl::serve(Accepted accepted, [[maybe_unused]] Place place, net::TlsContext tls)
{
    const auto reloads = certificates;
    auto credentials = credentials_of(accepted.fd, accepted.peer);
    std::unique_ptr<net::Transport> transport;
    if (tls)
        transport = co_await secure(accepted.take(), std::move(tls), credentials);
    else
        transport = net::make_socket_transport(service.executor, accepted.take());
    if (!transport) co_return;
    // Who was verified by an authority that is not trusted any more comes again.
    if (!credentials.certificate_subject.empty() && reloads != certificates) co_return;
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
    credentials.certificate_not_after = transport->peer_not_after();
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

void Server::set_limits(Limits limits) { impl_->set_limits(limits); }

Result<std::uint16_t> Server::listen(const Listener& listener, const std::optional<net::TlsServer>& tls)
{
    if (tls.has_value() == listener.certificate_file.empty())  // it would be open to everybody
        return fail(Errc::internal, "cannot listen: the certificate of the listener was not read before");
    auto socket = ListenSocket::open(listener);
    if (!socket) return fail(std::move(socket).error());
    const auto port = socket->port();
    auto& listening = impl_->listeners.emplace_back();
    listening.listener = listener;
    if (listener.kind == Listener::Kind::tcp) listening.listener.port = port;  // to find it again
    listening.name = socket->endpoint().text;
    listening.up = &impl_->service.registry.gauge("opsd_http_listener_up",
                                                  "1 while the listener accepts, 0 when it was lost",
                                                  {{"listener", listening.name}});
    impl_->open(listening, std::move(*socket));
    if (tls) impl_->use(listening, *tls);
    impl_->service.log.info("listening on {}{}", listening.name, tls ? " with TLS" : "");
    impl_->changed.cancel();
    return port;
}

std::map<std::string, Listener> Server::tls_listeners() const
{
    std::map<std::string, Listener> all;
    for (const auto& listening : impl_->listeners) {
        if (listening.tls) all.emplace(listening.name, listening.listener);
    }
    return all;
}

void Server::use_certificates(const Certificates& certificates)
{
    for (auto& listening : impl_->listeners) {
        const auto found = certificates.find(listening.name);
        if (found != certificates.end()) impl_->use(listening, found->second);
    }
    ++impl_->certificates;
    for (auto* session : impl_->service.sessions)
        session->drain_certified();
}

Task<> Server::run()
{
    auto& impl = *impl_;
    co_await asio::this_coro::throw_if_cancelled(false);
    while (!impl.service.draining) {
        for (auto& listening : impl.listeners)
            impl.start(listening);
        [[maybe_unused]] auto [ec] = co_await impl.changed.async_wait(tuple);
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none || !impl.collapse.empty()) break;
    }
    impl.acceptors.cancel();
    co_await impl.acceptors.join();
    impl.listeners.clear();
    if (!impl.collapse.empty()) throw std::runtime_error{"no listener is left: " + impl.collapse};
}

std::vector<std::string> Server::degraded() const { return impl_->degraded(); }

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
