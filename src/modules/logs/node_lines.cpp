#include "modules/logs/node_lines.hpp"

#include "core/json_text.hpp"

#include "modules/logs/render.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace opsd::logs {
namespace {

using nlohmann::json;

std::unexpected<Error> strange(std::string_view why)
{
    return fail(Errc::protocol, fmt::format("cannot read its answer: {}", why));
}

/// What is between the quotes of the last line of a document.
constexpr std::string_view document_begin = "{\"entries\":[";
constexpr std::string_view document_end = "],\"cursor\":\"";

/// The fields of an entry as journald has them; their bytes live as long as the object.
std::vector<systemd::JournalField> fields_of(const json& entry)
{
    std::vector<systemd::JournalField> fields;
    const auto found = entry.find("fields");
    if (found == entry.end() || !found->is_object()) return fields;
    const auto add = [&fields](const std::string& name, const json& value) {
        if (value.is_string()) fields.push_back({name, value.get_ref<const std::string&>()});
    };
    for (const auto& [name, value] : found->items()) {
        if (!value.is_array()) {
            add(name, value);
            continue;
        }
        for (const auto& one : value)
            add(name, one);
    }
    return fields;
}

}  // namespace

Result<> NodeLineCutter::feed(std::string_view bytes, Monotonic now, std::deque<NodeLine>& out)
{
    for (;;) {
        const auto end = bytes.find('\n');
        if (partial_.size() + std::min(end, bytes.size()) > longest_line)
            return strange("one of its lines has no end");
        if (end == std::string_view::npos) break;
        auto line = bytes.substr(0, end);
        bytes.remove_prefix(end + 1);
        Result<> taken;
        if (partial_.empty()) {
            taken = take(line, now, out);
        } else {
            partial_ += line;
            const auto whole = std::exchange(partial_, {});
            taken = take(whole, now, out);
        }
        if (!taken) return taken;
    }
    partial_ += bytes;
    return {};
}

Result<> NodeLineCutter::take(std::string_view line, Monotonic now, std::deque<NodeLine>& out)
{
    if (line.empty() || line == document_begin) return {};
    if (complete_) return strange("something follows its end");
    if (line.starts_with(document_end) && line.ends_with("\"}")) {
        line.remove_prefix(document_end.size());
        position_ = line.substr(0, line.size() - 2);
        complete_ = true;
        return {};
    }
    if (line.ends_with(',')) line.remove_suffix(1);
    if (line.empty()) return {};  // between two entries stood an empty line, which says that it is alive
    const bool braces = line.starts_with('{') && line.ends_with('}');  // nothing around them: more is put in
    const auto entry = braces ? json::parse(line, nullptr, false) : json{};
    if (!entry.is_object() || entry.empty()) return strange("a line of it is no entry");
    NodeLine one{.json = std::string{line}, .time = last_time_, .cursor = {}, .arrived = now};
    const auto time = entry.find("realtime_timestamp");
    const auto cursor = entry.find("cursor");
    const bool whole =
        time != entry.end() && time->is_number_integer() && cursor != entry.end() && cursor->is_string();
    if (!whole && !entry.contains("lost")) return strange("an entry of it has no time or cursor");
    if (whole) {
        one.time = time->get<std::int64_t>();
        one.cursor = cursor->get<std::string>();
        // It becomes a part of an id.
        if (!systemd::parse_cursor(one.cursor) || one.cursor.find_first_of(",~\r\n") != std::string::npos)
            return strange("a cursor of it is none");
    }
    last_time_ = one.time;
    out.push_back(std::move(one));
    return {};
}

std::string write_places(const Places& places)
{
    std::string text = "@";
    for (const auto& [node, cursor] : places) {
        if (cursor.empty()) continue;
        text.append(text.size() == 1 ? "" : ",").append(node).append("~").append(cursor);
    }
    return text;
}

bool is_places(std::string_view text) { return text.starts_with('@'); }

Result<Places> parse_places(std::string_view name, std::string_view text, std::size_t most)
{
    const auto wrong = [name] {
        return fail(Errc::invalid_argument,
                    fmt::format("cannot begin at {}: it is no place of several nodes; give the last id of an "
                                "answer as it came",
                                name));
    };
    if (!is_places(text)) return wrong();
    text.remove_prefix(1);
    Places places;
    while (!text.empty()) {
        const auto comma = text.find(',');
        const auto item = text.substr(0, comma);
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
        const auto tilde = item.find('~');
        if (tilde == 0 || tilde == std::string_view::npos || places.size() == most) return wrong();
        const auto cursor = cursor_of(name, item.substr(tilde + 1));
        if (!cursor) return fail(cursor.error());
        if (!places.emplace(item.substr(0, tilde), *cursor).second) return wrong();
    }
    return places;
}

std::optional<std::int64_t> newest_of(const Places& places)
{
    std::optional<std::int64_t> newest;
    for (const auto& [node, cursor] : places) {
        const auto parts = systemd::parse_cursor(cursor);
        if (parts && (!newest || parts->realtime > *newest)) newest = parts->realtime;
    }
    return newest;
}

void ManyWriter::entry(std::string& out, const std::string& node, const NodeLine& line, const Places& places)
{
    if (format_ == Format::text) return text(out, node, line);
    std::string object = "{\"node\":";
    append_quoted(object, node);
    object.append(",").append(line.json, 1);
    if (format_ == Format::sse) {
        const auto event = line.cursor.empty() ? std::string_view{"lost"} : std::string_view{};
        out += http::sse(line.cursor.empty() ? std::string{} : write_places(places), event, object);
        return;
    }
    if (format_ == Format::ndjson) {
        if (follow_ && !line.cursor.empty()) {
            object.pop_back();
            object += ",\"resume\":";
            append_quoted(object, write_places(places));
            object += '}';
        }
        out.append(object).append("\n");
        return;
    }
    out.append(begun_ ? ",\n" : "{\"entries\":[\n").append(object);
    begun_ = true;
}

void ManyWriter::text(std::string& out, const std::string& node, const NodeLine& line)
{
    const auto object = json::parse(line.json, nullptr, false);
    if (line.cursor.empty()) {
        const auto lost = object.find("lost");
        const auto number = lost != object.end() && lost->is_number_integer() ? lost->dump() : "unknown";
        fmt::format_to(std::back_inserter(out),
                       "-- {} entries of {} were deleted before they could be read --\n", number, node);
        return;
    }
    const auto fields = fields_of(object);
    systemd::JournalEntry entry;
    entry.cursor = line.cursor;
    entry.realtime = line.time;
    entry.fields = fields;
    MinuteText utc{MinuteText::Zone::utc};
    append_text(out, entry, max_entry_, utc);
}

void ManyWriter::missing(std::string& out, const std::string& node, std::string_view reason)
{
    std::string object;
    JsonText json{object};
    json.open('{').text("node", node).text("reason", reason).close('}');
    switch (format_) {
    case Format::sse:
        out += http::sse({}, "missing", object);
        return;
    case Format::ndjson:
        out.append("{\"missing\":").append(object).append("}\n");
        return;
    case Format::text:
        fmt::format_to(std::back_inserter(out), "-- {} is missing: {} --\n", node, reason);
        return;
    default:
        missing_.append(missing_.empty() ? "" : ",").append(object);
    }
}

void ManyWriter::back(std::string& out, const std::string& node) const
{
    std::string object;
    JsonText json{object};
    json.open('{').text("node", node).close('}');
    if (format_ == Format::sse)
        out += http::sse({}, "back", object);
    else if (format_ == Format::ndjson)
        out.append("{\"back\":").append(object).append("}\n");
    else if (format_ == Format::text)
        fmt::format_to(std::back_inserter(out), "-- {} answers again --\n", node);
}

void ManyWriter::end(std::string& out, const Places& places)
{
    if (format_ != Format::json) return;
    out.append(begun_ ? "" : "{\"entries\":[").append("\n],\"cursor\":");
    append_quoted(out, write_places(places));
    out.append(",\"missing\":[").append(missing_).append("]}\n");
}

}  // namespace opsd::logs
