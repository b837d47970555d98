#include "http/auth_text.hpp"
#include "http/password.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <thread>

using namespace opsd;
using namespace opsd::http;

namespace {

std::string unhex(std::string_view text)
{
    std::string bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        bytes += static_cast<char>(std::stoi(std::string{text.substr(i, 2)}, nullptr, 16));
    }
    return bytes;
}

[[maybe_unused]] long anonymous_kilobytes()
{
    std::ifstream status{"/proc/self/status"};
    for (std::string word; status >> word;) {
        long value = 0;
        if (word == "RssAnon:" && status >> value) return value;
    }
    return -1;
}

}  // namespace

TEST(AuthText, Base64urlOfTheRfcAndBack)
{
    for (const auto& [bytes, text] :
         {std::pair{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"}}) {
        EXPECT_EQ(base64url(bytes), text);
        EXPECT_EQ(from_base64url(text), bytes);
    }
    EXPECT_EQ(base64url("\xfb\xff\xfe"), "-__-");
    for (std::size_t size = 0; size < 70; ++size) {
        const auto bytes = random_bytes(size);
        EXPECT_EQ(from_base64url(base64url(bytes)), bytes);
    }
}

TEST(AuthText, Base64urlHasOneTextPerValue)
{
    for (const auto* bad : {"Zg==", "Z", "Zm9vY", "Zh", "Zm9", "Zm 9v", "Zm+v", "Zm/v", "Zm9v\n"}) {
        EXPECT_FALSE(from_base64url(bad)) << bad;
    }
}

TEST(AuthText, KnownDigests)
{
    EXPECT_EQ(sha256("abc"), unhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    EXPECT_EQ(hmac_sha256("Jefe", "what do ya want for nothing?"),  // RFC 4231, case 2
              unhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
}

TEST(AuthText, SecretsAreEqualOnlyWhenTheyAre)
{
    EXPECT_TRUE(equal_secrets("abc", "abc"));
    EXPECT_FALSE(equal_secrets("abc", "abd"));
    EXPECT_FALSE(equal_secrets("abc", "ab"));
    EXPECT_TRUE(equal_secrets("", ""));
}

TEST(AuthText, RandomBytesDiffer)
{
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i)
        EXPECT_TRUE(seen.insert(random_bytes(16)).second);
}

TEST(AuthPassword, ScryptIsTheOneOfTheRfc)
{
    // RFC 7914, section 12: "password", "NaCl", 1024, 8, 16
    const PasswordHash stored{
        {1024, 8, 16}, "NaCl", unhex("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162")};
    EXPECT_TRUE(matches("password", stored).value());
    EXPECT_FALSE(matches("Password", stored).value());
}

TEST(AuthPassword, EachHashHasItsOwnSalt)
{
    const ScryptCost cost{16, 1, 1};
    const auto a = hash_password("correct horse", cost);
    const auto b = hash_password("correct horse", cost);
    EXPECT_NE(a->salt, b->salt);
    EXPECT_NE(a->hash, b->hash);
    EXPECT_TRUE(matches("correct horse", *a).value());
    EXPECT_TRUE(matches("correct horse", *b).value());
    EXPECT_FALSE(matches("correct hors", *a).value());
}

TEST(AuthPassword, TheDefaultCostWorks)
{
    const auto hash = hash_password("correct horse", {});
    ASSERT_TRUE(hash) << hash.error().message;
    EXPECT_TRUE(matches("correct horse", *hash).value());
}

TEST(AuthPassword, CostsThatCouldStarveTheNodeAreNotAcceptable)
{
    EXPECT_TRUE(acceptable({}));
    for (const ScryptCost bad : {ScryptCost{0, 8, 1},
                                 {1, 8, 1},
                                 {1000, 8, 1},
                                 {1U << 20, 8, 1},
                                 {1U << 14, 0, 1},
                                 {1U << 14, 8, 0},
                                 {1U << 17, 32, 1},
                                 {1U << 16, 8, 16},
                                 {1U << 14, 8, 1U << 30}}) {
        EXPECT_FALSE(acceptable(bad)) << bad.n << " " << bad.r << " " << bad.p;
    }
}

TEST(AuthPassword, NewOnesHaveALength)
{
    EXPECT_FALSE(check_new_password("short"));
    EXPECT_TRUE(check_new_password("12345678"));
    EXPECT_FALSE(check_new_password(std::string(1025, 'x')));
    const auto hash = hash_password(std::string(1025, 'x'), {16, 1, 1});
    EXPECT_FALSE(matches(std::string(1025, 'x'), *hash).value())
        << "a password over the limit must never match";
}

// A sanitizer's allocator keeps memory by design.
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
TEST(AuthPassword, TheMemoryOfAHashGoesBackToTheSystem)
{
    long before = 0;
    long after = 0;
    std::thread worker{[&] {
        before = anonymous_kilobytes();
        for (int i = 0; i < 3; ++i)
            (void)hash_password("correct horse", {});
        after = anonymous_kilobytes();
    }};
    worker.join();
    EXPECT_GT(before, 0);
    EXPECT_LT(after - before, 4096) << "a login must not cost 16 MiB for ever";
}
#endif
