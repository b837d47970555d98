#include "modules/pki/tables.hpp"

namespace opsd::pki {
namespace {

std::vector<std::string> steps()
{
    return {"CREATE TABLE join_token (id TEXT PRIMARY KEY, hash TEXT NOT NULL, expires INTEGER NOT NULL, "
            "uses INTEGER NOT NULL)",
            "ALTER TABLE join_token ADD COLUMN node TEXT NOT NULL DEFAULT '';"
            "ALTER TABLE join_token ADD COLUMN replaces INTEGER NOT NULL DEFAULT 0;"
            // One row for a key: a renewal changes it. `withdrawn` says why it is renewed no more.
            "CREATE TABLE issued (key TEXT PRIMARY KEY, node TEXT NOT NULL, serial TEXT NOT NULL, "
            "not_after INTEGER NOT NULL, withdrawn TEXT NOT NULL DEFAULT '') WITHOUT ROWID;"
            "CREATE TABLE issued_name (name TEXT NOT NULL, "
            "key TEXT NOT NULL REFERENCES issued (key) ON DELETE CASCADE, PRIMARY KEY (name, key)) "
            "WITHOUT ROWID;"
            "CREATE INDEX issued_name_key ON issued_name (key)"};
}

}  // namespace

Task<Result<>> Tables::open()
{
    if (open_) co_return Result<>{};
    auto done = co_await store_.migrate("pki", steps());
    open_ = done.has_value();
    co_return done;
}

Task<Result<std::vector<Row>>> Tables::read(Statement query, std::size_t max_rows)
{
    auto ready = co_await open();
    if (!ready) co_return fail(std::move(ready).error());
    co_return co_await store_.read(std::move(query), max_rows);
}

Task<Result<Written>> Tables::write(std::vector<Statement> statements)
{
    auto ready = co_await open();
    if (!ready) co_return fail(std::move(ready).error());
    co_return co_await store_.write(std::move(statements));
}

Task<Result<Written>> Tables::write(Statement statement)
{
    std::vector<Statement> all;
    all.push_back(std::move(statement));
    co_return co_await write(std::move(all));
}

}  // namespace opsd::pki
