#include "http/jwt.hpp"

#include "jwt_keys.hpp"

#include <gtest/gtest.h>

using namespace opsd;
using namespace opsd::http;
using opsd::http::test::hs256;
using opsd::http::test::issuer;
using opsd::http::test::KeyPair;

namespace {

constexpr std::int64_t now_seconds = 1'800'000'000;
const WallTime now{std::chrono::seconds{now_seconds}};
const std::string secret(32, 's');

std::string claims(const std::string& more = "")
{
    return R"({"uid":"alice","role":"operator","exp":)" + std::to_string(now_seconds + 60) + more + "}";
}

std::vector<RsaKey> rsa_keys(const std::string& id = "", Role role = Role::viewer, Role max = Role::admin)
{
    return {{id, role, max, read_public_key(issuer().public_pem(), "key.pem").value()}};
}

Result<JwtClaims> own(const std::string& token) { return verify_jwt(token, {secret, {}}, now); }

std::string refusal(const Result<JwtClaims>& result)
{
    if (result) return "accepted";
    EXPECT_EQ(result.error().code, Errc::denied);
    EXPECT_TRUE(result.error().message.starts_with("cannot accept the token: ")) << result.error().message;
    return result.error().message.substr(std::string_view{"cannot accept the token: "}.size());
}

}  // namespace

TEST(Jwt, OurOwnComeBackAsTheyWereSigned)
{
    const auto token =
        sign_jwt({"alice@example.org", Role::operator_, now, now + std::chrono::hours{1}, true}, secret);
    const auto result = own(token);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->subject, "alice@example.org");
    EXPECT_EQ(result->role, Role::operator_);
    EXPECT_EQ(result->issued, now);
    EXPECT_EQ(result->expires, now + std::chrono::hours{1});
    EXPECT_TRUE(result->own);
}

TEST(Jwt, TheSignatureOfTheRfcExampleIsRight)
{
    const auto key = from_base64url(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
    const std::string token{"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leG"
                            "FtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"};
    const WallTime before{std::chrono::seconds{1300819379}};
    EXPECT_EQ(refusal(verify_jwt(token, {*key, {}}, before)),
              "it names nobody: \"uid\" or \"sub\" must be a text of 1 to 128 bytes");
    EXPECT_EQ(refusal(verify_jwt(token, {secret, {}}, before)), "its signature is wrong");
}

TEST(Jwt, EveryChangedCharacterIsNoticed)
{
    const auto token = hs256(secret, claims());
    ASSERT_TRUE(own(token));
    for (std::size_t i = 0; i < token.size(); ++i) {
        auto changed = token;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        EXPECT_FALSE(own(changed)) << i;
    }
    for (std::size_t size = 0; size < token.size(); ++size)
        EXPECT_FALSE(own(token.substr(0, size))) << size;
}

TEST(Jwt, TimeIsRespectedToTheSecond)
{
    EXPECT_TRUE(own(hs256(secret, claims())));
    const auto at = [](std::int64_t offset) { return std::to_string(now_seconds + offset); };
    EXPECT_EQ(refusal(own(hs256(secret, R"({"uid":"a","role":"viewer","exp":)" + at(0) + "}"))),
              "it expired at 2027-01-15T08:00:00.000Z; log in again");
    EXPECT_EQ(refusal(own(hs256(secret, R"({"uid":"a","role":"viewer"})"))), "it has no claim \"exp\"");
    EXPECT_TRUE(own(hs256(secret, claims(R"(,"nbf":)" + at(29)))));
    EXPECT_EQ(refusal(own(hs256(secret, claims(R"(,"nbf":)" + at(31))))),
              "it is not valid before 2027-01-15T08:00:31.000Z");
    EXPECT_TRUE(own(hs256(secret, R"({"uid":"a","role":"viewer","exp":)" + at(1) + ".5}")));
}

TEST(Jwt, OddTimesAreRefused)
{
    for (const auto* odd : {"\"1800000060\"", "null", "true", "-1", "1e300", "[1]", "{}"}) {
        EXPECT_EQ(
            refusal(own(hs256(secret, std::string{R"({"uid":"a","role":"viewer","exp":)"} + odd + "}"))),
            "its claim \"exp\" is not a time")
            << odd;
    }
}

TEST(Jwt, NoneAndOtherAlgorithmsAreRefused)
{
    const auto unsigned_token = base64url(R"({"alg":"none"})") + "." + base64url(claims()) + ".";
    EXPECT_EQ(refusal(own(unsigned_token)), "its algorithm is neither HS256 nor RS256");
    for (const auto* header :
         {R"({"alg":"None"})", R"({"alg":"HS512"})", R"({"alg":"hs256"})", R"({"alg":["HS256"]})", "{}"}) {
        EXPECT_EQ(refusal(own(hs256(secret, claims(), header))), "its algorithm is neither HS256 nor RS256")
            << header;
    }
    EXPECT_EQ(refusal(own(hs256(secret, claims(), R"({"alg":"HS256","crit":["x"]})"))),
              "it has critical extensions, which opsd does not know");
}

TEST(Jwt, ThePublicKeyIsNoSecret)
{
    // the classic confusion: HS256 keyed with the text of the RSA public key
    const auto keys = rsa_keys();
    const auto token = hs256(issuer().public_pem(), claims());
    EXPECT_EQ(refusal(verify_jwt(token, {secret, keys}, now)), "its signature is wrong");
    EXPECT_EQ(refusal(verify_jwt(token, {"", keys}, now)), "its signature is wrong");
    EXPECT_EQ(refusal(verify_jwt(hs256("", claims()), {"", keys}, now)), "its signature is wrong");
}

TEST(Jwt, Rs256ByAConfiguredKey)
{
    const auto keys = rsa_keys();
    const auto result = verify_jwt(issuer().token(claims()), {secret, keys}, now);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->subject, "alice");
    EXPECT_EQ(result->role, Role::operator_);
    EXPECT_FALSE(result->own);
    const auto plain = R"({"sub":"bob","exp":)" + std::to_string(now_seconds + 1) + "}";
    EXPECT_EQ(verify_jwt(issuer().token(plain), {secret, keys}, now)->role, Role::viewer)
        << "the configured default";
}

TEST(Jwt, AnIssuerGivesNoMoreThanItsMaximum)
{
    const auto role_of = [](const char* claimed, Role most) {
        const auto text = R"({"sub":"bob","role":")" + std::string{claimed} + R"(","exp":)"
                          + std::to_string(now_seconds + 1) + "}";
        const auto keys = rsa_keys("", Role::viewer, most);
        return verify_jwt(issuer().token(text), {secret, keys}, now)->role;
    };
    EXPECT_EQ(role_of("admin", Role::viewer), Role::viewer);
    EXPECT_EQ(role_of("admin", Role::operator_), Role::operator_);
    EXPECT_EQ(role_of("operator", Role::admin), Role::operator_) << "a maximum gives nothing";
    EXPECT_EQ(RsaKey{}.max_role, Role::viewer) << "who says nothing grants least";
    EXPECT_EQ(own(hs256(secret, claims()))->role, Role::operator_) << "our own have the user's role";
}

TEST(Jwt, Rs256ByAnotherKeyOrWithoutOneIsRefused)
{
    static const KeyPair stranger;
    const auto keys = rsa_keys();
    EXPECT_EQ(refusal(verify_jwt(stranger.token(claims()), {secret, keys}, now)),
              "its signature is by no key that is configured here");
    EXPECT_EQ(refusal(verify_jwt(issuer().token(claims()), {secret, {}}, now)),
              "its signature is by no key that is configured here");
}

TEST(Jwt, TheKeyIdIsMatchedWhenBothHaveOne)
{
    const auto keys = rsa_keys("k1");
    const auto with = [](const char* id) {
        return issuer().token(claims(), std::string{R"({"alg":"RS256","kid":")"} + id + "\"}");
    };
    EXPECT_TRUE(verify_jwt(with("k1"), {secret, keys}, now));
    EXPECT_FALSE(verify_jwt(with("k2"), {secret, keys}, now));
    EXPECT_TRUE(verify_jwt(issuer().token(claims()), {secret, keys}, now));
}

TEST(Jwt, WhoAndWhatMustBeSaid)
{
    const auto expiring = R"("exp":)" + std::to_string(now_seconds + 60);
    EXPECT_EQ(refusal(own(hs256(secret, "{" + expiring + R"(,"role":"admin"})"))).substr(0, 15),
              "it names nobody");
    EXPECT_EQ(refusal(own(hs256(secret, "{" + expiring + R"(,"uid":7,"role":"admin"})"))).substr(0, 15),
              "it names nobody");
    EXPECT_EQ(refusal(own(hs256(secret, "{" + expiring + R"(,"uid":"a\nb","role":"admin"})"))).substr(0, 15),
              "it names nobody");
    EXPECT_EQ(refusal(own(hs256(secret, "{" + expiring + R"(,"uid":")" + std::string(129, 'x')
                                            + R"(","role":"admin"})")))
                  .substr(0, 15),
              "it names nobody");
    EXPECT_EQ(refusal(own(hs256(secret, "{" + expiring + R"(,"uid":"a"})"))), "it has no claim \"role\"");
    EXPECT_EQ(refusal(own(hs256(secret, "{" + expiring + R"(,"uid":"a","role":"root"})"))),
              "its claim \"role\" is not viewer, operator or admin");
    EXPECT_EQ(refusal(own(hs256(secret, "{" + expiring + R"(,"uid":"a","role":"local"})"))),
              "its claim \"role\" is not viewer, operator or admin");
}

TEST(Jwt, RubbishIsRefusedWithoutHarm)
{
    for (const std::string bad : {"", ".", "..", "...", "a.b", "a.b.c", "e30.e30.", "e30.e30.e30.e30",
                                  "é.é.é", "bnVsbA.e30.", "W10.W10."}) {
        EXPECT_FALSE(own(bad)) << bad;
    }
    EXPECT_EQ(refusal(own(hs256(secret, claims(R"(,"x":")" + std::string(8192, 'x') + "\"")))),
              "it is larger than 8 KiB");
    const auto deep = std::string(3000, '[') + std::string(3000, ']');
    EXPECT_FALSE(own(hs256(secret, deep)));
}

TEST(Jwt, OnlyFitPublicKeysAreRead)
{
    EXPECT_TRUE(read_public_key(issuer().public_pem(), "k"));
    EXPECT_EQ(read_public_key("rubbish", "/etc/k.pem").error().message,
              "cannot use /etc/k.pem: it holds no public key; make one with: openssl rsa -in KEY -pubout");
    EXPECT_FALSE(read_public_key(issuer().private_pem(), "k"));
    const KeyPair small{1024};
    EXPECT_EQ(read_public_key(small.public_pem(), "k").error().message,
              "cannot use k: RS256 needs an RSA key of at least 2,048 bits");
}
