#pragma once
// The bodies of this module's calls: JSON from whoever can connect, so bounded before it is read, and refused
// when it holds anything unexpected. Pure.

#include "io/pki/pki.hpp"

#include <chrono>
#include <cstdint>
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
struct TokenBody {
    std::chrono::milliseconds lifetime{30LL * 60 * 1000};
    std::int64_t uses = 1;
};

/// {"token": "join_...", "request": "-----BEGIN CERTIFICATE REQUEST-----..."}
Result<JoinBody> parse_join(std::string_view body);
/// {"certificate": "...", "request": "..."}
Result<RenewBody> parse_renew(std::string_view body);
/// {"lifetime": "30m", "uses": 1}, both optional, also no body at all. 1m to 7d, 1 to 1000.
Result<TokenBody> parse_token(std::string_view body);

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
