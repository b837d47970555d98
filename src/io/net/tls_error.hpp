#pragma once
// Shared by the two TLS files.

#include <string>

struct x509_st;  // NOLINT: OpenSSL's own name

namespace opsd::net {

/// The newest reason in OpenSSL's error queue, which is emptied.
[[nodiscard]] std::string tls_reason();
/// RFC 2253.
[[nodiscard]] std::string subject_of(const x509_st* certificate);

}  // namespace opsd::net
