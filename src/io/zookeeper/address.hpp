#pragma once
// Where a ZooKeeper ensemble is and what part of its tree is meant:
// "zk://user:password@h1:2181,h2:2181/mesos" as Mesos writes it, or plain "h1:2181,h2:2181/chroot". What is
// shown to people never has the password.

#include "opsd/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::zookeeper {

struct Server {
    std::string host;  ///< a name or a literal address without brackets
    std::uint16_t port = 2181;
    /// "h1:2181", "[::1]:2181"
    [[nodiscard]] std::string text() const;
    bool operator==(const Server&) const = default;
};

struct Address {
    std::vector<Server> servers;  ///< 1 to 64
    std::string chroot;           ///< "" or "/mesos": it must exist, and every path is below it
    std::string credentials;      ///< "user:password" of the digest scheme, a secret; "": none
    /// "h1:2181,h2:2181/mesos": without the credentials.
    [[nodiscard]] std::string text() const;
};

/// Errc::invalid_argument with a sentence that repeats nothing in front of the last "@". As with Mesos a
/// password is taken as it stands (no %40).
Result<Address> parse_address(std::string_view text);

/// The same text, fit to be shown: "zk://***@h1:2181/mesos".
[[nodiscard]] std::string redacted(std::string_view text);

/// A path a server would take: "/" or "/a/b". Errc::invalid_argument says what is wrong with it.
Result<> check_path(std::string_view path);

}  // namespace opsd::zookeeper
