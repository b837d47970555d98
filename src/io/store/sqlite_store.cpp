#include "io/store/sqlite_store.hpp"

#include "io/files/files.hpp"
#include "io/store/database.hpp"
#include "opsd/worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace opsd {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_waiting = 1024;      ///< calls that wait for the thread
constexpr std::size_t corrupt_files_kept = 3;  ///< evidence is bounded, too
constexpr std::uint64_t memory_bytes = 8 << 20;

/// "20261122T173905.123Z"
std::string compact(WallTime time)
{
    auto text = rfc3339(time);
    std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
    return text;
}

/// Removes all but the newest damaged files of earlier times; their names sort by time.
void forget_old_evidence(const std::string& path)
{
    const auto prefix = fs::path{path}.filename().string() + ".corrupt-";
    std::vector<std::string> found;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{files::parent_of(path), ignored}) {
        const auto name = entry.path().string();
        const bool part = name.ends_with("-wal") || name.ends_with("-shm");
        if (!part && entry.path().filename().string().starts_with(prefix)) found.push_back(name);
    }
    std::ranges::sort(found, std::greater{});
    for (std::size_t i = corrupt_files_kept; i < found.size(); ++i) {
        for (const auto* suffix : {"", "-wal", "-shm"})
            fs::remove(found[i] + suffix, ignored);
    }
}

/// Moves a damaged file and what belongs to it; the new name.
Result<std::string> move_aside(const std::string& path, WallTime now)
{
    const auto target = path + ".corrupt-" + compact(now);
    for (const auto* suffix : {"", "-wal", "-shm"}) {
        if (std::rename((path + suffix).c_str(), (target + suffix).c_str()) == 0 || errno == ENOENT) continue;
        return fail(files::system_error("move aside the damaged file", path + suffix, errno));
    }
    const auto synced = files::sync_directory(files::parent_of(path));
    if (!synced) return fail(synced.error());
    forget_old_evidence(path);
    return target;
}

struct Opened {
    std::unique_ptr<Database> database;
    std::string warning;
    std::uint64_t bytes = 0;
};

/// On the thread: opens; if the file is damaged, once more with a new one.
Result<Opened> open_on_thread(const StoreOptions& options, WallTime now)
{
    const Database::Options wanted{options.path, options.max_bytes, options.statement_timeout,
                                   options.check_timeout};
    Opened opened;
    bool corrupt = false;
    auto database = Database::open(wanted, corrupt);
    if (!database && corrupt) {
        const auto reason = std::move(database).error().message;
        const auto moved = move_aside(options.path, now);
        if (!moved) return fail(moved.error());
        opened.warning = fmt::format("{}; it was moved to {} and an empty one begun", reason, *moved);
        database = Database::open(wanted, corrupt);
    }
    if (!database) return fail(std::move(database).error());
    opened.database = std::move(*database);
    opened.bytes = opened.database->bytes();
    return opened;
}

class SqliteStore final : public Store {
public:
    explicit SqliteStore(telemetry::Registry& metrics)
      : metrics_{metrics}
      , bytes_{metrics.gauge("opsd_store_bytes", "Size of the state file and its write-ahead log")}
      , write_seconds_{metrics.histogram(
            "opsd_store_write_seconds", "Time from the call to the durable write", telemetry::latency_bounds)}
      , worker_{"opsd-store", max_waiting}
      , queue_{metrics.collect([this](telemetry::Page& page) {
          page.family("opsd_store_queue", telemetry::Kind::gauge, "Calls that wait for the store's thread");
          page.sample({}, static_cast<double>(worker_.waiting()));
      })}
    {}

    /// Closing writes: on a disk that hangs it does not end, and nobody on the loop waits for it.
    ~SqliteStore() override { worker_.retire(std::move(database_)); }

    Task<Result<std::string>> open(StoreOptions options, WallTime now)
    {
        auto job = [options = std::move(options), now] { return open_on_thread(options, now); };
        auto opened = co_await worker_.run(std::move(job));
        if (!opened) {
            count(opened.error());
            co_return fail(std::move(opened).error());
        }
        database_ = std::move(opened->database);
        bytes_.set(static_cast<double>(opened->bytes));
        co_return std::move(opened->warning);
    }

    Task<Result<>> migrate(std::string owner, std::vector<std::string> steps) override
    {
        auto job = [database = database_.get(), owner = std::move(owner), steps = std::move(steps)] {
            return database->migrate(owner, steps);
        };
        auto result = co_await worker_.run(std::move(job));
        if (!result) count(result.error());
        co_return result;
    }

    Task<Result<std::vector<Row>>> read(Statement query, std::size_t max_rows) override
    {
        auto job = [database = database_.get(), query = std::move(query), max_rows] {
            return database->read(query, max_rows);
        };
        auto result = co_await worker_.run(std::move(job));
        if (!result) count(result.error());
        co_return result;
    }

    Task<Result<Written>> write(std::vector<Statement> statements) override
    {
        const auto begin = std::chrono::steady_clock::now();
        auto job = [database = database_.get(), statements = std::move(statements)]() -> Result<Done> {
            auto written = database->write(statements);
            if (!written) return fail(std::move(written).error());
            return Done{*written, database->bytes()};
        };
        auto done = co_await worker_.run(std::move(job));
        if (!done) {
            count(done.error());
            co_return fail(std::move(done).error());
        }
        write_seconds_.observe(
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        bytes_.set(static_cast<double>(done->bytes));
        co_return done->written;
    }

private:
    struct Done {
        Written written;
        std::uint64_t bytes = 0;
    };

    void count(const Error& error)
    {
        metrics_
            .counter("opsd_store_errors_total", "Failed calls of the store",
                     {{"code", std::string{to_string(error.code)}}})
            .add();
    }

    telemetry::Registry& metrics_;
    telemetry::Gauge& bytes_;
    telemetry::Histogram& write_seconds_;
    std::shared_ptr<Database> database_;  // closed on the thread, after the last job
    WorkerThread worker_;
    std::shared_ptr<void> queue_;
};

}  // namespace

Task<Result<OpenedStore>> open_store(StoreOptions options, const Clock& clock, telemetry::Registry& metrics)
{
    auto store = std::make_unique<SqliteStore>(metrics);
    auto warning = co_await store->open(std::move(options), clock.now());
    if (!warning) co_return fail(std::move(warning).error());
    co_return OpenedStore{std::move(store), std::move(*warning)};
}

Task<Result<OpenedStore>> open_memory_store(telemetry::Registry& metrics)
{
    StoreOptions options;
    options.path.clear();
    options.max_bytes = memory_bytes;
    auto store = std::make_unique<SqliteStore>(metrics);
    const WallTime never_used{};
    const auto opened = co_await store->open(std::move(options), never_used);
    if (!opened) co_return fail(opened.error());
    co_return OpenedStore{std::move(store), {}};
}

}  // namespace opsd
