// Listening and accepting: who gets a place, what happens when descriptors run out or a listener is lost.

#include "http/server_impl.hpp"

#include <fmt/core.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace opsd::http {
namespace {

using namespace std::chrono_literals;

constexpr auto first_pause = 100ms;  // before a lost listener is opened again; doubles
constexpr std::chrono::milliseconds longest_pause = 60s;
constexpr std::chrono::milliseconds patience = 5s;  // then, if no other listener is left, the server gives up
constexpr Monotonic exhaustion_shown = 30s;         // on /-/ready, after the last refusal

bool is_exhausted(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

/// Not about the connection that was to be accepted but about the socket itself.
bool is_lost(int number)
{
    return number == EBADF || number == EINVAL || number == ENOTSOCK || number == EOPNOTSUPP;
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

Task<> pause_for(const Executor& executor, std::chrono::milliseconds time)
{
    asio::steady_timer pause{executor, time};
    co_await pause.async_wait(asio::use_awaitable);
}

}  // namespace

void Server::Impl::open(Listening& listening, ListenSocket socket)
{
    listening.open.emplace(std::move(socket), service.executor);
    listening.trouble.clear();
    listening.gone = listening.hopeless = false;
    listening.up->set(1);
}

void Server::Impl::start(Listening& listening)
{
    if (std::exchange(listening.started, true)) return;
    acceptors.spawn(listening.name, keep_listening(listening));
    if (listening.listener.kind == Listener::Kind::unix_socket)
        acceptors.spawn(listening.name + " (file)", watch_file(listening));
}

Task<> Server::Impl::keep_listening(Listening& listening)
{
    for (;;) {
        const auto why = co_await accept(listening);
        if (why.code == Errc::cancelled && !listening.gone) co_return;
        lose(listening, why);
        const bool again = co_await open_again(listening);
        if (!again) co_return;
    }
}

// Until the listener is lost: why it was.
Task<Error> Server::Impl::accept(Listening& listening)
{
    constexpr int batch = 64;  // then everybody else has a turn
    for (;;) {
        auto ready = co_await listening.open->ready.readable();
        if (!ready) co_return std::move(ready).error();
        for (int i = 0; i < batch && !service.draining; ++i) {
            sockaddr_storage address{};
            socklen_t length = sizeof address;
            const int fd = ::accept4(listening.open->ready.fd(), reinterpret_cast<sockaddr*>(&address),
                                     &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0) {
                admit(listening, Accepted{fd, net::describe_endpoint(address, length)});
                continue;
            }
            const int number = errno;
            if (is_lost(number)) co_return net::connection_error("accept connections", number);
            if (is_exhausted(number)) co_await make_room(number);
            if (number != ECONNABORTED && number != EINTR) break;
        }
    }
}

void Server::Impl::lose(Listening& listening, const Error& why)
{
    const auto reason = listening.gone ? "cannot be reached: its socket file was removed" : why.message;
    listening.trouble = fmt::format("{} is no longer listened on: {}", listening.name, reason);
    listening.up->set(0);
    listening.open.reset();  // also gives the address free
    service.log.error("{}", listening.trouble);
}

// With back-off, until it succeeds. False: never.
Task<bool> Server::Impl::open_again(Listening& listening)
{
    const auto reason = listening.trouble;
    if (listening.listener.kind == Listener::Kind::passed) {
        listening.trouble += "; it was passed by systemd: restart opsd to get it back";
        give_up(listening);
        co_return false;
    }
    std::chrono::milliseconds waited{0};
    for (std::chrono::milliseconds pause = first_pause;; pause = std::min(2 * pause, longest_pause)) {
        co_await pause_for(service.executor, pause);
        waited += pause;
        auto socket = ListenSocket::open(listening.listener);
        if (socket) {
            open(listening, std::move(*socket));
            service.log.info("listening on {} again", listening.name);
            co_return true;
        }
        listening.trouble = fmt::format("{}; {}; trying again", reason, socket.error().message);
        service.log.error("{}", listening.trouble);
        if (waited >= patience) give_up(listening);
    }
}

// Nobody could reach a server without listeners: better to end, and be started anew.
void Server::Impl::give_up(Listening& listening)
{
    listening.hopeless = true;
    if (!std::ranges::all_of(listeners, &Listening::hopeless)) return;
    collapse = listening.trouble;
    changed.cancel();
}

// A socket whose file is gone accepts nothing and says nothing. (Every second would be most of what an idle
// node costs.)
Task<> Server::Impl::watch_file(Listening& listening)
{
    constexpr auto period = 5s;
    for (;;) {
        co_await pause_for(service.executor, period);
        if (!listening.open || listening.open->socket.reachable()) continue;
        listening.gone = true;
        listening.open->ready.cancel();
    }
}

// No descriptor left: the connection that waits is refused with the spare one, or it would ring for ever.
Task<> Server::Impl::make_room(int number)
{
    exhausted = service.clock.monotonic();
    exhausted_why =
        fmt::format("cannot accept a connection: {}; raise LimitNOFILE or lower http.limits.connections",
                    std::generic_category().message(number));
    service.log.error("{}", exhausted_why);
    count_refused("descriptors");
    if (spare >= 0) ::close(spare);
    for (auto& listening : listeners) {
        if (!listening.open) continue;
        const int fd = ::accept4(listening.open->ready.fd(), nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) ::close(fd);
    }
    spare = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    co_await pause_for(service.executor, 100ms);
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

// Places beyond the limit are for operators on the Unix socket, known by their account alone: whoever comes
// to look why opsd is full must get in.
bool Server::Impl::from_reserve(const Accepted& accepted)
{
    const auto all = places + service.limits.reserved_connections;
    if (accepted.peer.address.ss_family != AF_UNIX || std::cmp_greater_equal(sessions.size(), all))
        return false;
    const auto caller = service.authenticator.identify(credentials_of(accepted.fd, accepted.peer));
    return caller && caller->role >= Role::operator_;
}

void Server::Impl::admit(Listening& listening, Accepted accepted)
{
    if (std::cmp_greater_equal(sessions.size(), places)) {
        if (!from_reserve(accepted)) return refuse(listening, accepted, "total");
        reserve_used.add();
    }
    if (!net::is_loopback(accepted.peer)) {
        const auto same = by_address.find(net::host_of(accepted.peer));
        if (same != by_address.end() && same->second >= service.limits.connections_per_address) {
            return refuse(listening, accepted, "address");
        }
    }
    tune(accepted);
    auto name = accepted.peer.text;
    Place place{*this, accepted.peer};
    sessions.spawn(std::move(name), serve(std::move(accepted), std::move(place), listening.tls));
}

std::vector<std::string> Server::Impl::degraded() const
{
    std::vector<std::string> reasons;
    for (const auto& listening : listeners) {
        if (!listening.trouble.empty()) reasons.push_back(listening.trouble);
    }
    if (exhausted && service.clock.monotonic() - *exhausted < exhaustion_shown)
        reasons.push_back(exhausted_why);
    return reasons;
}

}  // namespace opsd::http
