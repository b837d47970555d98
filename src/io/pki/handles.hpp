#pragma once
// Shared by the files of this folder: OpenSSL's handles as owners, and reading them from PEM.

#include "opsd/clock.hpp"
#include "opsd/result.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace opsd::pki {

/// Frees with the function that belongs to the type.
template <auto function>
struct Free {
    template <class T>
    void operator()(T* handle) const noexcept
    {
        function(handle);
    }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using X509Handle = std::unique_ptr<X509, Free<X509_free>>;
using RequestHandle = std::unique_ptr<X509_REQ, Free<X509_REQ_free>>;
using GeneralNames = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;

/// "cannot WHAT: REASON", the reason from OpenSSL's queue, which is emptied.
[[nodiscard]] std::unexpected<Error> openssl_failed(std::string_view what);

/// For reading; null when the text is too large.
[[nodiscard]] Bio reader_of(const std::string& pem);
[[nodiscard]] std::string text_of(BIO* bio);

Result<Key> read_key(const std::string& pem);
Result<X509Handle> read_certificate(const std::string& pem);
/// Its signature is checked here.
Result<RequestHandle> read_signed_request(const std::string& pem);

}  // namespace opsd::pki
