#include "modules/health/explain/dpkg_log.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace opsd::health::explain {
namespace {

constexpr std::size_t longest_line = 1024;
constexpr std::size_t longest_word = 256;

/// The next word of a line; "" at its end.
std::string_view take_word(std::string_view& line)
{
    const auto begin = std::min(line.find_first_not_of(' '), line.size());
    const auto end = std::min(line.find(' ', begin), line.size());
    const auto word = line.substr(begin, end - begin);
    line.remove_prefix(end);
    return word;
}

/// A decimal number of exactly the text, within bounds.
std::optional<int> number(std::string_view text, int least, int most)
{
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most)
        return std::nullopt;
    return value;
}

bool read_time(std::string_view date, std::string_view time, DpkgChange& change)
{
    if (date.size() != 10 || date[4] != '-' || date[7] != '-') return false;
    if (time.size() != 8 || time[2] != ':' || time[5] != ':') return false;
    const std::array<std::optional<int>, 6> all{
        number(date.substr(0, 4), 1970, 9999), number(date.substr(5, 2), 1, 12),
        number(date.substr(8, 2), 1, 31),      number(time.substr(0, 2), 0, 23),
        number(time.substr(3, 2), 0, 59),      number(time.substr(6, 2), 0, 60)};
    if (!std::ranges::all_of(all, [](const auto& one) { return one.has_value(); })) return false;
    change.year = *all[0];
    change.month = *all[1];
    change.day = *all[2];
    change.hour = *all[3];
    change.minute = *all[4];
    change.second = *all[5];
    return true;
}

/// What package names and versions consist of.
bool plain(std::string_view word)
{
    return !word.empty() && word.size() <= longest_word && std::ranges::all_of(word, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
               || std::string_view{"+-.~:_"}.contains(c);
    });
}

bool read_version(std::string_view word, std::string& version)
{
    if (word == "<none>") return true;
    if (!plain(word)) return false;
    version = word;
    return true;
}

std::optional<DpkgChange> parse_line(std::string_view line)
{
    if (line.size() > longest_line) return std::nullopt;
    DpkgChange change;
    const auto date = take_word(line);
    const auto time = take_word(line);
    const auto action = take_word(line);
    constexpr auto actions = std::to_array<std::string_view>({"install", "upgrade", "remove", "purge"});
    if (std::ranges::find(actions, action) == actions.end()) return std::nullopt;
    const auto package = take_word(line);
    const auto from = take_word(line);
    const auto to = take_word(line);
    if (!plain(package) || !take_word(line).empty()) return std::nullopt;
    if (!read_time(date, time, change)) return std::nullopt;
    if (!read_version(from, change.from) || !read_version(to, change.to)) return std::nullopt;
    change.action = action;
    const auto colon = std::min(package.find(':'), package.size());
    change.package = package.substr(0, colon);
    change.architecture = package.substr(std::min(colon + 1, package.size()));
    if (change.package.empty()) return std::nullopt;
    return change;
}

}  // namespace

std::vector<DpkgChange> parse_dpkg_log(std::string_view text, std::size_t most)
{
    std::vector<DpkgChange> changes;
    while (!text.empty() && changes.size() < most) {  // from its end
        if (text.back() == '\n') text.remove_suffix(1);
        const auto newline = text.rfind('\n');
        const auto begin = newline == std::string_view::npos ? 0 : newline + 1;
        auto change = parse_line(text.substr(begin));
        if (change) changes.push_back(std::move(*change));
        text = text.substr(0, begin);
    }
    std::ranges::reverse(changes);
    return changes;
}

bool dpkg_log_begins_before(std::string_view text, std::string_view local_time)
{
    constexpr std::size_t time_length = 19;
    const auto line = text.substr(0, text.find('\n'));
    return line.size() < time_length || line.substr(0, time_length) <= local_time;
}

}  // namespace opsd::health::explain
