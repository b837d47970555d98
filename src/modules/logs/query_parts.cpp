// The parts of a question that several kinds have.

#include "http/head.hpp"

#include "modules/logs/query.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace opsd::logs {
namespace {

/// Cuts the first item off a list.
std::string_view next_item(std::string_view& list, char separator)
{
    const auto at = list.find(separator);
    const auto item = http::trimmed(list.substr(0, at));
    list.remove_prefix(at == std::string_view::npos ? list.size() : at + 1);
    return item;
}

std::string lower(std::string_view text)
{
    std::string out{text};
    for (auto& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

/// One range of an Accept header.
struct MediaRange {
    std::string type;
    double quality = 1;
};

std::vector<MediaRange> ranges_of(std::string_view accept)
{
    std::vector<MediaRange> ranges;
    while (!accept.empty()) {
        auto item = next_item(accept, ',');
        MediaRange range{.type = lower(next_item(item, ';'))};
        while (!item.empty()) {
            const auto parameter = lower(next_item(item, ';'));
            if (!parameter.starts_with("q=")) continue;
            const auto* const end = parameter.data() + parameter.size();
            const auto [stop, error] = std::from_chars(parameter.data() + 2, end, range.quality);
            if (error != std::errc{} || stop != end) range.quality = 0;
        }
        if (!range.type.empty()) ranges.push_back(std::move(range));
    }
    return ranges;
}

/// 3: names the type, 2: its kind ("text/*"), 1: anything, 0: not.
int fits(std::string_view range, std::string_view type)
{
    if (range == type) return 3;
    if (range.ends_with("/*") && range != "*/*" && type.starts_with(range.substr(0, range.size() - 1)))
        return 2;
    return range == "*/*" ? 1 : 0;
}

/// How much a header likes a type.
struct Liking {
    double quality = 0;
    int exact = 0;
    std::size_t place = 0;  ///< in the header
};

Liking liking_of(const std::vector<MediaRange>& ranges, std::string_view type)
{
    Liking best;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const int fit = fits(ranges[i].type, type);
        if (fit > best.exact) best = {ranges[i].quality, fit, i};
    }
    return best;
}

std::optional<std::string> percent_decoded(std::string_view text)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned byte = 0;
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const auto* const from = text.data() + i + 1;
        const auto [stop, error] = std::from_chars(from, from + 2, byte, 16);
        if (error != std::errc{} || stop != from + 2) return std::nullopt;
        out += static_cast<char>(byte);
        i += 2;
    }
    return out;
}

std::string upper(std::string_view text)
{
    std::string out{text};
    for (auto& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

bool looks_like_dcos_cli(const http::Request& request, Format format)
{
    const auto agent = request.headers.get("user-agent");
    if (format == Format::dcos_sse && agent.empty()) return true;
    return agent.starts_with("dcos-cli/");
}

}  // namespace

std::string_view to_string(Format format) noexcept
{
    switch (format) {
    case Format::dcos_text:
        return "dcos-text";
    case Format::dcos_json:
        return "dcos-json";
    case Format::dcos_sse:
        return "dcos-sse";
    case Format::json:
        return "json";
    case Format::ndjson:
        return "ndjson";
    case Format::text:
        return "text";
    case Format::sse:
        return "sse";
    case Format::export_:
        return "export";
    }
    return "";
}

std::string_view content_type(Format format) noexcept
{
    switch (format) {
    case Format::dcos_text:
        return "text/plain";
    case Format::dcos_json:
    case Format::json:
        return "application/json";
    case Format::dcos_sse:
    case Format::sse:
        return "text/event-stream";
    case Format::ndjson:
        return "application/x-ndjson";
    case Format::text:
        return "text/plain; charset=utf-8";
    case Format::export_:
        return "application/vnd.fdo.journal";
    }
    return "";
}

bool is_field(std::string_view name)
{
    const auto good = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; };
    return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, good) && !name.starts_with("__");
}

Result<> add_filters(const http::Request& request, systemd::MatchGroups& groups)
{
    std::vector<std::pair<std::string, std::size_t>> group_of;  // field, its group
    std::size_t count = 0;
    for (const auto filter : request.query.every("filter")) {
        const auto colon = filter.find(':');
        const auto field = upper(filter.substr(0, colon));
        if (colon == std::string_view::npos || !is_field(field))
            return fail(Errc::invalid_argument,
                        fmt::format("cannot use filter \"{}\": write FIELD:value, like "
                                    "SYSLOG_IDENTIFIER:sshd",
                                    filter));
        if (++count > most_filters)
            return fail(Errc::invalid_argument, fmt::format("cannot use more than {} filters", most_filters));
        auto known = std::ranges::find(group_of, field, &std::pair<std::string, std::size_t>::first);
        if (known == group_of.end()) {
            known = group_of.emplace(group_of.end(), field, groups.size());
            groups.emplace_back();
        }
        groups[known->second].push_back(field + "=" + std::string{filter.substr(colon + 1)});
    }
    return {};
}

template <class Number>
Result<Number> number_of(std::string_view name, std::string_view text)
{
    Number number{};
    const auto* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc{} && stop == end) return number;
    const auto* const what = std::is_signed_v<Number> ? "a whole number" : "a whole number, 0 or more";
    return fail(Errc::invalid_argument, fmt::format("cannot use {} \"{}\": it is not {}", name, text, what));
}
template Result<std::int64_t> number_of<std::int64_t>(std::string_view, std::string_view);
template Result<std::uint64_t> number_of<std::uint64_t>(std::string_view, std::string_view);

Result<WallTime> parse_when(std::string_view name, std::string_view text, WallTime now)
{
    using namespace std::chrono;
    constexpr std::int64_t farthest = 253'402'300'799;  // seconds: the end of the year 9999
    if (text == "now") return now;
    if (text.starts_with('-')) {
        Duration back{};
        const auto decoded = config::decode(config::Value::scalar(std::string{text.substr(1)}), back);
        if (decoded) return now - back;
    } else if (text.starts_with('@')) {
        const auto seconds_of = number_of<std::int64_t>(name, text.substr(1));
        if (seconds_of && *seconds_of >= 0 && *seconds_of <= farthest) return WallTime{seconds{*seconds_of}};
    } else if (const auto time = parse_rfc3339(text)) {
        return *time;
    }
    return fail(Errc::invalid_argument,
                fmt::format("cannot use {} \"{}\": write a time like 2026-11-22T17:39:05Z, a while ago like "
                            "-1h30m, @ and seconds since 1970, or now",
                            name, text));
}

std::string_view negotiate(std::string_view accept, const std::vector<std::string_view>& offered)
{
    const auto ranges = ranges_of(accept);
    auto chosen = offered.front();
    auto best = liking_of(ranges, chosen);
    for (const auto type : offered) {
        const auto liking = liking_of(ranges, type);
        if (liking.quality <= 0 || liking.quality < best.quality) continue;
        const bool better = liking.quality > best.quality || liking.exact > best.exact
                            || (liking.exact == best.exact && liking.place < best.place);
        if (!better) continue;
        chosen = type;
        best = liking;
    }
    return chosen;
}

Result<std::string> cursor_of(std::string_view name, std::string_view text)
{
    std::string cursor{text};
    if (text.find('%') != std::string_view::npos) cursor = percent_decoded(text).value_or("");
    const auto parts = systemd::parse_cursor(cursor);
    if (parts) return cursor;
    return fail(Errc::invalid_argument,
                fmt::format("cannot use {} \"{}\": it is no cursor of a journal", name, text));
}

Result<std::size_t> max_entry_of(const http::Request& request, Format format, const QueryContext& context)
{
    const auto* text = request.query.find("max_entry");
    if (text == nullptr) {
        if (!looks_like_dcos_cli(request, format)) return context.max_entry;
        return std::min(dcos_cli_entry, context.max_entry);
    }
    const auto number = number_of<std::uint64_t>("max_entry", *text);
    if (number && *number >= smallest_entry && *number <= context.max_entry)
        return static_cast<std::size_t>(*number);
    return fail(Errc::invalid_argument,
                fmt::format("cannot use max_entry \"{}\": it is a number from {} to {} (logs.max_entry)",
                            *text, smallest_entry, context.max_entry));
}

}  // namespace opsd::logs
