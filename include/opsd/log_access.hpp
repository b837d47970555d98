#pragma once
// Who may read whose log entries: what module logs is configured with (logs.allow), for whatever else shows
// some of them, such as the last lines of a unit that failed or the files of a task.

#include "opsd/http.hpp"

#include <algorithm>
#include <functional>
#include <string_view>
#include <vector>

namespace opsd {

/// Nobody is restricted beyond Access::read as long as nothing is said here.
struct LogAccess {
    /// A role that may read the entries of some units only.
    struct Restricted {
        http::Role role = http::Role::viewer;
        std::function<bool(std::string_view unit)> reads;
        bool tasks = false;  ///< and what tasks wrote
    };
    std::vector<Restricted> restricted;

    /// The rule of that role; null: it is not restricted. What is less than a viewer is restricted like one.
    [[nodiscard]] const Restricted* rule(http::Role role) const
    {
        const auto found =
            std::ranges::find(restricted, std::max(role, http::Role::viewer), &Restricted::role);
        return found == restricted.end() ? nullptr : &*found;
    }
    /// May he read the entries of all units?
    [[nodiscard]] bool everything(const http::Caller& caller) const
    {
        return caller.may_read() && rule(caller.role) == nullptr;
    }
    [[nodiscard]] bool entries_of(std::string_view unit, const http::Caller& caller) const
    {
        const auto* its = rule(caller.role);
        return caller.may_read() && (its == nullptr || its->reads(unit));
    }
    [[nodiscard]] bool tasks(const http::Caller& caller) const
    {
        const auto* its = rule(caller.role);
        return caller.may_read() && (its == nullptr || its->tasks);
    }
};

}  // namespace opsd
