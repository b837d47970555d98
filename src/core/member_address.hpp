#pragma once
// The order of members' addresses, and how an operator names a member.

#include "opsd/cluster.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace opsd {

/// Numbers compare by value: 10.0.0.9 before 10.0.0.10; then the port; names after addresses.
struct AddressLess {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const noexcept;
};

/// "10.0.0.2" when `port` is 0 or the cluster's, else "10.0.0.2:1051"; IPv6 in brackets with a port.
[[nodiscard]] std::string member_address(std::string_view host, std::uint16_t port,
                                         std::uint16_t cluster_port);

/// Without the port, and without the brackets of IPv6.
[[nodiscard]] std::string_view host_of(std::string_view address);

/// A look-up by what an operator types: address with or without its port, IP, host name, Mesos id or node id.
struct Lookup {
    std::shared_ptr<const Member> member;  ///< null when none or several fit
    std::vector<std::string> candidates;   ///< addresses of all that fit, when several
};

/// The member that an operator means by an address, a host name, a Mesos id or a machine id.
[[nodiscard]] Lookup look_up(const Cluster& cluster, std::string_view name);

/// What to tell an operator when several members have the name.
[[nodiscard]] std::string ambiguous(std::string_view name, const Lookup& found);

}  // namespace opsd
