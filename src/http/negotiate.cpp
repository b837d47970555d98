// The pure questions about a request's headers: dates, encodings, entity tags.

#include "http/content.hpp"
#include "http/head.hpp"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <ctime>

namespace opsd::http {
namespace {

constexpr std::array<std::string_view, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::string_view next_item(std::string_view& list)
{
    const auto comma = list.find(',');
    const auto item = trimmed(list.substr(0, comma));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    return item;
}

/// "gzip;q=0.5" -> 0.5; no q means 1; what is not a number means 0.
double quality_of(std::string_view item)
{
    const auto semicolon = item.find(';');
    if (semicolon == std::string_view::npos) return 1;
    auto parameter = trimmed(item.substr(semicolon + 1));
    if (parameter.size() < 3 || !same_word(parameter.substr(0, 2), "q=")) return 1;
    parameter.remove_prefix(2);
    double quality = 0;
    const auto [stop, error] =
        std::from_chars(parameter.data(), parameter.data() + parameter.size(), quality);
    return error == std::errc{} && stop == parameter.data() + parameter.size() ? quality : 0;
}

/// `W/"abc-gzip"` -> `abc`: which version it is, whatever its encoding.
std::string_view version_of(std::string_view tag)
{
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag.size() < 2 || tag.front() != '"' || tag.back() != '"') return {};
    tag = tag.substr(1, tag.size() - 2);
    constexpr std::string_view suffix = "-gzip";
    if (tag.ends_with(suffix)) tag.remove_suffix(suffix.size());
    return tag;
}

std::optional<int> number(std::string_view text)
{
    int value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || stop != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

}  // namespace

std::string http_date(WallTime time)
{
    const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                       days[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                       months[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour,
                       parts.tm_min, parts.tm_sec);
}

std::optional<WallTime> parse_http_date(std::string_view text)
{
    // Sun, 22 Nov 2026 15:26:27 GMT
    if (text.size() != 29 || text.substr(25) != " GMT" || text[19] != ':' || text[22] != ':')
        return std::nullopt;
    const auto month = std::ranges::find(months, text.substr(8, 3));
    const auto day = number(text.substr(5, 2));
    const auto year = number(text.substr(12, 4));
    const auto hour = number(text.substr(17, 2));
    const auto minute = number(text.substr(20, 2));
    const auto second = number(text.substr(23, 2));
    if (month == months.end() || !day || !year || !hour || !minute || !second) return std::nullopt;
    const std::chrono::year_month_day date{
        std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(month - months.begin()) + 1},
        std::chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    return WallTime{std::chrono::sys_days{date}} + std::chrono::hours{*hour} + std::chrono::minutes{*minute}
           + std::chrono::seconds{*second};
}

bool accepts_gzip(std::string_view accept_encoding)
{
    double gzip = -1;
    double any = -1;
    double identity = 0;
    while (!accept_encoding.empty()) {
        const auto item = next_item(accept_encoding);
        const auto coding = trimmed(item.substr(0, item.find(';')));
        if (same_word(coding, "gzip") || same_word(coding, "x-gzip")) gzip = quality_of(item);
        if (coding == "*") any = quality_of(item);
        if (same_word(coding, "identity")) identity = quality_of(item);
    }
    const double wish = gzip >= 0 ? gzip : any;
    return wish > 0 && wish >= identity;
}

bool etag_matches(std::string_view if_none_match, std::string_view etag)
{
    const auto ours = version_of(etag);
    while (!if_none_match.empty()) {
        const auto item = next_item(if_none_match);
        if (item == "*" || (!ours.empty() && version_of(item) == ours)) return true;
    }
    return false;
}

}  // namespace opsd::http
