#include "modules/cluster/static_members.hpp"

#include <gtest/gtest.h>

namespace opsd::cluster {

TEST(StaticMembers, AreAddressesWithOrWithoutAPort)
{
    const auto members =
        parse_members({"10.0.0.2", "10.0.0.3:1051", "fd00::2", "[fd00::3]:1052", "[fd00::4]"});
    ASSERT_TRUE(members) << members.error().message;
    EXPECT_EQ(members->at(0), (FoundMember{.host = "10.0.0.2"}));
    EXPECT_EQ(members->at(1), (FoundMember{.host = "10.0.0.3", .port = 1051}));
    EXPECT_EQ(members->at(2), (FoundMember{.host = "fd00::2"}));
    EXPECT_EQ(members->at(3), (FoundMember{.host = "fd00::3", .port = 1052}));
    EXPECT_EQ(members->at(4), (FoundMember{.host = "fd00::4"}));
}

TEST(StaticMembers, WhatIsNoAddressIsNamedInTheError)
{
    for (const auto* bad : {"", "node", "10.0.0.2:", "10.0.0.2:x", "10.0.0.2:0", "10.0.0.2:99999", "[fd00::2",
                            "[fd00::2]1", "[fd00::2]:", "10.0.0.999"}) {
        const auto members = parse_members({bad});
        ASSERT_FALSE(members) << bad;
        EXPECT_NE(members.error().message.find(std::string{"\""} + bad + "\""), std::string::npos)
            << members.error().message;
    }
}

}  // namespace opsd::cluster
