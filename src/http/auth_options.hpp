#pragma once
// Who may do what, as configured.

#include "opsd/config.hpp"

#include <string>
#include <vector>

namespace opsd::http {

/// A client certificate's subject and what it may do.
struct CertificateRole {
    std::string subject;  ///< RFC 2253; a part "CN=*" is any one value; "*": every verified certificate
    std::string role = "viewer";
};

/// A foreign issuer of RS256 tokens.
struct JwtIssuer {
    std::string public_key_file;      ///< PEM
    std::string key_id;               ///< matched against the token's kid when both are there
    std::string role = "viewer";      ///< of tokens without a claim "role"
    std::string max_role = "viewer";  ///< a token that claims more has this
};

struct AuthOptions {
    std::string anonymous = "local";  ///< none, local or viewer; the option http.anonymous
    std::vector<std::string> admin_groups;
    std::vector<std::string> operator_groups{"opsd"};
    std::vector<std::string> viewer_groups{"systemd-journal", "adm"};
    std::vector<CertificateRole> certificates;
    std::vector<JwtIssuer> jwt;
    config::Secret cluster_token;       ///< what opsd of other nodes show: viewer
    std::string credentials_directory;  ///< $CREDENTIALS_DIRECTORY; not an option
    config::Duration token_ttl{5LL * 24 * 3600 * 1000};
};

/// Everything but `anonymous`, which belongs to the section http, and `credentials_directory`.
config::Schema<AuthOptions> auth_schema();

/// What the schema cannot say: an issuer's role is not more than its max_role. All mistakes at once.
void check_issuers(const AuthOptions& options, config::Mistakes& mistakes);

}  // namespace opsd::http
