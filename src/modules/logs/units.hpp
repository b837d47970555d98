#pragma once
// Who may read which units' entries. Pure.

#include "io/systemd/unit_set.hpp"
#include "modules/logs/options.hpp"
#include "opsd/http.hpp"

#include <memory>

namespace opsd::logs {

using systemd::is_pattern;
using systemd::unit_fields;
using systemd::UnitSet;
using systemd::with_suffix;

/// What the role may read; null: everything.
[[nodiscard]] std::shared_ptr<const UnitSet> allowed_for(const LogsOptions& options, http::Role role);

}  // namespace opsd::logs
