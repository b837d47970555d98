#include "modules/forward/place.hpp"

#include "opsd/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace opsd::forward {

std::string place_of_time(WallTime time)
{
    return fmt::format("@{}", std::max<std::int64_t>(time.time_since_epoch().count(), 0));
}

std::optional<std::int64_t> time_of_place(std::string_view place)
{
    if (!place.starts_with('@')) return std::nullopt;
    std::int64_t time = 0;
    const auto* end = place.data() + place.size();
    const auto [last, ec] = std::from_chars(place.data() + 1, end, time);
    return ec == std::errc{} && last == end && time >= 0 ? std::optional{time} : std::nullopt;
}

std::optional<std::int64_t> moment_of(std::string_view place)
{
    if (const auto time = time_of_place(place)) return *time > 0 ? time : std::nullopt;
    const auto cursor = systemd::parse_cursor(place);
    return cursor ? std::optional{cursor->realtime} : std::nullopt;
}

Result<std::string> parse_start(std::string_view text)
{
    if (text == "now") return std::string{};
    if (text == "beginning") return std::string{beginning};
    const auto time = parse_rfc3339(text);
    if (time) return place_of_time(*time);
    return fail(
        Errc::invalid_argument,
        fmt::format("start is \"{}\", must be now, beginning or a time such as 2026-11-28T06:00:00Z", text));
}

Result<std::string> parse_replay(std::string_view text, WallTime now)
{
    if (text == "beginning") return std::string{beginning};
    if (const auto time = parse_rfc3339(text)) return place_of_time(*time);
    if (systemd::parse_cursor(text)) return std::string{text};
    config::Duration ago{};
    const auto decoded = config::decode(config::Value::scalar(std::string{text}), ago);
    if (decoded && ago.count() > 0) return place_of_time(now - ago);
    return fail(
        Errc::invalid_argument,
        fmt::format("cannot replay from \"{}\": give a cursor, a time such as 2026-11-28T06:00:00Z, how "
                    "long ago such as 2h, or beginning",
                    text.substr(0, 200)));
}

std::optional<std::uint64_t> entries_between(std::string_view from, std::string_view to)
{
    const auto first = systemd::parse_cursor(from);
    const auto last = systemd::parse_cursor(to);
    if (!first || !last || first->sequence_id != last->sequence_id) return std::nullopt;
    return last->sequence > first->sequence ? last->sequence - first->sequence : 0;
}

systemd::JournalRange range_from(const std::string& place, systemd::MatchGroups matches)
{
    systemd::JournalRange range;
    range.matches = std::move(matches);
    const auto time = time_of_place(place);
    range.from = place.empty() ? systemd::From::tail : time ? systemd::From::time : systemd::From::cursor;
    range.time = time.value_or(0);
    if (!time) range.cursor = place;
    return range;
}

}  // namespace opsd::forward
