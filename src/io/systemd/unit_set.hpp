#pragma once
// Which units an entry of the journal is about, and whether it is among some. Pure.

#include "io/systemd/journal_entry.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::systemd {

/// Fields that name a unit: whose process wrote the entry, or about which PID 1, a root daemon or the core
/// dump handler wrote it.
inline constexpr std::array<std::string_view, 4> unit_fields{"_SYSTEMD_UNIT", "UNIT", "OBJECT_SYSTEMD_UNIT",
                                                             "COREDUMP_UNIT"};

/// "ssh" -> "ssh.service"; a name with a unit's suffix stays as it is.
[[nodiscard]] std::string with_suffix(std::string_view unit);

/// Units by name or pattern.
class UnitSet {
public:
    explicit UnitSet(std::vector<std::string> patterns);

    [[nodiscard]] bool has(std::string_view unit) const;
    /// Whether one of its units is among these; an entry of no unit is not.
    [[nodiscard]] bool owns(const JournalEntry& entry) const;
    [[nodiscard]] bool everything() const noexcept { return everything_; }
    /// Names only: journald itself can select by them.
    [[nodiscard]] bool plain() const noexcept { return plain_; }
    [[nodiscard]] const std::vector<std::string>& patterns() const noexcept { return patterns_; }
    /// The matches of a plain set, one group.
    [[nodiscard]] std::vector<std::string> matches() const;

private:
    std::vector<std::string> patterns_;
    bool everything_ = false;
    bool plain_ = true;
};

[[nodiscard]] bool is_pattern(std::string_view unit) noexcept;

}  // namespace opsd::systemd
