#include "io/mesos/address.hpp"

#include <gtest/gtest.h>

namespace opsd::mesos {
namespace {

TEST(MesosAddress, HostsAreNamesOrAddresses)
{
    for (const auto* good : {"node1", "node-1.example", "a_b", "n.", "10.0.0.1", "::1", "fd00::1", "1a.2b"})
        EXPECT_TRUE(usable_host(good)) << good;
    const std::string with_nul{"10.0.0.1\0", 9};
    const std::vector<std::string> all{"",
                                       ".",
                                       "a..b",
                                       "-a",
                                       "a-",
                                       "a b",
                                       "a/b",
                                       "a@b",
                                       "a:1",
                                       "10.0.0.256",
                                       "1.2.3",
                                       "[::1]",
                                       "fe80::1%eth0",
                                       "a\r\nb",
                                       "ä",
                                       std::string(64, 'a'),
                                       std::string(300, 'a'),
                                       with_nul};
    for (const auto& bad : all)
        EXPECT_FALSE(usable_host(bad)) << bad;
}

TEST(MesosAddress, HostAndPort)
{
    EXPECT_EQ(parse_host_port("Node1.Example").value(), (HostPort{"node1.example", 0}));
    EXPECT_EQ(parse_host_port("node1:1051").value(), (HostPort{"node1", 1051}));
    EXPECT_EQ(parse_host_port("fd00::1").value(), (HostPort{"fd00::1", 0}));
    EXPECT_EQ(parse_host_port("[fd00::1]").value(), (HostPort{"fd00::1", 0}));
    EXPECT_EQ(parse_host_port("[FD00::1]:80").value(), (HostPort{"fd00::1", 80}));
    for (const auto* bad : {"", ":80", "a:", "a:0", "a:65536", "a:x", "a:80x", "[::1", "[::1]80",
                            "[::1]:", "[a]:1", "[]:1", "a:80:90", "http://a"}) {
        const auto parsed = parse_host_port(bad);
        ASSERT_FALSE(parsed) << bad;
        EXPECT_TRUE(parsed.error().message.starts_with("cannot use \"")) << parsed.error().message;
    }
    EXPECT_EQ(join_host_port("fd00::1", 80), "[fd00::1]:80");
    EXPECT_EQ(join_host_port("a", 80), "a:80");
}

TEST(MesosAddress, PidsOfBothFamilies)
{
    EXPECT_EQ(parse_pid("slave(1)@127.0.0.1:5051").value(), (HostPort{"127.0.0.1", 5051}));
    EXPECT_EQ(parse_pid("master@[fd00::1]:5050").value(), (HostPort{"fd00::1", 5050}));
    EXPECT_EQ(parse_pid("slave(1)@fd00::2:5051").value(), (HostPort{"fd00::2", 5051}));
    for (const auto* bad :
         {"", "@", "slave(1)", "@10.0.0.1:5051", "slave(1)@", "slave(1)@10.0.0.1", "slave(1)@:5051",
          "slave(1)@host:5051", "slave(1)@10.0.0.1:", "slave(1)@10.0.0.1:0", "a:5@10.0.0.1",
          "slave(1)@0.0.0.0:5051", "slave(1)@[::]:5051", "slave(1)@[10.0.0.1:5051"})
        EXPECT_FALSE(parse_pid(bad)) << bad;
}

TEST(MesosAddress, ForeignTextIsShownHarmlessly)
{
    EXPECT_EQ(printable("a\x1b[31m\"\n\xff"), "a?[31m???");
    EXPECT_EQ(printable(std::string(100, 'a')), std::string(80, 'a') + "...");
}

}  // namespace
}  // namespace opsd::mesos
