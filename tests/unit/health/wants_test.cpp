// Directories that say which units a target wants, and what follows when they cannot be read.

#include "modules/health/directories.hpp"

#include "node.hpp"
#include "temp_dir.hpp"

#include <fstream>

namespace opsd::health {
namespace {

using namespace test;
namespace fs = std::filesystem;

/// Access rights are checked as for anybody: root may read everything.
class AsNobody {
public:
    AsNobody()
    {
        if (::geteuid() == 0) dropped_ = ::seteuid(65'534) == 0;
    }
    AsNobody(const AsNobody&) = delete;
    AsNobody& operator=(const AsNobody&) = delete;
    ~AsNobody()
    {
        if (dropped_) EXPECT_EQ(::seteuid(0), 0);
    }

private:
    bool dropped_ = false;
};

TEST(HealthDirectories, OneThatCannotBeReadIsAProblemOneThatIsNotThereIsNone)
{
    const opsd::test::TempDir root;
    ASSERT_EQ(::chmod(root.path().c_str(), 0755), 0);
    EXPECT_EQ(read_wants(root.path(), {"my.target"}).problem, "");

    fs::create_directories(root / "dcos.target.wants");
    std::ofstream{root / "dcos.target.wants/a.service"};
    EXPECT_EQ(read_wants(root.path(), {}).problem, "");
    std::ofstream{root / "my.target.wants"};  // a file
    auto wants = read_wants(root.path(), {"my.target"});
    EXPECT_EQ(wants.problem, "cannot read " + root / "my.target.wants" + ": Not a directory");
    EXPECT_EQ(wants.entries, (std::vector<WantsEntry>{{"dcos.target", "a.service"}})) << "the rest is known";

    fs::permissions(root / "dcos.target.wants", fs::perms::none);
    {
        const AsNobody nobody;
        wants = read_wants(root.path(), {});
    }
    EXPECT_EQ(wants.problem, "cannot read " + root / "dcos.target.wants" + ": Permission denied");
    EXPECT_TRUE(wants.entries.empty());
    fs::permissions(root / "dcos.target.wants", fs::perms::owner_all);
}

TEST(HealthSelection, WhatDcosTargetWantsBeingUnknownIsNotTheSameAsNoDcosTarget)
{
    const HealthOptions nothing_named;
    const Inventory empty;
    EXPECT_TRUE(Selection(nothing_named, empty).automatic());
    Inventory unknown;
    unknown.wants_known = false;
    EXPECT_FALSE(Selection(nothing_named, unknown).automatic());
}

class HealthWants : public Node {
protected:
    static constexpr const char* denied = "cannot read /etc/systemd/system/dcos.target.wants: denied";
};

TEST_F(HealthWants, UnreadableAtStartIsUnknownNotGreen)
{
    add(running());
    wants_problem = denied;
    options.units = {"a.service"};
    start();
    EXPECT_EQ(word("a.service"), "running");
    EXPECT_EQ(node().health, Health::unknown);
    EXPECT_EQ(node().reason, std::string{"not all expected units are known: "} + denied);
    EXPECT_EQ(status.condition, "degraded");
    EXPECT_EQ(metric("opsd_units_list_complete"), "0");
    EXPECT_EQ(metric("opsd_node_health"), "3");
    const auto old = get("/system/health/v1")["units"];
    ASSERT_EQ(old.size(), 2U) << "an old client sees an element with health 3, too";
    EXPECT_EQ(old[1]["health"], 3);
    EXPECT_NE(old[1]["output"].get<std::string>().find(denied), std::string::npos);
}

TEST_F(HealthWants, AFailedUnitIsNotHiddenByIt)
{
    add(failed());
    wants_problem = denied;
    options.units = {"a.service"};
    start();
    EXPECT_EQ(node().health, Health::unhealthy);
    EXPECT_NE(node().reason.find("a.service"), std::string::npos);
    EXPECT_NE(node().reason.find(denied), std::string::npos);
}

TEST_F(HealthWants, WithNothingElseNamedTheReasonIsTheDirectory)
{
    add(running());
    wants_problem = denied;
    start();
    EXPECT_TRUE(node().units.empty());
    EXPECT_EQ(node().health, Health::unknown);
    EXPECT_NE(node().reason.find(denied), std::string::npos);
}

TEST_F(HealthWants, KnownUnitsStayWatchedAndExpectedUntilItCanBeReadAgain)
{
    add(running("a.service"));
    add(running("b.service"));
    wants = {{"dcos.target", "a.service"}, {"dcos.target", "b.service"}};
    start();
    ASSERT_EQ(node().health, Health::healthy);
    EXPECT_EQ(metric("opsd_units_list_complete"), "1");

    wants.clear();
    wants_problem = denied;
    systemd.reload();
    advance(1s);
    EXPECT_EQ(word("a.service"), "running");
    EXPECT_EQ(word("b.service"), "running");
    EXPECT_EQ(node().health, Health::unknown);
    fail_unit("a.service");
    advance(20ms);
    EXPECT_EQ(node().health, Health::unhealthy) << "still followed";
    systemd.change("b.service", [](UnitFacts& f) {
        f.active_state = "inactive";
        f.sub_state = "dead";
    });
    advance(20ms);
    EXPECT_EQ(word("b.service"), "stopped") << "still expected";

    wants_problem.clear();
    wants = {{"dcos.target", "a.service"}};
    run_unit("a.service");
    advance(9s);
    EXPECT_EQ(node().units.size(), 2U);
    advance(2s);  // nobody announces that a directory became readable: it is looked at again
    EXPECT_EQ(node().units.size(), 1U);
    EXPECT_EQ(node().health, Health::healthy);
    EXPECT_EQ(status.condition, "running");
}

TEST_F(HealthWants, ARepeatedLookCostsSystemdNothing)
{
    add(running());
    options.globs = {"*"};
    wants_problem = denied;
    start();
    advance(1s);
    const auto lists = systemd.count(systemd::FakeCall::list_unit_files);
    advance(1min);
    EXPECT_EQ(systemd.count(systemd::FakeCall::list_unit_files), lists);
}

}  // namespace
}  // namespace opsd::health
