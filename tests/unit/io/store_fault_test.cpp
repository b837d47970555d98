// What happens to the store when the process or the disk gives out.

#include "io/store/sqlite_store.hpp"

#include "support.hpp"
#include "temp_dir.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <random>
#include <set>
#include <thread>

using namespace opsd;
using opsd::test::TempDir;

namespace {

Statement sql(std::string text, std::vector<Cell> values = {})
{
    return {std::move(text), std::move(values)};
}
template <class... S>
std::vector<Statement> all(S... statements)
{
    return {std::move(statements)...};
}

StoreOptions at(const std::string& path)
{
    StoreOptions options;
    options.path = path;
    return options;
}

Task<Result<>> make_tables(Store& store)
{
    std::vector<std::string> steps{"CREATE TABLE left (id INTEGER PRIMARY KEY, text TEXT NOT NULL);"
                                   "CREATE TABLE right (id INTEGER PRIMARY KEY, text TEXT NOT NULL);"};
    co_return co_await store.migrate("pairs", std::move(steps));
}

/// One transaction that puts a row into two tables; its id.
Task<Result<Written>> write_pair(Store& store, std::size_t size)
{
    const std::string text(size, 'p');
    auto pair = all(sql("INSERT INTO left (text) VALUES (?1)", {text}),
                    sql("INSERT INTO right (id, text) SELECT max(id), ?1 FROM left", {text}));
    co_return co_await store.write(std::move(pair));
}

Task<> write_and_report(std::string path, int pipe)
{
    const SystemClock clock;
    telemetry::Registry metrics;
    auto opened = co_await open_store(at(path), clock, metrics);
    if (!opened) ::_exit(3);
    const auto tables = co_await make_tables(*opened->store);
    if (!tables) ::_exit(4);
    for (std::size_t size = 1;; size = (size * 7 + 1) % 9000) {
        const auto written = co_await write_pair(*opened->store, size);
        if (!written) ::_exit(5);
        if (::write(pipe, &written->last_id, sizeof written->last_id) != sizeof written->last_id) ::_exit(6);
    }
}

[[noreturn]] void child(const std::string& path, int pipe)
{
    asio::io_context io{1};
    asio::co_spawn(io, write_and_report(path, pipe), [](const std::exception_ptr&) { ::_exit(7); });
    io.run();
    ::_exit(8);
}

/// Starts the writer, kills it after about `acknowledged` writes and `then` more time; the ids it reported.
std::set<std::int64_t> kill_a_writer(const std::string& path, std::size_t acknowledged,
                                     std::chrono::microseconds then)
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return {};
    const pid_t pid = ::fork();
    if (pid == 0) child(path, ends[1]);
    ::close(ends[1]);
    std::set<std::int64_t> ids;
    std::int64_t id = 0;
    bool killed = false;
    const auto kill_now = [&] {
        std::this_thread::sleep_for(then);  // the random point
        ::kill(pid, SIGKILL);
        killed = true;
    };
    if (acknowledged == 0) kill_now();
    while (::read(ends[0], &id, sizeof id) == sizeof id) {
        ids.insert(id);
        if (!killed && ids.size() >= acknowledged) kill_now();
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        << "the writer ended by itself: " << status;
    return ids;
}

Task<> check(std::string path, const std::set<std::int64_t>& acknowledged)
{
    const SystemClock clock;
    telemetry::Registry metrics;
    auto opened = co_await open_store(at(path), clock, metrics);
    EXPECT_TRUE(opened.has_value());
    EXPECT_EQ(opened->warning, "");
    const auto tables = co_await make_tables(*opened->store);
    EXPECT_TRUE(tables.has_value());
    auto pairs = sql("SELECT l.id FROM left l JOIN right r ON l.id = r.id AND l.text = r.text ORDER BY l.id");
    const auto rows = co_await opened->store->read(std::move(pairs), 1'000'000);
    auto counts = sql("SELECT (SELECT count(*) FROM left), (SELECT count(*) FROM right)");
    const auto sizes = co_await opened->store->read(std::move(counts), 1);
    auto integrity = sql("PRAGMA integrity_check");
    const auto sound = co_await opened->store->read(std::move(integrity), 1);
    EXPECT_EQ(as_text(sound->at(0).at(0)), "ok");
    EXPECT_EQ(as_integer(sizes->at(0).at(0)), static_cast<std::int64_t>(rows->size()))
        << "half a transaction is there";
    EXPECT_EQ(as_integer(sizes->at(0).at(1)), static_cast<std::int64_t>(rows->size()))
        << "half a transaction is there";
    std::set<std::int64_t> present;
    for (const auto& row : *rows)
        present.insert(as_integer(row.at(0)));
    for (const auto id : acknowledged)
        EXPECT_TRUE(present.contains(id)) << "acknowledged row " << id << " is lost";
}

Task<> fill_until_full(Store& store, std::set<std::int64_t>& acknowledged, std::string& message)
{
    while (acknowledged.size() < 10'000) {
        const auto written = co_await write_pair(store, 3000);
        if (written) {
            acknowledged.insert(written->last_id);
            continue;
        }
        EXPECT_EQ(written.error().code, Errc::unavailable) << written.error().message;
        message = written.error().message;
        co_return;
    }
}

}  // namespace

TEST(StoreFault, KillAtAnyPointLosesNoAcknowledgedRowAndTearsNone)
{
    const TempDir dir;
    const auto path = dir / "state.db";
    std::mt19937 random{20261122};
    std::set<std::int64_t> acknowledged;
    for (int round = 0; round < 20; ++round) {
        const auto writes = random() % 60;
        const std::chrono::microseconds then{random() % 4000};
        for (const auto id : kill_a_writer(path, writes, then)) {
            EXPECT_TRUE(acknowledged.insert(id).second) << "row " << id << " was given out twice";
        }
        test::run([&]() -> Task<> { co_await check(path, acknowledged); });
    }
    EXPECT_GT(acknowledged.size(), 100U);
}

TEST(StoreFault, AFullDiskIsSaidAndTheStoreGoesOnWhenThereIsSpace)
{
    TempDir dir;
    const auto problem = dir.shrink("1m");
    if (!problem.empty()) GTEST_SKIP() << "NOT TESTED: the full disk; cannot mount a tmpfs: " << problem;
    const auto path = dir / "state.db";
    std::ofstream{dir / "ballast"} << std::string(400'000, 'b') << std::flush;
    test::run([&]() -> Task<> {
        const SystemClock clock;
        telemetry::Registry metrics;
        const auto opened = co_await open_store(at(path), clock, metrics);
        auto& store = *opened->store;
        const auto tables = co_await make_tables(store);
        EXPECT_TRUE(tables.has_value());
        std::set<std::int64_t> acknowledged;
        std::string message;
        co_await fill_until_full(store, acknowledged, message);
        EXPECT_EQ(message,
                  "cannot write " + path + ": the disk is full; free space there, nothing else is needed");
        EXPECT_GT(acknowledged.size(), 10U);

        auto query = sql("SELECT count(*) FROM left");
        const auto rows = co_await store.read(std::move(query), 1);
        EXPECT_EQ(as_integer(rows->at(0).at(0)), static_cast<std::int64_t>(acknowledged.size()))
            << "reading must go on";
        const auto again = co_await write_pair(store, 3000);
        EXPECT_FALSE(again.has_value());

        std::filesystem::remove(dir / "ballast");
        for (int i = 0; i < 20; ++i) {
            const auto written = co_await write_pair(store, 3000);
            EXPECT_TRUE(written.has_value()) << written.error().message;
            if (written) acknowledged.insert(written->last_id);
        }
        co_await check(path, acknowledged);
    });
}

TEST(StoreFault, ADiskThatIsFullAtOpenIsAnErrorNotACorruption)
{
    TempDir dir;
    const auto problem = dir.shrink("256k");
    if (!problem.empty()) GTEST_SKIP() << "NOT TESTED: the full disk; cannot mount a tmpfs: " << problem;
    {
        std::ofstream ballast{dir / "ballast"};
        while (ballast.write("0123456789abcdef", 16).flush()) {
        }
    }
    test::run([&]() -> Task<> {
        const SystemClock clock;
        telemetry::Registry metrics;
        const auto full = co_await open_store(at(dir / "state.db"), clock, metrics);
        EXPECT_EQ(full.error().code, Errc::unavailable) << full.error().message;
        EXPECT_NE(full.error().message.find("the disk is full"), std::string::npos) << full.error().message;
        std::filesystem::remove(dir / "ballast");
        const auto opened = co_await open_store(at(dir / "state.db"), clock, metrics);
        EXPECT_TRUE(opened.has_value()) << opened.error().message;
        EXPECT_EQ(opened->warning, "");
    });
}
