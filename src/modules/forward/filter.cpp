#include "modules/forward/filter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace opsd::forward {
namespace {

constexpr std::size_t most_matches = 256;  // journald walks each of them
constexpr std::size_t longest_field = 64;  // of a field's name, as journald has it

/// 0 to 7; nothing for anything else.
std::optional<int> priority_of(std::string_view text)
{
    constexpr std::array<std::string_view, 8> names{"emerg",   "alert",  "crit", "err",
                                                    "warning", "notice", "info", "debug"};
    if (text.size() == 1 && text[0] >= '0' && text[0] <= '7') return text[0] - '0';
    const auto* name = std::ranges::find(names, text);
    if (name == names.end()) return std::nullopt;
    return static_cast<int>(name - names.begin());
}

bool is_field(std::string_view name)
{
    const auto plain = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; };
    return !name.empty() && name.size() <= longest_field && std::ranges::all_of(name, plain);
}

std::unexpected<Error> wrong(std::string what) { return fail(Errc::invalid_argument, std::move(what)); }

using Fields = std::map<std::string, std::vector<std::string>>;

/// The matches of each field.
Result<Fields> fields_of(const std::vector<std::string>& matches)
{
    Fields fields;
    for (const auto& match : matches) {
        const auto equals = match.find('=');
        if (equals == std::string::npos || !is_field(std::string_view{match}.substr(0, equals)))
            return wrong(fmt::format("filter.matches has \"{}\", must be FIELD=value", match));
        fields[match.substr(0, equals)].push_back(match);
    }
    return fields;
}

bool fits(std::string_view value, std::string_view wanted)
{
    if (!wanted.ends_with('*')) return value == wanted;
    return value.starts_with(wanted.substr(0, wanted.size() - 1));
}

}  // namespace

Result<std::shared_ptr<const Filter>> Filter::make(const FilterOptions& options, std::string own_unit)
{
    std::shared_ptr<Filter> filter{new Filter};
    filter->own_unit_ = std::move(own_unit);
    systemd::UnitSet units{options.units};
    if (options.units.size() + options.matches.size() > most_matches)
        return wrong(fmt::format("filter has more than {} units and matches", most_matches));
    for (const auto& unit : options.units) {
        if (unit != "*" && unit != systemd::with_suffix(unit) && !systemd::is_pattern(unit))
            return wrong(fmt::format("filter.units has \"{}\", which is no unit; did you mean \"{}\"?", unit,
                                     systemd::with_suffix(unit)));
    }
    if (!options.units.empty() && !units.everything()) {
        if (units.plain())
            filter->matches_.push_back(units.matches());
        else
            filter->units_ = std::move(units);
    }
    if (!options.priority.empty()) {
        const auto worst = priority_of(options.priority);
        if (!worst)
            return wrong(fmt::format("filter.priority is \"{}\", must be emerg, alert, crit, err, warning, "
                                     "notice, info, debug or 0 to 7",
                                     options.priority));
        auto& group = filter->matches_.emplace_back();
        for (int priority = 0; priority <= *worst; ++priority)
            group.push_back(fmt::format("PRIORITY={}", priority));
    }
    auto fields = fields_of(options.matches);
    if (!fields) return fail(std::move(fields).error());
    for (auto& [name, group] : *fields)
        filter->matches_.push_back(std::move(group));
    return filter;
}

Result<std::shared_ptr<const Filter>> Filter::make_for_tasks(const FilterOptions& options)
{
    if (!options.units.empty())
        return wrong(
            "filter.units is for the journal; files of tasks are selected by filter.matches, such as "
            "TASK_NAME=web");
    if (!options.priority.empty())
        return wrong("filter.priority is for the journal; lines of tasks have none");
    if (options.matches.size() > most_matches)
        return wrong(fmt::format("filter has more than {} matches", most_matches));
    auto fields = fields_of(options.matches);
    if (!fields) return fail(std::move(fields).error());
    std::shared_ptr<Filter> filter{new Filter};
    for (const auto& [name, group] : *fields) {
        auto& wanted = filter->wanted_.emplace_back();
        wanted.field = name;
        for (const auto& match : group)
            wanted.values.push_back(match.substr(name.size() + 1));
    }
    return filter;
}

Result<std::shared_ptr<const Filter>> make_filter(const OutputOptions& output, std::string own_unit)
{
    if (of_tasks(output)) return Filter::make_for_tasks(output.filter);
    return Filter::make(output.filter, std::move(own_unit));
}

bool Filter::takes(const systemd::JournalEntry& entry) const
{
    if (is_own(entry)) {
        held_back_.fetch_add(1, std::memory_order_relaxed);
        return false;
    }
    for (const auto& [field, values] : wanted_) {
        const auto value = entry.find(field).value_or("");
        if (std::ranges::none_of(values, [value](const auto& wanted) { return fits(value, wanted); }))
            return false;
    }
    return !units_ || units_->owns(entry);
}

bool Filter::needs_names() const
{
    constexpr std::array<std::string_view, 4> told{"TASK_ID", "TASK_NAME", "CONTAINER_ID",
                                                   "SYSLOG_IDENTIFIER"};
    return std::ranges::any_of(wanted_, [&told](const Wanted& wanted) {
        return std::ranges::find(told, wanted.field) != told.end();
    });
}

/// "forward: degraded: ...", "forward elk: cannot deliver ..."; whose unit it is, journald says, not the
/// line.
bool Filter::is_own(const systemd::JournalEntry& entry) const
{
    if (own_unit_.empty()) return false;
    const auto message = entry.find("MESSAGE").value_or("");
    if (!message.starts_with(logger) || message.size() == logger.size()) return false;
    const char next = message[logger.size()];
    return (next == ':' || next == ' ') && entry.find("_SYSTEMD_UNIT") == own_unit_;
}

}  // namespace opsd::forward
