#include "io/systemd/unit_set.hpp"

#include <fnmatch.h>

#include <algorithm>

namespace opsd::systemd {
namespace {

constexpr std::size_t longest_name = 255;  // of a unit, as systemd has it

constexpr std::array<std::string_view, 11> suffixes{".service",   ".socket", ".target", ".timer",
                                                    ".mount",     ".path",   ".slice",  ".scope",
                                                    ".automount", ".swap",   ".device"};

bool names_unit(std::string_view field) { return std::ranges::find(unit_fields, field) != unit_fields.end(); }

}  // namespace

std::string with_suffix(std::string_view unit)
{
    const auto ends = [unit](std::string_view suffix) { return unit.ends_with(suffix); };
    std::string name{unit};
    if (!unit.empty() && !unit.ends_with('*') && std::ranges::none_of(suffixes, ends)) name += ".service";
    return name;
}

bool is_pattern(std::string_view unit) noexcept
{
    return unit.find_first_of("*?[") != std::string_view::npos;
}

UnitSet::UnitSet(std::vector<std::string> patterns) : patterns_{std::move(patterns)}
{
    for (const auto& pattern : patterns_) {
        everything_ = everything_ || pattern == "*";
        plain_ = plain_ && !is_pattern(pattern);
    }
}

bool UnitSet::has(std::string_view unit) const
{
    if (unit.empty() || unit.size() > longest_name || unit.find('\0') != std::string_view::npos) return false;
    std::array<char, longest_name + 1> name{};
    std::ranges::copy(unit, name.begin());
    return std::ranges::any_of(patterns_, [&](const std::string& pattern) {
        return pattern == unit || ::fnmatch(pattern.c_str(), name.data(), FNM_NOESCAPE) == 0;
    });
}

bool UnitSet::owns(const JournalEntry& entry) const
{
    if (everything_) return true;
    return std::ranges::any_of(entry.fields, [this](const JournalField& field) {
        return names_unit(field.name) && has(field.value);
    });
}

std::vector<std::string> UnitSet::matches() const
{
    std::vector<std::string> group;
    for (const auto field : unit_fields) {
        for (const auto& name : patterns_)
            group.push_back(std::string{field} + "=" + name);
    }
    return group;
}

}  // namespace opsd::systemd
