// The questions of /api/v1/logs, and what a role may ask.

#include "http/query.hpp"

#include "modules/logs/query.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace opsd::logs {
namespace {

using http::Request;
using systemd::From;

constexpr std::array<std::string_view, 8> priorities{"emerg",   "alert",  "crit", "err",
                                                     "warning", "notice", "info", "debug"};

std::int64_t microseconds(WallTime time) { return time.time_since_epoch().count(); }

Result<Format> format_of(const Request& request, bool follow)
{
    if (const auto* word = request.query.find("format")) {
        for (const auto format : {Format::json, Format::ndjson, Format::text, Format::sse, Format::export_})
            if (*word == to_string(format)) return format;
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use format \"{}\": it is json, ndjson, text, sse or export", *word));
    }
    std::vector<Format> offered{Format::json, Format::ndjson, Format::text, Format::sse, Format::export_};
    if (follow) offered = {Format::ndjson, Format::text, Format::sse, Format::export_};
    std::vector<std::string_view> types;
    for (const auto format : offered) {
        const auto type = content_type(format);
        types.push_back(type.substr(0, type.find(';')));
    }
    const auto type = negotiate(request.headers.get("accept"), types);
    return offered[static_cast<std::size_t>(std::ranges::find(types, type) - types.begin())];
}

std::optional<std::size_t> priority_of(std::string_view word)
{
    const auto known = std::ranges::find(priorities, word);
    if (known != priorities.end()) return static_cast<std::size_t>(known - priorities.begin());
    if (word.size() == 1 && word[0] >= '0' && word[0] <= '7') return static_cast<std::size_t>(word[0] - '0');
    return std::nullopt;
}

/// priority=err: that and worse; priority=err..notice: between them.
Result<> take_priority(const Request& request, systemd::MatchGroups& groups)
{
    const auto* text = request.query.find("priority");
    if (text == nullptr) return {};
    const std::string_view all{*text};
    const auto dots = all.find("..");
    auto from =
        dots == std::string_view::npos ? std::optional<std::size_t>{0} : priority_of(all.substr(0, dots));
    auto to = priority_of(dots == std::string_view::npos ? all : all.substr(dots + 2));
    if (!from || !to)
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use priority \"{}\": it is 0 to 7 or emerg, alert, crit, err, "
                                "warning, notice, info, debug, or two of these like err..notice",
                                all));
    if (*from > *to) std::swap(from, to);
    auto& group = groups.emplace_back();
    for (auto level = *from; level <= *to; ++level)
        group.push_back(fmt::format("PRIORITY={}", level));
    return {};
}

/// unit=: any of them, as systemctl sees it: also what others say about it.
Result<> take_units(const Request& request, LogQuery& query)
{
    for (const auto text : request.query.every("unit")) {
        if (text.empty() || text.size() > 255)
            return fail(Errc::invalid_argument, fmt::format("cannot use unit \"{}\": it is no name", text));
        query.units.push_back(with_suffix(text));
    }
    if (query.units.size() > most_filters)
        return fail(Errc::invalid_argument, fmt::format("cannot use more than {} units", most_filters));
    if (query.units.empty()) return {};
    auto units = std::make_shared<const UnitSet>(query.units);
    if (units->plain())
        query.range.matches.push_back(units->matches());
    else
        query.owners.push_back(std::move(units));
    return {};
}

Result<> take_boot(const Request& request, const QueryContext& context, systemd::MatchGroups& groups)
{
    const auto* text = request.query.find("boot");
    if (text == nullptr) return {};
    if (text->empty() || *text == "0") {
        groups.push_back({"_BOOT_ID=" + context.boot_id});
        return {};
    }
    std::string id{*text};
    std::erase(id, '-');
    const bool good = id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!good)
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use boot \"{}\": it is 0, the present one, or its id of 32 "
                                "hexadecimal digits",
                                *text));
    groups.push_back({"_BOOT_ID=" + id});
    return {};
}

Result<> take_times(const Request& request, const QueryContext& context, systemd::JournalRange& range)
{
    for (const auto* name : {"since", "until"}) {
        const auto* text = request.query.find(name);
        if (text == nullptr) continue;
        const auto time = parse_when(name, *text, context.now);
        if (!time) return fail(time.error());
        (name[0] == 's' ? range.since : range.until) = microseconds(*time);
    }
    if (range.since && range.until && *range.since > *range.until)
        return fail(Errc::invalid_argument, "cannot use since: it is later than until");
    return {};
}

/// lines=; nothing: all.
Result<std::optional<std::uint64_t>> lines_of(const Request& request, const LogQuery& query)
{
    using Lines = std::optional<std::uint64_t>;
    const auto* text = request.query.find("lines");
    if (text == nullptr) {
        const bool all = query.range.since || query.range.from == From::cursor;
        return all ? Lines{} : Lines{query.follow ? lines_of_follow : lines_of_range};
    }
    if (*text == "all") return Lines{};
    const auto number = number_of<std::uint64_t>("lines", *text);
    if (!number) return fail(number.error());
    if (*number > static_cast<std::uint64_t>(farthest_skip)) return Lines{};
    return Lines{*number};
}

/// After a cursor, the newest lines, or all of a time.
Result<> take_beginning(const Request& request, LogQuery& query)
{
    auto& range = query.range;
    const auto last = request.headers.get("last-event-id");
    const auto text = last.empty() ? request.query.get("cursor") : last;
    if (!text.empty()) {
        auto cursor = cursor_of(last.empty() ? "cursor" : "Last-Event-ID", text);
        if (!cursor) return fail(std::move(cursor).error());
        range.from = From::cursor;
        range.cursor = std::move(*cursor);
        if (!last.empty()) return {};  // a client that comes again wants all it missed
    }
    const auto lines = lines_of(request, query);
    if (!lines) return fail(lines.error());
    if (range.from == From::cursor) {
        if (*lines && !query.follow) range.limit = **lines;
        return {};
    }
    if (*lines) {
        range.from = range.until ? From::time : From::tail;
        if (range.until) range.time = *range.until + 1;
        range.skip = -static_cast<std::int64_t>(**lines);
        if (!query.follow) range.limit = **lines;  // not one more that comes while they are looked for
    } else if (range.since) {
        range.from = From::time;
        range.time = *range.since;
    }
    return {};
}

}  // namespace

Result<LogQuery> own_query(const Request& request, const QueryContext& context)
{
    LogQuery query;
    const auto* follow = request.query.find("follow");
    query.follow = http::is_set(request, "follow");
    const auto format = format_of(request, query.follow);
    if (!format) return fail(format.error());
    query.format = *format;
    if (follow == nullptr && query.format == Format::sse) query.follow = true;  // as an EventSource asks
    if (query.follow && query.format == Format::json)
        return fail(Errc::invalid_argument,
                    "cannot follow as one JSON document: use format=ndjson or format=sse");
    const auto longest = max_entry_of(request, query.format, context);
    if (!longest) return fail(longest.error());
    query.max_entry = *longest;
    if (const auto* pattern = request.query.find("grep")) {
        auto grep = Grep::compile(*pattern);
        if (!grep) return fail(std::move(grep).error());
        query.grep = std::move(*grep);
    }
    auto& matches = query.range.matches;
    for (auto taken :
         {take_units(request, query), add_filters(request, matches), take_priority(request, matches),
          take_boot(request, context, matches), take_times(request, context, query.range)}) {
        if (!taken) return fail(std::move(taken).error());
    }
    auto begun = take_beginning(request, query);
    if (!begun) return fail(std::move(begun).error());
    return query;
}

Result<> restrict_to(LogQuery& query, std::shared_ptr<const UnitSet> allowed)
{
    if (!allowed) return {};
    bool all_asked = !query.units.empty();
    for (const auto& unit : query.units) {
        if (is_pattern(unit)) {
            all_asked = false;
        } else if (!allowed->has(unit)) {
            return fail(Errc::denied,
                        fmt::format("cannot read the log of {}: your role may not (logs.allow); ask an "
                                    "admin, or for another unit",
                                    unit));
        }
    }
    // Every entry of these units is of an allowed one.
    if (all_asked) return {};
    if (allowed->plain())
        query.range.matches.push_back(allowed->matches());
    else
        query.owners.push_back(std::move(allowed));
    return {};
}

}  // namespace opsd::logs
