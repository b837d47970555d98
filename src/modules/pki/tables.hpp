#pragma once
// This module's tables in the store: join tokens, and which certificates run.

#include "core/cells.hpp"
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

}  // namespace opsd::pki
