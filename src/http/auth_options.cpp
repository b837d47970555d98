#include "http/auth_options.hpp"

#include "opsd/http.hpp"

#include <fmt/format.h>

namespace opsd::http {
namespace {

using config::Rule;

Rule<std::string> role_rule() { return config::one_of({"viewer", "operator", "admin"}); }

Rule<std::string> not_empty()
{
    return {"not empty", [](const std::string& text) { return !text.empty(); }, {}};
}

Rule<std::vector<std::string>> few_names()
{
    return {"at most 32 names", [](const std::vector<std::string>& names) { return names.size() <= 32; }, {}};
}

config::Schema<CertificateRole> certificate_schema()
{
    return config::Schema<CertificateRole>{}
        .field(
            &CertificateRole::subject, "subject",
            "Subject of the client certificate in RFC 2253 form; \"CN=*\" in it is any one name, \"*\" alone "
            "every verified certificate",
            not_empty())
        .field(&CertificateRole::role, "role", "What its holder may do", role_rule());
}

config::Schema<JwtIssuer> issuer_schema()
{
    return config::Schema<JwtIssuer>{}
        .field(&JwtIssuer::public_key_file, "public_key_file", "PEM file of the issuer's RSA public key",
               not_empty())
        .field(&JwtIssuer::key_id, "key_id", "Key id (kid) of this key; empty: any")
        .field(&JwtIssuer::role, "role", "Role of its tokens that carry no claim \"role\"", role_rule())
        .field(&JwtIssuer::max_role, "max_role", "Most that its tokens may do; one that claims more has this",
               role_rule());
}

}  // namespace

void check_issuers(const AuthOptions& options, config::Mistakes& mistakes)
{
    for (std::size_t i = 0; i < options.jwt.size(); ++i) {
        const auto& issuer = options.jwt[i];
        if (parse_role(issuer.role) <= parse_role(issuer.max_role)) continue;
        mistakes.push_back(
            {{},
             fmt::format("auth.jwt[{}].role", i),
             fmt::format("is {}, more than the issuer's max_role {}: lower it, or raise max_role",
                         issuer.role, issuer.max_role)});
    }
}

config::Schema<AuthOptions> auth_schema()
{
    using namespace std::chrono_literals;
    return config::Schema<AuthOptions>{}
        .field(&AuthOptions::admin_groups, "admin_groups", "Unix groups that are admin on the socket",
               few_names())
        .field(&AuthOptions::operator_groups, "operator_groups",
               "Unix groups that are operator on the socket", few_names())
        .field(&AuthOptions::viewer_groups, "viewer_groups", "Unix groups that are viewer on the socket",
               few_names())
        .list(&AuthOptions::certificates, "certificates", "Client certificates and their roles",
              certificate_schema())
        .list(&AuthOptions::jwt, "jwt", "Issuers of RS256 tokens that are accepted", issuer_schema())
        .field(&AuthOptions::cluster_token, "cluster_token",
               "The secret of at least 32 characters that opsd of other nodes show (their cluster.token): "
               "viewer")
        .field(&AuthOptions::token_ttl, "token_ttl", "How long a token from a login lives",
               config::between(config::Duration{1min}, config::Duration{24h * 365}));
}

}  // namespace opsd::http
