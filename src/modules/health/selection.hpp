#pragma once
// Which units are watched, and which of them are expected to run. Pure: lists in, names out.

#include "io/systemd/manager.hpp"
#include "modules/health/options.hpp"

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::health {

/// One entry of a TARGET.wants or TARGET.requires directory.
struct WantsEntry {
    std::string target;
    std::string name;
    bool operator==(const WantsEntry&) const = default;
};

/// What systemd and the directories say.
struct Inventory {
    std::vector<systemd::ListedUnit> units;
    std::vector<systemd::ListedFile> files;
    std::vector<WantsEntry> wants;
    bool wants_known = true;  ///< false: a directory could not be read, so more may be wanted
};

/// A name to watch.
struct Wanted {
    bool expected = false;
    std::string problem;  ///< not a unit: why
};

/// The outcome of one look at the inventory.
class Selection {
public:
    /// Nothing is selected.
    Selection() = default;
    Selection(const HealthOptions& options, const Inventory& inventory);

    /// Can units be meant that only the list of unit files tells? Names and targets are complete without it.
    [[nodiscard]] static bool needs_files(const HealthOptions& options, const Inventory& inventory);

    /// Every name to ask systemd for, in order, with what is expected of it. Entries with a problem are not
    /// asked for, but shown.
    [[nodiscard]] const std::map<std::string, Wanted, std::less<>>& names() const noexcept { return names_; }

    /// Names beyond max_units, which are not watched.
    [[nodiscard]] std::size_t left_out() const noexcept { return left_out_; }

    /// Is a unit that turns up later to be watched? `failed`: it is in the state failed.
    [[nodiscard]] bool watches(std::string_view id, bool failed) const;

    /// Can units be meant that nobody named?
    [[nodiscard]] bool open() const noexcept { return automatic_ || !globs_.empty(); }

    /// True when neither names, globs nor targets were given and there is no dcos.target: what is enabled or
    /// failed is watched. False while it is not known whether dcos.target wants something.
    [[nodiscard]] bool automatic() const noexcept { return automatic_; }

private:
    void add(const std::string& name, bool expected);
    void add_wants(const std::vector<WantsEntry>& wants);
    void add_matching(const Inventory& inventory);
    [[nodiscard]] bool excluded(std::string_view name) const;

    std::map<std::string, Wanted, std::less<>> names_;
    std::set<std::string, std::less<>> enabled_;  // file names that are enabled, templates included
    std::vector<std::string> globs_;
    std::vector<std::string> exclude_;
    std::size_t max_units_ = 0;
    std::size_t left_out_ = 0;
    bool automatic_ = false;
};

/// Shell pattern: * ? [...]; also matches dots and slashes.
[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view name);

/// "getty@tty1.service" -> "getty@.service"; "" for a name without an instance.
[[nodiscard]] std::string template_of(std::string_view name);

/// "getty@.service".
[[nodiscard]] bool is_template(std::string_view name);

}  // namespace opsd::health
