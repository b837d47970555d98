#include "http/auth_default.hpp"

#include "http/auth_subject.hpp"
#include "http/auth_text.hpp"
#include "io/files/files.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <cctype>

namespace opsd::http {
namespace {

constexpr std::size_t max_key_file = 64 * 1024;
constexpr std::size_t max_issuers = 16;
constexpr std::size_t shortest_cluster_token = 32;

bool same_word(std::string_view a, std::string_view b)
{
    return std::ranges::equal(
        a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

/// "Bearer X" or DC/OS' "token=X"; nothing for anything else.
std::optional<std::string_view> token_of(std::string_view header)
{
    const auto trim = [](std::string_view text) {
        const auto first = text.find_first_not_of(" \t");
        if (first == std::string_view::npos) return std::string_view{};
        return text.substr(first, text.find_last_not_of(" \t") - first + 1);
    };
    header = trim(header);
    const auto end = header.find_first_of(" \t=");
    if (end == std::string_view::npos) return std::nullopt;
    const auto scheme = header.substr(0, end);
    const bool known = header[end] == '=' ? same_word(scheme, "token") : same_word(scheme, "bearer");
    const auto token = trim(header.substr(end + 1));
    if (!known || token.empty()) return std::nullopt;
    return token;
}

/// "token=" with nothing behind it: the DC/OS command line sends it where no login was needed. It is no
/// credential, so it is not a wrong one.
bool is_empty_token(std::string_view header)
{
    constexpr std::string_view empty = "token=";
    return header.size() == empty.size() && same_word(header, empty);
}

std::unexpected<Error> too_often()
{
    return fail(Errc::denied,
                "cannot check the credentials: too many attempts failed from this address; wait 10 s");
}

/// Its hash; "" when none is configured.
Result<std::string> read_cluster_token(const AuthOptions& options)
{
    if (options.cluster_token.from == config::Secret::From::none) return std::string{};
    const auto secret = options.cluster_token.read(options.credentials_directory);
    if (!secret) return fail(secret.error());
    if (secret->size() < shortest_cluster_token) {
        return fail(
            Errc::invalid_argument,
            fmt::format("cannot use auth.cluster_token: it has {} characters, a secret for a whole cluster "
                        "needs at least {}; make one with: openssl rand -hex 32",
                        secret->size(), shortest_cluster_token));
    }
    return sha256(*secret);
}

}  // namespace

Result<AuthMaterial> read_auth_material(AuthOptions options)
{
    AuthMaterial material;
    if (options.jwt.size() > max_issuers) {
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use {} JWT issuers: at most {}", options.jwt.size(), max_issuers));
    }
    for (const auto& issuer : options.jwt) {
        const auto pem = files::read_file(issuer.public_key_file, max_key_file);
        if (!pem) return fail(pem.error());
        auto key = read_public_key(*pem, issuer.public_key_file);
        if (!key) return fail(std::move(key).error());
        material.keys.push_back({issuer.key_id, parse_role(issuer.role).value_or(Role::viewer),
                                 parse_role(issuer.max_role).value_or(Role::viewer), std::move(*key)});
    }
    auto cluster = read_cluster_token(options);
    if (!cluster) return fail(std::move(cluster).error());
    material.cluster_token_hash = std::move(*cluster);
    material.peers = resolve_peer_roles(options, find_group, ::geteuid());
    material.options = std::move(options);
    return material;
}

DefaultAuthenticator::DefaultAuthenticator(AuthMaterial material, TokenStore& store, const Clock& clock)
  : material_{std::move(material)}
  , store_{store}
  , clock_{clock}
{}

Role DefaultAuthenticator::anonymous() const
{
    if (material_.options.anonymous == "viewer") return Role::viewer;
    return material_.options.anonymous == "local" ? Role::local : Role::none;
}

Result<Caller> DefaultAuthenticator::identify(const Credentials& credentials)
{
    Result<Caller> caller;
    if (!credentials.authorization.empty() && !is_empty_token(credentials.authorization))
        caller = by_header(credentials);
    else if (!credentials.certificate_subject.empty())
        caller = by_certificate(credentials);
    else if (credentials.peer)
        caller = by_peer(*credentials.peer);
    else if (credentials.loopback)
        caller = Caller{{}, anonymous(), "loopback", {}};
    if (caller) caller->address = credentials.address;
    return caller;
}

Result<Caller> DefaultAuthenticator::by_header(const Credentials& credentials)
{
    const auto token = token_of(credentials.authorization);
    if (!token) {
        return fail(Errc::denied,
                    "cannot read the header Authorization: write \"Bearer TOKEN\" or \"token=TOKEN\"");
    }
    return by_token(*token, credentials);
}

Result<Caller> DefaultAuthenticator::by_token(std::string_view token, const Credentials& credentials)
{
    const auto key = credentials.peer ? fmt::format("uid {}", credentials.peer->uid)
                                      : FailureLimiter::key_of(credentials.address);
    const auto now = clock_.monotonic();
    const auto& cluster = material_.cluster_token_hash;
    if (!cluster.empty() && equal_secrets(sha256(token), cluster))
        return Caller{"cluster", Role::viewer, "token", {}};
    const bool jwt = looks_like_jwt(token);
    if (jwt && says_rs256(token) && failures_.blocked(key, now)) return too_often();
    auto caller = jwt ? store_.check_jwt(token, material_.keys) : store_.check_token(token);
    if (!caller) failures_.failed(key, now);
    return caller;
}

Result<Caller> DefaultAuthenticator::by_certificate(const Credentials& credentials) const
{
    const auto& subject = credentials.certificate_subject;
    if (credentials.certificate_not_after <= clock_.now()) {
        return fail(Errc::denied,
                    fmt::format("cannot accept the client certificate of \"{}\": it expired at {}; connect "
                                "again with a new one",
                                subject.substr(0, 256), rfc3339(credentials.certificate_not_after)));
    }
    const auto& known = material_.options.certificates;
    auto found = std::ranges::find(known, subject, &CertificateRole::subject);
    const auto fits = [&subject](const CertificateRole& role) { return subject_fits(role.subject, subject); };
    if (found == known.end()) found = std::ranges::find_if(known, fits);
    if (found == known.end()) found = std::ranges::find(known, "*", &CertificateRole::subject);
    if (found == known.end()) {
        return fail(
            Errc::denied,
            fmt::format("cannot accept the client certificate of \"{}\": no role is configured for it; "
                        "add it to the option certificates",
                        subject.substr(0, 256)));
    }
    return Caller{subject, parse_role(found->role).value_or(Role::viewer), "certificate", {}};
}

Caller DefaultAuthenticator::by_peer(const Credentials::Peer& peer) const
{
    const auto role = material_.peers.of(peer.uid, peer.gid);
    return {fmt::format("uid {}", peer.uid), std::max(role, anonymous()), "peer", {}};
}

Task<Result<std::string>> DefaultAuthenticator::log_in(std::string name, std::string password, Caller from)
{
    const auto key = from.via == "peer" ? from.name : FailureLimiter::key_of(from.address);
    if (failures_.blocked(key, clock_.monotonic())) co_return too_often();
    const auto login = co_await store_.verify_user(std::move(name), std::move(password));
    if (!login) {
        if (login.error().code == Errc::denied) failures_.failed(key, clock_.monotonic());
        co_return fail(login.error());
    }
    co_return store_.issue_jwt(*login, material_.options.token_ttl);
}

}  // namespace opsd::http
