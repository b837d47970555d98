#include "io/pki/pki.hpp"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>

using namespace opsd;
using namespace opsd::pki;
using namespace std::chrono_literals;

namespace {

const WallTime now = WallTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};
const Validity a_year{now - 5min, now + 24h * 365};
const Subject root_name{"opsd cluster", "", "dc1"};
const Subject node_name{"opsd node", "dc1", "node1"};

/// An authority and a node's request.
struct Pair {
    Authority authority;
    std::string key = *make_key();
    std::string request =
        *make_request(key, "node1", {{"node1", "node1.example"}, {"198.18.0.2", "fd00::2"}});

    Pair()
    {
        authority.key = *make_key();
        authority.certificate = *make_authority(authority.key, root_name, {now - 5min, now + 24h * 3653});
    }
    [[nodiscard]] std::string certificate(Validity validity = a_year) const
    {
        return *sign(authority, request, node_name, {{"node1"}, {"198.18.0.2"}}, validity);
    }
};

using RequestPtr = std::unique_ptr<X509_REQ, decltype(&X509_REQ_free)>;

RequestPtr parsed(const std::string& pem)
{
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio{
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free};
    return {PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr), X509_REQ_free};
}

std::string written(X509_REQ* request)
{
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio{BIO_new(BIO_s_mem()), BIO_free};
    PEM_write_bio_X509_REQ(bio.get(), request);
    char* text = nullptr;
    const auto size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

/// A request as nobody of ours makes it: alternative names in OpenSSL's language, any key.
std::string odd_request(EVP_PKEY* key, const std::string& common_name, const std::string& alternatives)
{
    const RequestPtr request{X509_REQ_new(), X509_REQ_free};
    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request.get()), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common_name.data()),
                               static_cast<int>(common_name.size()), -1, 0);
    X509_REQ_set_pubkey(request.get(), key);
    if (!alternatives.empty()) {
        auto* all = sk_X509_EXTENSION_new_null();
        sk_X509_EXTENSION_push(
            all, X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, alternatives.c_str()));
        X509_REQ_add_extensions(request.get(), all);
        sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    }
    X509_REQ_sign(request.get(), key, EVP_sha256());
    return written(request.get());
}

using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
KeyPtr p256() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

void expect_refused(const std::string& request, std::string_view why)
{
    const auto read = read_request(request);
    ASSERT_FALSE(read.has_value()) << why;
    EXPECT_EQ(read.error().code, Errc::invalid_argument);
    EXPECT_TRUE(read.error().message.starts_with("cannot ")) << read.error().message;
    EXPECT_NE(read.error().message.find(why), std::string::npos) << read.error().message;
}

}  // namespace

TEST(Pki, ASignedCertificateSaysWhatWasAskedAndIsVerified)
{
    const Pair pair;
    const auto pem = pair.certificate();
    const auto says = inspect(pem);
    ASSERT_TRUE(says.has_value()) << says.error().message;
    EXPECT_EQ(says->subject, "CN=node1,OU=dc1,O=opsd node");
    EXPECT_EQ(says->issuer, "CN=dc1,O=opsd cluster");
    EXPECT_EQ(says->parts, node_name);
    EXPECT_EQ(says->names, (Names{{"node1"}, {"198.18.0.2"}}));
    EXPECT_EQ(says->not_before, now - 5min);
    EXPECT_EQ(says->not_after, now + 24h * 365);
    EXPECT_FALSE(says->authority);
    EXPECT_EQ(says->serial.size(), 32U);
    EXPECT_EQ(says->fingerprint.size(), 7U + 64);
    EXPECT_TRUE(verify(pem, pair.authority.certificate, now));
    EXPECT_TRUE(verify(pem + pair.authority.certificate, pair.authority.certificate, now))
        << "the first of a chain counts";
    EXPECT_TRUE(check_key(pem, pair.key));
    EXPECT_TRUE(check_same_key(pem, pair.request));
    EXPECT_NE(inspect(pair.certificate())->serial, says->serial);
}

TEST(Pki, AnAuthorityIsOneAndOutlivesWhatItSigns)
{
    const Pair pair;
    const auto says = inspect(pair.authority.certificate);
    ASSERT_TRUE(says.has_value());
    EXPECT_TRUE(says->authority);
    EXPECT_EQ(says->subject, says->issuer);
    EXPECT_TRUE(verify(pair.authority.certificate, pair.authority.certificate, now));
    EXPECT_EQ(inspect(pair.certificate({now, now + 24h * 9'000}))->not_after, says->not_after);
}

TEST(Pki, AnotherAuthorityOrAnotherTimeIsRefused)
{
    const Pair pair;
    const Pair stranger;  // of the same name
    const auto pem = pair.certificate();
    EXPECT_EQ(verify(pem, stranger.authority.certificate, now).error().code, Errc::denied);
    const auto late = verify(pem, pair.authority.certificate, now + 24h * 366);
    EXPECT_NE(late.error().message.find("expired"), std::string::npos) << late.error().message;
    const auto early = verify(pem, pair.authority.certificate, now - 1h);
    EXPECT_NE(early.error().message.find("not yet valid"), std::string::npos) << early.error().message;
    const auto leaf_as_root = verify(pem, pem, now);
    EXPECT_FALSE(leaf_as_root.has_value()) << "a node is no authority";
}

TEST(Pki, ANodeCannotSignForOthers)
{
    const Pair pair;
    const Authority node{pair.key, pair.certificate()};
    const Pair other;
    const auto pem = sign(node, other.request, node_name, {{"evil"}, {}}, a_year);
    ASSERT_TRUE(pem.has_value()) << "nobody stops it, but";
    EXPECT_FALSE(verify(*pem, pair.authority.certificate, now)) << "nobody believes it";
}

TEST(Pki, AnotherKeyIsFoundOut)
{
    const Pair pair;
    const Pair other;
    EXPECT_EQ(check_key(pair.certificate(), other.key).error().code, Errc::denied);
    EXPECT_EQ(check_same_key(pair.certificate(), other.request).error().code, Errc::denied);
    const Authority mixed{other.authority.key, pair.authority.certificate};
    EXPECT_EQ(sign(mixed, pair.request, node_name, {}, a_year).error().code, Errc::denied);
}

TEST(Pki, ARequestRoundTrips)
{
    const Pair pair;
    const auto request = read_request(pair.request);
    ASSERT_TRUE(request.has_value()) << request.error().message;
    EXPECT_EQ(request->name, "node1");
    EXPECT_EQ(request->names, (Names{{"node1", "node1.example"}, {"198.18.0.2", "fd00::2"}}));
    const auto bare = read_request(*make_request(pair.key, "node1", {}));
    ASSERT_TRUE(bare.has_value());
    EXPECT_EQ(bare->names, Names{});
}

TEST(Pki, GarbageIsNoRequest)
{
    const Pair pair;
    expect_refused("", "not PEM");
    expect_refused("rubbish", "not PEM");
    expect_refused(pair.certificate(), "not PEM");
    expect_refused(pair.request.substr(0, pair.request.size() / 2), "not PEM");
    expect_refused("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
                   "not PEM");
    expect_refused(std::string(max_pem, '\n') + pair.request, "not PEM");
}

TEST(Pki, ARequestThatItsKeyDidNotSignIsRefused)
{
    const Pair pair;
    const auto request = parsed(pair.request);
    const auto other = p256();
    X509_REQ_set_pubkey(request.get(), other.get());  // somebody else's key under an old signature
    expect_refused(written(request.get()), "not signed by its own key");
    EXPECT_FALSE(sign(pair.authority, written(request.get()), node_name, {}, a_year));
    EXPECT_FALSE(check_same_key(pair.certificate(), written(request.get())));
}

TEST(Pki, OnlyP256KeysAreSigned)
{
    const KeyPtr rsa{EVP_RSA_gen(2048), EVP_PKEY_free};
    const KeyPtr p384{EVP_EC_gen("P-384"), EVP_PKEY_free};
    expect_refused(odd_request(rsa.get(), "node1", ""), "P-256");
    expect_refused(odd_request(p384.get(), "node1", ""), "P-256");
}

TEST(Pki, OddNamesInARequestAreRefused)
{
    const auto key = p256();
    for (const auto* name : {"", "a b", "*.example", "10.0.0.1", "-a", "a..b", "node1,O=evil", "n\xc3\xb6"})
        expect_refused(odd_request(key.get(), name, ""), "common name");
    expect_refused(odd_request(key.get(), "node1", "DNS:*.example"), "no host name");
    expect_refused(odd_request(key.get(), "node1", "DNS:a_b"), "no host name");
    expect_refused(odd_request(key.get(), "node1", "email:a@b.example"), "only host names and addresses");
    expect_refused(odd_request(key.get(), "node1", "URI:https://a"), "only host names and addresses");
    std::string many = "DNS:a0";
    for (int i = 1; i <= 16; ++i)
        many += ",DNS:a" + std::to_string(i);
    expect_refused(odd_request(key.get(), "node1", many), "more than 16");
    many += "," + many + "," + many;
    expect_refused(odd_request(key.get(), "node1", many), "too many");
}

TEST(Pki, HostNamesFollowTheRules)
{
    for (const auto* good : {"a", "node1", "a-b.example", "1a", "a.1b", "NODE"})
        EXPECT_TRUE(valid_host_name(good)) << good;
    for (const auto* bad :
         {"", ".", "a.", ".a", "a b", "a_b", "*.a", "1.2.3.4", "1", "a.1", "-a", "a-", "::1"})
        EXPECT_FALSE(valid_host_name(bad)) << bad;
    EXPECT_TRUE(valid_host_name(std::string(63, 'a')));
    EXPECT_FALSE(valid_host_name(std::string(64, 'a')));
    std::string longest;
    for (int i = 0; i < 127; ++i)
        longest += "a.";
    EXPECT_FALSE(valid_host_name(longest + "a")) << "255 characters";
    EXPECT_FALSE(valid_host_name(std::string_view{"a\0b", 3}));
}

TEST(Pki, NamesAreKeptOncePerKind)
{
    Names names;
    for (const auto* name : {"Node1", "node1", "10.0.0.1", "::1", "0:0::1", "fe80::1"})
        EXPECT_TRUE(add_name(names, name)) << name;
    EXPECT_EQ(names, (Names{{"node1"}, {"10.0.0.1", "::1", "fe80::1"}}));
    EXPECT_EQ(add_name(names, "a b").error().code, Errc::invalid_argument);
    EXPECT_FALSE(canonical_address("fe80::1%eth0"));
    EXPECT_FALSE(canonical_address(std::string_view{"10.0.0.1\0x", 10}));
}
