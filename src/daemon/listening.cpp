#include "daemon/listening.hpp"

#include "io/files/files.hpp"
#include "io/systemd/notify.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <fmt/format.h>

#include <sys/socket.h>

#include <algorithm>
#include <charconv>

namespace opsd::daemon {
namespace {

http::Listener to_listener(const ListenOptions& options)
{
    http::Listener listener;
    listener.address = options.address == "localhost" ? "127.0.0.1" : options.address;
    listener.port = static_cast<std::uint16_t>(options.port);
    listener.certificate_file = options.certificate;
    listener.key_file = options.key;
    listener.client_ca_file = options.client_ca;
    return listener;
}

/// A socket passed by systemd, under the rule for listeners: the entry of http.listen with its address and
/// port gives it TLS; beyond loopback it needs that, or a written `insecure: true`.
Result<http::Listener> adopt(const systemd::PassedSocket& socket, const HttpOptions& options)
{
    http::Listener listener;
    asio::ip::tcp::endpoint bound;
    auto size = static_cast<socklen_t>(bound.capacity());
    if (!socket.is_unix) {
        if (::getsockname(socket.fd, bound.data(), &size) != 0 || size > bound.capacity()) {
            return fail(Errc::invalid_argument,
                        fmt::format("cannot use the socket {} passed by systemd: it is "
                                    "neither TCP nor Unix; mend opsd.socket",
                                    socket.name));
        }
        const auto same = [&](const ListenOptions& o) {
            return o.port == bound.port() && to_listener(o).address == bound.address().to_string();
        };
        const auto entry = std::ranges::find_if(options.listen, same);
        if (entry != options.listen.end()) listener = to_listener(*entry);
        const bool consent =
            entry != options.listen.end() && (entry->insecure || !entry->certificate.empty());
        if (!bound.address().is_loopback() && !consent) {
            return fail(
                Errc::invalid_argument,
                fmt::format("cannot use the socket {}:{} passed by systemd: it is not on loopback and no "
                            "entry of http.listen with this address and port gives it a certificate, or "
                            "says insecure: true",
                            bound.address().to_string(), bound.port()));
        }
    }
    listener.kind = http::Listener::Kind::passed;
    listener.fd = socket.fd;
    return listener;
}

unsigned to_mode(std::int64_t octal_digits)
{
    unsigned mode = 0;
    const auto text = std::to_string(octal_digits);
    std::from_chars(text.data(), text.data() + text.size(), mode, 8);
    return mode;
}

Task<Result<std::uint16_t>> open_one(http::Server& server, WorkerThread& files, http::Listener listener)
{
    auto read = [listener]() -> Result<std::optional<net::TlsServer>> {
        // Without systemd nobody has made the directory; why it cannot be made, binding says better.
        if (listener.kind == http::Listener::Kind::unix_socket)
            (void)files::make_directories(files::parent_of(listener.address), 0755);
        return http::read_certificate(listener);
    };
    const auto tls = co_await files.run(std::move(read));
    if (!tls) co_return fail(tls.error());
    co_return server.listen(listener, *tls);
}

Task<Result<>> adopt_all(http::Server& server, std::vector<systemd::PassedSocket> passed, HttpOptions options,
                         WorkerThread& files)
{
    for (const auto& socket : passed) {
        const auto listener = adopt(socket, options);
        if (!listener) co_return fail(listener.error());
        const auto done = co_await open_one(server, files, *listener);
        if (!done) co_return fail(done.error());
    }
    co_return Result<>{};
}

}  // namespace

std::map<std::string, http::Listener> tls_listeners(const HttpOptions& options)
{
    std::map<std::string, http::Listener> all;
    for (const auto& wanted : options.listen)
        if (!wanted.certificate.empty())
            all.emplace(fmt::format("{}:{}", wanted.address, wanted.port), to_listener(wanted));
    return all;
}

Task<Result<>> open_listeners(http::Server& server, HttpOptions options, WorkerThread& files, Log log)
{
    auto passed = systemd::passed_sockets();
    if (!passed.empty()) {
        log.info("listening on {} socket(s) passed by systemd; http.listen and http.socket open no others",
                 passed.size());
        auto done = co_await adopt_all(server, std::move(passed), std::move(options), files);
        co_return done;
    }
    if (!options.socket.empty()) {
        http::Listener listener;
        listener.kind = http::Listener::Kind::unix_socket;
        listener.address = options.socket;
        listener.mode = to_mode(options.socket_mode);
        const auto done = co_await open_one(server, files, std::move(listener));
        if (!done) co_return fail(done.error());
        log.info("listening on {}", options.socket);
    }
    for (const auto& wanted : options.listen) {
        const auto port = co_await open_one(server, files, to_listener(wanted));
        if (!port) co_return fail(port.error());
        log.info("listening on {}:{}{}", wanted.address, *port,
                 wanted.certificate.empty() ? "" : " with TLS");
    }
    co_return Result<>{};
}

}  // namespace opsd::daemon
