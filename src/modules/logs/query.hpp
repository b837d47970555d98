#pragma once
// What clients ask of the journal, as readings: dcos-log's v1 and v2, and our own /api/v1/logs. Pure.
//
// Where dcos-log is wrong this is right: a component AND a filter; a filter's value may hold colons; a cursor
// may hold raw ";"; a malformed one is refused (400); skip is ignored when Last-Event-ID is given (the client
// had those entries); skip=N leaves out exactly N; Accept is negotiated, not compared.

#include "io/systemd/journal_entry.hpp"
#include "modules/logs/grep.hpp"
#include "modules/logs/units.hpp"
#include "opsd/clock.hpp"
#include "opsd/http.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::logs {

/// How entries are written.
enum class Format {
    dcos_text,  ///< "2023-11-14 22:13:20: message", local time
    dcos_json,  ///< an object a line, as dcos-log has it
    dcos_sse,   ///< the same as events
    json,       ///< one document
    ndjson,     ///< ours: dcos-log's members and more, an object a line
    text,       ///< ours: UTC, host, unit, priority
    sse,        ///< ndjson's objects as events
    export_,    ///< journald's export format
};
/// "text", "json", ...: as format= has it.
[[nodiscard]] std::string_view to_string(Format format) noexcept;
[[nodiscard]] std::string_view content_type(Format format) noexcept;
[[nodiscard]] constexpr bool is_sse(Format format) noexcept
{
    return format == Format::sse || format == Format::dcos_sse;
}

/// What is known when a question is read.
struct QueryContext {
    WallTime now{};
    std::string boot_id;
    std::size_t max_entry = 1 << 20;  ///< logs.max_entry
};

/// A question, understood.
struct LogQuery {
    systemd::JournalRange range;
    Format format = Format::dcos_text;
    bool follow = false;
    bool ids = true;        ///< events have them
    bool reverse = false;   ///< newest first
    bool download = false;  ///< as a gzip file
    std::string file;       ///< its name
    std::size_t max_entry = 1 << 20;
    std::shared_ptr<const Grep> grep;
    std::vector<std::string> units;  ///< asked for by name or pattern
    /// What journald cannot select: each must own an entry.
    std::vector<std::shared_ptr<const UnitSet>> owners;

    /// Not everything that journald selects is given.
    [[nodiscard]] bool filtered() const noexcept { return grep || !owners.empty(); }
};

inline constexpr std::size_t dcos_cli_entry = 64'000;  // bytes that the DC/OS command line can take
inline constexpr std::size_t smallest_entry = 1'024;   // of max_entry: a cursor and a mark must fit
inline constexpr std::uint64_t lines_of_range = 100;   // lines= unless given
inline constexpr std::uint64_t lines_of_follow = 10;   // with follow
inline constexpr std::int64_t farthest_skip = std::int64_t{1} << 62U;  // further is as far
inline constexpr std::size_t most_filters = 64;                        // of one question

/// /system/v1/logs/v1/range and stream, also of a task. All: Errc::invalid_argument with a sentence.
[[nodiscard]] Result<LogQuery> v1_query(const http::Request& request, bool stream, bool download,
                                        const QueryContext& context);
/// /system/v1/logs/v2/component and its units.
[[nodiscard]] Result<LogQuery> v2_query(const http::Request& request, const QueryContext& context);
/// /api/v1/logs.
[[nodiscard]] Result<LogQuery> own_query(const http::Request& request, const QueryContext& context);

/// Takes from the question what the role may not read. Errc::denied when it names a unit of these.
[[nodiscard]] Result<> restrict_to(LogQuery& query, std::shared_ptr<const UnitSet> allowed);

// --- parts, shared by the files that implement it (query_parts.cpp)

/// Whether it is the name of a field, as sd_journal_add_match(3) takes it.
[[nodiscard]] bool is_field(std::string_view name);
/// FIELD=value matches by field: the same field is a group.
[[nodiscard]] Result<> add_filters(const http::Request& request, systemd::MatchGroups& groups);
/// "now", "-1h30m", "@1700000000", RFC 3339.
[[nodiscard]] Result<WallTime> parse_when(std::string_view name, std::string_view text, WallTime now);
/// The media type among `offered` that the Accept header likes best; the first when it has no preference or
/// likes none.
[[nodiscard]] std::string_view negotiate(std::string_view accept,
                                         const std::vector<std::string_view>& offered);
/// The cursor as it is meant, percent signs of a second encoding resolved.
[[nodiscard]] Result<std::string> cursor_of(std::string_view name, std::string_view text);
[[nodiscard]] Result<std::size_t> max_entry_of(const http::Request& request, Format format,
                                               const QueryContext& context);
template <class Number>
[[nodiscard]] Result<Number> number_of(std::string_view name, std::string_view text);

}  // namespace opsd::logs
