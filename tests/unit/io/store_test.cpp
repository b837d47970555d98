#include "io/store/sqlite_store.hpp"
#include "opsd/worker.hpp"

#include "support.hpp"
#include "temp_dir.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>

using namespace opsd;
using opsd::test::TempDir;
using std::chrono::milliseconds;

namespace {

const WallTime day = WallTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};

/// Statement and vectors by name: no braces in a statement with co_await.
Statement sql(std::string text, std::vector<Cell> values = {})
{
    return {std::move(text), std::move(values)};
}
template <class... S>
std::vector<Statement> all(S... statements)
{
    return {std::move(statements)...};
}

/// Until the files of stores that are gone are closed: that happens on their threads.
Task<> closed()
{
    const auto executor = co_await asio::this_coro::executor;
    co_await RetiredThreads::of(executor).ended();
}

Task<std::unique_ptr<Store>> opened(StoreOptions options, telemetry::Registry& metrics)
{
    co_await closed();
    const ManualClock clock{day};
    auto store = co_await open_store(std::move(options), clock, metrics);
    if (!store) throw std::runtime_error{store.error().message};
    if (!store->warning.empty()) throw std::runtime_error{store->warning};
    co_return std::move(store->store);
}

StoreOptions at(const std::string& path)
{
    StoreOptions options;
    options.path = path;
    return options;
}

Task<> make_notes(Store& store)
{
    std::vector<std::string> steps{
        "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, size REAL)"};
    const auto done = co_await store.migrate("notes", std::move(steps));
    if (!done) throw std::runtime_error{done.error().message};
}

Task<std::int64_t> count_notes(Store& store)
{
    auto query = sql("SELECT count(*) FROM note");
    const auto rows = co_await store.read(std::move(query), 1);
    if (!rows) throw std::runtime_error{rows.error().message};
    co_return as_integer(rows->at(0).at(0));
}

std::string slow_query()
{
    return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
}

std::vector<std::string> names_with(const TempDir& dir, const std::string& part)
{
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{dir.path()}) {
        const auto name = entry.path().filename().string();
        if (name.find(part) != std::string::npos) names.push_back(name);
    }
    std::ranges::sort(names);
    return names;
}

}  // namespace

TEST(Store, KeepsEveryKindOfCellAcrossAReopening)
{
    test::run([]() -> Task<> {
        const TempDir dir;
        telemetry::Registry metrics;
        const std::string odd{"a\0b'\"\xff", 6};
        {
            const auto store = co_await opened(at(dir / "state.db"), metrics);
            co_await make_notes(*store);
            auto insert =
                all(sql("INSERT INTO note VALUES (?1, ?2, ?3)", {std::int64_t{1} << 60, odd, 0.5}),
                    sql("INSERT INTO note VALUES (?1, ?2, ?3)", {std::int64_t{-3}, std::string{}, Cell{}}));
            const auto written = co_await store->write(std::move(insert));
            EXPECT_TRUE(written.has_value());
            EXPECT_EQ(written->rows, 2);
            EXPECT_EQ(written->last_id, -3);
        }
        const auto store = co_await opened(at(dir / "state.db"), metrics);
        co_await make_notes(*store);
        auto query = sql("SELECT id, text, size FROM note ORDER BY id");
        const auto rows = co_await store->read(std::move(query), 10);
        const std::vector<Row> expected{{std::int64_t{-3}, std::string{}, Cell{}},
                                        {std::int64_t{1} << 60, odd, 0.5}};
        EXPECT_EQ(rows.value(), expected);
    });
}

TEST(Store, TheFileIsOnlyForItsOwner)
{
    test::run([]() -> Task<> {
        const TempDir dir;
        telemetry::Registry metrics;
        const auto store = co_await opened(at(dir / "new/state.db"), metrics);
        co_await make_notes(*store);
        for (const auto* suffix : {"", "-wal", "-shm"}) {
            struct stat now{};
            EXPECT_EQ(::stat(((dir / "new/state.db") + suffix).c_str(), &now), 0) << suffix;
            EXPECT_EQ(now.st_mode & 0777U, 0600U) << suffix;
        }
    });
}

TEST(Store, ATransactionIsAllOrNothing)
{
    test::run([]() -> Task<> {
        telemetry::Registry metrics;
        const auto memory = co_await open_memory_store(metrics);
        auto& store = *memory->store;
        co_await make_notes(store);
        auto twice =
            all(sql("INSERT INTO note (text) VALUES ('a')"), sql("INSERT INTO note (text) VALUES ('a')"));
        const auto refused = co_await store.write(std::move(twice));
        EXPECT_EQ(refused.error().code, Errc::invalid_argument) << refused.error().message;
        EXPECT_EQ(co_await count_notes(store), 0);
        auto sneaky = all(sql("INSERT INTO note (text) VALUES ('a')"), sql("COMMIT"));
        const auto ended = co_await store.write(std::move(sneaky));
        EXPECT_FALSE(ended.has_value());
        auto once = all(sql("INSERT INTO note (text) VALUES ('b')"));
        const auto good = co_await store.write(std::move(once));
        EXPECT_TRUE(good.has_value()) << "the connection must be usable after any failure";
    });
}

TEST(Store, MisuseIsRefusedWithASentence)
{
    test::run([]() -> Task<> {
        telemetry::Registry metrics;
        const auto memory = co_await open_memory_store(metrics);
        auto& store = *memory->store;
        co_await make_notes(store);
        auto writes = sql("DELETE FROM note");
        const auto a = co_await store.read(std::move(writes), 1);
        EXPECT_EQ(a.error().message, "cannot read by \"DELETE FROM note\": it writes");
        auto two = sql("SELECT 1; SELECT 2");
        const auto b = co_await store.read(std::move(two), 1);
        EXPECT_EQ(b.error().code, Errc::invalid_argument);
        auto missing = sql("SELECT ?1, ?2", {std::int64_t{1}});
        const auto c = co_await store.read(std::move(missing), 1);
        EXPECT_EQ(c.error().code, Errc::invalid_argument);
        auto nonsense = sql("SELEKT");
        const auto d = co_await store.read(std::move(nonsense), 1);
        EXPECT_EQ(d.error().code, Errc::internal);
        auto huge = all(sql("INSERT INTO note (text) VALUES (?1)", {std::string(2 << 20, 'x')}));
        const auto e = co_await store.write(std::move(huge));
        EXPECT_EQ(e.error().code, Errc::invalid_argument);
        auto attach = all(sql("ATTACH '/tmp/other.db' AS other"));
        const auto f = co_await store.write(std::move(attach));
        EXPECT_FALSE(f.has_value());
    });
}

TEST(Store, AReadIsBoundedByItsRows)
{
    test::run([]() -> Task<> {
        telemetry::Registry metrics;
        const auto memory = co_await open_memory_store(metrics);
        auto query = sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n");
        const auto rows = co_await memory->store->read(std::move(query), 7);
        EXPECT_EQ(rows->size(), 7U);
    });
}

TEST(Store, AnEndlessStatementIsInterruptedAndTheNextOneRuns)
{
    test::run([]() -> Task<> {
        const TempDir dir;
        telemetry::Registry metrics;
        auto options = at(dir / "state.db");
        options.statement_timeout = milliseconds{50};
        const auto store = co_await opened(std::move(options), metrics);
        co_await make_notes(*store);
        auto query = sql(slow_query());
        const auto stopped = co_await store->read(std::move(query), 1);
        EXPECT_EQ(stopped.error().code, Errc::timeout) << stopped.error().message;
        auto insert = all(sql("INSERT INTO note (text) VALUES ('first')"),
                          sql("INSERT INTO note (id, text) SELECT 2, (" + slow_query() + ")"));
        const auto undone = co_await store->write(std::move(insert));
        EXPECT_EQ(undone.error().code, Errc::timeout);
        EXPECT_EQ(co_await count_notes(*store), 0);
    });
}

TEST(Store, MigrationsRunEachStepOnce)
{
    test::run([]() -> Task<> {
        const TempDir dir;
        telemetry::Registry metrics;
        std::vector<std::string> steps{"CREATE TABLE t (a); INSERT INTO t VALUES (1);"};
        for (int round = 0; round < 3; ++round) {
            const auto store = co_await opened(at(dir / "state.db"), metrics);
            auto mine = steps;
            const auto done = co_await store->migrate("m", std::move(mine));
            EXPECT_TRUE(done.has_value()) << done.error().message;
            auto query = sql("SELECT count(*) FROM t");
            const auto rows = co_await store->read(std::move(query), 1);
            EXPECT_EQ(as_integer(rows->at(0).at(0)), round + 1);
            steps.push_back("INSERT INTO t VALUES (2)");
        }
    });
}

TEST(Store, AFailedStepLeavesTheVersionBeforeIt)
{
    test::run([]() -> Task<> {
        telemetry::Registry metrics;
        const auto memory = co_await open_memory_store(metrics);
        auto& store = *memory->store;
        std::vector<std::string> bad{"CREATE TABLE t (a)", "CREATE TABLE u (a); CREATE TABLE t (b)"};
        const auto failed = co_await store.migrate("m", std::move(bad));
        EXPECT_FALSE(failed.has_value());
        EXPECT_TRUE(failed.error().message.starts_with("migrate m to version 2: cannot "))
            << failed.error().message;
        std::vector<std::string> good{"CREATE TABLE t (a)", "CREATE TABLE u (a)"};  // u must not be there yet
        const auto done = co_await store.migrate("m", std::move(good));
        EXPECT_TRUE(done.has_value()) << done.error().message;
    });
}

TEST(Store, ANewerSchemaIsRefusedWithWhatToDo)
{
    test::run([]() -> Task<> {
        const TempDir dir;
        telemetry::Registry metrics;
        const auto store = co_await opened(at(dir / "state.db"), metrics);
        std::vector<std::string> newer{"CREATE TABLE t (a)", "CREATE TABLE u (a)"};
        const auto done = co_await store->migrate("health", std::move(newer));
        EXPECT_TRUE(done.has_value());
        std::vector<std::string> older{"CREATE TABLE t (a)"};
        const auto refused = co_await store->migrate("health", std::move(older));
        EXPECT_EQ(refused.error().code, Errc::invalid_argument);
        EXPECT_EQ(refused.error().message,
                  "cannot use " + (dir / "state.db")
                      + ": its tables of health have version 2, this opsd knows 1 at most; "
                        "install the newer opsd again, or move the file away to begin with an empty one");
    });
}

TEST(Store, AFileThatIsNoDatabaseIsMovedAside)
{
    test::run([]() -> Task<> {
        const TempDir dir;
        telemetry::Registry metrics;
        const ManualClock clock{day};
        for (int i = 0; i < 6; ++i) {  // evidence is kept, but not without end
            co_await closed();
            std::ofstream{dir / "state.db"} << std::string(5000, 'x');
            std::ofstream{dir / "state.db-wal"} << "leftover " << i;
            const ManualClock later{day + std::chrono::seconds{i}};
            auto store = co_await open_store(at(dir / "state.db"), later, metrics);
            EXPECT_TRUE(store.has_value()) << store.error().message;
            if (!store) co_return;
            EXPECT_NE(store->warning.find("it was moved to "
                                          + (dir / "state.db.corrupt-20261122T00000" + std::to_string(i))
                                          + ".000Z"),
                      std::string::npos)
                << store->warning;
            co_await make_notes(*store->store);
        }
        const auto kept = names_with(dir, ".corrupt-");
        EXPECT_LE(kept.size(), 9U);
        EXPECT_GE(kept.size(), 3U);
        EXPECT_TRUE(kept.back().find("T000005") != std::string::npos) << kept.back();
        const auto store = co_await opened(at(dir / "state.db"), metrics);
        EXPECT_EQ(co_await count_notes(*store), 0);
    });
}

TEST(Store, ADamagedPageIsFoundAtOpen)
{
    test::run([]() -> Task<> {
        const TempDir dir;
        telemetry::Registry metrics;
        {
            const auto store = co_await opened(at(dir / "state.db"), metrics);
            co_await make_notes(*store);
            for (int i = 0; i < 50; ++i) {
                auto insert = all(
                    sql("INSERT INTO note (text) VALUES (?1)", {std::to_string(i) + std::string(1000, 'n')}));
                [[maybe_unused]] const auto done = co_await store->write(std::move(insert));
            }
        }
        co_await closed();
        {
            std::fstream file{dir / "state.db", std::ios::in | std::ios::out | std::ios::binary};
            file.seekp(4096 * 5);
            file << std::string(4096 * 3, '\x5a');
        }
        const ManualClock clock{day};
        const auto store = co_await open_store(at(dir / "state.db"), clock, metrics);
        EXPECT_TRUE(store.has_value());
        EXPECT_NE(store->warning.find("it is damaged"), std::string::npos) << store->warning;
        EXPECT_EQ(names_with(dir, ".corrupt-").size(), 1U);
    });
}

TEST(Store, ACheckWithoutTimeNeverCondemnsASoundFile)
{
    test::run([]() -> Task<> {
        const TempDir dir;
        telemetry::Registry metrics;
        {
            const auto store = co_await opened(at(dir / "state.db"), metrics);
            co_await make_notes(*store);
            auto fill = all(
                sql("INSERT INTO note (text) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                    "WHERE i < 20000) SELECT printf('%0500d', i) FROM n"));
            const auto done = co_await store->write(std::move(fill));
            EXPECT_TRUE(done.has_value());
        }
        for (int i = 0; i < 10; ++i) {
            auto options = at(dir / "state.db");
            options.check_timeout = milliseconds{i};
            const auto store = co_await opened(std::move(options), metrics);  // throws on a warning
            EXPECT_EQ(co_await count_notes(*store), 20000);
        }
    });
}

TEST(Store, AnUnusableDirectoryIsAnErrorThatNamesIt)
{
    test::run([]() -> Task<> {
        const TempDir dir;
        telemetry::Registry metrics;
        const ManualClock clock{day};
        std::ofstream{dir / "file"} << "x";
        const auto store = co_await open_store(at(dir / "file/state.db"), clock, metrics);
        EXPECT_FALSE(store.has_value());
        EXPECT_NE(store.error().message.find(dir / "file"), std::string::npos) << store.error().message;
    });
}

TEST(Store, ItsOwnLimitIsUnavailableAndDeletingHelps)
{
    test::run([]() -> Task<> {
        const TempDir dir;
        telemetry::Registry metrics;
        auto options = at(dir / "state.db");
        options.max_bytes = 200'000;
        const auto store = co_await opened(std::move(options), metrics);
        co_await make_notes(*store);
        std::string message;
        for (int i = 0; i < 1000 && message.empty(); ++i) {
            auto insert =
                all(sql("INSERT INTO note (text) VALUES (?1)", {std::to_string(i) + std::string(2000, 'n')}));
            const auto written = co_await store->write(std::move(insert));
            if (!written) {
                EXPECT_EQ(written.error().code, Errc::unavailable);
                message = written.error().message;
            }
        }
        EXPECT_EQ(message, "cannot write " + (dir / "state.db")
                               + ": it has reached its limit of 200000 bytes; raise the limit "
                                 "or keep less");
        EXPECT_GT(co_await count_notes(*store), 20);
        auto remove =
            all(sql("DELETE FROM note WHERE id % 2"), sql("INSERT INTO note (text) VALUES ('room again')"));
        const auto after = co_await store->write(std::move(remove));
        EXPECT_TRUE(after.has_value()) << after.error().message;
        const auto page = metrics.render();
        EXPECT_NE(page.find("opsd_store_errors_total{code=\"unavailable\"} 1"), std::string::npos) << page;
    });
}

TEST(Store, TheStatementCacheIsBounded)
{
    test::run([]() -> Task<> {
        telemetry::Registry metrics;
        const auto memory = co_await open_memory_store(metrics);
        for (int round = 0; round < 2; ++round) {
            for (int i = 0; i < 200; ++i) {
                auto query = sql("SELECT " + std::to_string(i) + " + ?1", {std::int64_t{i}});
                const auto rows = co_await memory->store->read(std::move(query), 1);
                EXPECT_EQ(as_integer(rows->at(0).at(0)), 2 * i);
            }
        }
    });
}

TEST(Store, TheMetricsTellOfWritesAndSize)
{
    test::run([]() -> Task<> {
        const TempDir dir;
        telemetry::Registry metrics;
        {
            const auto store = co_await opened(at(dir / "state.db"), metrics);
            co_await make_notes(*store);
            auto insert = all(sql("INSERT INTO note (text) VALUES ('a')"));
            [[maybe_unused]] const auto done = co_await store->write(std::move(insert));
            const auto page = metrics.render();
            EXPECT_NE(page.find("opsd_store_write_seconds_count 1\n"), std::string::npos) << page;
            EXPECT_NE(page.find("opsd_store_queue 0\n"), std::string::npos) << page;
            EXPECT_GT(metrics.gauge("opsd_store_bytes", "").value(), 4096);
        }
        EXPECT_EQ(metrics.render().find("opsd_store_queue"), std::string::npos)
            << "a closed store still reports";
    });
}

TEST(Store, CallsAtOnceAllComeBack)
{
    test::run([]() -> Task<> {
        using namespace boost::asio::experimental::awaitable_operators;
        const TempDir dir;
        telemetry::Registry metrics;
        const auto store = co_await opened(at(dir / "state.db"), metrics);
        co_await make_notes(*store);
        const auto writer = [](Store& to, int from) -> Task<> {
            for (int i = from; i < from + 20; ++i) {
                auto insert = all(sql("INSERT INTO note (text) VALUES (?1)", {std::to_string(i)}));
                const auto done = co_await to.write(std::move(insert));
                EXPECT_TRUE(done.has_value());
            }
        };
        co_await (writer(*store, 0) && writer(*store, 100) && writer(*store, 200));
        EXPECT_EQ(co_await count_notes(*store), 60);
    });
}
