#pragma once
// Passwords at rest: scrypt. These calls take a fifth of a second by design: on a worker thread only.

#include "opsd/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace opsd::http {

/// The work of one check. 2^14, 8, 5 takes 16 MiB, OWASP's choice for that much memory.
struct ScryptCost {
    std::uint64_t n = 1U << 14;
    std::uint64_t r = 8;
    std::uint64_t p = 5;
    bool operator==(const ScryptCost&) const = default;
};

struct PasswordHash {
    ScryptCost cost;
    std::string salt;  ///< bytes
    std::string hash;  ///< bytes
};

/// A cost that OpenSSL takes and that cannot starve the node (64 MiB, ten times the work of the default).
[[nodiscard]] bool acceptable(const ScryptCost& cost) noexcept;

/// A new password: 8 to 1,024 bytes.
Result<> check_new_password(std::string_view password);

Result<PasswordHash> hash_password(std::string_view password, const ScryptCost& cost);
Result<bool> matches(std::string_view password, const PasswordHash& stored);

}  // namespace opsd::http
