// Making: keys, requests, and what an authority signs.

#include "io/pki/handles.hpp"
#include "io/pki/pki.hpp"

#include <openssl/pem.h>
#include <openssl/rand.h>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace opsd::pki {
namespace {

Result<std::string> pem_of(X509* certificate)
{
    const Bio bio{BIO_new(BIO_s_mem())};
    if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1) return openssl_failed("write a certificate");
    return text_of(bio.get());
}

bool add_part(X509_NAME* name, int nid, const std::string& text)
{
    if (text.empty()) return true;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, bytes, static_cast<int>(text.size()), -1, 0)
           == 1;
}

bool set_subject(X509_NAME* name, const Subject& subject)
{
    return add_part(name, NID_organizationName, subject.organisation)
           && add_part(name, NID_organizationalUnitName, subject.unit)
           && add_part(name, NID_commonName, subject.name);
}

/// 127 random bits: unique without a counter, and positive.
bool set_serial(X509* certificate)
{
    std::array<unsigned char, 16> bytes{};
    if (RAND_bytes(bytes.data(), bytes.size()) != 1) return false;
    bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7fU) | 0x40U);
    const std::unique_ptr<BIGNUM, Free<BN_free>> number{BN_bin2bn(bytes.data(), bytes.size(), nullptr)};
    return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

std::time_t seconds_of(WallTime time)
{
    return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

bool set_validity(X509* certificate, Validity validity)
{
    return ASN1_TIME_set(X509_getm_notBefore(certificate), seconds_of(validity.from)) != nullptr
           && ASN1_TIME_set(X509_getm_notAfter(certificate), seconds_of(validity.until)) != nullptr;
}

/// The texts are constants of this file: OpenSSL's language for extensions must see nothing from outside.
bool extend(X509* certificate, X509* issuer, int nid, const char* value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>> extension{
        X509V3_EXT_conf_nid(nullptr, &context, nid, value)};
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool push(GENERAL_NAMES* to, int type, ASN1_STRING* value, const void* bytes, std::size_t size)
{
    std::unique_ptr<GENERAL_NAME, Free<GENERAL_NAME_free>> name{GENERAL_NAME_new()};
    if (!name || value == nullptr || ASN1_STRING_set(value, bytes, static_cast<int>(size)) != 1) {
        ASN1_STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(name.get(), type, value);
    if (sk_GENERAL_NAME_push(to, name.get()) == 0) return false;
    (void)name.release();
    return true;
}

/// Null when memory is short.
GeneralNames alternatives_of(const Names& names)
{
    GeneralNames all{sk_GENERAL_NAME_new_null()};
    bool good = all != nullptr;
    for (const auto& host : names.hosts)
        good = good && push(all.get(), GEN_DNS, ASN1_IA5STRING_new(), host.data(), host.size());
    for (const auto& address : names.addresses) {
        std::array<unsigned char, 16> raw{};
        const bool v4 = ::inet_pton(AF_INET, address.c_str(), raw.data()) == 1;
        good = good && (v4 || ::inet_pton(AF_INET6, address.c_str(), raw.data()) == 1)
               && push(all.get(), GEN_IPADD, ASN1_OCTET_STRING_new(), raw.data(), v4 ? 4 : 16);
    }
    return good ? std::move(all) : nullptr;
}

/// A certificate with everything but its extensions and its signature.
Result<X509Handle> begin(EVP_PKEY* key, const Subject& subject, const X509_NAME* issuer, Validity validity)
{
    X509Handle made{X509_new()};
    const bool good =
        made && X509_set_version(made.get(), X509_VERSION_3) == 1 && set_serial(made.get())
        && set_validity(made.get(), validity) && set_subject(X509_get_subject_name(made.get()), subject)
        && X509_set_issuer_name(made.get(), issuer == nullptr ? X509_get_subject_name(made.get()) : issuer)
               == 1
        && X509_set_pubkey(made.get(), key) == 1;
    if (!good) return openssl_failed("make a certificate");
    return made;
}

}  // namespace

Result<std::string> make_key()
{
    const Key key{EVP_EC_gen("P-256")};
    const Bio bio{BIO_new(BIO_s_secmem())};
    if (!key || !bio
        || PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
        return openssl_failed("make a key");
    return text_of(bio.get());
}

Result<std::string> make_authority(const std::string& key, const Subject& subject, Validity validity)
{
    const auto own = read_key(key);
    if (!own) return fail(own.error());
    const auto made = begin(own->get(), subject, nullptr, validity);
    if (!made) return fail(made.error());
    auto* certificate = made->get();
    const bool good = extend(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
                      && extend(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign")
                      && extend(certificate, certificate, NID_subject_key_identifier, "hash")
                      && X509_sign(certificate, own->get(), EVP_sha256()) != 0;
    if (!good) return openssl_failed("make the authority's certificate");
    return pem_of(certificate);
}

Result<std::string> make_request(const std::string& key, const std::string& name, const Names& names)
{
    const auto own = read_key(key);
    if (!own) return fail(own.error());
    const RequestHandle request{X509_REQ_new()};
    const auto alternatives = alternatives_of(names);
    const std::unique_ptr<STACK_OF(X509_EXTENSION), void (*)(STACK_OF(X509_EXTENSION)*)> extensions{
        sk_X509_EXTENSION_new_null(),
        [](STACK_OF(X509_EXTENSION) * all) { sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free); }};
    auto* stack = extensions.get();
    bool good = request && alternatives && stack != nullptr;
    if (good && sk_GENERAL_NAME_num(alternatives.get()) > 0) {
        good = X509V3_add1_i2d(&stack, NID_subject_alt_name, alternatives.get(), 0, X509V3_ADD_DEFAULT) == 1
               && X509_REQ_add_extensions(request.get(), stack) == 1;
    }
    good = good && set_subject(X509_REQ_get_subject_name(request.get()), {{}, {}, name})
           && X509_REQ_set_pubkey(request.get(), own->get()) == 1
           && X509_REQ_sign(request.get(), own->get(), EVP_sha256()) != 0;
    const Bio bio{BIO_new(BIO_s_mem())};
    if (!good || !bio || PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1)
        return openssl_failed("make a certificate request");
    return text_of(bio.get());
}

Result<std::string> sign(const Authority& authority, const std::string& request, const Subject& subject,
                         const Names& names, Validity validity)
{
    const auto root = read_certificate(authority.certificate);
    if (!root) return fail(root.error());
    const auto key = read_key(authority.key);
    if (!key) return fail(key.error());
    const auto paired = check_key(authority.certificate, authority.key);
    if (!paired) return fail(paired.error());
    const auto asked = read_signed_request(request);
    if (!asked) return fail(asked.error());
    const auto known = inspect(authority.certificate);
    if (!known) return fail(known.error());
    validity.until = std::min(validity.until, known->not_after);
    const auto made =
        begin(X509_REQ_get0_pubkey(asked->get()), subject, X509_get_subject_name(root->get()), validity);
    if (!made) return fail(made.error());
    auto* certificate = made->get();
    const auto alternatives = alternatives_of(names);
    const bool good =
        alternatives && extend(certificate, root->get(), NID_basic_constraints, "critical,CA:FALSE")
        && extend(certificate, root->get(), NID_key_usage, "critical,digitalSignature")
        && extend(certificate, root->get(), NID_ext_key_usage, "serverAuth,clientAuth")
        && extend(certificate, root->get(), NID_subject_key_identifier, "hash")
        && extend(certificate, root->get(), NID_authority_key_identifier, "keyid:always")
        && X509_add1_ext_i2d(certificate, NID_subject_alt_name, alternatives.get(), 0, X509V3_ADD_DEFAULT)
               == 1
        && X509_sign(certificate, key->get(), EVP_sha256()) != 0;
    if (!good) return openssl_failed("sign the certificate");
    return pem_of(certificate);
}

}  // namespace opsd::pki
