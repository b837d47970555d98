#pragma once
// One SQLite connection, as its thread sees it. Nothing here knows coroutines: SqliteStore runs it on a
// worker.

#include "opsd/result.hpp"
#include "opsd/store.hpp"

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace opsd {

/// An open database. Used by one thread at a time.
class Database {
public:
    struct Options {
        std::string path;  ///< "" is a database in memory
        std::uint64_t max_bytes = 0;
        std::chrono::milliseconds statement_timeout{5000};
        std::chrono::milliseconds check_timeout{50};
    };

    /// Opens or creates the file and checks it, for at most check_timeout. `corrupt` is set when the file is
    /// there but no usable database.
    static Result<std::unique_ptr<Database>> open(Options options, bool& corrupt);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    Result<std::vector<Row>> read(const Statement& query, std::size_t max_rows);
    Result<Written> write(const std::vector<Statement>& statements);
    Result<> migrate(const std::string& owner, const std::vector<std::string>& steps);

    /// Bytes of the file and its write-ahead log (in memory: of its pages).
    [[nodiscard]] std::uint64_t bytes();

private:
    using Deadline = std::chrono::steady_clock::time_point;
    struct Cached {
        std::string sql;
        sqlite3_stmt* statement;
    };
    /// Frees a statement of the cache for its next use.
    struct Reset;
    /// Rolls back unless committed.
    struct Transaction;

    explicit Database(Options options) : options_{std::move(options)} {}
    Result<> configure();
    Result<> check();
    Result<> execute(std::string_view verb, const std::string& script);
    Result<std::string> scalar(const char* sql);
    Result<sqlite3_stmt*> prepare(const std::string& sql);
    Result<sqlite3_stmt*> bind(const Statement& statement);
    Result<> run(const Statement& statement);
    Result<> run_step(const std::string& owner, std::size_t version, const std::string& step);
    Result<std::size_t> version_of(const std::string& owner);
    void begin_deadline(std::chrono::milliseconds limit);
    [[nodiscard]] Error error(std::string_view verb, int code);
    [[nodiscard]] std::string name() const;
    [[nodiscard]] bool disk_is_full() const;

    Options options_;
    sqlite3* db_ = nullptr;
    Deadline deadline_ = Deadline::max();
    int last_code_ = 0;        ///< primary code of the newest error
    std::list<Cached> cache_;  ///< most recently used first
    std::unordered_map<std::string_view, std::list<Cached>::iterator> by_sql_;
};

}  // namespace opsd
