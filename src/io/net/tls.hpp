#pragma once
// TLS over a socket, by OpenSSL directly: an idle connection holds no record buffers, and deadlines work as
// on a plain socket. At least TLS 1.2 with forward secrecy; no tickets, no renegotiation, no compression.

#include "io/net/client.hpp"
#include "io/net/transport.hpp"
#include "opsd/clock.hpp"

#include <string>

// OpenSSL's own names, so that its headers stay in tls.cpp.
struct ssl_ctx_st;  // NOLINT
struct ssl_st;      // NOLINT

namespace opsd::net {

using TlsContext = std::shared_ptr<ssl_ctx_st>;

struct TlsServerFiles {
    std::string certificate_file;  ///< PEM, the leaf first, then its chain
    std::string key_file;          ///< PEM, without a passphrase
    std::string client_ca_file;    ///< accept client certificates signed by these; "": none are asked for
};

struct TlsServer {
    TlsContext context;
    WallTime not_after;   ///< of the leaf
    std::string subject;  ///< of the leaf, RFC 2253
};

/// Errors name the file and say what to do: unreadable, not PEM, key of another certificate, encrypted key.
/// An expired certificate loads: a node must stay reachable for those who know; the caller logs it.
Result<TlsServer> load_tls_server(const TlsServerFiles& files);

/// For clients; `with_certificate` false leaves options.certificate_file out.
Result<TlsContext> load_tls_client(const TlsClientOptions& options, bool with_certificate);

/// A TLS connection over a connected, non-blocking socket, which it takes.
class TlsTransport final : public Transport {
public:
    static std::unique_ptr<TlsTransport> server(Executor executor, int fd, const TlsContext& context);
    /// `host` is verified (a name or a literal address) and sent as SNI when it is a name.
    static Result<std::unique_ptr<TlsTransport>> client(Executor executor, int fd, const TlsContext& context,
                                                        const std::string& host);
    ~TlsTransport() override;

    /// Until it succeeded nothing else may be called. Errc::denied: a certificate was not accepted.
    Task<Result<>> handshake();
    /// Of the verified peer certificate, RFC 2253; "" without one.
    [[nodiscard]] std::string peer_subject() const;
    /// When that certificate expires; WallTime::max() without one.
    [[nodiscard]] WallTime peer_not_after() const;

    Task<Result<std::size_t>> read_some(std::span<char> into) override;
    Task<Result<>> write_all(std::string_view bytes, std::string_view more) override;
    Task<Result<>> wait_readable() override;
    void expires_at(Deadline when) override;
    bool quiet() override;
    [[nodiscard]] std::size_t unacknowledged() const override;
    void cancel() override;
    void close() override;

private:
    struct Impl;
    explicit TlsTransport(std::unique_ptr<Impl> impl);
    Task<Result<>> write_one(std::string_view bytes);
    Task<Result<>> wait_for(int ssl_error);

    std::unique_ptr<Impl> impl_;
};

}  // namespace opsd::net
