// Tokens of strangers, and claims under a good signature: the first byte chooses raw bytes, our own key or a
// foreign issuer's; header and claims are the lines that follow. Nobody forges, and what is accepted is
// whole.

#include "http/jwt.hpp"
#include "unit/http/jwt_keys.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

using namespace opsd;
using namespace opsd::http;

namespace {

const std::string secret(32, 's');
const WallTime now{std::chrono::seconds{1'800'000'000}};

void must(bool condition)
{
    if (!condition) std::abort();
}

void whole(const JwtClaims& claims)
{
    must(!claims.subject.empty() && claims.subject.size() <= 128);
    must(std::ranges::none_of(claims.subject, [](unsigned char c) { return c < 0x20 || c == 0x7f; }));
    must(claims.role >= Role::viewer && claims.role <= Role::admin);
    must(claims.expires > now);
}

/// Signing is the slow part: one key, made once.
const std::vector<RsaKey>& keys()
{
    static const std::vector<RsaKey> all{
        {"k1", Role::viewer, Role::operator_, read_public_key(test::issuer().public_pem(), "k").value()}};
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const std::string input{reinterpret_cast<const char*>(data) + 1, size - 1};
    const auto line = std::min(input.find('\n'), input.size());
    const auto header = input.substr(0, line);
    const auto claims = input.substr(std::min(line + 1, input.size()));
    (void)says_rs256(input);
    const auto verify = [](const std::string& token) { return verify_jwt(token, {secret, keys()}, now); };

    if (data[0] % 3 == 0) {
        must(!verify(input));
    } else if (data[0] % 3 == 1) {
        const auto own = verify(test::hs256(secret, claims, header));
        if (own) whole(*own);
        if (own) must(own->own && header.find("HS256") != std::string::npos);
        must(!verify(test::hs256("another secret", claims, header)));
    } else if (claims.size() + header.size() < 4096) {
        const auto foreign = verify(test::issuer().token(claims, header));
        if (foreign) whole(*foreign);
        if (foreign) must(!foreign->own && foreign->role <= Role::operator_);
    }
    return 0;
}
