#include "modules/health/selection.hpp"

#include "modules/health/rules.hpp"

#include <fmt/format.h>

#include <fnmatch.h>

#include <algorithm>
#include <array>

namespace opsd::health {
namespace {

std::string_view file_name(std::string_view path)
{
    const auto slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool of_watched_type(std::string_view name)
{
    constexpr std::array<std::string_view, 5> types{".service", ".socket", ".timer", ".mount", ".target"};
    return std::ranges::any_of(types, [name](std::string_view type) { return name.ends_with(type); });
}

std::string problem_of(const std::string& name)
{
    if (is_template(name)) return "is a template, not a unit: only its instances can run";
    if (!systemd::valid_unit_name(name)) return "is not a unit name";
    return {};
}

bool nothing_named(const HealthOptions& options, const Inventory& inventory)
{
    const auto is_dcos = [](const WantsEntry& entry) { return entry.target == "dcos.target"; };
    return options.units.empty() && options.globs.empty() && options.targets.empty() && inventory.wants_known
           && std::ranges::none_of(inventory.wants, is_dcos);
}

}  // namespace

bool Selection::needs_files(const HealthOptions& options, const Inventory& inventory)
{
    return !options.globs.empty() || nothing_named(options, inventory);
}

bool glob_matches(std::string_view pattern, std::string_view name)
{
    return ::fnmatch(std::string{pattern}.c_str(), std::string{name}.c_str(), 0) == 0;
}

std::string template_of(std::string_view name)
{
    const auto at = name.find('@');
    const auto dot = name.rfind('.');
    if (at == std::string_view::npos || dot == std::string_view::npos || dot <= at + 1) return {};
    return fmt::format("{}{}", name.substr(0, at + 1), name.substr(dot));
}

bool is_template(std::string_view name)
{
    const auto at = name.find('@');
    return at != std::string_view::npos && at + 1 == name.rfind('.');
}

Selection::Selection(const HealthOptions& options, const Inventory& inventory)
  : globs_{options.globs}
  , exclude_{options.exclude}
  , max_units_{static_cast<std::size_t>(options.max_units)}
{
    for (const auto& file : inventory.files) {
        if (enabled(file.state)) enabled_.emplace(file_name(file.path));
    }
    automatic_ = nothing_named(options, inventory);
    // What was named first has room first.
    for (const auto& name : options.units)
        add(name, true);
    add_wants(inventory.wants);
    add_matching(inventory);
}

void Selection::add(const std::string& name, bool expected)
{
    if (excluded(name)) return;
    const auto known = names_.find(name);
    if (known != names_.end()) {
        known->second.expected |= expected;
    } else if (names_.size() >= max_units_) {
        ++left_out_;
    } else {
        names_.emplace(name, Wanted{expected, problem_of(name)});
    }
}

void Selection::add_wants(const std::vector<WantsEntry>& wants)
{
    for (const auto& entry : wants)
        add(entry.name, true);
}

void Selection::add_matching(const Inventory& inventory)
{
    for (const auto& file : inventory.files) {
        const std::string name{file_name(file.path)};
        if (file.state == "alias" || is_template(name) || !systemd::valid_unit_name(name)) continue;
        if (watches(name, false)) add(name, enabled(file.state));
    }
    for (const auto& unit : inventory.units) {
        if (watches(unit.id, unit.active_state == "failed")) add(unit.id, false);
    }
}

bool Selection::watches(std::string_view id, bool failed) const
{
    if (excluded(id)) return false;
    if (names_.contains(id)) return true;
    if (automatic_)
        return of_watched_type(id) && (failed || enabled_.contains(id) || enabled_.contains(template_of(id)));
    return std::ranges::any_of(globs_, [id](const auto& glob) { return glob_matches(glob, id); });
}

bool Selection::excluded(std::string_view name) const
{
    return std::ranges::any_of(exclude_, [name](const auto& glob) { return glob_matches(glob, name); });
}

}  // namespace opsd::health
