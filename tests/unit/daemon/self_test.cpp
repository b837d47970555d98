#include "daemon/self.hpp"

#include "opsd/task_group.hpp"
#include "support.hpp"

using namespace opsd;
using namespace opsd::daemon;

namespace {

struct Boards {
    asio::io_context io{1};
    Board board{io.get_executor()};
    WallTime now{};
    void health(Health value, std::string reason = {})
    {
        NodeHealth node;
        node.health = value;
        node.reason = std::move(reason);
        board.health.publish(std::move(node), now);
    }
    void module(ModuleCondition condition, std::string reason = {})
    {
        board.modules.publish({{"health", condition, std::move(reason), now, 0}}, now);
    }
};

}  // namespace

TEST(Ready, NotBeforeTheFirstPictureOfTheUnits)
{
    Boards b;
    b.module(ModuleCondition::running);
    EXPECT_EQ(not_ready_reasons(b.board), std::vector<std::string>{"health: no unit has been read yet"});
}

TEST(Ready, AnUnhealthyNodeIsReadyToSaySo)
{
    Boards b;
    b.module(ModuleCondition::running);
    b.health(Health::unhealthy, "1 of 3 units is unhealthy");
    EXPECT_TRUE(not_ready_reasons(b.board).empty());
}

TEST(Ready, AnUnknownNodeIsNotAndGivesTheReason)
{
    Boards b;
    b.module(ModuleCondition::running);
    b.health(Health::unknown, "cannot read systemd: the bus is gone");
    EXPECT_EQ(not_ready_reasons(b.board),
              std::vector<std::string>{"health: cannot read systemd: the bus is gone"});
}

TEST(Ready, AFailedModuleIsAReasonADegradedOneIsNot)
{
    Boards b;
    b.health(Health::healthy);
    b.module(ModuleCondition::degraded, "the journal cannot be read");
    EXPECT_TRUE(not_ready_reasons(b.board).empty());
    b.module(ModuleCondition::failed, "cannot open D-Bus");
    EXPECT_EQ(not_ready_reasons(b.board), std::vector<std::string>{"health: cannot open D-Bus"});
}

TEST(Heartbeat, MeasuresHowLateTheLoopIs)
{
    asio::io_context io{1};
    ManualClock clock{WallTime{}};
    telemetry::Registry metrics;
    TaskGroup group{io.get_executor(), [](std::string_view, std::exception_ptr) { ADD_FAILURE(); }};
    group.spawn("heartbeat", heartbeat(clock, metrics));
    const auto settle = [&] {
        io.restart();
        while (io.poll() > 0) {
        }
    };
    settle();
    const auto busy = [] {};
    clock.advance(std::chrono::seconds{15}, busy);
    clock.advance(std::chrono::seconds{2}, busy);
    settle();
    EXPECT_NE(metrics.render().find("opsd_loop_lag_seconds 2\n"), std::string::npos) << metrics.render();
    clock.advance(std::chrono::seconds{15}, settle);
    EXPECT_NE(metrics.render().find("opsd_loop_lag_seconds 0\n"), std::string::npos) << metrics.render();
    group.cancel();
    settle();
    EXPECT_EQ(group.size(), 0U);
}
