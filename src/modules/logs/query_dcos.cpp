// The questions of dcos-log, v1 and v2.

#include "modules/logs/query.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::logs {
namespace {

using http::Request;
using systemd::From;

Format format_of(const Request& request)
{
    const auto type =
        negotiate(request.headers.get("accept"), {"text/plain", "application/json", "text/event-stream"});
    if (type == "application/json") return Format::dcos_json;
    return type == "text/event-stream" ? Format::dcos_sse : Format::dcos_text;
}

void begin_after(systemd::JournalRange& range, std::string cursor)
{
    range.from = From::cursor;
    range.cursor = std::move(cursor);
}

/// limit=, where 0 is none.
Result<> take_limit(const Request& request, LogQuery& query)
{
    const auto* text = request.query.find("limit");
    if (text == nullptr || text->empty()) return {};
    const auto limit = number_of<std::uint64_t>("limit", *text);
    if (!limit) return fail(limit.error());
    if (*limit > 0) query.range.limit = *limit;
    return {};
}

Result<bool> boolean_of(const Request& request, const char* name)
{
    const auto text = request.query.get(name);
    for (const auto* word : {"", "0", "f", "F", "false", "FALSE", "False"})
        if (text == word) return false;
    for (const auto* word : {"1", "t", "T", "true", "TRUE", "True"})
        if (text == word) return true;
    return fail(Errc::invalid_argument, fmt::format("cannot use {} \"{}\": it is true or false", name, text));
}

/// skip_next and skip_prev as one way to go; back from the tail without a cursor, as dcos-log does.
Result<> take_v1_skips(const Request& request, systemd::JournalRange& range)
{
    constexpr auto most = static_cast<std::uint64_t>(farthest_skip) / 2;
    std::int64_t steps[2] = {0, 0};
    const char* const names[2] = {"skip_next", "skip_prev"};
    for (std::size_t i = 0; i < 2; ++i) {
        const auto text = request.query.get(names[i]);
        if (text.empty()) continue;
        const auto number = number_of<std::uint64_t>(names[i], text);
        if (!number) return fail(number.error());
        steps[i] = static_cast<std::int64_t>(std::min(*number, most));
    }
    const bool from_tail = range.from != From::cursor && steps[1] > 0;
    if (from_tail) range.from = From::tail;
    range.skip = (from_tail ? 0 : steps[0]) - steps[1];
    return {};
}

/// What v1 and v2 have in common.
Result<LogQuery> begin(const Request& request, const QueryContext& context)
{
    LogQuery query;
    query.format = format_of(request);
    const auto longest = max_entry_of(request, query.format, context);
    if (!longest) return fail(longest.error());
    query.max_entry = *longest;
    auto limited = take_limit(request, query);
    if (!limited) return fail(std::move(limited).error());
    return query;
}

/// ".log.gz" after what a client may add: letters, digits, and what is harmless in a file's name.
std::string file_name(const Request& request)
{
    const auto harmless = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.'
               || c == '_' || c == '-';
    };
    const auto clean = [&](std::string_view text) {
        std::string out;
        for (const char c : text.substr(0, 100))
            out += harmless(c) ? c : '_';
        return out;
    };
    const auto container = request.path_params.get("container");
    auto name = container.empty() ? std::string{"root-range"} : "task-" + clean(container);
    if (const auto postfix = request.query.get("postfix"); !postfix.empty()) name += "-" + clean(postfix);
    return name + ".log.gz";
}

void add_task(const Request& request, systemd::MatchGroups& groups)
{
    const std::pair<const char*, const char*> parts[] = {
        {"CONTAINER_ID", "container"}, {"FRAMEWORK_ID", "framework"}, {"EXECUTOR_ID", "executor"}};
    for (const auto& [field, name] : parts) {
        const auto value = request.path_params.get(name);
        if (!value.empty()) groups.push_back({fmt::format("{}={}", field, value)});
    }
}

}  // namespace

Result<LogQuery> v1_query(const Request& request, bool stream, bool download, const QueryContext& context)
{
    auto query = begin(request, context);
    if (!query) return query;
    add_task(request, query->range.matches);
    auto filtered = add_filters(request, query->range.matches);
    if (!filtered) return fail(std::move(filtered).error());
    const auto reverse = boolean_of(request, "read_reverse");
    if (!reverse) return fail(reverse.error());
    if (stream && (query->range.limit || *reverse))
        return fail(Errc::invalid_argument,
                    "cannot stream with limit or read_reverse: ask /system/v1/logs/v1/range for these");
    query->follow = stream;
    query->ids = stream;
    query->reverse = *reverse;
    query->download = download;
    if (download) query->file = file_name(request);

    const auto last = stream ? request.headers.get("last-event-id") : std::string_view{};
    const auto text = last.empty() ? request.query.get("cursor") : last;
    if (!text.empty()) {
        auto cursor = cursor_of(last.empty() ? "cursor" : "Last-Event-ID", text);
        if (!cursor) return fail(std::move(cursor).error());
        begin_after(query->range, std::move(*cursor));
    }
    if (!last.empty()) return query;  // a client that comes again had what it skipped
    if (*reverse && text.empty()) query->range.from = From::tail;
    auto skipped = take_v1_skips(request, query->range);
    if (!skipped) return fail(std::move(skipped).error());
    return query;
}

Result<LogQuery> v2_query(const Request& request, const QueryContext& context)
{
    auto query = begin(request, context);
    if (!query) return query;
    auto& range = query->range;
    query->follow = query->format == Format::dcos_sse;
    if (const auto asked = request.path_params.get("unit"); !asked.empty()) {
        const auto unit = with_suffix(asked);
        query->units = {unit};
        range.matches.push_back({"UNIT=" + unit, "_SYSTEMD_UNIT=" + unit});
    }
    auto filtered = add_filters(request, range.matches);
    if (!filtered) return fail(std::move(filtered).error());

    const auto last = request.headers.get("last-event-id");
    const auto text = last.empty() ? request.query.get("cursor") : last;
    if (!last.empty() || (!text.empty() && text != "BEG" && text != "END")) {
        auto cursor = cursor_of(last.empty() ? "cursor" : "Last-Event-ID", text);
        if (!cursor) return fail(std::move(cursor).error());
        begin_after(range, std::move(*cursor));
    }
    if (!last.empty()) return query;  // a client that comes again had what it skipped
    if (text == "END") range.from = From::tail;
    const auto skip_text = request.query.get("skip");
    if (skip_text.empty()) return query;
    const auto skip = number_of<std::int64_t>("skip", skip_text);
    if (!skip) return fail(skip.error());
    if (*skip < 0 && text.empty()) range.from = From::tail;
    // Before the beginning there is nothing to go back to.
    range.skip = std::clamp(*skip, text == "BEG" ? 0 : -farthest_skip, farthest_skip);
    return query;
}

}  // namespace opsd::logs
