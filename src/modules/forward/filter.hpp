#pragma once
// Which entries an output gets. What journald can select by itself are matches; the rest is decided entry by
// entry. Pure.
//
// It also keeps opsd's own lines about forwarding from being forwarded: a far side that refuses them would
// make new ones for ever. They are in the journal, and what they say is in GET /api/v1/forward.

#include "io/systemd/unit_set.hpp"
#include "modules/forward/options.hpp"

#include <atomic>
#include <memory>
#include <optional>

namespace opsd::forward {

/// Of loggers whose lines are not forwarded; their names begin so.
inline constexpr std::string_view logger = "forward";

class Filter {
public:
    /// `own_unit` is opsd's own; "": it has none, and no line of it is in the journal.
    /// Errc::invalid_argument names the setting.
    [[nodiscard]] static Result<std::shared_ptr<const Filter>> make(const FilterOptions& options,
                                                                    std::string own_unit);

    /// Of files of tasks: all is decided entry by entry. Errc::invalid_argument names the setting, also for
    /// those that only the journal has.
    [[nodiscard]] static Result<std::shared_ptr<const Filter>> make_for_tasks(const FilterOptions& options);

    [[nodiscard]] const systemd::MatchGroups& matches() const noexcept { return matches_; }
    /// Of an entry that fits the matches.
    [[nodiscard]] bool takes(const systemd::JournalEntry& entry) const;
    /// Whether it looks at what files do not tell of a task, such as its name.
    [[nodiscard]] bool needs_names() const;

    /// Own lines that were not forwarded. From any thread.
    [[nodiscard]] std::uint64_t held_back() const noexcept
    {
        return held_back_.load(std::memory_order_relaxed);
    }

private:
    Filter() = default;
    /// One field's values, of which any will do.
    struct Wanted {
        std::string field;
        std::vector<std::string> values;  ///< one that ends in * is the beginning of those
    };
    [[nodiscard]] bool is_own(const systemd::JournalEntry& entry) const;

    systemd::MatchGroups matches_;
    std::optional<systemd::UnitSet> units_;  ///< set: there are patterns, which journald does not know
    std::vector<Wanted> wanted_;
    std::string own_unit_;
    mutable std::atomic<std::uint64_t> held_back_{0};
};

/// The filter of an output, whichever its input is.
[[nodiscard]] Result<std::shared_ptr<const Filter>> make_filter(const OutputOptions& output,
                                                                std::string own_unit);

/// Hands on what the filter takes.
class FilterWriter final : public systemd::EntryWriter {
public:
    FilterWriter(std::shared_ptr<const Filter> filter, std::unique_ptr<systemd::EntryWriter> inner)
      : filter_{std::move(filter)}
      , inner_{std::move(inner)}
    {}
    bool write(const systemd::JournalEntry& entry, std::string& out) override
    {
        return filter_->takes(entry) && inner_->write(entry, out);
    }

private:
    std::shared_ptr<const Filter> filter_;
    std::unique_ptr<systemd::EntryWriter> inner_;
};

}  // namespace opsd::forward
