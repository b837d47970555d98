#include "io/store/database.hpp"

#include "io/files/files.hpp"

#include <fmt/format.h>

#include <sqlite3.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace opsd {
namespace {

constexpr std::size_t max_cached = 64;     ///< prepared statements
constexpr int max_cell = 1 << 20;          ///< bytes of one value or statement
constexpr int steps_between_looks = 2000;  ///< virtual machine steps between two looks at the deadline
constexpr std::chrono::seconds migration_timeout{60};
constexpr std::uint64_t nearly_nothing = 256 * 1024;  ///< free bytes at which a disk counts as full

/// Interrupts a connection when `limit` passes before it is destroyed: the integrity check is one long step
/// that the progress handler cannot see into.
class Watchdog {
public:
    Watchdog(sqlite3* db, std::chrono::milliseconds limit)
      : thread_{[this, db, limit](const std::stop_token& stop) {
          std::unique_lock lock{mutex_};
          wake_.wait_for(lock, stop, limit, [] { return false; });
          if (stop.stop_requested()) return;
          fired_ = true;
          sqlite3_interrupt(db);
      }}
    {}
    /// Ends the watch; true when it interrupted.
    bool stop()
    {
        thread_.request_stop();
        thread_.join();
        return fired_;
    }

private:
    std::mutex mutex_;
    std::condition_variable_any wake_;
    bool fired_ = false;
    std::jthread thread_;
};

/// The file with mode 0600 before SQLite makes it with the umask's; its -wal and -shm take over the mode.
Result<> create(const std::string& path)
{
    const auto directory = files::make_directories(files::parent_of(path), 0750);
    if (!directory) return directory;
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0) return fail(files::system_error("open", path, errno));
    ::close(fd);
    return {};
}

Row row_of(sqlite3_stmt* statement)
{
    Row row;
    const int columns = sqlite3_column_count(statement);
    row.reserve(static_cast<std::size_t>(columns));
    for (int i = 0; i < columns; ++i) {
        switch (sqlite3_column_type(statement, i)) {
        case SQLITE_INTEGER:
            row.emplace_back(std::int64_t{sqlite3_column_int64(statement, i)});
            break;
        case SQLITE_FLOAT:
            row.emplace_back(sqlite3_column_double(statement, i));
            break;
        case SQLITE_NULL:
            row.emplace_back();
            break;
        default: {
            const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, i));
            const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, i));
            row.emplace_back(data == nullptr ? std::string{} : std::string{data, size});
        }
        }
    }
    return row;
}

int bind_cell(sqlite3_stmt* statement, int index, const Cell& cell)
{
    if (const auto* integer = std::get_if<std::int64_t>(&cell))
        return sqlite3_bind_int64(statement, index, *integer);
    if (const auto* number = std::get_if<double>(&cell))
        return sqlite3_bind_double(statement, index, *number);
    if (const auto* text = std::get_if<std::string>(&cell)) {
        // The cell outlives the run of the statement, so SQLite need not copy it.
        return sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    return sqlite3_bind_null(statement, index);
}

}  // namespace

struct Database::Reset {
    sqlite3_stmt* statement;
    ~Reset()
    {
        sqlite3_reset(statement);
        sqlite3_clear_bindings(statement);
    }
};

struct Database::Transaction {
    Database& database;
    ~Transaction()
    {
        // The deadline of what failed must not stop its undoing. Some errors have rolled back already.
        database.deadline_ = Deadline::max();
        if (sqlite3_get_autocommit(database.db_) == 0)
            (void)sqlite3_exec(database.db_, "ROLLBACK", nullptr, nullptr, nullptr);
    }
    Result<> begin() { return database.execute("write", "BEGIN IMMEDIATE"); }
    Result<> commit()
    {
        if (sqlite3_get_autocommit(database.db_) != 0) {
            return fail(Errc::internal, "cannot commit: a statement ended the transaction itself");
        }
        return database.execute("write", "COMMIT");
    }
};

Result<std::unique_ptr<Database>> Database::open(Options options, bool& corrupt)
{
    corrupt = false;
    std::unique_ptr<Database> database{new Database{std::move(options)}};
    const auto& path = database->options_.path;
    if (!path.empty()) {
        const auto created = create(path);
        if (!created) return fail(created.error());
    }
    const int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int opened =
        sqlite3_open_v2(path.empty() ? ":memory:" : path.c_str(), &database->db_, flags, nullptr);
    if (opened != SQLITE_OK) return fail(database->error("open", opened));
    auto ready = database->configure();
    if (ready && !path.empty()) ready = database->check();
    if (!ready) {
        corrupt = database->last_code_ == SQLITE_CORRUPT || database->last_code_ == SQLITE_NOTADB;
        return fail(std::move(ready).error());
    }
    return database;
}

Database::~Database()
{
    for (const auto& cached : cache_)
        sqlite3_finalize(cached.statement);
    sqlite3_close_v2(db_);
}

Result<> Database::configure()
{
    // Little memory: many small rows, read seldom. Lookaside pays for itself from its first statement on.
    sqlite3_db_config(db_, SQLITE_DBCONFIG_LOOKASIDE, nullptr, 128, 128);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_limit(db_, SQLITE_LIMIT_LENGTH, max_cell);
    sqlite3_limit(db_, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_busy_timeout(db_, static_cast<int>(options_.statement_timeout.count()));
    sqlite3_progress_handler(
        db_, steps_between_looks,
        [](void* self) {
            return std::chrono::steady_clock::now() > static_cast<Database*>(self)->deadline_ ? 1 : 0;
        },
        this);
    const auto set = execute(
        "open",
        "PRAGMA cache_size = -1024; PRAGMA mmap_size = 0; PRAGMA foreign_keys = ON;"
        "PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304;");
    if (!set) return set;
    if (!options_.path.empty()) {
        const auto mode = scalar("PRAGMA journal_mode = WAL");
        if (!mode) return fail(mode.error());
        if (*mode != "wal") {
            return fail(Errc::internal,
                        fmt::format("cannot open {}: its file system supports no write-ahead log; put "
                                    "the state directory on a local file system",
                                    name()));
        }
    }
    const auto size = scalar("PRAGMA page_size");
    if (!size) return fail(size.error());
    const auto pages = options_.max_bytes / std::stoull(*size);
    return execute("open", fmt::format("PRAGMA max_page_count = {}", std::max<std::uint64_t>(pages, 16)));
}

Result<> Database::check()
{
    // Opening read nothing of an old file yet. The schema is read whole, the rest as far as the time allows.
    const auto schema = scalar("SELECT count(*) FROM sqlite_schema");
    if (!schema) return fail(schema.error());
    Watchdog watchdog{db_, options_.check_timeout};
    const auto verdict = scalar("PRAGMA quick_check(1)");
    // An interrupted check also calls sound pages unused: its verdict means nothing.
    if (watchdog.stop()) return {};
    if (!verdict) return fail(verdict.error());
    if (*verdict == "ok") return {};
    last_code_ = SQLITE_CORRUPT;
    return fail(Errc::internal, fmt::format("cannot use {}: it is damaged: {}", name(), *verdict));
}

Result<std::string> Database::scalar(const char* sql)
{
    begin_deadline(options_.statement_timeout);
    std::string first;
    const auto take = [](void* to, int, char** values, char**) {
        if (values[0] != nullptr) *static_cast<std::string*>(to) = values[0];
        return 0;
    };
    const int code = sqlite3_exec(db_, sql, take, &first, nullptr);
    if (code != SQLITE_OK) return fail(error("use", code));
    return first;
}

void Database::begin_deadline(std::chrono::milliseconds limit)
{
    deadline_ = std::chrono::steady_clock::now() + limit;
}

Result<> Database::execute(std::string_view verb, const std::string& script)
{
    begin_deadline(options_.statement_timeout);
    const int code = sqlite3_exec(db_, script.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return fail(error(verb, code));
    return {};
}

Result<sqlite3_stmt*> Database::prepare(const std::string& sql)
{
    if (const auto known = by_sql_.find(sql); known != by_sql_.end()) {
        cache_.splice(cache_.begin(), cache_, known->second);
        return known->second->statement;
    }
    sqlite3_stmt* statement = nullptr;
    const char* rest = nullptr;
    const int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size() + 1),
                                        SQLITE_PREPARE_PERSISTENT, &statement, &rest);
    if (code != SQLITE_OK) return fail(error("prepare a statement for", code));
    const bool single = statement != nullptr
                        && std::string_view{rest}.find_first_not_of(" \t\r\n;") == std::string_view::npos;
    if (!single) {
        sqlite3_finalize(statement);
        return fail(Errc::invalid_argument,
                    fmt::format("cannot prepare \"{}\": it must be one statement", sql.substr(0, 200)));
    }
    if (cache_.size() >= max_cached) {
        by_sql_.erase(cache_.back().sql);
        sqlite3_finalize(cache_.back().statement);
        cache_.pop_back();
    }
    cache_.push_front({sql, statement});
    by_sql_.emplace(cache_.front().sql, cache_.begin());
    return statement;
}

Result<sqlite3_stmt*> Database::bind(const Statement& statement)
{
    auto prepared = prepare(statement.sql);
    if (!prepared) return prepared;
    if (static_cast<std::size_t>(sqlite3_bind_parameter_count(*prepared)) != statement.values.size()) {
        return fail(Errc::invalid_argument,
                    fmt::format("cannot run \"{}\": it has {} parameters, {} values are given",
                                statement.sql.substr(0, 200), sqlite3_bind_parameter_count(*prepared),
                                statement.values.size()));
    }
    int index = 0;
    for (const auto& cell : statement.values) {
        const int code = bind_cell(*prepared, ++index, cell);
        if (code != SQLITE_OK) {
            const Reset reset{*prepared};
            return fail(error("write", code));
        }
    }
    return prepared;
}

Result<std::vector<Row>> Database::read(const Statement& query, std::size_t max_rows)
{
    begin_deadline(options_.statement_timeout);
    const auto statement = bind(query);
    if (!statement) return fail(statement.error());
    const Reset reset{*statement};
    if (sqlite3_stmt_readonly(*statement) == 0) {
        return fail(Errc::invalid_argument,
                    fmt::format("cannot read by \"{}\": it writes", query.sql.substr(0, 200)));
    }
    std::vector<Row> rows;
    int code = SQLITE_DONE;
    while (rows.size() < max_rows && (code = sqlite3_step(*statement)) == SQLITE_ROW)
        rows.push_back(row_of(*statement));
    if (code != SQLITE_DONE && code != SQLITE_ROW) return fail(error("read", code));
    return rows;
}

Result<> Database::run(const Statement& statement)
{
    begin_deadline(options_.statement_timeout);
    const auto prepared = bind(statement);
    if (!prepared) return fail(prepared.error());
    const Reset reset{*prepared};
    int code = SQLITE_ROW;
    while (code == SQLITE_ROW)
        code = sqlite3_step(*prepared);
    if (code != SQLITE_DONE) return fail(error("write", code));
    return {};
}

Result<Written> Database::write(const std::vector<Statement>& statements)
{
    Transaction transaction{*this};
    auto done = transaction.begin();
    if (!done) return fail(std::move(done).error());
    Written written;
    const auto before = sqlite3_total_changes64(db_);
    sqlite3_set_last_insert_rowid(db_, 0);
    for (const auto& statement : statements) {
        done = run(statement);
        if (!done) return fail(std::move(done).error());
    }
    done = transaction.commit();
    if (!done) return fail(std::move(done).error());
    written.last_id = sqlite3_last_insert_rowid(db_);
    written.rows = sqlite3_total_changes64(db_) - before;
    return written;
}

Result<std::size_t> Database::version_of(const std::string& owner)
{
    const auto rows = read({"SELECT version FROM opsd_schema WHERE owner = ?1", {owner}}, 1);
    if (!rows) return fail(rows.error());
    return rows->empty() ? 0 : static_cast<std::size_t>(as_integer(rows->front().front()));
}

Result<> Database::migrate(const std::string& owner, const std::vector<std::string>& steps)
{
    auto done = execute(
        "write", "CREATE TABLE IF NOT EXISTS opsd_schema (owner TEXT PRIMARY KEY, version INTEGER NOT NULL) "
                 "WITHOUT ROWID");
    if (!done) return done;
    const auto version = version_of(owner);
    if (!version) return fail(version.error());
    if (*version > steps.size()) {
        return fail(
            Errc::invalid_argument,
            fmt::format(
                "cannot use {}: its tables of {} have version {}, this opsd knows {} at most; install the "
                "newer opsd again, or move the file away to begin with an empty one",
                name(), owner, *version, steps.size()));
    }
    for (auto next = *version; next < steps.size(); ++next) {
        done = run_step(owner, next + 1, steps[next]);
        if (!done)
            return fail(
                std::move(done).error().wrap(fmt::format("migrate {} to version {}", owner, next + 1)));
    }
    return {};
}

Result<> Database::run_step(const std::string& owner, std::size_t version, const std::string& step)
{
    Transaction transaction{*this};
    auto done = transaction.begin();
    if (!done) return done;
    begin_deadline(migration_timeout);
    const int code = sqlite3_exec(db_, step.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return fail(error("change the tables of", code));
    done = run({"INSERT INTO opsd_schema (owner, version) VALUES (?1, ?2) "
                "ON CONFLICT (owner) DO UPDATE SET version = excluded.version",
                {owner, static_cast<std::int64_t>(version)}});
    return done ? transaction.commit() : done;
}

std::uint64_t Database::bytes()
{
    if (options_.path.empty()) {
        const auto size = scalar("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
        return size && !size->empty() ? std::stoull(*size) : 0;
    }
    std::uint64_t total = 0;
    for (const auto* suffix : {"", "-wal"}) {
        struct stat now{};
        if (::stat((options_.path + suffix).c_str(), &now) == 0)
            total += static_cast<std::uint64_t>(now.st_size);
    }
    return total;
}

std::string Database::name() const { return options_.path.empty() ? "the store in memory" : options_.path; }

bool Database::disk_is_full() const
{
    struct statvfs now{};
    return !options_.path.empty() && ::statvfs(options_.path.c_str(), &now) == 0
           && std::uint64_t{now.f_bavail} * now.f_frsize < nearly_nothing;
}

Error Database::error(std::string_view verb, int code)
{
    last_code_ = code & 0xff;
    const auto say = [&](Errc errc, std::string_view why) {
        return Error{errc, fmt::format("cannot {} {}: {}", verb, name(), why)};
    };
    const bool full = (code & 0xff) == SQLITE_IOERR && disk_is_full();
    switch (full ? SQLITE_FULL : code & 0xff) {
    case SQLITE_FULL:
        if (full || disk_is_full())
            return say(Errc::unavailable, "the disk is full; free space there, nothing else is needed");
        return say(Errc::unavailable,
                   fmt::format("it has reached its limit of {} bytes; raise the limit or keep less",
                               options_.max_bytes));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return say(Errc::unavailable, "another process holds its lock; try again later");
    case SQLITE_INTERRUPT:
        return say(Errc::timeout, "the statement took too long and was stopped");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return say(Errc::internal,
                   "it is damaged; restart opsd, which moves the file aside and begins a new one");
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
        return say(Errc::invalid_argument, sqlite3_errmsg(db_));
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return say(Errc::denied,
                   fmt::format("{}; check the owner and mode of its directory", sqlite3_errmsg(db_)));
    default:
        return say(Errc::internal, db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_));
    }
}

}  // namespace opsd
