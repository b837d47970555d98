#pragma once
// This module's tables in the store: join tokens, and which certificates run.

#include "opsd/clock.hpp"
#include "opsd/store.hpp"

#include <vector>

namespace opsd::pki {

/// The tables are made by the first call. The store must outlive the calls under way.
class Tables {
public:
    explicit Tables(Store& store) : store_{store} {}

    Task<Result<std::vector<Row>>> read(Statement query, std::size_t max_rows);
    Task<Result<Written>> write(std::vector<Statement> statements);
    Task<Result<Written>> write(Statement statement);

private:
    Task<Result<>> open();

    Store& store_;
    bool open_ = false;
};

/// Times are kept on the wall clock: a token's or certificate's end must hold across restarts.
[[nodiscard]] inline std::int64_t micros(WallTime time) { return time.time_since_epoch().count(); }
[[nodiscard]] inline WallTime time_of(const Cell& cell)
{
    return WallTime{std::chrono::microseconds{as_integer(cell)}};
}

}  // namespace opsd::pki
