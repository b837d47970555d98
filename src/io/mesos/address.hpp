#pragma once
// How Mesos and its neighbours write where somebody is: pids and host:port.

#include "opsd/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace opsd::mesos {

struct HostPort {
    std::string host;        ///< a name in lower case or an IP address, never with brackets
    std::uint16_t port = 0;  ///< 0: not given
    bool operator==(const HostPort&) const = default;
};

/// A numeric IPv4 or IPv6 address without a scope.
[[nodiscard]] bool is_ip(std::string_view text);

/// An IP address, or a name of letters, digits, "-", "_" and "." of at most 253 characters: nothing that
/// could mean something else inside a URL.
[[nodiscard]] bool usable_host(std::string_view text);

/// "node.example", "10.0.0.1:1050", "[fd00::1]:1050", "fd00::1". Errc::invalid_argument with a sentence.
[[nodiscard]] Result<HostPort> parse_host_port(std::string_view text);

/// "host:port", with the brackets that an IPv6 address needs.
[[nodiscard]] std::string join_host_port(std::string_view host, std::uint16_t port);

/// The address in a libprocess pid: "slave(1)@10.0.0.1:5051", "master@[fd00::1]:5050"; an IPv6 address may
/// stand without brackets. Errc::invalid_argument with a sentence.
[[nodiscard]] Result<HostPort> parse_pid(std::string_view pid);

/// Foreign text made fit for a sentence: control characters and bytes above 126 become "?", at most 80 bytes.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace opsd::mesos
