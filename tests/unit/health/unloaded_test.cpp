// Units that nobody named and that systemd unloads: those of a pattern, and failed ones.

#include "node.hpp"

namespace opsd::health {
namespace {

using namespace test;
using systemd::FakeCall;

class HealthUnloaded : public Node {};

TEST_F(HealthUnloaded, AnInstanceThatIsLoadedAgainAtOnceIsWatchedAgain)
{
    options.globs = {"t@*"};
    start();
    advance(1s);
    add(running("t@1.service"));
    advance(100ms);
    ASSERT_EQ(word("t@1.service"), "running");
    systemd.remove_unit("t@1.service");
    add(running("t@1.service"));
    advance(100ms);
    fail_unit("t@1.service");
    advance(3s);
    EXPECT_EQ(word("t@1.service"), "failed");
    EXPECT_EQ(metric("opsd_systemd_resync_corrections_total"), "0") << "a signal said so";
}

TEST_F(HealthUnloaded, AskingForAnUnloadedInstanceDoesNotGoOnForEver)
{
    options.globs = {"t@*"};
    start();
    advance(1s);
    add(running("t@1.service"));
    advance(100ms);
    systemd.remove_unit("t@1.service");
    advance(100ms);
    const auto asked = systemd.count(FakeCall::list_units_by_names) + systemd.count(FakeCall::read_unit);
    const auto lists = systemd.count(FakeCall::list_units);
    for (int i = 0; i < 100; ++i) {  // what systemd says whenever somebody's question loads it
        systemd.add_unit(running("t@1.service"));
        systemd.remove_unit("t@1.service");
        advance(10ms);
    }
    advance(1min);
    EXPECT_EQ(systemd.count(FakeCall::list_units_by_names) + systemd.count(FakeCall::read_unit), asked);
    EXPECT_LE(systemd.count(FakeCall::list_units), lists + 1);
    EXPECT_EQ(word("t@1.service"), "(not there)");
}

}  // namespace
}  // namespace opsd::health
