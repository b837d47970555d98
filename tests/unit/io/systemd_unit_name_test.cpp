#include "io/systemd/manager.hpp"

#include "support.hpp"

using namespace opsd::systemd;

namespace {

const std::string prefix = "/org/freedesktop/systemd1/unit/";

}  // namespace

TEST(UnitName, BecomesTheObjectPathThatSystemdUses)
{
    EXPECT_EQ(unit_path("ssh.service"), prefix + "ssh_2eservice");
    EXPECT_EQ(unit_path("a.b@c.d.service"), prefix + "a_2eb_40c_2ed_2eservice");
    EXPECT_EQ(unit_path("9p.mount"), prefix + "_39p_2emount");
    EXPECT_EQ(unit_path("p9.mount"), prefix + "p9_2emount");
    EXPECT_EQ(unit_path("-.mount"), prefix + "_2d_2emount");
    EXPECT_EQ(unit_path(R"(dev-disk-by\x2duuid-1.device)"),
              prefix + R"(dev_2ddisk_2dby_5cx2duuid_2d1_2edevice)");
    EXPECT_EQ(unit_path("a_b:c.socket"), prefix + "a_5fb_3ac_2esocket");
    EXPECT_EQ(unit_path("\xff.path"), prefix + "_ff_2epath");
    EXPECT_EQ(unit_path(""), prefix + "_");
}

TEST(UnitName, ComesBackFromItsObjectPath)
{
    for (const auto* id : {"ssh.service", "a.b@c.d.service", "9p.mount", "-.mount", R"(a\x2db\x2d.device)",
                           "x", "_.timer", "system-getty.slice", "\xc3\xa4.service"}) {
        EXPECT_EQ(unit_id(unit_path(id)), id);
    }
}

TEST(UnitName, OtherPathsHaveNoUnit)
{
    for (const auto* path : {"", "/", "/org/freedesktop/systemd1", "/org/freedesktop/systemd1/unit/",
                             "/org/freedesktop/systemd1/job/12", "/org/freedesktop/systemd1/unit/_",
                             "/org/freedesktop/systemd1/unit/a_2", "/org/freedesktop/systemd1/unit/a_zz",
                             "/org/freedesktop/systemd1/unit/a_2E", "/org/freedesktop/systemd1/unit/a_00",
                             "/org/freedesktop/systemd1/unit/a/b", "/org/freedesktop/systemd1/unit/a.b"}) {
        EXPECT_EQ(unit_id(path), "") << path;
    }
}

TEST(UnitName, ValidNamesHaveAKnownTypeAndAllowedCharacters)
{
    for (const auto* name :
         {"ssh.service", "dcos-foo.bar.service", "a.b@c.d.service", "a@b@c.timer", "-.mount", "x.slice",
          R"(dev-disk-by\x2duuid.device)", "a:b_c.path", "proc-sys.automount", "swap.swap", "s.scope",
          "multi-user.target", "dbus.socket"}) {
        EXPECT_TRUE(valid_unit_name(name)) << name;
    }
    for (const auto* name :
         {"", ".", "ssh", ".service", "ssh.", "ssh.Service", "ssh.conf", "a b.service", "a/b.service",
          "@x.service", "a+b.service", "\xc3\xa4.service", "ssh.service.d", "a\n.service"}) {
        EXPECT_FALSE(valid_unit_name(name)) << name;
    }
}

TEST(UnitName, ATemplateWithoutItsInstanceIsNoUnit)
{
    EXPECT_FALSE(valid_unit_name("getty@.service"));
    EXPECT_TRUE(valid_unit_name("getty@tty1.service"));
}

TEST(UnitName, IsAtMost255BytesLong)
{
    EXPECT_TRUE(valid_unit_name(std::string(247, 'a') + ".service"));
    EXPECT_FALSE(valid_unit_name(std::string(248, 'a') + ".service"));
}
