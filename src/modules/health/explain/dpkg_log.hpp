#pragma once
// dpkg's log: which packages were changed when. Pure; a line that is not understood is skipped.

#include <string>
#include <string_view>
#include <vector>

namespace opsd::health::explain {

/// One change of a package, in the local time that dpkg writes.
struct DpkgChange {
    int year = 0;
    int month = 0;  ///< 1 to 12
    int day = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
    std::string action;  ///< install, upgrade, remove, purge
    std::string package;
    std::string architecture;
    std::string from;  ///< "" for <none>
    std::string to;
    bool operator==(const DpkgChange&) const = default;
};

/// The newest `most` changes of a log, oldest first. Stages of one change ("status half-installed", ...) and
/// dpkg's own starts are no changes.
[[nodiscard]] std::vector<DpkgChange> parse_dpkg_log(std::string_view text, std::size_t most);

/// Does the log begin before or at this local time ("2026-11-27 10:00:01")? True for one without any.
[[nodiscard]] bool dpkg_log_begins_before(std::string_view text, std::string_view local_time);

}  // namespace opsd::health::explain
