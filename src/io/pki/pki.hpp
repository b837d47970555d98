#pragma once
// Keys, requests and certificates of a cluster's own authority. PEM text in, PEM text or values out: no
// files, no clock. Requests and certificates may come from other machines: they are bounded, and nothing in
// them is believed before its signature was checked. Every key is P-256, every signature ECDSA with SHA-256.

#include "opsd/clock.hpp"
#include "opsd/result.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::pki {

inline constexpr std::size_t max_pem = 16 * 1024;  ///< of a request, a certificate or a chain
inline constexpr std::size_t max_names = 16;       ///< of each kind in one certificate
inline constexpr std::size_t max_common_name = 64;

/// What a certificate is valid for: its subject alternative names.
struct Names {
    std::vector<std::string> hosts;
    std::vector<std::string> addresses;  ///< canonical text, IPv4 or IPv6
    bool operator==(const Names&) const = default;
};

/// Labels of letters, digits and hyphens, 253 characters at most, not an address, no wildcard (RFC 1123).
[[nodiscard]] bool valid_host_name(std::string_view text) noexcept;

/// An address in the form in which it is compared and shown; nothing for anything else.
[[nodiscard]] std::optional<std::string> canonical_address(std::string_view text);

/// Adds a host name or an address to its kind, once. Errc::invalid_argument when it is neither.
Result<> add_name(Names& names, std::string_view text);

/// The parts of a distinguished name that this authority uses; "" for one that is not there.
struct Subject {
    std::string organisation;  ///< O
    std::string unit;          ///< OU
    std::string name;          ///< CN, at most 64 characters
    bool operator==(const Subject&) const = default;
};

/// From the first to the last moment, to the second.
struct Validity {
    WallTime from;
    WallTime until;
};

struct Authority {
    std::string key;          ///< PEM, without a passphrase
    std::string certificate;  ///< PEM
};

/// What a certificate says.
struct Certificate {
    std::string subject;  ///< RFC 2253
    std::string issuer;   ///< RFC 2253
    Subject parts;
    std::string serial;  ///< hexadecimal
    Names names;
    WallTime not_before;
    WallTime not_after;
    bool authority = false;
    std::string fingerprint;  ///< "sha256:" and 64 hexadecimal digits, over the DER form
    std::string key;          ///< the same over its public key: a renewed certificate has the same
};

/// What a certificate request asks for; signed by the key that it is for.
struct Request {
    std::string name;  ///< CN
    Names names;
};

/// A new private key, PEM.
Result<std::string> make_key();

/// The authority's own certificate, PEM: it signs certificates of nodes and no further authority.
Result<std::string> make_authority(const std::string& key, const Subject& subject, Validity validity);

/// A request for a certificate, PEM. The key stays where it is.
Result<std::string> make_request(const std::string& key, const std::string& name, const Names& names);

/// Errc::invalid_argument for what is no request, too large, not signed by its own key, of another kind of
/// key, without a usable name, or with names that no certificate may carry.
Result<Request> read_request(const std::string& pem);

/// A certificate for the key of `request`, PEM, for servers and clients. Only the key is taken from the
/// request. It ends with the authority at the latest.
Result<std::string> sign(const Authority& authority, const std::string& request, const Subject& subject,
                         const Names& names, Validity validity);

/// The first certificate of a PEM text. Errc::invalid_argument when there is none, or it is too large.
Result<Certificate> inspect(const std::string& pem);

/// Was `certificate` (the first of its text) signed by the authority, and are both valid at that time?
/// Errc::denied with the reason.
Result<> verify(const std::string& certificate, const std::string& authority, WallTime at);

/// Is the certificate for this private key? Errc::denied when it is not.
Result<> check_key(const std::string& certificate, const std::string& key);

/// Is the request for the key of this certificate? Errc::denied when it is not.
Result<> check_same_key(const std::string& certificate, const std::string& request);

}  // namespace opsd::pki
