#include "core/json_text.hpp"

#include <fmt/format.h>

#include <array>
#include <iterator>

namespace opsd {
namespace {

using Byte = unsigned char;

bool continues(std::string_view text, std::size_t at, Byte low = 0x80, Byte high = 0xbf)
{
    if (at >= text.size()) return false;
    const auto byte = static_cast<Byte>(text[at]);
    return byte >= low && byte <= high;
}

/// Without branches: many at once are a few instructions.
constexpr bool special(char c)
{
    const auto byte = static_cast<Byte>(c);
    return (static_cast<unsigned>(byte < 0x20) | static_cast<unsigned>(byte >= 0x7f)
            | static_cast<unsigned>(c == '"') | static_cast<unsigned>(c == '\\')
            | static_cast<unsigned>(c == '<') | static_cast<unsigned>(c == '>')
            | static_cast<unsigned>(c == '&'))
           != 0;
}

/// Behind the bytes from `at` on that are copied as they are. Most texts are of nothing else.
std::size_t plain_end(std::string_view text, std::size_t at)
{
    constexpr std::size_t block = 16;
    for (; text.size() - at >= block; at += block) {
        Byte any = 0;
        for (std::size_t i = 0; i < block; ++i)
            any = static_cast<Byte>(any | static_cast<Byte>(special(text[at + i])));
        if (any != 0) break;
    }
    while (at < text.size() && !special(text[at]))
        ++at;
    return at;
}

void append_escaped(std::string& out, char c)
{
    switch (c) {
    case '"':
        out += "\\\"";
        return;
    case '\\':
        out += "\\\\";
        return;
    case '\n':
        out += "\\n";
        return;
    case '\r':
        out += "\\r";
        return;
    case '\t':
        out += "\\t";
        return;
    default:
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(static_cast<Byte>(c)));
    }
}

}  // namespace

// Unicode 15, table 3-7.
std::size_t utf8_length(std::string_view text, std::size_t at) noexcept
{
    const auto lead = static_cast<Byte>(text[at]);
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return continues(text, at + 1) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        const Byte low = lead == 0xe0 ? 0xa0 : 0x80;
        const Byte high = lead == 0xed ? 0x9f : 0xbf;
        return continues(text, at + 1, low, high) && continues(text, at + 2) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        const Byte low = lead == 0xf0 ? 0x90 : 0x80;
        const Byte high = lead == 0xf4 ? 0x8f : 0xbf;
        const bool whole =
            continues(text, at + 1, low, high) && continues(text, at + 2) && continues(text, at + 3);
        return whole ? 4 : 0;
    }
    return 0;
}

void append_quoted(std::string& out, std::string_view text)
{
    out += '"';
    std::size_t from = 0;  // of a run that is copied as it is
    for (auto at = plain_end(text, 0); at < text.size(); at = plain_end(text, at)) {
        const auto length = utf8_length(text, at);
        const bool separator =
            length == 3 && (text.substr(at, 3) == "\u2028" || text.substr(at, 3) == "\u2029");
        if (length > 1 && !separator) {
            at += length;
            continue;
        }
        out.append(text, from, at - from);
        if (separator)
            out += text[at + 2] == '\xa8' ? "\\u2028" : "\\u2029";
        else if (length == 1)
            append_escaped(out, text[at]);
        else
            out += "\\ufffd";
        at += length == 0 ? 1 : length;
        from = at;
    }
    out.append(text, from, text.size() - from);
    out += '"';
}

void JsonText::separate()
{
    if (comma_) out_ += ',';
    comma_ = true;
}

JsonText& JsonText::open(char bracket)
{
    separate();
    out_ += bracket;
    comma_ = false;
    return *this;
}

JsonText& JsonText::close(char bracket)
{
    out_ += bracket;
    comma_ = true;
    return *this;
}

JsonText& JsonText::key(std::string_view name)
{
    separate();
    append_quoted(out_, name);
    out_ += ':';
    comma_ = false;
    return *this;
}

JsonText& JsonText::text(std::string_view value)
{
    separate();
    append_quoted(out_, value);
    return *this;
}

JsonText& JsonText::number(std::int64_t value) { return raw(fmt::format_int{value}.c_str()); }
JsonText& JsonText::boolean(bool value) { return raw(value ? "true" : "false"); }
JsonText& JsonText::null() { return raw("null"); }

JsonText& JsonText::raw(std::string_view json)
{
    separate();
    out_ += json;
    return *this;
}

}  // namespace opsd
