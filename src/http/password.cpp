#include "http/password.hpp"

#include "http/auth_text.hpp"

#include <openssl/evp.h>

#include <malloc.h>

#include <bit>

namespace opsd::http {
namespace {

constexpr std::size_t salt_size = 16;
constexpr std::size_t hash_size = 32;
constexpr std::size_t min_password = 8;
constexpr std::size_t max_password = 1024;
constexpr std::uint64_t max_memory = 64ULL << 20;

/// Blocks of this size and more come from the system and go straight back. Without it glibc raises the bound
/// at the first free, and the thread's arena keeps the 16 MiB of a login for ever (malloc_trim does not reach
/// them).
void give_large_blocks_back()
{
    static const int once = ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
    (void)once;
}

Result<std::string> derive(std::string_view password, std::string_view salt, const ScryptCost& cost)
{
    give_large_blocks_back();
    std::string hash(hash_size, '\0');
    // OpenSSL counts a little more than the 128 * n * r of the algorithm.
    const int done =
        EVP_PBE_scrypt(password.data(), password.size(), reinterpret_cast<const unsigned char*>(salt.data()),
                       salt.size(), cost.n, cost.r, cost.p, max_memory + (1U << 20),
                       reinterpret_cast<unsigned char*>(hash.data()), hash.size());
    if (done != 1)
        return fail(Errc::internal, "cannot hash a password: OpenSSL's scrypt refused; is memory short?");
    return hash;
}

}  // namespace

bool acceptable(const ScryptCost& cost) noexcept
{
    return std::has_single_bit(cost.n) && cost.n > 1 && cost.n <= (1U << 17) && cost.r >= 1 && cost.r <= 32
           && cost.p >= 1 && cost.p <= 16 && 128 * cost.n * cost.r <= max_memory
           && cost.n * cost.r * cost.p <= 10ULL * (1U << 14) * 8 * 5;
}

Result<> check_new_password(std::string_view password)
{
    if (password.size() >= min_password && password.size() <= max_password) return {};
    return fail(Errc::invalid_argument, "cannot use this password: it must have 8 to 1,024 bytes");
}

Result<PasswordHash> hash_password(std::string_view password, const ScryptCost& cost)
{
    PasswordHash made{cost, random_bytes(salt_size), {}};
    auto hash = derive(password, made.salt, cost);
    if (!hash) return fail(std::move(hash).error());
    made.hash = std::move(*hash);
    return made;
}

Result<bool> matches(std::string_view password, const PasswordHash& stored)
{
    const auto hash = derive(password.substr(0, max_password + 1), stored.salt, stored.cost);
    if (!hash) return fail(hash.error());
    return password.size() <= max_password && equal_secrets(*hash, stored.hash);
}

}  // namespace opsd::http
