#include "io/systemd/journal_text.hpp"

#include <charconv>

namespace opsd::systemd {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view ellipsis = "\xE2\x80\xA6";     // U+2026

constexpr unsigned byte_at(std::string_view bytes, std::size_t i) noexcept
{
    return static_cast<unsigned char>(bytes[i]);
}

/// The length of the well-formed code point at `i` (Unicode table 3-7), or 0.
std::size_t code_point(std::string_view bytes, std::size_t i) noexcept
{
    const unsigned first = byte_at(bytes, i);
    if (first < 0x80) return 1;
    if (first < 0xC2 || first > 0xF4) return 0;
    const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (i + length > bytes.size()) return 0;
    unsigned low = 0x80;
    unsigned high = 0xBF;
    if (first == 0xE0)
        low = 0xA0;  // overlong
    else if (first == 0xED)
        high = 0x9F;  // surrogates
    else if (first == 0xF0)
        low = 0x90;  // overlong
    else if (first == 0xF4)
        high = 0x8F;  // beyond U+10FFFF
    for (std::size_t k = 1; k < length; ++k, low = 0x80, high = 0xBF) {
        const unsigned next = byte_at(bytes, i + k);
        if (next < low || next > high) return 0;
    }
    return length;
}

bool is_control(std::string_view point) noexcept
{
    const unsigned first = byte_at(point, 0);
    if (point.size() == 1) return (first < 0x20 && first != '\t' && first != '\n') || first == 0x7F;
    return point.size() == 2 && first == 0xC2 && byte_at(point, 1) < 0xA0;  // C1
}

}  // namespace

std::string printable_text(std::string_view bytes, std::size_t limit)
{
    std::string text;
    std::size_t room_for_ellipsis = 0;  // the longest prefix after which "…" still fits
    for (std::size_t i = 0; i < bytes.size();) {
        const auto length = code_point(bytes, i);
        auto point = length == 0 ? replacement : bytes.substr(i, length);
        if (is_control(point)) point = replacement;
        if (text.size() + point.size() > limit) {
            if (limit < ellipsis.size()) return text;
            text.resize(room_for_ellipsis);
            return text.append(ellipsis);
        }
        text.append(point);
        if (text.size() + ellipsis.size() <= limit) room_for_ellipsis = text.size();
        i += length == 0 ? 1 : length;
    }
    return text;
}

std::uint32_t number_field(std::string_view text, std::uint32_t otherwise) noexcept
{
    std::uint32_t value = 0;
    const auto* end = text.data() + text.size();
    const auto [last, ec] = std::from_chars(text.data(), end, value);
    return ec == std::errc{} && last == end ? value : otherwise;
}

}  // namespace opsd::systemd
