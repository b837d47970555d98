#pragma once
// Roles of the users of this machine, for the Unix socket. The members of the configured groups are looked up
// once, at start and at reload, since the lookup may block; a connection then costs a search in memory.
// SO_PEERCRED tells the primary group only, so both are kept: the members' uids and the groups' gids. Who
// joins a group later counts from the next reload.

#include "http/auth_options.hpp"
#include "opsd/http.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace opsd::http {

/// What each uid and primary gid may do.
struct PeerRoles {
    std::map<std::uint32_t, Role> by_uid;
    std::map<std::uint32_t, Role> by_gid;

    /// Role::none for a stranger; the greater one when both are known. uid 0 is admin.
    [[nodiscard]] Role of(std::uint32_t uid, std::uint32_t gid) const noexcept;
};

struct Group {
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> members;
};
using FindGroup = std::function<std::optional<Group>(const std::string& name)>;

/// A group of this machine with at most 1,000 members. Blocks (NSS).
std::optional<Group> find_group(const std::string& name);

/// A group that does not exist gives nobody anything. The daemon's own user is admin: it can rewrite the
/// daemon's files anyway, and whoever tries opsd as a normal user is that one.
[[nodiscard]] PeerRoles resolve_peer_roles(const AuthOptions& options, const FindGroup& find,
                                           std::uint32_t own_uid);

}  // namespace opsd::http
