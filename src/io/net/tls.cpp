#include "io/net/tls.hpp"

#include "io/net/readiness.hpp"
#include "io/net/socket.hpp"
#include "io/net/tls_error.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <climits>

namespace opsd::net {
namespace {

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL: a peer that left would kill a process with SIGPIPE.
int fd_of(BIO* bio) { return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio))); }

int bio_read(BIO* bio, char* into, int size)
{
    BIO_clear_retry_flags(bio);
    const auto count = ::recv(fd_of(bio), into, static_cast<std::size_t>(size), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
    return static_cast<int>(count);
}

int bio_write(BIO* bio, const char* from, int size)
{
    BIO_clear_retry_flags(bio);
    const auto count = ::send(fd_of(bio), from, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
    return static_cast<int>(count);
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* socket_method()
{
    static BIO_METHOD* const method = [] {
        auto* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "opsd socket");
        BIO_meth_set_read(made, bio_read);
        BIO_meth_set_write(made, bio_write);
        BIO_meth_set_ctrl(made, bio_control);
        return made;
    }();
    return method;
}

bool is_address(const std::string& host)
{
    std::array<unsigned char, 16> raw{};
    return ::inet_pton(AF_INET, host.c_str(), raw.data()) == 1
           || ::inet_pton(AF_INET6, host.c_str(), raw.data()) == 1;
}

}  // namespace

struct TlsTransport::Impl {
    Impl(Executor executor, int fd, const TlsContext& shared)
      : context{shared}
      , ready{std::move(executor), fd}
      , ssl{SSL_new(shared.get()), SSL_free}
    {
        auto* bio = BIO_new(socket_method());
        BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
        BIO_set_init(bio, 1);
        SSL_set_bio(ssl.get(), bio, bio);
    }

    TlsContext context;  // a reload must not free it under us
    Readiness ready;
    std::unique_ptr<SSL, decltype(&SSL_free)> ssl;
    bool broken = false;  // after a fatal error not even a close_notify may be sent
};

TlsTransport::TlsTransport(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}
TlsTransport::~TlsTransport() = default;

std::unique_ptr<TlsTransport> TlsTransport::server(Executor executor, int fd, const TlsContext& context)
{
    auto impl = std::make_unique<Impl>(std::move(executor), fd, context);
    SSL_set_accept_state(impl->ssl.get());
    return std::unique_ptr<TlsTransport>{new TlsTransport{std::move(impl)}};
}

Result<std::unique_ptr<TlsTransport>> TlsTransport::client(Executor executor, int fd,
                                                           const TlsContext& context, const std::string& host)
{
    auto impl = std::make_unique<Impl>(std::move(executor), fd, context);
    auto* ssl = impl->ssl.get();
    SSL_set_connect_state(ssl);
    const bool named =
        is_address(host)
            ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1
            : SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
    if (!named) return fail(Errc::invalid_argument, "cannot verify the host name \"" + host + "\"");
    return std::unique_ptr<TlsTransport>{new TlsTransport{std::move(impl)}};
}

Task<Result<>> TlsTransport::wait_for(int ssl_error)
{
    const int number = errno;
    if (ssl_error == SSL_ERROR_WANT_READ) co_return co_await impl_->ready.readable();
    if (ssl_error == SSL_ERROR_WANT_WRITE) co_return co_await impl_->ready.writable();
    impl_->broken = true;
    if (ssl_error == SSL_ERROR_SYSCALL)
        co_return fail(connection_error("go on with TLS", number != 0 ? number : ECONNRESET));
    co_return fail(Errc::unavailable, "cannot go on with TLS: " + tls_reason());
}

Task<Result<>> TlsTransport::handshake()
{
    auto* ssl = impl_->ssl.get();
    for (;;) {
        ERR_clear_error();
        errno = 0;
        const int done = SSL_do_handshake(ssl);
        if (done == 1) co_return Result<>{};
        const int error = SSL_get_error(ssl, done);
        const auto verdict = SSL_get_verify_result(ssl);
        if (error == SSL_ERROR_SSL && verdict != X509_V_OK) {
            impl_->broken = true;
            co_return fail(Errc::denied, std::string{"cannot accept the certificate of the peer: "}
                                             + X509_verify_cert_error_string(verdict));
        }
        auto waited = co_await wait_for(error);
        if (!waited) co_return waited;
    }
}

std::string TlsTransport::peer_subject() const
{
    const auto* certificate = SSL_get0_peer_certificate(impl_->ssl.get());
    if (certificate == nullptr || SSL_get_verify_result(impl_->ssl.get()) != X509_V_OK) return {};
    return subject_of(certificate);
}

WallTime TlsTransport::peer_not_after() const
{
    const auto* certificate = SSL_get0_peer_certificate(impl_->ssl.get());
    return certificate == nullptr ? WallTime::max() : not_after_of(certificate);
}

Task<Result<std::size_t>> TlsTransport::read_some(std::span<char> into)
{
    auto* ssl = impl_->ssl.get();
    for (;;) {
        ERR_clear_error();
        errno = 0;
        std::size_t count = 0;
        const int done = SSL_read_ex(ssl, into.data(), into.size(), &count);
        if (done == 1) co_return count;
        const int error = SSL_get_error(ssl, done);
        if (error == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
        auto waited = co_await wait_for(error);
        if (!waited) co_return fail(std::move(waited).error());
    }
}

Task<Result<>> TlsTransport::write_one(std::string_view bytes)
{
    auto* ssl = impl_->ssl.get();
    while (!bytes.empty()) {
        ERR_clear_error();
        errno = 0;
        std::size_t count = 0;
        const int done = SSL_write_ex(ssl, bytes.data(), bytes.size(), &count);
        if (done == 1) {
            bytes.remove_prefix(count);
            continue;
        }
        auto waited = co_await wait_for(SSL_get_error(ssl, done));
        if (!waited) co_return waited;
    }
    co_return Result<>{};
}

Task<Result<>> TlsTransport::write_all(std::string_view bytes, std::string_view more)
{
    constexpr std::size_t record = 16 * 1024;
    if (bytes.size() + more.size() <= record) {  // one record and one packet instead of two
        std::string both;
        both.reserve(bytes.size() + more.size());
        both.append(bytes).append(more);
        co_return co_await write_one(both);
    }
    auto written = co_await write_one(bytes);
    if (!written) co_return written;
    co_return co_await write_one(more);
}

Task<Result<>> TlsTransport::wait_readable()
{
    if (SSL_has_pending(impl_->ssl.get()) == 1) co_return Result<>{};
    co_return co_await impl_->ready.readable();
}

void TlsTransport::expires_at(Deadline when) { impl_->ready.expires_at(when); }

bool TlsTransport::quiet()
{
    char byte = 0;
    return SSL_has_pending(impl_->ssl.get()) == 0 && ::recv(impl_->ready.fd(), &byte, 1, MSG_PEEK) < 0
           && errno == EAGAIN;
}

std::size_t TlsTransport::unacknowledged() const { return unacknowledged_bytes(impl_->ready.fd()); }

void TlsTransport::cancel() { impl_->ready.cancel(); }

void TlsTransport::close()
{
    ERR_clear_error();
    if (!impl_->broken && SSL_is_init_finished(impl_->ssl.get()) == 1) SSL_shutdown(impl_->ssl.get());
    ::shutdown(impl_->ready.fd(), SHUT_WR);
}

}  // namespace opsd::net
