#pragma once
// Keys and tokens for the tests of JWTs.

#include "http/auth_text.hpp"
#include "http/jwt.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <string>

namespace opsd::http::test {

/// An RSA key pair; made once per process where it is static.
class KeyPair {
public:
    explicit KeyPair(unsigned bits = 2048) : key_{EVP_RSA_gen(bits), EVP_PKEY_free} {}

    [[nodiscard]] std::string public_pem() const
    {
        return pem([this](BIO* to) { PEM_write_bio_PUBKEY(to, key_.get()); });
    }
    [[nodiscard]] std::string private_pem() const
    {
        return pem([this](BIO* to) {
            PEM_write_bio_PrivateKey(to, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
        });
    }
    [[nodiscard]] std::string sign(const std::string& text) const
    {
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                              EVP_MD_CTX_free};
        std::string signature(1024, '\0');
        std::size_t size = signature.size();
        EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get());
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                       reinterpret_cast<const unsigned char*>(text.data()), text.size());
        signature.resize(size);
        return signature;
    }
    /// A signed RS256 token of these claims.
    [[nodiscard]] std::string token(const std::string& claims,
                                    const std::string& header = R"({"alg":"RS256"})") const
    {
        const auto text = base64url(header) + "." + base64url(claims);
        return text + "." + base64url(sign(text));
    }

private:
    template <class Write>
    static std::string pem(Write write)
    {
        const std::unique_ptr<BIO, decltype(&BIO_free)> memory{BIO_new(BIO_s_mem()), BIO_free};
        write(memory.get());
        char* data = nullptr;
        const auto size = BIO_get_mem_data(memory.get(), &data);
        return {data, static_cast<std::size_t>(size)};
    }
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
};

inline const KeyPair& issuer()
{
    static const KeyPair key;
    return key;
}

/// Signed with HS256 by any key.
inline std::string hs256(const std::string& secret, const std::string& claims,
                         const std::string& header = R"({"alg":"HS256"})")
{
    const auto text = base64url(header) + "." + base64url(claims);
    return text + "." + base64url(hmac_sha256(secret, text));
}

}  // namespace opsd::http::test
