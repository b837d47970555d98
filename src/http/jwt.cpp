#include "http/jwt.hpp"

#include "http/auth_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cmath>

namespace opsd::http {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr seconds skew{30};  ///< how far another machine's clock may be ahead of ours
constexpr std::size_t max_subject = 128;
constexpr double last_second = 253402300799.0;  ///< of the year 9999

std::unexpected<Error> refuse(std::string_view why)
{
    return fail(Errc::denied, fmt::format("cannot accept the token: {}", why));
}

struct Parts {
    json header;
    json claims;
    std::string_view signed_text;
    std::string signature;
};

Result<json> object_of(std::string_view part)
{
    const auto text = from_base64url(part);
    if (!text) return refuse("it is not base64url");
    auto value = json::parse(*text, nullptr, false);
    if (!value.is_object()) return refuse("it does not hold JSON objects");
    return value;
}

Result<Parts> split(std::string_view token)
{
    if (token.size() > max_jwt) return refuse("it is larger than 8 KiB");
    const auto first = token.find('.');
    const auto last = token.rfind('.');
    if (!looks_like_jwt(token)) return refuse("it is neither a token of opsd nor a JWT");
    auto header = object_of(token.substr(0, first));
    if (!header) return fail(std::move(header).error());
    auto claims = object_of(token.substr(first + 1, last - first - 1));
    if (!claims) return fail(std::move(claims).error());
    auto signature = from_base64url(token.substr(last + 1));
    if (!signature) return refuse("its signature is not base64url");
    return Parts{std::move(*header), std::move(*claims), token.substr(0, last), std::move(*signature)};
}

std::string text_of(const json& object, const char* key)
{
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

bool rsa_matches(const Parts& parts, const RsaKey& key)
{
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
    const auto* signature = reinterpret_cast<const unsigned char*>(parts.signature.data());
    const auto* text = reinterpret_cast<const unsigned char*>(parts.signed_text.data());
    const bool matches =
        context && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.key.get()) == 1
        && EVP_DigestVerify(context.get(), signature, parts.signature.size(), text, parts.signed_text.size())
               == 1;
    ERR_clear_error();
    return matches;
}

/// Who signed it, and what the signer may give.
struct Signer {
    JwtClaims claims;
    Role max_role = Role::admin;
};

/// Our secret, or the key of this role. The signature is checked before any claim is looked at.
Result<Signer> signer(const Parts& parts, const JwtKeys& keys)
{
    if (parts.header.contains("crit")) return refuse("it has critical extensions, which opsd does not know");
    const auto algorithm = text_of(parts.header, "alg");
    Signer who;
    if (algorithm == "HS256") {
        if (keys.secret.empty()
            || !equal_secrets(hmac_sha256(keys.secret, parts.signed_text), parts.signature)) {
            return refuse("its signature is wrong");
        }
        who.claims.own = true;
        return who;
    }
    if (algorithm != "RS256") return refuse("its algorithm is neither HS256 nor RS256");
    const auto id = text_of(parts.header, "kid");
    for (const auto& key : keys.rsa) {
        if (!key.id.empty() && !id.empty() && key.id != id) continue;
        if (!rsa_matches(parts, key)) continue;
        who.claims.role = key.role;
        who.max_role = key.max_role;
        return who;
    }
    return refuse("its signature is by no key that is configured here");
}

/// Seconds since the epoch as JWT writes them: a number, perhaps with a fraction.
Result<std::optional<WallTime>> time_of(const json& claims, const char* key)
{
    const auto found = claims.find(key);
    if (found == claims.end()) return std::nullopt;
    const double value = found->is_number() ? found->get<double>() : -1;
    if (!(value >= 0 && value <= last_second))
        return refuse(fmt::format("its claim \"{}\" is not a time", key));
    return WallTime{std::chrono::microseconds{static_cast<std::int64_t>(value * 1e6)}};
}

Result<> check_times(const json& from, JwtClaims& claims, WallTime now)
{
    const auto expires = time_of(from, "exp");
    const auto begins = time_of(from, "nbf");
    const auto issued = time_of(from, "iat");
    for (const auto* time : {&expires, &begins, &issued}) {
        if (!*time) return fail(time->error());
    }
    if (!*expires) return refuse("it has no claim \"exp\"");
    if (**expires <= now) return refuse("it expired at " + rfc3339(**expires) + "; log in again");
    if (*begins && **begins > now + skew) return refuse("it is not valid before " + rfc3339(**begins));
    claims.expires = **expires;
    claims.issued = issued->value_or(WallTime{});
    return {};
}

Result<> check_identity(const json& from, JwtClaims& claims)
{
    claims.subject = text_of(from, "uid");
    if (claims.subject.empty()) claims.subject = text_of(from, "sub");
    const bool plain = std::ranges::none_of(
        claims.subject, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (claims.subject.empty() || claims.subject.size() > max_subject || !plain) {
        return refuse("it names nobody: \"uid\" or \"sub\" must be a text of 1 to 128 bytes");
    }
    if (const auto found = from.find("role"); found != from.end()) {
        const auto role = parse_role(text_of(from, "role"));
        if (!role) return refuse("its claim \"role\" is not viewer, operator or admin");
        claims.role = *role;
    }
    if (claims.role == Role::none) return refuse("it has no claim \"role\"");
    return {};
}

}  // namespace

Result<PublicKey> read_public_key(std::string_view pem, const std::string& file)
{
    const std::unique_ptr<BIO, decltype(&BIO_free)> memory{
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free};
    const PublicKey key{PEM_read_bio_PUBKEY(memory.get(), nullptr, nullptr, nullptr), EVP_PKEY_free};
    ERR_clear_error();
    if (!key) {
        return fail(
            Errc::invalid_argument,
            fmt::format("cannot use {}: it holds no public key; make one with: openssl rsa -in KEY -pubout",
                        file));
    }
    if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key.get()) < 2048) {
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use {}: RS256 needs an RSA key of at least 2,048 bits", file));
    }
    return key;
}

bool looks_like_jwt(std::string_view token) noexcept { return std::ranges::count(token, '.') == 2; }

bool says_rs256(std::string_view token)
{
    if (token.size() > max_jwt || !looks_like_jwt(token)) return false;
    const auto header = object_of(token.substr(0, token.find('.')));
    return header && text_of(*header, "alg") == "RS256";
}

Result<JwtClaims> verify_jwt(std::string_view token, const JwtKeys& keys, WallTime now)
{
    const auto parts = split(token);
    if (!parts) return fail(parts.error());
    auto who = signer(*parts, keys);
    if (!who) return fail(std::move(who).error());
    auto& claims = who->claims;
    auto good = check_times(parts->claims, claims, now);
    if (good) good = check_identity(parts->claims, claims);
    if (!good) return fail(std::move(good).error());
    // Lowered, not refused: an issuer that calls everybody admin must not lock out those who only look.
    claims.role = std::min(claims.role, who->max_role);
    if (claims.own) claims.login = text_of(parts->claims, "pwd");
    return std::move(claims);
}

std::string sign_jwt(const JwtClaims& claims, std::string_view secret)
{
    const auto seconds_of = [](WallTime time) {
        return std::chrono::floor<seconds>(time).time_since_epoch().count();
    };
    const json header{{"alg", "HS256"}, {"typ", "JWT"}};
    const json body{{"uid", claims.subject},
                    {"sub", claims.subject},
                    {"role", to_string(claims.role)},
                    {"iat", seconds_of(claims.issued)},
                    {"exp", seconds_of(claims.expires)},
                    {"pwd", claims.login}};
    const auto replace = json::error_handler_t::replace;
    auto token = base64url(header.dump()) + "." + base64url(body.dump(-1, ' ', false, replace));
    return token + "." + base64url(hmac_sha256(secret, token));
}

}  // namespace opsd::http
