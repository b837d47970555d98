// The use of the rule table, and what is told about a unit besides.

#include "modules/health/rules.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::health {

Verdict judge(const UnitFacts& facts, const Context& context)
{
    const auto table = rules();
    const auto row = std::ranges::find_if(table, [&](const Rule& r) { return r.matches(facts, context); });
    return {row->health, row->state, row->sentence(facts, context), row->name};
}

bool enabled(std::string_view state) noexcept { return state == "enabled" || state == "enabled-runtime"; }

bool ever_started(const UnitFacts& facts) noexcept
{
    return facts.inactive_exit_at.count() > 0 || facts.active_enter_at.count() > 0;
}

std::string rules_markdown()
{
    std::string page = "| # | rule | when | health | state | what to do |\n|---|---|---|---|---|---|\n";
    int number = 0;
    for (const auto& row : rules())
        page += fmt::format("| {} | {} | {} | {} | {} | {} |\n", ++number, row.name, row.when,
                            static_cast<int>(row.health), row.state, row.advice);
    return page;
}

Titles titles(std::string_view id, std::string_view description)
{
    constexpr std::string_view separator = ": ";
    const auto first = description.find(separator);
    if (first == std::string_view::npos) return {std::string{id}, std::string{description}};
    if (description.find(separator, first + 2) == std::string_view::npos)
        return {std::string{description.substr(0, first)}, std::string{description.substr(first + 2)}};
    std::string joined{description};
    for (auto at = joined.find(separator); at != std::string::npos; at = joined.find(separator, at))
        joined.replace(at, 2, " ");
    return {std::string{id}, std::move(joined)};
}

}  // namespace opsd::health
