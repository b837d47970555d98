#pragma once
// Who is calling, by everything opsd accepts: a token or JWT in Authorization, a client certificate, the
// credentials of the Unix socket's peer, else nobody. What is presented must be right; it never falls back to
// the next.

#include "http/auth.hpp"
#include "http/auth_groups.hpp"
#include "http/auth_limit.hpp"
#include "http/auth_options.hpp"
#include "http/tokens.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace opsd::http {

/// The options with what they refer to, read.
struct AuthMaterial {
    AuthOptions options;
    PeerRoles peers;
    std::vector<RsaKey> keys;
    std::string cluster_token_hash;  ///< SHA-256; "" without one
};

/// Reads key files and groups. Blocks: for the start, or on a thread.
Result<AuthMaterial> read_auth_material(AuthOptions options);

class DefaultAuthenticator final : public Authenticator {
public:
    DefaultAuthenticator(AuthMaterial material, TokenStore& store, const Clock& clock);

    /// Order: Authorization, certificate, peer, anonymous. An address that failed ten times in ten seconds
    /// gets no RSA and no scrypt work; tokens, which cost nothing to check and cannot be guessed, go on
    /// working.
    [[nodiscard]] Result<Caller> identify(const Credentials& credentials) override;

    /// Puts other options, keys and groups in force.
    void use(AuthMaterial material) { material_ = std::move(material); }

    /// Checks a password and makes a JWT. Errc::denied, unavailable.
    Task<Result<std::string>> log_in(std::string name, std::string password, Caller from);

private:
    Result<Caller> by_header(const Credentials& credentials);
    Result<Caller> by_token(std::string_view token, const Credentials& credentials);
    Result<Caller> by_certificate(const Credentials& credentials) const;
    [[nodiscard]] Caller by_peer(const Credentials::Peer& peer) const;
    [[nodiscard]] Role anonymous() const;

    AuthMaterial material_;
    TokenStore& store_;
    const Clock& clock_;
    FailureLimiter failures_;
};

}  // namespace opsd::http
