#include "tls_support.hpp"

#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <stdexcept>

namespace opsd::test {
namespace {

void extend(X509* certificate, X509* issuer, int what, const std::string& value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    auto* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
    if (extension == nullptr) throw std::runtime_error{"bad extension " + value};
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

}  // namespace

struct Certificate::Impl {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    ~Impl()
    {
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
};

Certificate::Certificate(const Options& options, const Certificate* issuer) : impl_{std::make_unique<Impl>()}
{
    auto* made = impl_->certificate;
    auto* signer = issuer != nullptr ? issuer->impl_->certificate : made;
    std::uint32_t serial = 0;
    RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial | 1U);
    X509_gmtime_adj(X509_getm_notBefore(made), std::chrono::seconds{options.valid_from}.count());
    X509_gmtime_adj(X509_getm_notAfter(made), std::chrono::seconds{options.valid_until}.count());
    X509_set_pubkey(made, impl_->key);
    auto* name = X509_get_subject_name(made);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("opsd"), -1,
                               -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(options.name.c_str()), -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(signer));
    extend(made, signer, NID_basic_constraints, options.authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (options.authority) extend(made, signer, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (!options.address.empty() && !options.authority)
        extend(made, signer, NID_subject_alt_name, "IP:" + options.address);
    X509_sign(made, issuer != nullptr ? issuer->impl_->key : impl_->key, EVP_sha256());
}

Certificate::~Certificate() = default;

std::string Certificate::fingerprint() const
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    X509_digest(impl_->certificate, EVP_sha256(), digest, &size);
    std::string text = "sha256:";
    for (unsigned int i = 0; i < size; ++i)
        text +=
            fmt::format("{}{:02X}", i == 0 ? "" : ":", digest[i]);  // as openssl x509 -fingerprint prints it
    return text;
}

void Certificate::write(const std::string& certificate_file, const std::string& key_file) const
{
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> certificate{
        std::fopen(certificate_file.c_str(), "w"), std::fclose};
    PEM_write_X509(certificate.get(), impl_->certificate);
    if (key_file.empty()) return;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> key{std::fopen(key_file.c_str(), "w"), std::fclose};
    PEM_write_PrivateKey(key.get(), impl_->key, nullptr, nullptr, 0, nullptr, nullptr);
}

}  // namespace opsd::test
