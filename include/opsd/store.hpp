#pragma once
// The daemon's durable state: one SQLite file (WAL), written and read on a thread of its own. A module sees
// SQL text and cells; the database library stays inside src/io/store.

#include "opsd/async.hpp"
#include "opsd/result.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace opsd {

using Cell = std::variant<std::monostate, std::int64_t, double, std::string>;
using Row = std::vector<Cell>;

/// One SQL statement with its bound values for ?1, ?2, ...
struct Statement {
    std::string sql;
    std::vector<Cell> values;
};

/// What a transaction did.
struct Written {
    std::int64_t last_id = 0;  ///< rowid of the last INSERT
    std::int64_t rows = 0;     ///< rows changed by all statements
};

/// Integer and text of a cell; 0 and "" for anything else.
[[nodiscard]] std::int64_t as_integer(const Cell& cell) noexcept;
[[nodiscard]] std::string as_text(const Cell& cell);

/// Durable state. Errors: unavailable (disk full, busy beyond the deadline: retry later), internal (corrupt).
class Store {
public:
    virtual ~Store() = default;

    /// Brings the tables of `owner` to version steps.size() by running the missing steps, each once, each in
    /// one transaction with its version number. Errc::invalid_argument when the file is of a newer opsd.
    virtual Task<Result<>> migrate(std::string owner, std::vector<std::string> steps) = 0;

    /// Runs a query, at most `max_rows` rows (a bound, not a page).
    virtual Task<Result<std::vector<Row>>> read(Statement query, std::size_t max_rows) = 0;

    /// Runs all statements in one transaction: all or nothing, durable when it returns (synchronous=FULL).
    virtual Task<Result<Written>> write(std::vector<Statement> statements) = 0;
};

}  // namespace opsd
