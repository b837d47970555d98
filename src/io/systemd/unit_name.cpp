// Unit names and their D-Bus object paths, by systemd's own rules (unit-name.c, bus-label.c). No D-Bus here.

#include "io/systemd/manager.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace opsd::systemd {
namespace {

constexpr std::string_view prefix = "/org/freedesktop/systemd1/unit/";
constexpr std::size_t longest_name = 255;
constexpr std::array<std::string_view, 11> types{
    "service", "socket", "target", "device", "mount", "automount", "swap", "timer", "path", "slice", "scope"};

constexpr bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

constexpr bool is_name_character(char c) noexcept
{
    return is_letter(c) || is_digit(c) || c == ':' || c == '-' || c == '_' || c == '.' || c == '\\';
}

/// The value of a hex digit as systemd writes it (lower case), or -1.
constexpr int hex_value(char c) noexcept
{
    if (is_digit(c)) return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

std::string unit_path(std::string_view id)
{
    constexpr std::string_view hex = "0123456789abcdef";
    std::string path{prefix};
    if (id.empty()) path += '_';
    for (std::size_t i = 0; i < id.size(); ++i) {
        const char c = id[i];
        if (is_letter(c) || (i > 0 && is_digit(c))) {
            path += c;
            continue;
        }
        const auto byte = static_cast<std::uint8_t>(c);
        path += '_';
        path += hex[byte >> 4U];
        path += hex[byte & 15U];
    }
    return path;
}

std::string unit_id(std::string_view object_path)
{
    if (!object_path.starts_with(prefix)) return {};
    const auto label = object_path.substr(prefix.size());
    std::string id;
    for (std::size_t i = 0; i < label.size(); ++i) {
        if (is_letter(label[i]) || is_digit(label[i])) {
            id += label[i];
            continue;
        }
        if (label[i] != '_' || i + 2 >= label.size()) return {};
        const int high = hex_value(label[i + 1]);
        const int low = hex_value(label[i + 2]);
        if (high < 0 || low < 0 || (high == 0 && low == 0)) return {};
        id += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return id;
}

bool valid_unit_name(std::string_view name) noexcept
{
    if (name.size() > longest_name) return false;
    const auto dot = name.rfind('.');
    if (dot == std::string_view::npos || dot == 0) return false;
    if (std::ranges::find(types, name.substr(dot + 1)) == types.end()) return false;
    const auto stem = name.substr(0, dot);
    if (!std::ranges::all_of(stem, [](char c) { return c == '@' || is_name_character(c); })) return false;
    const auto at = stem.find('@');
    return at == std::string_view::npos || (at > 0 && at + 1 < stem.size());
}

}  // namespace opsd::systemd
