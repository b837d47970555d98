#include "io/zookeeper/address.hpp"

#include <gtest/gtest.h>

using namespace opsd;
using namespace opsd::zookeeper;

TEST(ZookeeperAddress, ReadsWhatMesosWrites)
{
    const auto full = parse_address("zk://ada:s3cret@h1:2181,h2,[::1]:2183/mesos");
    ASSERT_TRUE(full.has_value()) << full.error().message;
    EXPECT_EQ(full->servers, (std::vector<Server>{{"h1", 2181}, {"h2", 2181}, {"::1", 2183}}));
    EXPECT_EQ(full->chroot, "/mesos");
    EXPECT_EQ(full->credentials, "ada:s3cret");
    EXPECT_EQ(full->text(), "h1:2181,h2:2181,[::1]:2183/mesos");
    const auto plain = parse_address("h1:21811,h2:21812/a/b");
    ASSERT_TRUE(plain.has_value());
    EXPECT_EQ(plain->servers, (std::vector<Server>{{"h1", 21811}, {"h2", 21812}}));
    EXPECT_EQ(plain->chroot, "/a/b");
    EXPECT_EQ(plain->credentials, "");
    const auto root = parse_address("127.0.0.1/");
    ASSERT_TRUE(root.has_value());
    EXPECT_EQ(root->chroot, "");
}

TEST(ZookeeperAddress, APasswordMayHoldAnything)
{
    const auto odd = parse_address("zk://ada:p/a@s:s,%40@h1:2181/x");
    ASSERT_TRUE(odd.has_value()) << odd.error().message;
    EXPECT_EQ(odd->credentials, "ada:p/a@s:s,%40");
    EXPECT_EQ(odd->text(), "h1:2181/x");
}

TEST(ZookeeperAddress, MistakesAreNamedWithoutTheSecret)
{
    for (const auto* bad : {"",
                            "zk://",
                            "h1:",
                            "h1:0",
                            "h1:65536",
                            "h1:x",
                            "h1,,h2",
                            "h1,",
                            ":2181",
                            "h 1",
                            "[::1",
                            "[::1]x",
                            "h1/a/",
                            "h1//a",
                            "h1/../a",
                            "zk://ada:s3cret@",
                            "zk://ada:s3cret@h1:x",
                            "zk://s3cret@h1",
                            "zk://:s3cret@h1",
                            "ada:s3cret@h1:2181",
                            "http://ada:s3cret@h1:2181",
                            "zk://ada:s3cret@h1/a//b"}) {
        const auto refused = parse_address(bad);
        ASSERT_FALSE(refused.has_value()) << bad;
        EXPECT_EQ(refused.error().code, Errc::invalid_argument);
        EXPECT_TRUE(refused.error().message.starts_with("cannot use \"")) << refused.error().message;
        EXPECT_EQ(refused.error().message.find("s3cret"), std::string::npos) << refused.error().message;
    }
    std::string many = "h";
    for (int i = 0; i < 64; ++i)
        many += ",h";
    EXPECT_FALSE(parse_address(many).has_value()) << "at most 64";
}

TEST(ZookeeperAddress, RedactsWhatIsShown)
{
    EXPECT_EQ(redacted("zk://ada:s3cret@h1:2181/mesos"), "zk://***@h1:2181/mesos");
    EXPECT_EQ(redacted("zk://ada:a@b@h1:2181/mesos"), "zk://***@h1:2181/mesos");
    EXPECT_EQ(redacted("ada:s3cret@h1"), "***@h1");
    EXPECT_EQ(redacted("h1:2181/mesos"), "h1:2181/mesos");
}

TEST(ZookeeperAddress, PathsAreCheckedHere)
{
    for (const auto* good : {"/", "/a", "/a/b.c", "/a/..b", "/\xc3\xa4"})
        EXPECT_TRUE(check_path(good).has_value()) << good;
    for (const auto* bad : {"", "a", "/a/", "//", "/a//b", "/.", "/a/../b", "/a\nb"})
        EXPECT_FALSE(check_path(bad).has_value()) << bad;
    EXPECT_FALSE(check_path(std::string_view{"/a\0b", 4}).has_value());
}
