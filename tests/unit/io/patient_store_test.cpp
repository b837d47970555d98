// The store of a daemon whose state file cannot be opened at first.

#include "io/store/patient_store.hpp"
#include "opsd/task_group.hpp"

#include "support.hpp"
#include "temp_dir.hpp"

#include <filesystem>
#include <fstream>

using namespace opsd;
using namespace std::chrono_literals;
using opsd::test::TempDir;

namespace {

struct Lines final : LogSink {
    void write(Level, std::string_view line) override { all.emplace_back(line); }
    [[nodiscard]] bool wants(Level) const noexcept override { return true; }
    void set_level(Level) override {}
    std::vector<std::string> all;
};

/// A state directory in whose place a file stands, until mend() removes it.
struct House {
    House()
    {
        std::ofstream{dir / "state"} << "in the way";
        StoreOptions options;
        options.path = dir / "state/state.db";
        store.emplace(options, clock, metrics, Log{lines, "store"});
    }
    void mend() { std::filesystem::remove(dir / "state"); }
    [[nodiscard]] std::string metric(const std::string& name) const
    {
        const auto page = metrics.render();
        const auto at = page.find("\n" + name + " ");
        return at == std::string::npos
                   ? ""
                   : page.substr(at + name.size() + 2, page.find('\n', at + 1) - at - name.size() - 2);
    }
    /// Lets time pass until the store was tried `attempts` times in all.
    Task<> pass(std::chrono::milliseconds time, double attempts)
    {
        auto& failures =
            metrics.counter("opsd_store_open_failures_total", "Attempts to open the state file that failed");
        co_await test::sleep(1ms);
        clock.advance(time, [] {});  // what it wakes runs with the loop
        while (failures.value() < attempts && !store->problem().empty())
            co_await test::sleep(1ms);
        co_await test::sleep(1ms);
    }

    TempDir dir;
    ManualClock clock{WallTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}}};
    telemetry::Registry metrics;
    std::shared_ptr<Lines> lines = std::make_shared<Lines>();
    std::optional<PatientStore> store;
};

Task<std::unique_ptr<TaskGroup>> watched()
{
    const auto executor = co_await asio::this_coro::executor;
    co_return std::make_unique<TaskGroup>(
        executor, [](std::string_view, const std::exception_ptr& e) { ADD_FAILURE() << describe(e).what; });
}

Task<Result<>> make_notes(Store& store)
{
    std::vector<std::string> steps{"CREATE TABLE note (id INTEGER PRIMARY KEY)"};
    co_return co_await store.migrate("notes", std::move(steps));
}

}  // namespace

TEST(PatientStore, IsOpenAtOnceWhereNothingIsWrong)
{
    test::run([]() -> Task<> {
        House house;
        house.mend();
        co_await house.store->run();  // nothing to wait for
        EXPECT_EQ(house.store->problem(), "");
        EXPECT_EQ(house.metric("opsd_store_open"), "1");
        const auto done = co_await make_notes(*house.store);
        EXPECT_TRUE(done);
        EXPECT_TRUE(house.lines->all.empty());
        house.store.reset();
    });
}

TEST(PatientStore, FailsWithTheReasonAndOpensLaterWithoutARestart)
{
    test::run([]() -> Task<> {
        House house;
        auto& store = *house.store;
        auto group = co_await watched();
        group->spawn("store", store.run());
        co_await store.first_attempt(10s);
        EXPECT_NE(store.problem().find("File exists"), std::string::npos) << store.problem();
        EXPECT_EQ(house.metric("opsd_store_open"), "0");
        const auto refused = co_await make_notes(store);
        EXPECT_EQ(refused.error().code, Errc::unavailable) << "it may be tried again";
        EXPECT_EQ(refused.error().message, store.problem());
        Statement query{"SELECT 1", {}};
        const auto rows = co_await store.read(query, 1);
        EXPECT_FALSE(rows);
        const auto written = co_await store.write({});
        EXPECT_FALSE(written);

        co_await house.pass(1s, 2);
        co_await house.pass(1s, 2);  // it backs off
        EXPECT_EQ(house.metric("opsd_store_open_failures_total"), "2");
        co_await house.pass(1s, 3);
        EXPECT_EQ(house.metric("opsd_store_open_failures_total"), "3");
        EXPECT_EQ(house.lines->all.size(), 1U) << "the same reason is logged once";

        house.mend();
        co_await house.pass(4s, 4);
        EXPECT_EQ(store.problem(), "");
        EXPECT_EQ(house.metric("opsd_store_open"), "1");
        const auto done = co_await make_notes(store);
        EXPECT_TRUE(done);
        co_await group->join();  // it has done its work
        house.store.reset();
    });
}

namespace {

/// A disk that hangs until it is let go.
struct HangingDisk {
    explicit HangingDisk(const Executor& executor) : answered{executor, never} {}
    PatientStore::Open open()
    {
        return [this](StoreOptions, const Clock&, telemetry::Registry& metrics) { return answer(metrics); };
    }
    Task<Result<OpenedStore>> answer(telemetry::Registry& metrics)
    {
        co_await wait_event(answered);
        auto opened = co_await open_memory_store(metrics);
        co_return opened;
    }
    asio::steady_timer answered;
};

/// Lets the loop do what it can.
Task<> settle() { co_await test::sleep(1ms); }

/// A call whose answer shows when it has come.
Task<> make_notes_later(Store& store, std::optional<Result<>>& answer)
{
    auto done = co_await make_notes(store);
    answer = std::move(done);
}

}  // namespace

TEST(PatientStore, ADiskThatHangsHoldsNobodyUpForLong)
{
    test::run([]() -> Task<> {
        House house;
        HangingDisk disk{co_await asio::this_coro::executor};
        StoreOptions options;
        options.path = "/x/state.db";
        house.store.emplace(options, house.clock, house.metrics, Log{house.lines, "store"}, disk.open());
        auto& store = *house.store;
        auto group = co_await watched();
        auto started = false;
        auto start = [](PatientStore& waited_for, bool& done) -> Task<> {
            co_await waited_for.first_attempt(50ms);
            done = true;
        };
        group->spawn("store", store.run());
        group->spawn("start", start(store, started));
        std::optional<Result<>> early;
        group->spawn("early call", make_notes_later(store, early));
        co_await settle();
        house.clock.advance(50ms, [] {});
        co_await settle();
        EXPECT_TRUE(started);
        EXPECT_NE(store.problem().find("/x/state.db: it is still being opened"), std::string::npos);
        EXPECT_EQ(house.lines->all.size(), 1U);
        EXPECT_FALSE(early) << "the answer may still come: a slow disk must not cost what it remembers";

        house.clock.advance(1950ms, [] {});
        co_await settle();
        EXPECT_TRUE(early && !*early && early->error().code == Errc::unavailable);
        const auto late = co_await make_notes(store);
        EXPECT_EQ(late.error().message, store.problem()) << "from now on at once";

        disk.answered.cancel();
        co_await group->join();
        EXPECT_EQ(store.problem(), "");
        EXPECT_NE(house.lines->all.back().find("is open now"), std::string::npos);
        const auto done = co_await make_notes(store);
        EXPECT_TRUE(done);
        house.store.reset();
    });
}

TEST(PatientStore, ACallWhileASlowDiskOpensIsAnsweredWhenItHas)
{
    test::run([]() -> Task<> {
        House house;
        HangingDisk disk{co_await asio::this_coro::executor};
        house.store.emplace(StoreOptions{}, house.clock, house.metrics, Log{house.lines, "store"},
                            disk.open());
        auto group = co_await watched();
        group->spawn("store", house.store->run());
        std::optional<Result<>> answer;
        group->spawn("call", make_notes_later(*house.store, answer));
        co_await settle();
        EXPECT_FALSE(answer);
        disk.answered.cancel();
        co_await group->join();
        EXPECT_TRUE(answer && *answer);
        house.store.reset();
    });
}
