#pragma once
// Shared by the two TLS files.

#include "opsd/clock.hpp"

#include <string>

struct x509_st;  // NOLINT: OpenSSL's own name

namespace opsd::net {

/// The oldest reason in OpenSSL's error queue, the root of the others; the queue is emptied.
[[nodiscard]] std::string tls_reason();
/// RFC 2253.
[[nodiscard]] std::string subject_of(const x509_st* certificate);
/// The epoch when it cannot be read: expired.
[[nodiscard]] WallTime not_after_of(const x509_st* certificate);

}  // namespace opsd::net
