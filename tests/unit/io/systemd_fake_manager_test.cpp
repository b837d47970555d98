// The fake keeps the promises of the real Manager, or the tests built on it mean nothing.

#include "io/systemd/fake_manager.hpp"

#include "support.hpp"

#include <boost/asio/post.hpp>

using namespace opsd;
using namespace opsd::systemd;
using namespace boost::asio::experimental::awaitable_operators;

namespace {

struct Heard : Observer {
    void changed(const UnitChange& change) override
    {
        paths.emplace_back(change.object_path());
        complete = change.apply_to(facts) && complete;
    }
    void unit_new(std::string_view id, std::string_view) override
    {
        lines.push_back("new " + std::string{id});
    }
    void unit_removed(std::string_view id, std::string_view) override
    {
        lines.push_back("removed " + std::string{id});
    }
    void job_removed(std::string_view unit, std::string_view result) override
    {
        lines.push_back("job " + std::string{unit} + " " + std::string{result});
    }
    void unit_files_changed() override { lines.emplace_back("files"); }
    void reloading(bool active) override { lines.emplace_back(active ? "reloading" : "reloaded"); }

    std::vector<std::string> paths;
    std::vector<std::string> lines;
    UnitFacts facts;
    bool complete = true;
};

UnitFacts running(std::string id)
{
    UnitFacts facts;
    facts.id = std::move(id);
    facts.active_state = "active";
    facts.sub_state = "running";
    return facts;
}

template <class Body>
void with_fake(Body body)
{
    test::run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        FakeManager systemd{executor};
        co_await body(systemd);
    });
}

}  // namespace

TEST(FakeManager, ListsWhatIsLoadedAndNamesEverythingAskedFor)
{
    with_fake([](FakeManager& systemd) -> Task<> {
        systemd.add_unit(running("a.service"));
        auto masked = running("m.service");
        masked.load_state = "masked";
        systemd.add_unloaded(masked);
        auto all = co_await systemd.list_units();
        EXPECT_EQ(all->size(), 1U);
        std::vector<std::string> names{"m.service", "a.service", "none.service"};
        auto named = co_await systemd.list_units_by_names(names);
        EXPECT_EQ(named->size(), 3U);
        EXPECT_EQ(named->at(0).load_state, "masked");
        EXPECT_EQ(named->at(1).sub_state, "running");
        EXPECT_EQ(named->at(2).load_state, "not-found");
        EXPECT_EQ(named->at(2).object_path, unit_path("none.service"));
        EXPECT_EQ(systemd.count(FakeCall::list_units_by_names), 1U);
    });
}

TEST(FakeManager, TellsSubscribersOnlyWhatDiffers)
{
    with_fake([](FakeManager& systemd) -> Task<> {
        systemd.add_unit(running("a.service"));
        Heard heard;
        auto subscribed = co_await systemd.subscribe(heard);
        EXPECT_TRUE(subscribed);
        heard.facts.description = "kept";
        systemd.change("a.service", [](UnitFacts& unit) {
            unit.active_state = "failed";
            unit.result = "signal";
        });
        EXPECT_EQ(heard.paths.size(), 2U);  // Service, then Unit, as systemd does
        EXPECT_EQ(heard.facts.active_state, "failed");
        EXPECT_EQ(heard.facts.result, "signal");
        EXPECT_EQ(heard.facts.description, "kept");
        EXPECT_TRUE(heard.complete);
        systemd.invalidate("a.service", [](UnitFacts& unit) { unit.active_state = "active"; });
        EXPECT_FALSE(heard.complete);
        EXPECT_EQ(heard.facts.active_state, "failed");
        systemd.change_silently("a.service", [](UnitFacts& unit) { unit.restarts = 7; });
        EXPECT_EQ(heard.paths.size(), 3U);
        auto read = co_await systemd.read_unit(unit_path("a.service"));
        EXPECT_EQ(read->restarts, 7U);
        EXPECT_TRUE(read->details);
        EXPECT_EQ(systemd.reads_of("a.service"), 1U);
    });
}

TEST(FakeManager, TellsWhatHappensToUnitsJobsAndFiles)
{
    with_fake([](FakeManager& systemd) -> Task<> {
        Heard heard;
        co_await systemd.subscribe(heard);
        systemd.add_unit(running("a.service"));
        systemd.end_job("a.service", "done");
        systemd.set_files({{"/etc/systemd/system/b.service", "enabled"}});
        systemd.reload([&] { systemd.remove_unit("a.service"); });
        const std::vector<std::string> expected{"new a.service", "job a.service done", "files",
                                                "reloading",     "removed a.service",  "reloaded"};
        EXPECT_EQ(heard.lines, expected);
    });
}

TEST(FakeManager, FailsAsTold)
{
    with_fake([](FakeManager& systemd) -> Task<> {
        systemd.fail_next(FakeCall::list_units, {Errc::timeout, "cannot list: slow"});
        auto first = co_await systemd.list_units();
        EXPECT_EQ(first.error().code, Errc::timeout);
        auto second = co_await systemd.list_units();
        EXPECT_TRUE(second);
        systemd.fail_always(FakeCall::connect, Error{Errc::unavailable, "cannot connect"});
        EXPECT_FALSE(systemd.connect());
        systemd.fail_always(FakeCall::connect, std::nullopt);
        EXPECT_TRUE(systemd.connect());
    });
}

TEST(FakeManager, AHeldCallSeesTheWorldOfItsRelease)
{
    with_fake([](FakeManager& systemd) -> Task<> {
        systemd.hold(FakeCall::list_units);
        auto release = [](FakeManager& fake) -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            co_await asio::post(executor, asio::use_awaitable);
            fake.add_unit(running("late.service"));
            fake.release(FakeCall::list_units);
        };
        auto listed = co_await (systemd.list_units() && release(systemd));
        EXPECT_EQ(listed->size(), 1U);
    });
}

TEST(FakeManager, ALostConnectionEndsRunAndCallsAndANewOneWorks)
{
    with_fake([](FakeManager& systemd) -> Task<> {
        auto connected = systemd.connect();
        EXPECT_TRUE(connected);
        auto& manager = **connected;
        Heard heard;
        co_await manager.subscribe(heard);
        EXPECT_EQ(systemd.subscribers(), 1U);
        systemd.hold(FakeCall::list_units);
        auto lose = [](FakeManager& fake) -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            co_await asio::post(executor, asio::use_awaitable);
            co_await asio::post(executor, asio::use_awaitable);
            fake.lose_connection({Errc::unavailable, "cannot reach systemd: the test said so"});
        };
        auto listed = co_await (manager.list_units() && lose(systemd));
        auto ended = co_await manager.run();
        EXPECT_EQ(listed.error().code, Errc::unavailable);
        EXPECT_EQ(ended.message, "cannot reach systemd: the test said so");
        systemd.add_unit(running("a.service"));
        EXPECT_TRUE(heard.lines.empty());
        systemd.release(FakeCall::list_units);
        auto again = systemd.connect();
        auto rows = co_await (*again)->list_units();
        EXPECT_EQ(rows->size(), 1U);
    });
}
