// Reading: what requests and certificates say, and whether it is true.

#include "io/pki/handles.hpp"
#include "io/pki/pki.hpp"

#include "io/net/tls_error.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <arpa/inet.h>

#include <array>
#include <ctime>

namespace opsd::pki {
namespace {

int no_passphrase(char*, int, int, void*) { return 0; }  // OpenSSL would ask on the terminal and wait

std::string utf8_of(const ASN1_STRING* string)
{
    unsigned char* bytes = nullptr;
    const int size = ASN1_STRING_to_UTF8(&bytes, string);
    if (size < 0) return {};
    std::string text{reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)};
    OPENSSL_free(bytes);
    return text;
}

/// The value of a part that occurs once; "" otherwise.
std::string part_of(const X509_NAME* name, int nid)
{
    const int at = X509_NAME_get_index_by_NID(name, nid, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(name, nid, at) >= 0) return {};
    return utf8_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
}

WallTime time_of(const ASN1_TIME* time)
{
    std::tm when{};
    if (ASN1_TIME_to_tm(time, &when) != 1) return WallTime{};
    return WallTime{std::chrono::seconds{::timegm(&when)}};
}

std::string hex(const unsigned char* bytes, std::size_t size)
{
    std::string text;
    for (std::size_t i = 0; i < size; ++i)
        text += fmt::format("{:02x}", bytes[i]);
    return text;
}

std::string serial_of(const X509* certificate)
{
    const auto* serial = X509_get0_serialNumber(certificate);
    return hex(ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial)));
}

Result<> add_alternative(Names& names, const GENERAL_NAME* entry)
{
    if (entry->type == GEN_DNS) {
        const auto* bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(entry->d.dNSName));
        const std::string_view text{bytes, static_cast<std::size_t>(ASN1_STRING_length(entry->d.dNSName))};
        if (valid_host_name(text)) return add_name(names, text);
        return fail(Errc::invalid_argument, "cannot use an alternative name: it is no host name");
    }
    if (entry->type == GEN_IPADD) {
        const int size = ASN1_STRING_length(entry->d.iPAddress);
        std::array<char, INET6_ADDRSTRLEN> text{};
        const bool known = (size == 4 || size == 16)
                           && ::inet_ntop(size == 4 ? AF_INET : AF_INET6,
                                          ASN1_STRING_get0_data(entry->d.iPAddress), text.data(), text.size())
                                  != nullptr;
        if (known) return add_name(names, text.data());
        return fail(Errc::invalid_argument, "cannot use an alternative name: it is no address");
    }
    return fail(Errc::invalid_argument,
                "cannot use an alternative name: only host names and addresses are allowed");
}

Result<Names> names_of(const GENERAL_NAMES* all)
{
    Names names;
    const int count = all == nullptr ? 0 : sk_GENERAL_NAME_num(all);
    if (std::cmp_greater(count, 2 * max_names))
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use {} alternative names: they are too many", count));
    for (int i = 0; i < count; ++i) {
        auto added = add_alternative(names, sk_GENERAL_NAME_value(all, i));
        if (!added) return fail(std::move(added).error());
    }
    if (names.hosts.size() > max_names || names.addresses.size() > max_names)
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use more than {} names of a kind", max_names));
    return names;
}

Result<GeneralNames> alternatives_of(X509_REQ* request)
{
    const std::unique_ptr<STACK_OF(X509_EXTENSION), void (*)(STACK_OF(X509_EXTENSION)*)> extensions{
        X509_REQ_get_extensions(request),
        [](STACK_OF(X509_EXTENSION) * all) { sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free); }};
    int critical = -1;
    GeneralNames found{static_cast<GENERAL_NAMES*>(
        X509V3_get_d2i(extensions.get(), NID_subject_alt_name, &critical, nullptr))};
    if (!found && critical != -1)  // -2: twice; 0, 1: cannot be read
        return fail(Errc::invalid_argument, "cannot read the alternative names of the request");
    return found;
}

bool is_p256(EVP_PKEY* key)
{
    std::array<char, 32> group{};
    std::size_t size = 0;
    return key != nullptr && EVP_PKEY_is_a(key, "EC") == 1
           && EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) == 1
           && std::string_view{group.data(), size} == "prime256v1";
}

/// Over the whole SubjectPublicKeyInfo.
Result<std::string> fingerprint_of_key(const X509* certificate)
{
    unsigned char* bytes = nullptr;
    const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &bytes);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    const bool good =
        length > 0
        && EVP_Digest(bytes, static_cast<std::size_t>(length), digest.data(), &size, EVP_sha256(), nullptr)
               == 1;
    OPENSSL_free(bytes);
    if (!good) return openssl_failed("hash the key of the certificate");
    return "sha256:" + hex(digest.data(), size);
}

Result<Certificate> describe(X509* certificate)
{
    ERR_clear_error();
    const GeneralNames alternatives{
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
    auto names = names_of(alternatives.get());
    if (!names) return fail(std::move(names).error());
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1)
        return openssl_failed("hash the certificate");
    auto key = fingerprint_of_key(certificate);
    if (!key) return fail(std::move(key).error());
    const auto* subject = X509_get_subject_name(certificate);
    Certificate found;
    found.subject = net::subject_of(certificate);
    found.issuer = net::name_of(X509_get_issuer_name(certificate));
    found.parts = {part_of(subject, NID_organizationName), part_of(subject, NID_organizationalUnitName),
                   part_of(subject, NID_commonName)};
    found.serial = serial_of(certificate);
    found.names = std::move(*names);
    found.not_before = time_of(X509_get0_notBefore(certificate));
    found.not_after = time_of(X509_get0_notAfter(certificate));
    found.authority = X509_check_ca(certificate) == 1;
    found.fingerprint = "sha256:" + hex(digest.data(), size);
    found.key = std::move(*key);
    ERR_clear_error();
    return found;
}

}  // namespace

std::unexpected<Error> openssl_failed(std::string_view what)
{
    return fail(Errc::internal, fmt::format("cannot {}: {}", what, net::tls_reason()));
}

Bio reader_of(const std::string& pem)
{
    ERR_clear_error();
    if (pem.size() > max_pem) return nullptr;
    return Bio{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
}

std::string text_of(BIO* bio)
{
    char* bytes = nullptr;
    const auto size = BIO_get_mem_data(bio, &bytes);
    return size > 0 ? std::string{bytes, static_cast<std::size_t>(size)} : std::string{};
}

Result<Key> read_key(const std::string& pem)
{
    const auto bio = reader_of(pem);
    Key key{bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr) : nullptr};
    ERR_clear_error();
    if (!key)
        return fail(Errc::invalid_argument,
                    "cannot read the private key: it is not PEM without a passphrase");
    return key;
}

Result<X509Handle> read_certificate(const std::string& pem)
{
    const auto bio = reader_of(pem);
    X509Handle certificate{bio ? PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr) : nullptr};
    ERR_clear_error();
    if (!certificate)
        return fail(Errc::invalid_argument,
                    fmt::format("cannot read the certificate: it is not PEM of at most {} bytes", max_pem));
    return certificate;
}

Result<RequestHandle> read_signed_request(const std::string& pem)
{
    const auto bio = reader_of(pem);
    RequestHandle request{bio ? PEM_read_bio_X509_REQ(bio.get(), nullptr, no_passphrase, nullptr) : nullptr};
    ERR_clear_error();
    if (!request)
        return fail(
            Errc::invalid_argument,
            fmt::format("cannot read the certificate request: it is not PEM of at most {} bytes", max_pem));
    auto* key = X509_REQ_get0_pubkey(request.get());
    const bool fits = is_p256(key);
    const bool true_signature = fits && X509_REQ_verify(request.get(), key) == 1;
    ERR_clear_error();
    if (!fits)
        return fail(Errc::invalid_argument, "cannot accept the certificate request: its key must be P-256");
    if (!true_signature)
        return fail(Errc::invalid_argument,
                    "cannot accept the certificate request: it is not signed by its own key");
    return request;
}

Result<Request> read_request(const std::string& pem)
{
    const auto handle = read_signed_request(pem);
    if (!handle) return fail(handle.error());
    Request request;
    request.name = part_of(X509_REQ_get_subject_name(handle->get()), NID_commonName);
    if (!valid_host_name(request.name) || request.name.size() > max_common_name) {
        return fail(Errc::invalid_argument, "cannot accept the certificate request: its common name is not a "
                                            "host name of at most 64 characters");
    }
    const auto alternatives = alternatives_of(handle->get());
    ERR_clear_error();
    if (!alternatives) return fail(alternatives.error());
    auto names = names_of(alternatives->get());
    if (!names) return fail(std::move(names).error());
    request.names = std::move(*names);
    return request;
}

Result<Certificate> inspect(const std::string& pem)
{
    const auto certificate = read_certificate(pem);
    if (!certificate) return fail(certificate.error());
    return describe(certificate->get());
}

Result<> verify(const std::string& certificate, const std::string& authority, WallTime at)
{
    const auto leaf = read_certificate(certificate);
    if (!leaf) return fail(leaf.error());
    const auto root = read_certificate(authority);
    if (!root) return fail(root.error());
    const std::unique_ptr<X509_STORE, Free<X509_STORE_free>> store{X509_STORE_new()};
    const std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>> context{X509_STORE_CTX_new()};
    if (!store || !context || X509_STORE_add_cert(store.get(), root->get()) != 1
        || X509_STORE_CTX_init(context.get(), store.get(), leaf->get(), nullptr) != 1)
        return openssl_failed("verify the certificate");
    const auto seconds = std::chrono::floor<std::chrono::seconds>(at.time_since_epoch()).count();
    X509_STORE_CTX_set_time(context.get(), 0, static_cast<std::time_t>(seconds));
    const bool good = X509_verify_cert(context.get()) == 1;
    ERR_clear_error();
    if (good) return {};
    return fail(Errc::denied,
                fmt::format("cannot accept the certificate: {}",
                            X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()))));
}

Result<> check_key(const std::string& certificate, const std::string& key)
{
    const auto leaf = read_certificate(certificate);
    if (!leaf) return fail(leaf.error());
    const auto own = read_key(key);
    if (!own) return fail(own.error());
    const bool same = X509_check_private_key(leaf->get(), own->get()) == 1;
    ERR_clear_error();
    if (!same) return fail(Errc::denied, "cannot use the certificate: it is for another private key");
    return {};
}

Result<> check_same_key(const std::string& certificate, const std::string& request)
{
    const auto leaf = read_certificate(certificate);
    if (!leaf) return fail(leaf.error());
    const auto asked = read_signed_request(request);
    if (!asked) return fail(asked.error());
    const bool same = EVP_PKEY_eq(X509_get0_pubkey(leaf->get()), X509_REQ_get0_pubkey(asked->get())) == 1;
    ERR_clear_error();
    if (!same) return fail(Errc::denied, "cannot accept the certificate request: it is for another key");
    return {};
}

}  // namespace opsd::pki
