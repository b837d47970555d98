#include "http/listener.hpp"

#include <fmt/core.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

namespace opsd::http {
namespace {

const sockaddr* as_address(const net::Endpoint& endpoint)
{
    return reinterpret_cast<const sockaddr*>(&endpoint.address);
}

std::string_view advice(int number, int family)
{
    switch (number) {
    case EADDRINUSE:
        return "; another process listens there: stop it (\"ss -ltnp\" shows it) or configure another "
               "address";
    case EADDRNOTAVAIL:
        return "; no interface of this machine has that address";
    case EACCES:
    case EPERM:
        return family == AF_UNIX
                   ? "; opsd must be able to write to that directory"
                   : "; ports below 1024 need CAP_NET_BIND_SERVICE: configure another port or grant it";
    case ENOENT:
        return "; create the directory first (RuntimeDirectory=opsd does it under systemd)";
    case EAFNOSUPPORT:
        return "; this machine has no such address family: remove the listener";
    default:
        return "";
    }
}

std::unexpected<Error> cannot_listen(std::string_view where, int number, int family)
{
    const auto code = number == EACCES || number == EPERM ? Errc::denied : Errc::unavailable;
    return fail(code, fmt::format("cannot listen on {}: {}{}", where, std::generic_category().message(number),
                                  advice(number, family)));
}

net::Endpoint local_endpoint(int fd)
{
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    return net::describe_endpoint(address, length);
}

/// Whether somebody answers at a Unix socket. A socket file that nobody listens on refuses.
bool is_alive(const net::Endpoint& endpoint)
{
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return true;  // cannot know: better not to take it over
    const bool refused = ::connect(fd, as_address(endpoint), endpoint.length) != 0
                         && (errno == ECONNREFUSED || errno == ENOENT);
    ::close(fd);
    return !refused;
}

}  // namespace

ListenSocket::ListenSocket(ListenSocket&& other) noexcept
  : fd_{std::exchange(other.fd_, -1)}
  , endpoint_{other.endpoint_}
  , path_{std::exchange(other.path_, {})}
  , inode_{other.inode_}
{}

ListenSocket::~ListenSocket()
{
    if (fd_ >= 0) ::close(fd_);
    if (!path_.empty() && reachable()) ::unlink(path_.c_str());
}

bool ListenSocket::reachable() const
{
    struct stat now{};
    return path_.empty() || (::lstat(path_.c_str(), &now) == 0 && now.st_ino == inode_);
}

std::uint16_t ListenSocket::port() const
{
    const auto& address = endpoint_.address;
    if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
    if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
    return 0;
}

int ListenSocket::release() noexcept { return std::exchange(fd_, -1); }

Result<ListenSocket> ListenSocket::open(const Listener& listener)
{
    switch (listener.kind) {
    case Listener::Kind::tcp:
        return open_tcp(listener);
    case Listener::Kind::unix_socket:
        return open_unix(listener);
    case Listener::Kind::passed:
        return adopt(listener);
    }
    return fail(Errc::internal, "cannot listen: unknown kind of listener");
}

Result<ListenSocket> ListenSocket::open_tcp(const Listener& listener)
{
    auto endpoint = net::ip_endpoint(listener.address, listener.port);
    if (!endpoint) return fail(std::move(endpoint).error().wrap("listener"));
    const int family = endpoint->address.ss_family;
    ListenSocket made;
    made.fd_ = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made.fd_ < 0) return cannot_listen(endpoint->text, errno, family);
    const int yes = 1;
    ::setsockopt(made.fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    // "::" means IPv6 only, so that "::" and "0.0.0.0" can stand beside each other in the configuration.
    if (family == AF_INET6) ::setsockopt(made.fd_, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    const bool open =
        ::bind(made.fd_, as_address(*endpoint), endpoint->length) == 0 && ::listen(made.fd_, SOMAXCONN) == 0;
    if (!open) return cannot_listen(endpoint->text, errno, family);
    made.endpoint_ = local_endpoint(made.fd_);
    return made;
}

Result<ListenSocket> ListenSocket::open_unix(const Listener& listener)
{
    const auto& path = listener.address;
    const auto temporary =
        path + ".new";  // clients see the socket only when it has its mode and is listened on
    auto endpoint = net::unix_endpoint(temporary);
    if (!endpoint) return fail(std::move(endpoint).error().wrap("listener"));
    auto final_endpoint = net::unix_endpoint(path);
    struct stat before{};
    if (::lstat(path.c_str(), &before) == 0) {
        if (!S_ISSOCK(before.st_mode)) {
            return fail(
                Errc::invalid_argument,
                fmt::format("cannot listen on {}: a file that is no socket is in the way; remove it", path));
        }
        if (is_alive(*final_endpoint)) return cannot_listen(path, EADDRINUSE, AF_UNIX);
    }
    ListenSocket made;
    made.fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made.fd_ < 0) return cannot_listen(path, errno, AF_UNIX);
    ::unlink(temporary.c_str());
    if (::bind(made.fd_, as_address(*endpoint), endpoint->length) != 0)
        return cannot_listen(path, errno, AF_UNIX);
    struct stat after{};
    const bool open = ::chmod(temporary.c_str(), listener.mode) == 0 && ::listen(made.fd_, SOMAXCONN) == 0
                      && ::lstat(temporary.c_str(), &after) == 0
                      && std::rename(temporary.c_str(), path.c_str()) == 0;
    if (!open) {
        const int number = errno;
        ::unlink(temporary.c_str());
        return cannot_listen(path, number, AF_UNIX);
    }
    made.path_ = path;
    made.inode_ = after.st_ino;
    made.endpoint_ = *final_endpoint;
    return made;
}

Result<ListenSocket> ListenSocket::adopt(const Listener& listener)
{
    int listening = 0;
    socklen_t length = sizeof listening;
    const int asked = ::getsockopt(listener.fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
    if (asked != 0 || listening == 0) {
        return fail(
            Errc::invalid_argument,
            fmt::format("cannot use descriptor {} as a listener: it is not a listening stream socket; the "
                        "socket unit must say ListenStream= and Accept=no",
                        listener.fd));
    }
    ListenSocket made;
    made.fd_ = listener.fd;
    ::fcntl(made.fd_, F_SETFD, FD_CLOEXEC);
    ::fcntl(made.fd_, F_SETFL, ::fcntl(made.fd_, F_GETFL) | O_NONBLOCK);
    made.endpoint_ = local_endpoint(made.fd_);
    return made;
}

Credentials credentials_of(int fd, const net::Endpoint& peer)
{
    Credentials credentials;
    credentials.address = net::host_of(peer);
    credentials.loopback = net::is_loopback(peer);
    ucred who{};
    socklen_t length = sizeof who;
    const bool local = peer.address.ss_family == AF_UNIX;
    if (local && ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0) {
        credentials.peer = Credentials::Peer{.uid = who.uid, .gid = who.gid, .pid = who.pid};
    }
    return credentials;
}

}  // namespace opsd::http
