// Entries as lines for people, and in journald's export format.

#include "core/json_text.hpp"

#include "modules/logs/render.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <iterator>

#include <fmt/format.h>

namespace opsd::logs {
namespace {

using systemd::JournalEntry;

/// journald says that its rate limit dropped messages (SD_MESSAGE_JOURNAL_DROPPED).
constexpr std::string_view journal_dropped = "a596d6fe7bfa4994828e72309e95d61e";

constexpr std::array<std::string_view, 8> priorities{"emerg",   "alert",  "crit", "err",
                                                     "warning", "notice", "info", "debug"};

std::int64_t whole_number(std::string_view text)
{
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && stop == text.data() + text.size() ? number : 0;
}

/// The fields that say what an entry is about and who says so.
struct Sources {
    std::string_view unit;
    std::string_view of_pid1;
    std::string_view object;
    std::string_view coredump;
    std::string_view uid;
    std::string_view command;
    std::string_view message_id;
    std::string_view dropped;
    bool driver = false;  ///< of journald itself
};

struct Place {
    std::string_view name;
    std::string_view Sources::* member;
};
constexpr Place places[] = {{"_SYSTEMD_UNIT", &Sources::unit},
                            {"UNIT", &Sources::of_pid1},
                            {"OBJECT_SYSTEMD_UNIT", &Sources::object},
                            {"COREDUMP_UNIT", &Sources::coredump},
                            {"_UID", &Sources::uid},
                            {"_COMM", &Sources::command},
                            {"MESSAGE_ID", &Sources::message_id},
                            {"N_DROPPED", &Sources::dropped}};

void take(const systemd::JournalField& field, Picked& picked, Sources& sources)
{
    if (field.name == "MESSAGE")
        picked.message = field.value;
    else if (field.name == "_HOSTNAME")
        picked.host = field.value;
    else if (field.name == "SYSLOG_IDENTIFIER")
        picked.identifier = field.value;
    else if (field.name == "_PID" || (field.name == "SYSLOG_PID" && picked.pid.empty()))
        picked.pid = field.value;
    else if (field.name == "PRIORITY" && field.value.size() == 1 && field.value[0] >= '0'
             && field.value[0] <= '7')
        picked.priority = field.value[0] - '0';
    else if (field.name == "_TRANSPORT")
        sources.driver = field.value == "driver";
    else
        for (const auto& place : places)
            if (field.name == place.name) sources.*place.member = field.value;
}

constexpr std::size_t mark_room = 64;  // of append_mark()

void append_mark(std::string& out, std::size_t whole)
{
    fmt::format_to(std::back_inserter(out), "\xe2\x80\xa6 [cut by opsd: {} bytes]", whole);
}

/// Not to be shown: what drives a terminal, C1 (U+0080 to U+009F) too, or is no character.
bool is_control(std::string_view text, std::size_t at, std::size_t length)
{
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 2) return byte == 0xc2 && static_cast<unsigned char>(text[at + 1]) < 0xa0;
    return length == 0 || (length == 1 && byte != '\t' && (byte < 0x20 || byte == 0x7f));
}

/// The text without control bytes, further lines indented, so that no message can look like two; about
/// `most` bytes, then how long it is.
void append_message(std::string& out, std::string_view text, std::size_t most)
{
    constexpr std::size_t most_of_character = 5;  // a newline with its indent
    const auto end = out.size() + most - most_of_character;
    for (std::size_t at = 0; at < text.size();) {
        if (out.size() > end) return append_mark(out, text.size());
        const auto length = utf8_length(text, at);
        if (text[at] == '\n') {
            out += "\n    ";
        } else if (is_control(text, at, length)) {
            out += "\xef\xbf\xbd";
        } else {
            out.append(text, at, length);
        }
        at += std::max<std::size_t>(length, 1);
    }
}

bool is_plain(std::string_view value)
{
    for (std::size_t at = 0; at < value.size();) {
        const auto byte = static_cast<unsigned char>(value[at]);
        if (byte < 0x20 && byte != '\t') return false;
        const auto length = utf8_length(value, at);
        if (length == 0) return false;
        at += length;
    }
    return true;
}

void append_export_field(std::string& out, std::string_view name, std::string_view value)
{
    out += name;
    if (is_plain(value)) {
        out += '=';
    } else {
        out += '\n';
        auto size = static_cast<std::uint64_t>(value.size());
        for (int i = 0; i < 8; ++i, size >>= 8U)
            out += static_cast<char>(size & 0xffU);
    }
    out += value;
    out += '\n';
}

}  // namespace

std::string_view MinuteText::of(std::int64_t seconds)
{
    const auto minute = std::max<std::int64_t>(seconds, 0) / 60;
    if (minute == minute_) return {text_, size_};
    minute_ = minute;
    const auto time = static_cast<std::time_t>(minute * 60);
    std::tm parts{};
    const bool utc = zone_ == Zone::utc;
    (utc ? ::gmtime_r(&time, &parts) : ::localtime_r(&time, &parts));
    size_ = std::strftime(text_, sizeof text_, utc ? "%Y-%m-%dT%H:%M:" : "%Y-%m-%d %H:%M:", &parts);
    return {text_, size_};
}

Picked pick(const JournalEntry& entry)
{
    Picked picked;
    Sources sources;
    for (const auto& field : entry.fields)
        take(field, picked, sources);
    // What anybody may claim counts only from those who may say it: PID 1, and root's daemons.
    picked.unit = sources.unit;
    if (picked.pid == "1" && !sources.of_pid1.empty())
        picked.unit = sources.of_pid1;
    else if (sources.uid == "0" && !sources.object.empty())
        picked.unit = sources.object;
    else if (sources.uid == "0" && !sources.coredump.empty())
        picked.unit = sources.coredump;
    if (picked.identifier.empty()) picked.identifier = sources.command;
    if (sources.driver && sources.message_id == journal_dropped)
        picked.suppressed = whole_number(sources.dropped);
    return picked;
}

void append_dcos_text(std::string& out, const JournalEntry& entry, std::size_t max_entry, MinuteText& local)
{
    std::optional<std::string_view> message;
    for (const auto& field : entry.fields)
        if (field.name == "MESSAGE") message = field.value;
    if (!message) return;
    const auto seconds = std::max<std::int64_t>(entry.realtime, 0) / 1'000'000;
    out += local.of(seconds);
    out += static_cast<char>('0' + seconds % 60 / 10);
    out += static_cast<char>('0' + seconds % 10);
    out += ": ";
    constexpr std::size_t around = 32 + mark_room;  // the time before, a mark behind
    const auto most = max_entry - around;
    out += message->substr(0, most);
    if (message->size() > most) append_mark(out, message->size());
    out += '\n';
}

void append_text(std::string& out, const JournalEntry& entry, std::size_t max_entry, MinuteText& utc)
{
    constexpr std::size_t longest_word = 128;  // of a host's, unit's or program's name here
    constexpr std::size_t before_message = 2 * (longest_word + mark_room) + 256;  // and its own mark
    const auto picked = pick(entry);
    const auto realtime = std::max<std::int64_t>(entry.realtime, 0);
    out += utc.of(realtime / 1'000'000);
    fmt::format_to(std::back_inserter(out), "{:02}.{:03}Z ", realtime / 1'000'000 % 60,
                   realtime / 1'000 % 1'000);
    append_message(out, picked.host.empty() ? "-" : picked.host, longest_word);
    out += ' ';
    append_message(out,
                   !picked.unit.empty()         ? picked.unit
                   : !picked.identifier.empty() ? picked.identifier
                                                : "-",
                   longest_word);
    if (!picked.pid.empty()) {
        out += '[';
        append_message(out, picked.pid, 20);
        out += ']';
    }
    if (picked.priority >= 0) out.append(" ").append(priorities[static_cast<std::size_t>(picked.priority)]);
    out += ": ";
    if (picked.suppressed > 0)
        fmt::format_to(std::back_inserter(out), "[{} messages lost by journald's rate limit] ",
                       picked.suppressed);
    append_message(out, picked.message.value_or("(no message)"), max_entry - before_message);
    out += '\n';
}

void append_export(std::string& out, const JournalEntry& entry, std::size_t max_entry)
{
    append_export_field(out, "__CURSOR", entry.cursor);
    fmt::format_to(std::back_inserter(out), "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={}\n",
                   entry.realtime, entry.monotonic);
    std::size_t used = entry.cursor.size() + 160;  // the lines that every entry has, and our mark
    std::size_t left_out = 0;
    for (const auto& field : entry.fields) {
        const auto size = field.name.size() + field.value.size() + 16;
        if (used + size > max_entry) {
            ++left_out;
            continue;
        }
        used += size;
        append_export_field(out, field.name, field.value);
    }
    if (left_out > 0) fmt::format_to(std::back_inserter(out), "OPSD_CUT={} fields\n", left_out);
    out += '\n';
}

}  // namespace opsd::logs
