#pragma once
// Listening sockets: binding them with errors that help, and accepting from them.

#include "http/server.hpp"
#include "io/net/socket.hpp"
#include "io/net/tls.hpp"

#include <optional>
#include <string>

namespace opsd::http {

/// An open listening socket. Removes the file of a Unix socket that it made.
class ListenSocket {
public:
    /// Errors name the address and say what to do.
    static Result<ListenSocket> open(const Listener& listener);
    ListenSocket(ListenSocket&& other) noexcept;
    ListenSocket& operator=(ListenSocket&&) = delete;
    ~ListenSocket();

    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] const net::Endpoint& endpoint() const noexcept { return endpoint_; }
    [[nodiscard]] std::uint16_t port() const;
    /// False when the file of a Unix socket made here was removed or replaced: nobody can reach it.
    [[nodiscard]] bool reachable() const;
    /// Gives the descriptor away; the file of a Unix socket stays this object's.
    int release() noexcept;

private:
    ListenSocket() = default;
    static Result<ListenSocket> open_tcp(const Listener& listener);
    static Result<ListenSocket> open_unix(const Listener& listener);
    static Result<ListenSocket> adopt(const Listener& listener);

    int fd_ = -1;
    net::Endpoint endpoint_;
    std::string path_;         // of a Unix socket made here
    std::uint64_t inode_ = 0;  // of that file: another daemon's must not be removed
};

/// Who is at the other end of an accepted connection.
Credentials credentials_of(int fd, const net::Endpoint& peer);

}  // namespace opsd::http
