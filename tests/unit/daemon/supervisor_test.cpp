#include "daemon/supervisor.hpp"

#include "daemon_support.hpp"

using namespace opsd;
using namespace opsd::daemon;
using namespace std::chrono_literals;
using opsd::test::Lines;
using opsd::test::NoStore;
using opsd::test::Script;
using opsd::test::Scripted;

namespace {

/// A supervisor with one scripted module on a hand-driven clock.
struct SupervisedHouse {
    SupervisedHouse()
    {
        supervisor = std::make_unique<Supervisor>(
            Environment{io.get_executor(), clock, board, feeds, store, metrics, paths, Log{lines, "test"}},
            std::vector{test::scripted_entry("scripted", script, &last)});
        config::Mistakes mistakes;
        supervisor->create(config::Value::map(), mistakes);
        EXPECT_TRUE(mistakes.empty());
    }
    ~SupervisedHouse() { finish(supervisor->stop()); }

    void finish(Task<> task)
    {
        bool done = false;
        asio::co_spawn(io, std::move(task), [&](std::exception_ptr e) {
            EXPECT_FALSE(e);
            done = true;
        });
        settle();
        EXPECT_TRUE(done);
    }
    /// As a reload does.
    void reload(const config::Value& root, config::Mistakes& mistakes)
    {
        auto changes = supervisor->prepare(root, mistakes);
        if (mistakes.empty()) finish(supervisor->replace(std::move(changes)));
    }
    void settle()
    {
        io.restart();
        while (io.poll() > 0) {
        }
    }
    const ModuleState& state() const { return board.modules.get()->value.front(); }
    static config::Value section(const std::string& number)
    {
        auto inner = config::Value::map();
        inner.set("number", config::Value::scalar(number));
        auto root = config::Value::map();
        root.set("scripted", inner);
        return root;
    }

    asio::io_context io{1};
    ManualClock clock{WallTime{std::chrono::hours{480000}}};
    Board board{io.get_executor()};
    Feeds feeds{io.get_executor()};
    NoStore store;
    telemetry::Registry metrics;
    Paths paths;
    std::shared_ptr<Lines> lines = std::make_shared<Lines>();
    Script script;
    Scripted* last = nullptr;
    std::unique_ptr<Supervisor> supervisor;
};

}  // namespace

TEST(Supervisor, AModuleThatRunsIsShownAsRunning)
{
    SupervisedHouse house;
    EXPECT_EQ(house.state().condition, ModuleCondition::starting);
    house.supervisor->start();
    house.settle();
    EXPECT_EQ(house.state().condition, ModuleCondition::running);
}

TEST(Supervisor, AModuleThatThrowsIsReportedAndStartedAgainWithBackOff)
{
    SupervisedHouse house;
    house.script.throws = true;
    house.supervisor->start();
    house.settle();
    EXPECT_EQ(house.state().condition, ModuleCondition::failed);
    EXPECT_NE(house.state().reason.find("the wheel came off"), std::string::npos) << house.state().reason;
    EXPECT_EQ(house.script.started, 1);
    const auto settle = [&] { house.settle(); };
    house.clock.advance(1000ms, settle);
    EXPECT_EQ(house.script.started, 2);
    house.clock.advance(1999ms, settle);
    EXPECT_EQ(house.script.started, 2) << "the second pause is 2 s";
    house.clock.advance(1ms, settle);
    EXPECT_EQ(house.script.started, 3);
    house.clock.advance(600s, settle);
    EXPECT_LE(house.script.started, 3 + 4 + 10) << "never more often than once a minute in the end";
    house.script.throws = false;
    house.clock.advance(60s, settle);
    EXPECT_EQ(house.state().condition, ModuleCondition::running);
    EXPECT_EQ(house.state().restarts + 1, static_cast<std::uint64_t>(house.script.started));
}

TEST(Supervisor, AReloadReplacesOnlyAModuleWhoseSectionChanged)
{
    SupervisedHouse house;
    house.supervisor->start();
    house.settle();
    config::Mistakes mistakes;
    house.reload(config::Value::map(), mistakes);
    EXPECT_EQ(house.script.created, 1);
    house.reload(SupervisedHouse::section("7"), mistakes);
    EXPECT_EQ(house.script.created, 2);
    EXPECT_EQ(house.script.alive, 1);
    EXPECT_EQ(house.state().condition, ModuleCondition::running);
    EXPECT_TRUE(mistakes.empty());
}

TEST(Supervisor, ARefusedSectionKeepsTheOldModuleRunning)
{
    SupervisedHouse house;
    house.supervisor->start();
    house.settle();
    house.script.refuses = true;
    config::Mistakes mistakes;
    house.reload(SupervisedHouse::section("7"), mistakes);
    ASSERT_EQ(mistakes.size(), 1U);
    EXPECT_EQ(mistakes.front().path, "scripted");
    EXPECT_EQ(house.script.started, 1);
    EXPECT_EQ(house.state().condition, ModuleCondition::running);
    house.script.refuses = false;
}

TEST(Supervisor, PreparingAReloadChangesNothing)
{
    SupervisedHouse house;
    house.supervisor->start();
    house.settle();
    config::Mistakes mistakes;
    {
        const auto changes = house.supervisor->prepare(SupervisedHouse::section("7"), mistakes);
        EXPECT_EQ(house.script.alive, 2);
    }
    house.settle();
    EXPECT_EQ(house.script.alive, 1);
    EXPECT_EQ(house.script.started, 1);
    EXPECT_EQ(house.state().condition, ModuleCondition::running);
}

TEST(Supervisor, AStopWhileAReloadWaitsForAModuleEndsBothWhenThatLetsGo)
{
    SupervisedHouse house;
    house.script.stubborn = true;
    house.supervisor->start();
    house.settle();
    auto* old = house.last;
    config::Mistakes mistakes;
    int ended = 0;
    const auto begin = [&](Task<> task) {
        asio::co_spawn(house.io, std::move(task), [&](std::exception_ptr e) {
            EXPECT_FALSE(e);
            ++ended;
        });
        house.settle();
    };
    begin(house.supervisor->replace(house.supervisor->prepare(SupervisedHouse::section("7"), mistakes)));
    begin(house.supervisor->stop());
    EXPECT_EQ(ended, 0);
    EXPECT_EQ(house.supervisor->running(), std::vector<std::string>{"scripted"}) << "it is named";
    old->let_go();
    house.settle();
    EXPECT_EQ(ended, 2);
    EXPECT_EQ(house.script.started, 1) << "the new one is not started any more";
    EXPECT_TRUE(house.supervisor->running().empty());
}

TEST(Supervisor, RequestsGoToANewInstanceWhileAReloadStillWaitsForAnotherModule)
{
    SupervisedHouse house;
    Script second;
    Scripted* slow = nullptr;
    Supervisor supervisor{Environment{house.io.get_executor(), house.clock, house.board, house.feeds,
                                      house.store, house.metrics, house.paths, Log{house.lines, "test"}},
                          std::vector{test::scripted_entry("scripted", house.script),
                                      test::scripted_entry("slow", second, &slow)}};
    config::Mistakes mistakes;
    supervisor.create(config::Value::map(), mistakes);
    second.stubborn = true;
    supervisor.start();
    house.settle();
    auto* old = slow;
    auto routes = supervisor.routes();
    supervisor.on_routes_changed([&] { routes = supervisor.routes(); });
    auto root = SupervisedHouse::section("7");
    root.set("slow", *root.find("scripted"));
    bool replaced = false;
    asio::co_spawn(house.io, supervisor.replace(supervisor.prepare(root, mistakes)),
                   [&](std::exception_ptr) { replaced = true; });
    house.settle();
    EXPECT_FALSE(replaced) << "the second does not end";
    EXPECT_EQ(house.script.started, 2);
    EXPECT_EQ(house.script.alive, 2) << "one of them is the house's own: nobody holds the old one";
    second.stubborn = false;
    old->let_go();
    house.settle();
    EXPECT_TRUE(replaced);
    house.finish(supervisor.stop());
}

TEST(Supervisor, ARequestInFlightKeepsItsModuleAlive)
{
    SupervisedHouse house;
    house.supervisor->start();
    house.settle();
    const auto routes = house.supervisor->routes();
    config::Mistakes mistakes;
    house.reload(SupervisedHouse::section("7"), mistakes);
    EXPECT_EQ(house.script.alive, 2) << "the old route table still holds the first instance";
}

TEST(Supervisor, SettledWaitsForTheSlowestModuleAndGivesUpAtTheLimit)
{
    SupervisedHouse house;
    house.script.throws = true;
    auto ask = [&]() -> Task<> {
        const bool settled = co_await house.supervisor->settled(std::chrono::milliseconds{1});
        EXPECT_FALSE(settled) << "nothing was started yet";
    };
    asio::co_spawn(house.io, ask(), [](std::exception_ptr e) { EXPECT_FALSE(e); });
    house.io.run();
    house.supervisor->start();
    house.settle();
    bool all = false;
    auto again = [&]() -> Task<> {
        all = co_await house.supervisor->settled(std::chrono::milliseconds{1000});
    };
    asio::co_spawn(house.io, again(), [](std::exception_ptr e) { EXPECT_FALSE(e); });
    house.settle();
    EXPECT_TRUE(all) << "failed is an answer too";
}
