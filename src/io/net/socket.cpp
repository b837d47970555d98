#include "io/net/socket.hpp"

#include "io/net/readiness.hpp"

#include <fmt/core.h>

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

namespace opsd::net {
namespace {

class SocketTransport final : public Transport {
public:
    SocketTransport(Executor executor, int fd) : ready_{std::move(executor), fd} {}

    Task<Result<std::size_t>> read_some(std::span<char> into) override
    {
        for (;;) {
            const auto count = ::recv(ready_.fd(), into.data(), into.size(), 0);
            if (count >= 0) co_return static_cast<std::size_t>(count);
            if (errno == EINTR) continue;
            if (errno != EAGAIN) co_return fail(connection_error("read from the peer", errno));
            auto waited = co_await ready_.readable();
            if (!waited) co_return fail(std::move(waited).error());
        }
    }

    Task<Result<>> write_all(std::string_view bytes, std::string_view more) override
    {
        while (!bytes.empty() || !more.empty()) {
            const auto count = send_both(bytes, more);
            if (count >= 0) {
                const auto first = std::min(bytes.size(), static_cast<std::size_t>(count));
                bytes.remove_prefix(first);
                more.remove_prefix(static_cast<std::size_t>(count) - first);
                continue;
            }
            if (errno == EINTR) continue;
            if (errno != EAGAIN) co_return fail(connection_error("write to the peer", errno));
            auto waited = co_await ready_.writable();
            if (!waited) co_return waited;
        }
        co_return Result<>{};
    }

    Task<Result<>> wait_readable() override { return ready_.readable(); }
    void expires_at(Deadline when) override { ready_.expires_at(when); }
    bool quiet() override
    {
        char byte = 0;
        return ::recv(ready_.fd(), &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
    }
    [[nodiscard]] std::size_t unacknowledged() const override { return unacknowledged_bytes(ready_.fd()); }
    void cancel() override { ready_.cancel(); }
    void close() override { ::shutdown(ready_.fd(), SHUT_WR); }

private:
    ssize_t send_both(std::string_view bytes, std::string_view more) const
    {
        std::array<iovec, 2> parts{};  // iovec is not const; sendmsg does not write through it
        parts[0] = {const_cast<char*>(bytes.data()), bytes.size()};
        parts[1] = {const_cast<char*>(more.data()), more.size()};
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        return ::sendmsg(ready_.fd(), &message, MSG_NOSIGNAL);
    }

    Readiness ready_;
};

const sockaddr* as_address(const Endpoint& endpoint)
{
    return reinterpret_cast<const sockaddr*>(&endpoint.address);
}

template <class Address>
const Address& view(const sockaddr_storage& address)
{
    return reinterpret_cast<const Address&>(address);
}

}  // namespace

Result<Endpoint> ip_endpoint(const std::string& address, std::uint16_t port)
{
    Endpoint endpoint;
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    if (::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        std::memcpy(&endpoint.address, &v4, sizeof v4);
        endpoint.length = sizeof v4;
    } else if (::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        std::memcpy(&endpoint.address, &v6, sizeof v6);
        endpoint.length = sizeof v6;
    } else {
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use \"{}\" as an address: it is neither IPv4 nor IPv6", address));
    }
    return describe_endpoint(endpoint.address, endpoint.length);
}

Result<Endpoint> unix_endpoint(const std::string& path)
{
    sockaddr_un address{};
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use \"{}\" as a socket path: it must have 1 to {} bytes", path,
                                sizeof address.sun_path - 1));
    }
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, path.size());
    Endpoint endpoint;
    std::memcpy(&endpoint.address, &address, sizeof address);
    endpoint.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    endpoint.text = path;
    return endpoint;
}

Endpoint describe_endpoint(const sockaddr_storage& address, socklen_t length)
{
    Endpoint endpoint{.address = address, .length = length, .text = {}};
    const auto host = host_of(endpoint);
    if (address.ss_family == AF_INET) {
        endpoint.text = fmt::format("{}:{}", host, ntohs(view<sockaddr_in>(address).sin_port));
    } else if (address.ss_family == AF_INET6) {
        endpoint.text = fmt::format("[{}]:{}", host, ntohs(view<sockaddr_in6>(address).sin6_port));
    } else {
        const auto named =
            length > offsetof(sockaddr_un, sun_path) ? length - offsetof(sockaddr_un, sun_path) : 0;
        const auto* path = view<sockaddr_un>(address).sun_path;
        endpoint.text = named > 0 && path[0] == '/' ? std::string{path, ::strnlen(path, named)} : host;
    }
    return endpoint;
}

bool is_loopback(const Endpoint& endpoint)
{
    if (endpoint.address.ss_family == AF_UNIX) return true;
    if (endpoint.address.ss_family == AF_INET) {
        return ntohl(view<sockaddr_in>(endpoint.address).sin_addr.s_addr) >> 24U == 127;
    }
    if (endpoint.address.ss_family != AF_INET6) return false;
    const auto& v6 = view<sockaddr_in6>(endpoint.address).sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

std::string host_of(const Endpoint& endpoint)
{
    std::array<char, INET6_ADDRSTRLEN> text{};
    const void* raw = nullptr;
    int family = endpoint.address.ss_family;
    if (family == AF_INET) raw = &view<sockaddr_in>(endpoint.address).sin_addr;
    if (family == AF_INET6) {
        const auto& v6 = view<sockaddr_in6>(endpoint.address).sin6_addr;
        raw = &v6;
        if (IN6_IS_ADDR_V4MAPPED(&v6)) {  // one name for one host, however the listener was bound
            family = AF_INET;
            raw = &v6.s6_addr[12];
        }
    }
    if (raw == nullptr) return "unix";
    return ::inet_ntop(family, raw, text.data(), text.size()) != nullptr ? text.data() : "unknown";
}

std::unique_ptr<Transport> make_socket_transport(Executor executor, int fd)
{
    return std::make_unique<SocketTransport>(std::move(executor), fd);
}

void watch_peer(int fd, std::chrono::milliseconds dead_after)
{
    if (dead_after.count() <= 0) return;
    // Half of the time until the first question, the rest for three more: the kernel counts whole seconds.
    const auto seconds = [](std::chrono::milliseconds time) {
        return static_cast<int>(
            std::max(std::chrono::seconds{1}, std::chrono::floor<std::chrono::seconds>(time)).count());
    };
    const int yes = 1;
    const int idle = seconds(dead_after / 2);
    const int interval = seconds(dead_after / 6);
    const int probes = 3;
    const auto patience = static_cast<unsigned>(dead_after.count());
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
}

std::size_t unacknowledged_bytes(int fd)
{
    int count = 0;
    return ::ioctl(fd, SIOCOUTQ, &count) == 0 && count > 0 ? static_cast<std::size_t>(count) : 0;
}

Task<Result<int>> connect_socket(Endpoint endpoint, Deadline deadline)
{
    const auto executor = co_await asio::this_coro::executor;
    const auto cannot = "connect to " + endpoint.text;
    const int family = endpoint.address.ss_family;
    const int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) co_return fail(Errc::internal, connection_error("open a socket", errno).message);
    Readiness ready{executor, fd};
    ready.expires_at(deadline);
    if (family != AF_UNIX) {
        const int yes = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
    int error = 0;
    while (::connect(fd, as_address(endpoint), endpoint.length) != 0) {
        error = errno;
        if (error != EAGAIN) break;
        // A Unix listener with a full backlog: there is nothing to wait on but time.
        if (std::chrono::steady_clock::now() >= deadline) {
            co_return fail(Errc::timeout, "cannot " + cannot + ": its backlog stayed full");
        }
        asio::steady_timer pause{executor, std::chrono::milliseconds{5}};
        co_await pause.async_wait(asio::use_awaitable);
        error = 0;
    }
    if (error == EINPROGRESS) {
        auto waited = co_await ready.writable();
        if (!waited && waited.error().code == Errc::timeout) {
            co_return fail(Errc::timeout, "cannot " + cannot + ": no answer in time");
        }
        if (!waited) co_return fail(std::move(waited).error());
        socklen_t size = sizeof error;
        ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error != 0) co_return fail(connection_error(cannot, error));
    co_return ready.release();
}

}  // namespace opsd::net
