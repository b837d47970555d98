#pragma once
// Places in the journal, as text that a position file keeps: a cursor, or "@" and microseconds since the
// epoch for the first entry of that time or later. Pure.

#include "io/systemd/journal_entry.hpp"
#include "opsd/clock.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace opsd::forward {

/// Before the oldest entry.
inline constexpr std::string_view beginning = "@0";

[[nodiscard]] std::string place_of_time(WallTime time);
/// The time of a place of that form; nothing for a cursor and "".
[[nodiscard]] std::optional<std::int64_t> time_of_place(std::string_view place);
[[nodiscard]] inline bool is_cursor(std::string_view place) { return !place.empty() && place.front() != '@'; }

/// When the entry at the place was received, or the time that the place is; nothing when it cannot be told.
[[nodiscard]] std::optional<std::int64_t> moment_of(std::string_view place);

/// Of the setting `start`: "now" is "", "beginning" and a time are places.
[[nodiscard]] Result<std::string> parse_start(std::string_view text);

/// Where to go back to: a cursor, "beginning", a time (RFC 3339), or how long ago ("2h").
[[nodiscard]] Result<std::string> parse_replay(std::string_view text, WallTime now);

/// Entries between two cursors of one sequence; nothing when they are of different ones.
[[nodiscard]] std::optional<std::uint64_t> entries_between(std::string_view from, std::string_view to);

/// Begins a reading there; "" is the end of the journal.
[[nodiscard]] systemd::JournalRange range_from(const std::string& place, systemd::MatchGroups matches);

}  // namespace opsd::forward
