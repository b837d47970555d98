#pragma once
// Shared by the files that use OpenSSL, here and in io/pki.

#include "opsd/clock.hpp"

#include <string>

// OpenSSL's own names.
struct x509_st;       // NOLINT
struct X509_name_st;  // NOLINT

namespace opsd::net {

/// The oldest reason in OpenSSL's error queue, the root of the others; the queue is emptied.
[[nodiscard]] std::string tls_reason();
/// RFC 2253.
[[nodiscard]] std::string name_of(const X509_name_st* name);
[[nodiscard]] std::string subject_of(const x509_st* certificate);
/// The epoch when it cannot be read: expired.
[[nodiscard]] WallTime not_after_of(const x509_st* certificate);

}  // namespace opsd::net
