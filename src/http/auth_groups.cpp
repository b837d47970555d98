#include "http/auth_groups.hpp"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <cerrno>

namespace opsd::http {
namespace {

constexpr std::size_t max_members = 1000;
constexpr std::size_t max_entry = 1 << 20;

Role known(const std::map<std::uint32_t, Role>& roles, std::uint32_t id) noexcept
{
    const auto found = roles.find(id);
    return found == roles.end() ? Role::none : found->second;
}

void raise(std::map<std::uint32_t, Role>& roles, std::uint32_t id, Role role)
{
    auto& now = roles.try_emplace(id, Role::none).first->second;
    now = std::max(now, role);
}

/// Calls one of the *_r functions with a buffer that grows until the entry fits.
template <class Call>
bool with_buffer(std::string& buffer, Call call)
{
    for (buffer.resize(4096); buffer.size() <= max_entry; buffer.resize(buffer.size() * 4)) {
        if (call(buffer.data(), buffer.size()) != ERANGE) return true;
    }
    return false;
}

std::optional<std::uint32_t> uid_of(const char* name)
{
    passwd entry{};
    passwd* found = nullptr;
    std::string buffer;
    with_buffer(buffer,
                [&](char* data, std::size_t size) { return ::getpwnam_r(name, &entry, data, size, &found); });
    if (found == nullptr) return std::nullopt;
    return found->pw_uid;
}

}  // namespace

Role PeerRoles::of(std::uint32_t uid, std::uint32_t gid) const noexcept
{
    if (uid == 0) return Role::admin;
    return std::max(known(by_uid, uid), known(by_gid, gid));
}

std::optional<Group> find_group(const std::string& name)
{
    group entry{};
    group* found = nullptr;
    std::string buffer;
    with_buffer(buffer, [&](char* data, std::size_t size) {
        return ::getgrnam_r(name.c_str(), &entry, data, size, &found);
    });
    if (found == nullptr) return std::nullopt;
    Group made{found->gr_gid, {}};
    for (char** member = found->gr_mem; *member != nullptr && made.members.size() < max_members; ++member) {
        if (const auto uid = uid_of(*member)) made.members.push_back(*uid);
    }
    return made;
}

PeerRoles resolve_peer_roles(const AuthOptions& options, const FindGroup& find, std::uint32_t own_uid)
{
    PeerRoles roles;
    const auto add = [&](const std::vector<std::string>& names, Role role) {
        for (const auto& name : names) {
            const auto found = find(name);
            if (!found) continue;
            raise(roles.by_gid, found->gid, role);
            for (const auto uid : found->members)
                raise(roles.by_uid, uid, role);
        }
    };
    add(options.viewer_groups, Role::viewer);
    add(options.operator_groups, Role::operator_);
    add(options.admin_groups, Role::admin);
    raise(roles.by_uid, own_uid, Role::admin);
    return roles;
}

}  // namespace opsd::http
