#include "modules/logs/units.hpp"

#include <algorithm>

namespace opsd::logs {

std::shared_ptr<const UnitSet> allowed_for(const LogsOptions& options, http::Role role)
{
    if (role >= http::Role::admin) return nullptr;
    const auto rule =
        std::ranges::find(options.allow, to_string(std::max(role, http::Role::viewer)), &AllowRule::role);
    if (rule == options.allow.end() || rule->units.empty()) return nullptr;
    auto units = std::make_shared<const UnitSet>(rule->units);
    return units->everything() ? nullptr : units;
}

LogAccess access_of(const LogsOptions& options)
{
    LogAccess access;
    for (const auto role : {http::Role::viewer, http::Role::operator_}) {
        auto units = allowed_for(options, role);
        if (!units) continue;
        const auto rule = std::ranges::find(options.allow, to_string(role), &AllowRule::role);
        access.restricted.push_back(
            {role, [units](std::string_view unit) { return units->has(unit); }, rule->tasks});
    }
    return access;
}

}  // namespace opsd::logs
