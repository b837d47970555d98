#include "pipeline/sinks/ecs.hpp"

#include "core/json_text.hpp"
#include "pipeline/frames.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace opsd::pipeline {
namespace {

constexpr std::int64_t a_day = 86'400'000'000;  // microseconds

bool number(std::string_view text)
{
    return !text.empty() && text.size() <= 10 && (text.size() == 1 || text.front() != '0')
           && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// Where a field of this name belongs; nothing for most. Lengths first: most names differ in them.
std::string_view* place(EntryParts& parts, std::string_view& source_time, std::string_view& about,
                        std::string_view name)
{
    switch (name.size()) {
    case 4:
        return name == "_PID" ? &parts.pid : name == "UNIT" ? &about : name == "FILE" ? &parts.file : nullptr;
    case 5:
        return name == "_COMM" ? &parts.name : nullptr;
    case 6:
        return name == "STREAM" ? &parts.stream : nullptr;
    case 7:
        return name == "MESSAGE" ? &parts.message : name == "TASK_ID" ? &parts.task_id : nullptr;
    case 8:
        return name == "PRIORITY" ? &parts.priority : name == "AGENT_ID" ? &parts.agent : nullptr;
    case 9:
        return name == "_HOSTNAME" ? &parts.hostname : name == "TASK_NAME" ? &parts.task_name : nullptr;
    case 11:
        return name == "EXECUTOR_ID" ? &parts.executor : nullptr;
    case 12:
        return name == "FRAMEWORK_ID"   ? &parts.framework
               : name == "CONTAINER_ID" ? &parts.container
                                        : nullptr;
    case 13:
        return name == "_SYSTEMD_UNIT" ? &parts.unit : nullptr;
    case 15:
        return name == "SYSLOG_FACILITY" ? &parts.facility : nullptr;
    case 17:
        return name == "SYSLOG_IDENTIFIER" ? &parts.identifier : nullptr;
    case 26:
        return name == "_SOURCE_REALTIME_TIMESTAMP" ? &source_time : nullptr;
    default:
        return nullptr;
    }
}

void append_member(std::string& out, std::string_view before, std::string_view text)
{
    if (text.empty()) return;
    out += before;
    append_quoted(out, text);
}

/// The number of an entry within its journal, from its cursor; nothing if there is none.
std::optional<std::uint64_t> sequence_of(std::string_view cursor)
{
    const auto at = cursor.find(";i=");
    if (at == std::string_view::npos) return std::nullopt;
    std::uint64_t value = 0;
    const auto* begin = cursor.data() + at + 3;
    const auto [end, ec] = std::from_chars(begin, cursor.data() + cursor.size(), value, 16);
    return ec == std::errc{} ? std::optional{value} : std::nullopt;
}

void append_log(std::string& out, const EntryParts& parts)
{
    const auto level = level_name(parts.priority);
    const bool facility = number(parts.facility);
    const bool file = !parts.framework.empty() && !parts.file.empty();
    if (level.empty() && !facility && parts.identifier.empty() && !file) return;
    out += ",\"log\":{";
    if (file) append_member(out, "\"file\":{\"path\":", parts.file);
    if (file) out += level.empty() && !facility && parts.identifier.empty() ? "}}" : "},";
    if (level.empty() && !facility && parts.identifier.empty()) return;
    if (!level.empty()) out.append("\"level\":\"").append(level).append("\",");
    out += "\"syslog\":{";
    const auto begin = out.size();
    if (!level.empty()) out.append(",\"severity\":{\"code\":").append(parts.priority).append("}");
    if (facility) out.append(",\"facility\":{\"code\":").append(parts.facility).append("}");
    append_member(out, ",\"appname\":", parts.identifier);
    out.erase(begin, 1);  // the first comma
    out += "}}";
}

void append_process(std::string& out, const EntryParts& parts)
{
    const bool pid = number(parts.pid);
    if (!pid && parts.name.empty()) return;
    out += ",\"process\":{";
    if (pid) out.append("\"pid\":").append(parts.pid);
    append_member(out, pid ? ",\"name\":" : "\"name\":", parts.name);
    out += '}';
}

}  // namespace

EntryParts parts_of(const systemd::JournalEntry& entry)
{
    EntryParts parts;
    std::string_view source_time;
    std::string_view about;
    for (const auto& field : entry.fields) {
        auto* where = place(parts, source_time, about, field.name);
        if (where != nullptr && where->data() == nullptr) *where = field.value;
    }
    if (parts.name.empty()) parts.name = parts.identifier;
    // What the manager says of a unit is that unit's, as for journalctl -u.
    if (!about.empty() && (parts.unit.empty() || parts.unit == "init.scope")) parts.unit = about;
    parts.time = entry.realtime;
    std::int64_t sent = 0;
    const auto* end = source_time.data() + source_time.size();
    const auto [last, ec] = std::from_chars(source_time.data(), end, sent);
    // A time long after its receipt is no time.
    if (ec == std::errc{} && last == end && sent > 0 && sent < entry.realtime + a_day) parts.time = sent;
    return parts;
}

std::string_view level_name(std::string_view priority) noexcept
{
    constexpr std::array<std::string_view, 8> names{"emergency", "alert",  "critical", "error",
                                                    "warning",   "notice", "info",     "debug"};
    if (priority.size() != 1 || priority[0] < '0' || priority[0] > '7') return {};
    return names[static_cast<std::size_t>(priority[0] - '0')];
}

EcsDocument::EcsDocument(const EcsOptions& options) : id_{options.id}, raw_fields_{options.raw_fields}
{
    if (options.labels.empty()) return;
    JsonText json{labels_};
    json.open('{');
    for (const auto& [name, value] : options.labels)
        json.text(name, value);
    json.close('}');
    labels_.insert(0, ",\"labels\":");
}

void EcsDocument::append(std::string& out, const systemd::JournalEntry& entry, const EntryParts& parts)
{
    out += "{\"@timestamp\":\"";
    stamp_.append(out, parts.time);
    out += "\",\"message\":";
    append_quoted(out, parts.message);
    append_member(out, ",\"host\":{\"name\":", parts.hostname);
    if (!parts.hostname.empty()) out += '}';
    append_log(out, parts);
    append_process(out, parts);
    append_member(out, ",\"service\":{\"name\":", parts.unit);
    if (!parts.unit.empty()) out += '}';
    const auto sequence = sequence_of(entry.cursor);
    if (sequence || id_) {
        out += ",\"event\":{";
        if (sequence) out.append("\"sequence\":").append(fmt::format_int{*sequence}.c_str());
        if (id_) {
            scratch_.clear();
            append_entry_id(scratch_, entry.cursor);
            append_member(out, sequence ? ",\"id\":" : "\"id\":", scratch_);
        }
        out += '}';
    }
    append_labels(out, parts);
    if (raw_fields_) append_raw(out, entry);
    out += '}';
}

void EcsDocument::append_labels(std::string& out, const EntryParts& parts) const
{
    if (parts.framework.empty()) {
        out += labels_;
        return;
    }
    out += labels_.empty() ? std::string_view{",\"labels\":{"}
                           : std::string_view{labels_}.substr(0, labels_.size() - 1);
    const char* comma = labels_.empty() ? "" : ",";
    for_each_task_label(parts, [&](std::string_view name, std::string_view value) {
        out += comma;
        comma = ",";
        append_quoted(out, name);
        out += ':';
        append_quoted(out, value);
    });
    out += '}';
}

void EcsDocument::append_raw(std::string& out, const systemd::JournalEntry& entry) const
{
    out += ",\"journald\":{";
    const auto& fields = entry.fields;
    const char* comma = "";
    for (std::size_t i = 0; i < fields.size(); ++i) {
        const auto same = [&](const auto& field) { return field.name == fields[i].name; };
        if (std::ranges::any_of(fields.first(i), same)) continue;
        out += comma;
        comma = ",";
        append_quoted(out, fields[i].name);
        out += ':';
        // A name that occurs again is one list: a document must not have a key twice.
        const auto rest = fields.subspan(i + 1);
        const bool list = std::ranges::any_of(rest, same);
        if (list) out += '[';
        append_quoted(out, fields[i].value);
        for (const auto& field : rest) {
            if (!same(field)) continue;
            out += ',';
            append_quoted(out, field.value);
        }
        if (list) out += ']';
    }
    out += '}';
}

bool EcsWriter::write(const systemd::JournalEntry& entry, std::string& out)
{
    document_.append(out, entry, parts_of(entry));
    return true;
}

}  // namespace opsd::pipeline
