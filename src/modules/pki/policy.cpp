#include "modules/pki/policy.hpp"

#include <fmt/format.h>

#include <arpa/inet.h>

#include <algorithm>

namespace opsd::pki {
namespace {

/// Loopback, "any", multicast: addresses that say nothing about a node.
bool is_of_no_node(const std::string& address)
{
    in_addr v4{};
    if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) {
        const auto value = ntohl(v4.s_addr);
        return value >> 24U == 127 || value >> 24U == 0 || value >> 28U >= 14;
    }
    in6_addr v6{};
    return ::inet_pton(AF_INET6, address.c_str(), &v6) != 1 || IN6_IS_ADDR_LOOPBACK(&v6)
           || IN6_IS_ADDR_UNSPECIFIED(&v6) || IN6_IS_ADDR_MULTICAST(&v6) || IN6_IS_ADDR_V4MAPPED(&v6);
}

bool is_local_name(std::string_view host) { return host == "localhost" || host.ends_with(".localhost"); }

/// The first name that both have; "" when none.
std::string in_common(const Names& a, const Names& b)
{
    for (const auto& [of_a, of_b] : {std::pair{&a.hosts, &b.hosts}, {&a.addresses, &b.addresses}}) {
        const auto both = std::ranges::find_if(
            *of_a, [&](const auto& name) { return std::ranges::find(*of_b, name) != of_b->end(); });
        if (both != of_a->end()) return *both;
    }
    return {};
}

/// Is `host` the node, with a domain or without?
bool is_of_node(std::string_view host, std::string_view node)
{
    const auto begins = [](std::string_view whole, std::string_view part) {
        return whole.starts_with(part) && (whole.size() == part.size() || whole[part.size()] == '.');
    };
    return begins(host, node) || begins(node, host);
}

Result<> of_this_node(const Names& names, const std::string& node)
{
    if (node.empty()) return {};
    if (names.hosts.front() != node) {
        return fail(
            Errc::denied,
            fmt::format("cannot sign for {}: the token is for {}; use it there, or make one with `opsd "
                        "cluster token create --for {}`",
                        names.hosts.front(), node, names.hosts.front()));
    }
    const auto other =
        std::ranges::find_if_not(names.hosts, [&](const auto& host) { return is_of_node(host, node); });
    if (other == names.hosts.end()) return {};
    return fail(Errc::denied,
                fmt::format("cannot sign for {}: the token is for {}; leave that name out, or make a token "
                            "without --for",
                            *other, node));
}

Validity validity_from(WallTime now, std::chrono::milliseconds lifetime)
{
    return {now - clock_allowance, now + lifetime};
}

Result<Issued> signed_by(const Authority& authority, const std::string& request, const Subject& subject,
                         const Names& names, Validity validity)
{
    auto certificate = sign(authority, request, subject, names, validity);
    if (!certificate) return fail(std::move(certificate).error());
    auto says = inspect(*certificate);
    if (!says) return fail(std::move(says).error());
    return Issued{std::move(*certificate), std::move(*says)};
}

}  // namespace

bool valid_cluster_name(std::string_view name) noexcept
{
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.'
               || c == '_' || c == '-';
    };
    return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, fits);
}

std::string subject_pattern(std::string_view cluster)
{
    return fmt::format("CN=*,OU={},O={}", cluster, node_organisation);
}

Result<Authority> found_cluster(const std::string& name, WallTime now)
{
    if (!valid_cluster_name(name)) {
        return fail(
            Errc::invalid_argument,
            fmt::format("cannot use the cluster name \"{}\": it must be 1 to 64 of letters, digits, \".\", "
                        "\"_\" and \"-\"",
                        name.substr(0, 80)));
    }
    auto key = make_key();
    if (!key) return fail(std::move(key).error());
    auto certificate = make_authority(*key, {std::string{authority_organisation}, {}, name},
                                      validity_from(now, authority_lifetime));
    if (!certificate) return fail(std::move(certificate).error());
    return Authority{std::move(*key), std::move(*certificate)};
}

Result<std::string> cluster_of(const std::string& authority_certificate)
{
    auto says = inspect(authority_certificate);
    if (!says) return fail(std::move(says).error());
    const auto& parts = says->parts;
    if (!says->authority || parts.organisation != authority_organisation || !valid_cluster_name(parts.name)) {
        return fail(
            Errc::invalid_argument,
            fmt::format("cannot use the certificate of \"{}\" as a cluster's authority: `opsd cluster init` "
                        "did not make it",
                        says->subject));
    }
    return parts.name;
}

Result<Names> names_for(const Request& request, const Applicant& applicant)
{
    Names names;
    auto added = add_name(names, request.name);
    for (const auto* kind : {&request.names.hosts, &request.names.addresses}) {
        for (const auto& name : *kind)
            if (added) added = add_name(names, name);
    }
    const auto from = canonical_address(applicant.address);
    if (added && from && !is_of_no_node(*from)) added = add_name(names, *from);
    if (!added) return fail(std::move(added).error());
    if (names.hosts.size() > max_names || names.addresses.size() > max_names)
        return fail(Errc::invalid_argument,
                    fmt::format("cannot sign for more than {} names of a kind", max_names));
    const auto odd = std::ranges::find_if(names.addresses, is_of_no_node);
    if (odd != names.addresses.end())
        return fail(Errc::denied, fmt::format("cannot sign for the address {}: it is no node's own", *odd));
    const auto local = std::ranges::find_if(names.hosts, is_local_name);
    if (local != names.hosts.end())
        return fail(Errc::denied, fmt::format("cannot sign for the name {}: it is every node's own", *local));
    if (const auto taken = in_common(names, applicant.signer); !taken.empty())
        return fail(Errc::denied, fmt::format("cannot sign for {}: it is the signing node's own", taken));
    auto bound = of_this_node(names, applicant.node);
    if (!bound) return fail(std::move(bound).error());
    return names;
}

Result<Issued> issue(const Authority& authority, const Applicant& applicant, WallTime now,
                     std::chrono::milliseconds lifetime)
{
    const auto cluster = cluster_of(authority.certificate);
    if (!cluster) return fail(cluster.error());
    const auto request = read_request(applicant.request);
    if (!request) return fail(request.error());
    const auto names = names_for(*request, applicant);
    if (!names) return fail(names.error());
    const Subject subject{std::string{node_organisation}, *cluster, names->hosts.front()};
    return signed_by(authority, applicant.request, subject, *names, validity_from(now, lifetime));
}

Result<Issued> renew(const Authority& authority, const std::string& certificate, const std::string& request,
                     WallTime now, std::chrono::milliseconds lifetime)
{
    const auto cluster = cluster_of(authority.certificate);
    if (!cluster) return fail(cluster.error());
    const auto valid = verify(certificate, authority.certificate, now);
    if (!valid) return fail(valid.error());
    const auto says = inspect(certificate);
    if (!says) return fail(says.error());
    if (says->authority || says->parts.organisation != node_organisation || says->parts.unit != *cluster)
        return fail(Errc::denied,
                    fmt::format("cannot renew the certificate of \"{}\": it is no node's of cluster {}",
                                says->subject, *cluster));
    const auto same = check_same_key(certificate, request);
    if (!same) return fail(same.error());
    return signed_by(authority, request, says->parts, says->names, validity_from(now, lifetime));
}

}  // namespace opsd::pki
