#pragma once
// What the authority of a cluster gives to whom. Pure: time is an argument.

#include "io/pki/pki.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace opsd::pki {

inline constexpr std::string_view node_organisation = "opsd node";
inline constexpr std::string_view authority_organisation = "opsd cluster";
inline constexpr std::chrono::hours authority_lifetime{24 * 3653};  ///< ten years
inline constexpr std::chrono::minutes clock_allowance{5};           ///< certificates begin earlier by this

/// 1 to 64 letters, digits, ".", "_", "-".
[[nodiscard]] bool valid_cluster_name(std::string_view name) noexcept;

/// The subject that `auth.certificates` matches for every node of a cluster.
[[nodiscard]] std::string subject_pattern(std::string_view cluster);

/// A new authority.
Result<Authority> found_cluster(const std::string& name, WallTime now);

/// The name of the cluster, from its authority's certificate. Errc::invalid_argument for another's.
Result<std::string> cluster_of(const std::string& authority_certificate);

/// Who asks for a certificate, and what the one who signs has itself.
struct Applicant {
    std::string request;  ///< PEM
    std::string address;  ///< from which it asked, to be added; none, or not of the network: ignored
    Names signer;         ///< names of the signing node, which nobody else may have
    std::string node;     ///< whose token it has; "": anybody's
};

/// What was signed, for the answer and for the log.
struct Issued {
    std::string certificate;  ///< PEM
    Certificate says;
};

/// What a request would get: its names and the address it came from. Errc::invalid_argument or denied for
/// names that are the signer's, of loopback, that nobody has, or not of the node that the token is for (which
/// may add a domain to its name, or leave it out). What other nodes have is the Ledger's to know.
Result<Names> names_for(const Request& request, const Applicant& applicant);

/// A certificate for a new node.
Result<Issued> issue(const Authority& authority, const Applicant& applicant, WallTime now,
                     std::chrono::milliseconds lifetime);

/// The same certificate once more, with a later end. `certificate` must be valid, of this authority, and for
/// the key that signed `request`: who has the key, and only he, may have it longer.
Result<Issued> renew(const Authority& authority, const std::string& certificate, const std::string& request,
                     WallTime now, std::chrono::milliseconds lifetime);

}  // namespace opsd::pki
