#include "daemon/supervisor.hpp"

#include "support.hpp"

using namespace opsd;
using namespace opsd::daemon;
using namespace std::chrono_literals;

namespace {

class NoStore final : public Store {
public:
    Task<Result<>> migrate(std::string, std::vector<std::string>) override { co_return Result<>{}; }
    Task<Result<std::vector<Row>>> read(Statement, std::size_t) override { co_return std::vector<Row>{}; }
    Task<Result<Written>> write(std::vector<Statement>) override { co_return Written{}; }
};

struct Lines final : LogSink {
    void write(Level, std::string_view line) override { all.emplace_back(line); }
    [[nodiscard]] bool wants(Level) const noexcept override { return true; }
    void set_level(Level) override {}
    std::vector<std::string> all;
};

/// What the module under test does, and what happened to it.
struct Script {
    int created = 0;
    int started = 0;
    int alive = 0;
    bool throws = false;
    bool refuses = false;
};

class Scripted final : public Module {
public:
    Scripted(Script& script, Services& services) : script_{script}, services_{services}
    {
        ++script_.created;
        ++script_.alive;
    }
    ~Scripted() override { --script_.alive; }
    std::vector<http::Route> routes() override
    {
        return {{http::Method::get, "/scripted", http::Access::open, "test", answer, {}}};
    }
    Task<> run() override
    {
        ++script_.started;
        if (script_.throws) throw std::runtime_error{"the wheel came off"};
        services_.status.running();
        asio::steady_timer forever{services_.executor, never};
        co_await forever.async_wait(asio::use_awaitable);
    }

private:
    static Task<http::Response> answer(const http::Request&) { co_return http::Response{}; }
    Script& script_;
    Services& services_;
};

struct ScriptOptions {
    std::int64_t number = 0;
};

/// A supervisor with one scripted module on a hand-driven clock.
struct House {
    House()
    {
        config::Schema<ScriptOptions> schema;
        schema.field(&ScriptOptions::number, "number", "test");
        auto create = [this](const config::Value*, Services& services) -> Result<std::unique_ptr<Module>> {
            if (script.refuses) return fail(Errc::invalid_argument, "cannot use this section: test");
            return std::make_unique<Scripted>(script, services);
        };
        supervisor = std::make_unique<Supervisor>(
            Environment{io.get_executor(), clock, board, feeds, store, metrics, paths, Log{lines, "test"}},
            std::vector{CatalogEntry{"scripted", "a test", config::AnySchema{schema}, create}});
        config::Mistakes mistakes;
        supervisor->create(config::Value::map(), mistakes);
        EXPECT_TRUE(mistakes.empty());
    }
    ~House() { finish(supervisor->stop()); }

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
    std::unique_ptr<Supervisor> supervisor;
};

}  // namespace

TEST(Supervisor, AModuleThatRunsIsShownAsRunning)
{
    House house;
    EXPECT_EQ(house.state().condition, ModuleCondition::starting);
    house.supervisor->start();
    house.settle();
    EXPECT_EQ(house.state().condition, ModuleCondition::running);
}

TEST(Supervisor, AModuleThatThrowsIsReportedAndStartedAgainWithBackOff)
{
    House house;
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
    House house;
    house.supervisor->start();
    house.settle();
    config::Mistakes mistakes;
    house.finish(house.supervisor->reload(config::Value::map(), mistakes));
    EXPECT_EQ(house.script.created, 1);
    house.finish(house.supervisor->reload(House::section("7"), mistakes));
    EXPECT_EQ(house.script.created, 2);
    EXPECT_EQ(house.script.alive, 1);
    EXPECT_EQ(house.state().condition, ModuleCondition::running);
    EXPECT_TRUE(mistakes.empty());
}

TEST(Supervisor, ARefusedSectionKeepsTheOldModuleRunning)
{
    House house;
    house.supervisor->start();
    house.settle();
    house.script.refuses = true;
    config::Mistakes mistakes;
    house.finish(house.supervisor->reload(House::section("7"), mistakes));
    ASSERT_EQ(mistakes.size(), 1U);
    EXPECT_EQ(mistakes.front().path, "scripted");
    EXPECT_EQ(house.script.started, 1);
    EXPECT_EQ(house.state().condition, ModuleCondition::running);
    house.script.refuses = false;
}

TEST(Supervisor, ARequestInFlightKeepsItsModuleAlive)
{
    House house;
    house.supervisor->start();
    house.settle();
    const auto routes = house.supervisor->routes();
    config::Mistakes mistakes;
    house.finish(house.supervisor->reload(House::section("7"), mistakes));
    EXPECT_EQ(house.script.alive, 2) << "the old route table still holds the first instance";
}

TEST(Supervisor, SettledWaitsForTheSlowestModuleAndGivesUpAtTheLimit)
{
    House house;
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
