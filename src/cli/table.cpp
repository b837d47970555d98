#include "cli/table.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace opsd::cli {
namespace {

/// Characters, not bytes: UTF-8 continuation bytes do not count.
std::size_t columns(std::string_view text)
{
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (c & '\xC0') != '\x80'; }));
}

/// The first `count` characters.
std::string_view first_columns(std::string_view text, std::size_t count)
{
    std::size_t at = 0;
    for (; at < text.size(); ++at) {
        if ((text[at] & '\xC0') != '\x80' && count-- == 0) break;
    }
    return text.substr(0, at);
}

std::string_view code(Colour colour)
{
    switch (colour) {
    case Colour::green:
        return "\x1b[32m";
    case Colour::red:
        return "\x1b[31m";
    case Colour::yellow:
        return "\x1b[33m";
    case Colour::dim:
        return "\x1b[2m";
    case Colour::bold:
        return "\x1b[1m";
    case Colour::none:
        break;
    }
    return {};
}

}  // namespace

Style stdout_style()
{
    Style style;
    if (::isatty(STDOUT_FILENO) == 0) return style;
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    style.colour =
        (no_color == nullptr || *no_color == '\0') && term != nullptr && std::string_view{term} != "dumb";
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) style.width = size.ws_col;
    return style;
}

std::string paint(const Style& style, Colour colour, std::string_view text)
{
    if (!style.colour || colour == Colour::none) return std::string{text};
    return std::string{code(colour)}.append(text).append("\x1b[0m");
}

std::string printable(std::string_view text)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        const bool c1 =
            c == 0xC2 && i + 1 < text.size() && (static_cast<unsigned char>(text[i + 1]) & 0xE0) == 0x80;
        if (c1) {
            ++i;  // U+0080 to U+009F: control characters of two bytes
            out += '?';
        } else if (c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7F)) {
            out += text[i];
        } else {
            out += '?';
        }
    }
    return out;
}

std::string Table::render(const Style& style) const
{
    std::vector<std::size_t> widths;
    for (const auto& name : header_)
        widths.push_back(columns(name));
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i)
            widths[i] = std::max(widths[i], columns(row[i].text));
    }
    std::string out;
    const auto line = [&](const std::vector<CellText>& cells) {
        std::size_t used = 0;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            const bool last = i + 1 == cells.size();
            std::string_view text = cells[i].text;
            if (last && style.width > 0)
                text = first_columns(text, style.width > used ? style.width - used : 1);
            out += paint(style, cells[i].colour, text);
            if (!last) out.append(widths[i] - columns(text) + 2, ' ');
            used += widths[i] + 2;
        }
        out += '\n';
    };
    std::vector<CellText> head;
    for (auto name : header_) {
        std::ranges::transform(name, name.begin(),
                               [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        head.push_back({std::move(name), Colour::bold});
    }
    line(head);
    for (const auto& row : rows_)
        line(row);
    return out;
}

}  // namespace opsd::cli
