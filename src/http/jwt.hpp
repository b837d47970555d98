#pragma once
// JSON Web Tokens: HS256 by our own secret, RS256 by configured public keys. Nothing else, "none" least of
// all: the algorithm decides which kind of key is tried, never the other way round. Pure: keys and time are
// arguments.

#include "opsd/clock.hpp"
#include "opsd/http.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct evp_pkey_st;

namespace opsd::http {

inline constexpr std::size_t max_jwt = 8 * 1024;

using PublicKey = std::shared_ptr<evp_pkey_st>;

/// An RSA public key of at least 2,048 bits; a private key or another kind is refused. `file` is for the
/// sentence.
Result<PublicKey> read_public_key(std::string_view pem, const std::string& file);

/// A key of a foreign issuer.
struct RsaKey {
    std::string id;                ///< "": any kid
    Role role = Role::viewer;      ///< of tokens that claim none
    Role max_role = Role::viewer;  ///< a token that claims more has this
    PublicKey key;
};

struct JwtKeys {
    std::string_view secret;      ///< "": HS256 is refused
    std::span<const RsaKey> rsa;  ///< tried in order
};

struct JwtClaims {
    std::string subject;  ///< "uid", else "sub"
    Role role = Role::none;
    WallTime issued{};  ///< the epoch without "iat"
    WallTime expires{};
    bool own = false;        ///< signed by our secret
    std::string login = {};  ///< of our own: which password it was made with; "" without "pwd"
};

/// Does it look like a JWT (two dots), and does its header say RS256? What costs work can be refused before.
[[nodiscard]] bool looks_like_jwt(std::string_view token) noexcept;
[[nodiscard]] bool says_rs256(std::string_view token);

/// Errc::denied with a sentence unless everything is right: size, form, algorithm, signature, exp (required),
/// nbf, subject, role.
Result<JwtClaims> verify_jwt(std::string_view token, const JwtKeys& keys, WallTime now);

/// Signs with HS256: uid, sub, role, iat, exp, pwd (the login).
[[nodiscard]] std::string sign_jwt(const JwtClaims& claims, std::string_view secret);

}  // namespace opsd::http
