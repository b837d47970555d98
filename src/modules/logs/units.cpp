#include "modules/logs/units.hpp"

#include <algorithm>

namespace opsd::logs {

std::shared_ptr<const UnitSet> allowed_for(const LogsOptions& options, http::Role role)
{
    if (role >= http::Role::admin) return nullptr;
    const auto rule = std::ranges::find(options.allow, to_string(role), &AllowRule::role);
    if (rule == options.allow.end() || rule->units.empty()) return nullptr;
    auto units = std::make_shared<const UnitSet>(rule->units);
    return units->everything() ? nullptr : units;
}

}  // namespace opsd::logs
