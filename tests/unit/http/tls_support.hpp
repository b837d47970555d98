#pragma once
// Certificates made for a test, by OpenSSL.

#include <chrono>
#include <memory>
#include <string>

namespace opsd::test {

/// A key and its certificate, in memory and as files.
class Certificate {
public:
    struct Options {
        std::string name = "test";          ///< the common name
        std::string address = "127.0.0.1";  ///< subject alternative name; "": none
        std::chrono::hours valid_from{-1};  ///< from now
        std::chrono::hours valid_until{24};
        bool authority = false;
    };
    /// Signed by `issuer`; by itself when null.
    explicit Certificate(const Options& options, const Certificate* issuer = nullptr);
    ~Certificate();
    Certificate(const Certificate&) = delete;
    Certificate& operator=(const Certificate&) = delete;

    void write(const std::string& certificate_file, const std::string& key_file) const;
    /// "sha256:..." over the DER form.
    [[nodiscard]] std::string fingerprint() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace opsd::test
