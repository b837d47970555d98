// Entries as JSON. Written through a pointer into room for the worst case: the string is grown once an entry.

#include "core/json_text.hpp"

#include "modules/logs/render.hpp"
#include "opsd/clock.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace opsd::logs {
namespace {

using systemd::JournalEntry;
using systemd::JournalField;

constexpr std::size_t most_of_byte = 6;    // \u00XX
constexpr std::size_t fixed_room = 1'024;  // members beside the fields: names, numbers, time, unit

constexpr auto is_special = [] {
    std::array<bool, 256> table{};
    for (std::size_t byte = 0; byte < 256; ++byte)
        table[byte] = byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\';
    return table;
}();

/// Whether one of eight bytes is special. Exact: a borrow reaches only bytes above a true hit.
constexpr bool any_special(std::uint64_t bytes)
{
    constexpr std::uint64_t ones = 0x0101010101010101U;
    constexpr std::uint64_t tops = 0x8080808080808080U;
    const auto zero = [](std::uint64_t v) { return (v - ones) & ~v; };
    const auto control = (bytes - ones * 0x20) & ~bytes;
    return ((bytes | control | zero(bytes ^ (ones * '"')) | zero(bytes ^ (ones * '\\'))) & tops) != 0;
}

char* put(char* to, std::string_view text)
{
    if (text.empty()) return to;
    std::memcpy(to, text.data(), text.size());
    return to + text.size();
}

char* put_number(char* to, std::int64_t number) { return std::to_chars(to, to + 24, number).ptr; }

char* put_escape(char* to, unsigned char byte)
{
    constexpr std::string_view hex = "0123456789abcdef";
    switch (byte) {
    case '"':
        return put(to, "\\\"");
    case '\\':
        return put(to, "\\\\");
    case '\n':
        return put(to, "\\n");
    case '\r':
        return put(to, "\\r");
    case '\t':
        return put(to, "\\t");
    default:
        to = put(to, "\\u00");
        *to++ = hex[byte >> 4U];
        *to++ = hex[byte & 15U];
        return to;
    }
}

/// The text as the inside of a JSON string; a byte that is no UTF-8 becomes U+FFFD.
char* put_escaped(char* to, std::string_view text)
{
    std::size_t at = 0;
    const auto size = text.size();
    const char* const from = text.data();
    while (at < size) {
        for (std::uint64_t eight = 0; at + 8 <= size; at += 8, to += 8) {
            std::memcpy(&eight, from + at, 8);
            if (any_special(eight)) break;
            std::memcpy(to, &eight, 8);
        }
        while (at < size && !is_special[static_cast<unsigned char>(from[at])])
            *to++ = from[at++];
        if (at == size) break;
        const auto byte = static_cast<unsigned char>(from[at]);
        if (byte < 0x80) {
            to = put_escape(to, byte);
            ++at;
            continue;
        }
        const auto length = utf8_length(text, at);
        to = length == 0 ? put(to, "\xef\xbf\xbd") : put(to, text.substr(at, length));
        at += std::max<std::size_t>(length, 1);
    }
    return to;
}

/// Whether a name comes twice.
bool has_duplicates(std::span<const JournalField> fields)
{
    std::array<std::uint64_t, 4> seen{};
    for (std::size_t i = 0; i < fields.size(); ++i) {
        const auto name = fields[i].name;
        std::size_t hash = name.size() * 7;
        if (!name.empty())
            hash += static_cast<unsigned char>(name.back()) * 13U
                    + static_cast<unsigned char>(name[name.size() / 2]) * 29U
                    + static_cast<unsigned char>(name[name.size() / 3]) * 3U;
        auto& word = seen[(hash >> 6U) & 3U];
        const auto bit = std::uint64_t{1} << (hash & 63U);
        if ((word & bit) != 0) {
            for (std::size_t j = 0; j < i; ++j)
                if (fields[j].name == name) return true;
        }
        word |= bit;
    }
    return false;
}

bool comes_again(std::span<const JournalField> fields, std::size_t at)
{
    const auto same = [&](const JournalField& field) { return field.name == fields[at].name; };
    return std::ranges::any_of(fields.subspan(at + 1), same);
}

bool came_before(std::span<const JournalField> fields, std::size_t at)
{
    const auto same = [&](const JournalField& field) { return field.name == fields[at].name; };
    return std::ranges::any_of(fields.first(at), same);
}

std::size_t raw_size(const JournalEntry& entry)
{
    std::size_t size = 0;
    for (const auto& field : entry.fields)
        size += field.name.size() + field.value.size();
    return size;
}

/// All values of the field at `at`, as a list.
char* put_list(char* to, std::span<const JournalField> fields, std::size_t at)
{
    *to++ = '[';
    for (std::size_t i = at; i < fields.size(); ++i) {
        if (fields[i].name != fields[at].name) continue;
        to = put(to, i == at ? "\"" : ",\"");
        to = put_escaped(to, fields[i].value);
        *to++ = '"';
    }
    *to++ = ']';
    return to;
}

char* put_fields(char* to, std::span<const JournalField> fields, bool own)
{
    const bool duplicates = has_duplicates(fields);
    const char* const begin = to;
    for (std::size_t i = 0; i < fields.size(); ++i) {
        if (duplicates && (own ? came_before(fields, i) : comes_again(fields, i))) continue;
        to = put(to, to == begin ? "\"" : ",\"");
        to = put_escaped(to, fields[i].name);
        if (duplicates && own && comes_again(fields, i)) {
            to = put_list(put(to, "\":"), fields, i);
            continue;
        }
        to = put(to, "\":\"");
        to = put_escaped(to, fields[i].value);
        *to++ = '"';
    }
    return to;
}

/// "2026-11-22T17:39:05.123Z".
char* put_time(char* to, std::int64_t realtime, MinuteText& utc)
{
    realtime = std::max<std::int64_t>(realtime, 0);
    const auto seconds = realtime / 1'000'000;
    to = put(to, utc.of(seconds));
    const auto digits = [&to](std::int64_t number, int count) {
        for (std::int64_t unit = count == 3 ? 100 : 10; unit > 0; unit /= 10)
            *to++ = static_cast<char>('0' + number / unit % 10);
    };
    digits(seconds % 60, 2);
    *to++ = '.';
    digits(realtime / 1'000 % 1'000, 3);
    *to++ = 'Z';
    return to;
}

/// As a unit's name is, or it is not shown as one.
bool may_name_unit(std::string_view text)
{
    constexpr std::size_t longest = 255;
    return !text.empty() && text.size() <= longest
           && std::ranges::none_of(text, [](unsigned char c) { return is_special[c]; });
}

/// Our members.
char* put_own(char* to, const JournalEntry& entry, MinuteText& utc)
{
    const auto picked = pick(entry);
    to = put_time(put(to, "\"time\":\""), entry.realtime, utc);
    *to++ = '"';
    if (may_name_unit(picked.unit)) to = put(put(put(to, ",\"unit\":\""), picked.unit), "\"");
    if (picked.priority >= 0) to = put_number(put(to, ",\"priority\":"), picked.priority);
    if (picked.suppressed > 0) to = put_number(put(to, ",\"suppressed\":"), picked.suppressed);
    return put(to, ",");
}

char* put_end(char* to, const JournalEntry& entry)
{
    to = put_escaped(put(to, "},\"cursor\":\""), entry.cursor);
    to = put_number(put(to, "\",\"monotonic_timestamp\":"), entry.monotonic);
    to = put_number(put(to, ",\"realtime_timestamp\":"), entry.realtime);
    return put(to, "}");
}

/// Fields worth most when not all have room.
bool is_main(std::string_view name)
{
    constexpr std::string_view names[] = {
        "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "_PID", "_HOSTNAME", "_SYSTEMD_UNIT", "UNIT"};
    return std::ranges::find(names, name) != std::end(names);
}

/// The value, its first `most` bytes at most, and then how long it was.
void append_cut(std::string& out, std::string_view value, std::size_t most)
{
    const bool cut = value.size() > most;
    if (cut) {
        // Not within a character, which has three further bytes at most.
        for (int i = 0; i < 3 && most > 0 && (static_cast<unsigned char>(value[most]) & 0xc0U) == 0x80; ++i)
            --most;
    }
    const auto begin = out.size();
    const auto kept = value.substr(0, most);
    out.resize_and_overwrite(begin + kept.size() * most_of_byte, [&](char* to, std::size_t) {
        return static_cast<std::size_t>(put_escaped(to + begin, kept) - to);
    });
    if (!cut) return;
    out += "\xe2\x80\xa6 [cut by opsd: ";
    out += std::to_string(value.size());
    out += " bytes]";
}

/// Appends fields until `room` is used; says whether all had some.
bool append_cut_fields(std::string& out, const JournalEntry& entry, std::size_t room, std::size_t most)
{
    constexpr std::size_t most_of_others = 512;  // a long one beside the message says little
    const auto begin = out.size();
    bool all = true;
    for (const bool main : {true, false}) {
        for (std::size_t i = 0; i < entry.fields.size(); ++i) {
            const auto& field = entry.fields[i];
            if (is_main(field.name) != main || comes_again(entry.fields, i)) continue;
            const auto before = out.size();
            if (field.name.size() > room) {
                all = false;
                continue;
            }
            out += before == begin ? "\"" : ",\"";
            append_cut(out, field.name, field.name.size());
            out += "\":\"";
            append_cut(out, field.value, field.name == "MESSAGE" ? most : std::min(most, most_of_others));
            out += '"';
            if (out.size() - begin <= room) continue;
            out.resize(before);
            all = false;
        }
    }
    return all;
}

/// An entry that is too long: dcos-log's form whichever was asked for, with a field that says so.
void append_shortened(std::string& out, const JournalEntry& entry, std::size_t max_entry, MinuteText* own)
{
    const auto begin = out.size();
    const auto grow = [&out](std::size_t room, auto writer) {
        const auto from = out.size();
        out.resize_and_overwrite(from + room, [&](char* to, std::size_t) {
            return static_cast<std::size_t>(writer(to + from) - to);
        });
    };
    for (auto most = max_entry;; most /= 2) {
        out.resize(begin);
        out += '{';
        if (own != nullptr) grow(fixed_room, [&](char* to) { return put_own(to, entry, *own); });
        out += "\"fields\":{";
        std::string end;
        end.resize_and_overwrite(fixed_room + entry.cursor.size() * most_of_byte,
                                 [&](char* to, std::size_t) { return put_end(to, entry) - to; });
        const auto mark = (entry.fields.empty() ? "\"OPSD_CUT\":\"" : ",\"OPSD_CUT\":\"")
                          + std::to_string(raw_size(entry)) + '"';
        const auto used = out.size() - begin + mark.size() + end.size();
        const auto room = max_entry > used ? max_entry - used : 0;
        const auto fields_begin = out.size();
        const bool all = append_cut_fields(out, entry, room, most);
        if (!all && most > 16) continue;
        out += out.size() == fields_begin && mark.front() == ',' ? std::string_view{mark}.substr(1)
                                                                 : std::string_view{mark};
        out += end;
        return;
    }
}

/// `own`: null for dcos-log's form.
void append_object(std::string& out, const JournalEntry& entry, std::size_t max_entry, MinuteText* own)
{
    const auto size = raw_size(entry);
    if (size > max_entry) return append_shortened(out, entry, max_entry, own);
    const auto begin = out.size();
    // Each field also has quotes, a colon and a comma; a list's values have less.
    const auto room = (size + entry.cursor.size()) * most_of_byte + entry.fields.size() * 8 + fixed_room;
    out.resize_and_overwrite(begin + room, [&](char* start, std::size_t) {
        char* to = start + begin;
        *to++ = '{';
        if (own != nullptr) to = put_own(to, entry, *own);
        to = put(to, "\"fields\":{");
        to = put_fields(to, entry.fields, own != nullptr);
        to = put_end(to, entry);
        return static_cast<std::size_t>(to - start);
    });
    if (out.size() - begin <= max_entry) return;
    out.resize(begin);
    append_shortened(out, entry, max_entry, own);
}

}  // namespace

void append_dcos_json(std::string& out, const JournalEntry& entry, std::size_t max_entry)
{
    append_object(out, entry, max_entry, nullptr);
}

void append_json(std::string& out, const JournalEntry& entry, std::size_t max_entry, MinuteText& utc)
{
    append_object(out, entry, max_entry, &utc);
}

}  // namespace opsd::logs
