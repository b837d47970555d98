#pragma once
// The bodies of this module's calls: JSON from whoever can connect, so bounded before it is read, and refused
// when it holds anything unexpected. Pure.

#include "io/pki/pki.hpp"
#include "modules/pki/tokens.hpp"

#include <string>
#include <string_view>

namespace opsd::pki {

inline constexpr std::size_t max_body = 3 * max_pem;

struct JoinBody {
    std::string token;
    std::string request;  ///< PEM
};
struct RenewBody {
    std::string certificate;  ///< PEM, the one in use
    std::string request;      ///< PEM
};

/// {"token": "join_...", "request": "-----BEGIN CERTIFICATE REQUEST-----..."}
Result<JoinBody> parse_join(std::string_view body);
/// {"certificate": "...", "request": "..."}
Result<RenewBody> parse_renew(std::string_view body);
/// {"lifetime": "30m", "uses": 1, "for": "agent1", "replace": false}, all optional, also no body at all. 1m
/// to 7d, 1 to 1000; a token for one node has one use, and only such a one may replace.
Result<TokenTerms> parse_token(std::string_view body);

/// {"cluster": ..., "certificate": ..., "authority": ...}
[[nodiscard]] std::string certificate_answer(const std::string& cluster, const std::string& certificate,
                                             const std::string& authority);

/// The same, read by the node that asked.
struct CertificateAnswer {
    std::string certificate;
    std::string authority;
};
Result<CertificateAnswer> parse_certificate_answer(std::string_view body);

}  // namespace opsd::pki
