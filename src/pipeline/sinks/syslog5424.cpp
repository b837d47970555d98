#include "pipeline/sinks/syslog5424.hpp"

#include "pipeline/frames.hpp"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

namespace opsd::pipeline {
namespace {

/// A field of the head: printable ASCII without spaces, "-" for none.
void append_word(std::string& out, std::string_view text, std::size_t most)
{
    out += ' ';
    const auto begin = out.size();
    for (const char c : text.substr(0, most))
        out += c > 0x20 && c < 0x7f ? c : '_';
    if (out.size() == begin) out += '-';
}

/// ` name="value"`: quotes, backslashes and brackets are escaped; control bytes have no place there.
void append_parameter(std::string& out, std::string_view name, std::string_view value)
{
    out += ' ';
    for (const char c : name.substr(0, 32))
        out += c > 0x20 && c < 0x7f && c != '=' && c != ']' && c != '"' ? c : '_';
    out += "=\"";
    for (const char c : value) {
        if (c == '"' || c == '\\' || c == ']') out += '\\';
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    out += '"';
}

int facility_of(std::string_view text)
{
    constexpr int daemon = 3;
    int value = daemon;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    return ec == std::errc{} && end == text.data() + text.size() && value >= 0 && value <= 23 ? value
                                                                                              : daemon;
}

}  // namespace

SyslogWriter::SyslogWriter(SyslogOptions options)
{
    data_ = fmt::format(" [opsd@{}", options.enterprise);
    for (const auto& [name, value] : options.labels)
        append_parameter(data_, name, value);
}

bool SyslogWriter::write(const systemd::JournalEntry& entry, std::string& out)
{
    const auto parts = parts_of(entry);
    const int severity = level_name(parts.priority).empty() ? 6 : parts.priority[0] - '0';
    message_.clear();
    fmt::format_to(std::back_inserter(message_), "<{}>1 ", facility_of(parts.facility) * 8 + severity);
    stamp_.append(message_, parts.time);
    append_word(message_, parts.hostname, 255);
    append_word(message_, parts.identifier.empty() ? parts.name : parts.identifier, 48);
    append_word(message_, parts.pid, 128);
    message_ += " -";
    message_ += data_;
    id_.clear();
    append_entry_id(id_, entry.cursor);
    append_parameter(message_, "id", id_);
    if (!parts.unit.empty()) append_parameter(message_, "unit", parts.unit);
    for_each_task_label(parts, [this](std::string_view name, std::string_view value) {
        append_parameter(message_, name, value);
    });
    message_ += ']';
    if (!parts.message.empty()) message_.append(1, ' ').append(parts.message);
    out.append(fmt::format_int{message_.size()}.c_str()).append(1, ' ').append(message_);
    return true;
}

}  // namespace opsd::pipeline
