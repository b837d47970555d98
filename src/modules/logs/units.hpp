#pragma once
// Who may read which units' entries. Pure.

#include "io/systemd/unit_set.hpp"
#include "modules/logs/options.hpp"
#include "opsd/http.hpp"
#include "opsd/log_access.hpp"

#include <memory>

namespace opsd::logs {

using systemd::is_pattern;
using systemd::unit_fields;
using systemd::UnitSet;
using systemd::with_suffix;

/// The same for all roles and for whatever else shows entries.
[[nodiscard]] LogAccess access_of(const LogsOptions& options);

/// What the role may read; null: everything. What is less than a viewer reads what a viewer may.
[[nodiscard]] std::shared_ptr<const UnitSet> allowed_for(const LogsOptions& options, http::Role role);

}  // namespace opsd::logs
