// Foreign text: dpkg's log and what programs write into the journal.

#include "modules/health/explain/clues.hpp"
#include "modules/health/explain/dpkg_log.hpp"

#include <gtest/gtest.h>

namespace opsd::health::explain {

TEST(DpkgLog, OnlyChangesOfPackagesAreTaken)
{
    const auto changes = parse_dpkg_log("2026-11-27 10:00:00 startup archives unpack\n"
                                        "2026-11-27 10:00:01 upgrade nginx:amd64 1.22.1-9 1.22.1-9+deb12u1\n"
                                        "2026-11-27 10:00:01 status half-configured nginx:amd64 1.22.1-9\n"
                                        "2026-11-27 10:00:02 install libx2:all <none> 2:1.0~rc1\n"
                                        "2026-11-27 10:00:03 configure nginx:amd64 1.22.1-9+deb12u1 <none>\n"
                                        "2026-11-27 10:00:04 remove old 1.0 <none>\n",
                                        100);
    ASSERT_EQ(changes.size(), 3U);
    EXPECT_EQ(changes[0], (DpkgChange{2026, 11, 27, 10, 0, 1, "upgrade", "nginx", "amd64", "1.22.1-9",
                                      "1.22.1-9+deb12u1"}));
    EXPECT_EQ(changes[1].from, "");
    EXPECT_EQ(changes[1].to, "2:1.0~rc1");
    EXPECT_EQ(changes[2].action, "remove");
    EXPECT_EQ(changes[2].architecture, "");
}

TEST(DpkgLog, WhatIsNotUnderstoodIsSkipped)
{
    for (const auto* line :
         {"", "\n", "2026-11-27", "2026-13-27 10:00:01 remove a 1 <none>",
          "2026-11-27 25:00:01 remove a 1 <none>", "2026-11-27 10:00:01 remove a 1",
          "2026-11-27 10:00:01 remove a 1 <none> more", "2026-11-27 10:00:01 remove $(x) 1 <none>",
          "2026-11-27 10:00:01 remove :amd64 1 <none>", "2026-11-27 10:00:0x remove a 1 <none>"})
        EXPECT_TRUE(parse_dpkg_log(line, 10).empty()) << line;
    const auto torn =
        parse_dpkg_log("10:00:01 remove a 1 <none>\n2026-11-27 10:00:04 remove b 1 <none>\n2026-11", 10);
    ASSERT_EQ(torn.size(), 1U);
    EXPECT_EQ(torn[0].package, "b");
}

TEST(DpkgLog, TheNewestAreKeptWhenThereAreTooMany)
{
    std::string log;
    for (int i = 0; i < 60; ++i)
        log +=
            "2026-11-27 10:00:" + std::string{i < 10 ? "0" : ""} + std::to_string(i) + " remove a 1 <none>\n";
    const auto changes = parse_dpkg_log(log, 3);
    ASSERT_EQ(changes.size(), 3U);
    EXPECT_EQ(changes.front().second, 57);
    EXPECT_EQ(changes.back().second, 59);
}

TEST(DpkgLog, TellsWhetherOlderFilesAreNeeded)
{
    EXPECT_TRUE(dpkg_log_begins_before("2026-11-27 10:00:00 startup", "2026-11-27 10:00:00"));
    EXPECT_FALSE(dpkg_log_begins_before("2026-11-27 10:00:01 startup", "2026-11-27 10:00:00"));
    EXPECT_TRUE(dpkg_log_begins_before("", "2026-11-27 10:00:00"));
}

TEST(ExplainClues, ThePathThatALineIsAboutIsFound)
{
    const auto near = [](std::string_view message, std::string_view phrase) {
        return path_near(message, message.find(phrase));
    };
    EXPECT_EQ(near("sh: 1: cannot create /etc/x: Permission denied", "Permission"), "/etc/x");
    EXPECT_EQ(near("/usr/bin/a: open \"/var/lib/x y\" failed (13: Permission denied)", "Permission"),
              "/var/lib/x");
    EXPECT_EQ(near("Permission denied: '/srv/key.pem'", "Permission"), "/srv/key.pem");
    EXPECT_EQ(near("open(/srv/a.db): No such file", "No such"), "/srv/a.db");
    EXPECT_EQ(near("either/or is no path: denied", "denied"), "");
    EXPECT_EQ(near("/", "/"), "");
    EXPECT_EQ(path_near("", 0), "");
}

TEST(ExplainClues, AddressesAreFoundAndTimesAreNot)
{
    EXPECT_EQ(address_in("listen tcp :8080: bind: address already in use"), ":8080");
    EXPECT_EQ(address_in("bind() to 0.0.0.0:80 failed (98: Address already in use)"), "0.0.0.0:80");
    EXPECT_EQ(address_in("cannot listen on [::1]:1050: Address already in use"), "[::1]:1050");
    EXPECT_EQ(address_in("Could not bind to port 5432: Address already in use"), "5432");
    EXPECT_EQ(address_in("10:05:10 bind failed: Address already in use"), "");
    EXPECT_EQ(address_in("OSError: [Errno 98] Address already in use"), "");
    EXPECT_EQ(address_in(""), "");
    EXPECT_EQ(port_of("[::1]:1050"), "1050");
    EXPECT_EQ(port_of("5432"), "5432");
}

TEST(ExplainClues, TheLastLineThatMatchesIsTheClue)
{
    Lines lines(3);
    lines[0].message = "warning: Permission denied";
    lines[1].message = "fatal: No space left on device";
    lines[2].message = "bye";
    const auto clue = last_clue(lines, {});
    ASSERT_TRUE(clue);
    EXPECT_EQ(clue->kind, "disk-full");
    EXPECT_EQ(clue->line, &lines[1]);
}

}  // namespace opsd::health::explain
