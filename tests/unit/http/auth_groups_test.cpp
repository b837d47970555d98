#include "http/auth_groups.hpp"

#include <gtest/gtest.h>

#include <grp.h>
#include <unistd.h>

using namespace opsd;
using namespace opsd::http;

namespace {

std::optional<Group> machine(const std::string& name)
{
    if (name == "opsd") return Group{900, {1001, 1002}};
    if (name == "adm") return Group{4, {1002, 1003}};
    if (name == "wheel") return Group{10, {1004}};
    return std::nullopt;  // systemd-journal does not exist here
}

}  // namespace

TEST(AuthGroups, MembersAndPrimaryGroupsGetTheRole)
{
    AuthOptions options;
    options.admin_groups = {"wheel"};
    const auto roles = resolve_peer_roles(options, machine, 990);
    EXPECT_EQ(roles.of(0, 0), Role::admin);
    EXPECT_EQ(roles.of(1001, 1001), Role::operator_);
    EXPECT_EQ(roles.of(1002, 1002), Role::operator_) << "the greater of two";
    EXPECT_EQ(roles.of(1003, 1003), Role::viewer);
    EXPECT_EQ(roles.of(1004, 1004), Role::admin);
    EXPECT_EQ(roles.of(2000, 4), Role::viewer) << "by its primary group";
    EXPECT_EQ(roles.of(2000, 2000), Role::none);
}

TEST(AuthGroups, TheDaemonsOwnUserIsAdmin)
{
    const auto roles = resolve_peer_roles({}, machine, 990);
    EXPECT_EQ(roles.of(990, 990), Role::admin);
    EXPECT_EQ(roles.of(991, 990), Role::none);
}

TEST(AuthGroups, GroupsOfThisMachineAreFound)
{
    const auto* own = ::getgrgid(::getegid());
    ASSERT_NE(own, nullptr);
    const auto found = find_group(own->gr_name);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->gid, ::getegid());
    EXPECT_FALSE(find_group("no-such-group-of-opsd"));
}
