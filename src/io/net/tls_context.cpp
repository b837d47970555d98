// Certificates and keys from files into OpenSSL contexts.

#include "io/net/tls.hpp"
#include "io/net/tls_error.hpp"

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>
#include <system_error>

namespace opsd::net {
namespace {

int no_passphrase(char*, int, int, void*) { return 0; }  // OpenSSL would ask on the terminal and wait

int choose_http1(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                 unsigned int in_size, void*)
{
    static constexpr unsigned char ours[] = "\x08http/1.1";
    unsigned char* picked = nullptr;
    const int found = SSL_select_next_proto(&picked, out_size, ours, sizeof ours - 1, in, in_size);
    *out = picked;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

TlsContext new_context(const SSL_METHOD* method)
{
    TlsContext context{SSL_CTX_new(method), SSL_CTX_free};
    auto* raw = context.get();
    SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(raw, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!SHA1");
    SSL_CTX_set_options(raw, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET
                                 | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_num_tickets(raw, 0);
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                              | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(raw, no_passphrase);
    return context;
}

Result<> use_certificate(SSL_CTX* context, const std::string& certificate, const std::string& key)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use certificate {}: {}; it must be a readable PEM file", certificate,
                                tls_reason()));
    }
    if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
        return fail(
            Errc::invalid_argument,
            fmt::format("cannot use key {} for certificate {}: {}; it must be a readable PEM file without "
                        "a passphrase that belongs to the certificate",
                        key, certificate, tls_reason()));
    }
    return {};
}

Result<> use_client_ca(SSL_CTX* context, const std::string& file)
{
    ERR_clear_error();
    auto* names = SSL_load_client_CA_file(file.c_str());
    if (names == nullptr || SSL_CTX_load_verify_file(context, file.c_str()) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return fail(
            Errc::invalid_argument,
            fmt::format("cannot use client CA {}: {}; it must be a readable PEM file", file, tls_reason()));
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);  // asked for, not demanded: tokens work as well
    return {};
}

/// The 32 bytes of "sha256:" and 64 hexadecimal digits, with or without colons between; "" for anything else.
std::string digest_of(std::string_view fingerprint)
{
    constexpr std::string_view prefix = "sha256:";
    if (!fingerprint.starts_with(prefix)) return {};
    std::string digits;
    std::ranges::copy_if(fingerprint.substr(prefix.size()), std::back_inserter(digits),
                         [](char c) { return c != ':'; });
    std::array<unsigned char, SHA256_DIGEST_LENGTH> bytes{};
    std::size_t size = 0;
    if (OPENSSL_hexstr2buf_ex(bytes.data(), bytes.size(), &size, digits.c_str(), '\0') != 1) size = 0;
    ERR_clear_error();
    if (size != bytes.size()) return {};
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Verifies as usual, but trusts nothing except the one authority of the presented chain that has the digest.
int verify_pinned(X509_STORE_CTX* verification, void* digest)
{
    const auto& wanted = *static_cast<const std::string*>(digest);
    auto* presented = X509_STORE_CTX_get0_untrusted(verification);
    for (int i = 0; presented != nullptr && i < sk_X509_num(presented); ++i) {
        std::array<unsigned char, SHA256_DIGEST_LENGTH> found{};
        auto* certificate = sk_X509_value(presented, i);
        if (X509_digest(certificate, EVP_sha256(), found.data(), nullptr) != 1
            || !std::ranges::equal(found, wanted, {}, {},
                                   [](char c) { return static_cast<unsigned char>(c); }))
            continue;
        const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> trusted{
            sk_X509_new_null(), [](STACK_OF(X509) * all) { sk_X509_free(all); }};
        if (trusted == nullptr || sk_X509_push(trusted.get(), certificate) == 0) break;
        X509_STORE_CTX_set0_trusted_stack(verification, trusted.get());
        return X509_verify_cert(verification);
    }
    X509_STORE_CTX_set_error(verification, X509_V_ERR_CERT_UNTRUSTED);
    return 0;
}

/// Trusts what is configured.
Result<TlsContext> trust_file(TlsContext context, const std::string& ca_file)
{
    ERR_clear_error();
    const bool trusted = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get()) == 1
                                         : SSL_CTX_load_verify_file(context.get(), ca_file.c_str()) == 1;
    if (trusted) return context;
    return fail(
        Errc::invalid_argument,
        fmt::format("cannot use CA file {}: {}; it must be a readable PEM file", ca_file, tls_reason()));
}

Result<TlsContext> trust_pinned(TlsContext context, const std::string& fingerprint)
{
    struct Pinned {
        std::string digest;
        TlsContext context;
    };
    const auto pinned = std::make_shared<Pinned>(digest_of(fingerprint), std::move(context));
    if (pinned->digest.empty()) {
        return fail(
            Errc::invalid_argument,
            fmt::format("cannot use the fingerprint \"{}\": it must be \"sha256:\" and 64 hexadecimal "
                        "digits",
                        fingerprint.substr(0, 120)));
    }
    SSL_CTX_set_cert_verify_callback(pinned->context.get(), verify_pinned, &pinned->digest);
    return TlsContext{pinned, pinned->context.get()};  // the digest lives as long as the context
}

}  // namespace

WallTime not_after_of(const x509_st* certificate)
{
    std::tm when{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &when) != 1) return WallTime{};
    return WallTime{std::chrono::seconds{::timegm(&when)}};
}

std::string tls_reason()
{
    const auto code = ERR_peek_error();
    if (code == 0) return "unknown reason";
    const char* text = ERR_reason_error_string(code);
    std::string reason = text != nullptr ? text : fmt::format("OpenSSL error {:x}", code);
    if (ERR_SYSTEM_ERROR(code)) reason = std::generic_category().message(ERR_GET_REASON(code));
    ERR_clear_error();
    return reason;
}

std::string name_of(const X509_name_st* name)
{
    const std::unique_ptr<BIO, decltype(&BIO_free)> out{BIO_new(BIO_s_mem()), BIO_free};
    if (!out || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
    char* text = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &text);
    return size > 0 ? std::string{text, static_cast<std::size_t>(size)} : std::string{};
}

std::string subject_of(const x509_st* certificate) { return name_of(X509_get_subject_name(certificate)); }

Result<TlsServer> load_tls_server(const TlsServerFiles& files)
{
    TlsServer server{.context = new_context(TLS_server_method()), .not_after = {}, .subject = {}};
    auto* context = server.context.get();
    auto used = use_certificate(context, files.certificate_file, files.key_file);
    if (!used) return fail(std::move(used).error());
    if (!files.client_ca_file.empty()) {
        auto trusted = use_client_ca(context, files.client_ca_file);
        if (!trusted) return fail(std::move(trusted).error());
    }
    SSL_CTX_set_alpn_select_cb(context, choose_http1, nullptr);
    const auto* leaf = SSL_CTX_get0_certificate(context);
    server.not_after = not_after_of(leaf);
    server.subject = subject_of(leaf);
    return server;
}

Result<TlsContext> load_tls_client(const TlsClientOptions& options, bool with_certificate)
{
    auto context = new_context(TLS_client_method());
    const bool pinned = !options.ca_fingerprint.empty();
    auto trusting = pinned ? trust_pinned(std::move(context), options.ca_fingerprint)
                           : trust_file(std::move(context), options.ca_file);
    if (!trusting) return trusting;
    auto* raw = trusting->get();
    SSL_CTX_set_verify(raw, options.verify || pinned ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (with_certificate && !options.certificate_file.empty()) {
        auto used = use_certificate(raw, options.certificate_file, options.key_file);
        if (!used) return fail(std::move(used).error());
    }
    return trusting;
}

}  // namespace opsd::net
