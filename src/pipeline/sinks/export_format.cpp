#include "pipeline/sinks/export_format.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::pipeline {
namespace {

/// Text is shown as it is; anything else follows its length.
bool text(std::string_view value)
{
    return std::ranges::none_of(value,
                                [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\t'; });
}

void append_line(std::string& out, std::string_view name, std::string_view value)
{
    out.append(name).append(1, '=').append(value).append(1, '\n');
}

void append_binary(std::string& out, std::string_view name, std::string_view value)
{
    out.append(name).append(1, '\n');
    for (unsigned shift = 0; shift < 64; shift += 8)
        out += static_cast<char>((static_cast<std::uint64_t>(value.size()) >> shift) & 0xffU);
    out.append(value).append(1, '\n');
}

}  // namespace

bool ExportWriter::write(const systemd::JournalEntry& entry, std::string& out)
{
    append_line(out, "__CURSOR", entry.cursor);
    append_line(out, "__REALTIME_TIMESTAMP", fmt::format_int{entry.realtime}.c_str());
    append_line(out, "__MONOTONIC_TIMESTAMP", fmt::format_int{entry.monotonic}.c_str());
    for (const auto& [name, value] : entry.fields) {
        if (text(value))
            append_line(out, name, value);
        else
            append_binary(out, name, value);
    }
    out += '\n';
    return true;
}

}  // namespace opsd::pipeline
