#include "http/prefer.hpp"

#include "http/head.hpp"

#include <algorithm>

namespace opsd::http {
namespace {

/// Where `mark` is next outside of quotes.
std::size_t find_unquoted(std::string_view text, char mark)
{
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (quoted && text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            quoted = !quoted;
        } else if (text[i] == mark && !quoted) {
            return i;
        }
    }
    return std::string_view::npos;
}

std::optional<std::chrono::seconds> seconds_of(std::string_view digits)
{
    constexpr std::int64_t day = 86'400;
    if (digits.size() > 1 && digits.front() == '"' && digits.back() == '"')
        digits = digits.substr(1, digits.size() - 2);
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (digits.empty() || !std::ranges::all_of(digits, is_digit)) return std::nullopt;
    std::int64_t value = 0;
    for (const char c : digits)
        value = std::min(day, value * 10 + (c - '0'));
    return std::chrono::seconds{value};
}

}  // namespace

std::optional<std::chrono::seconds> wait_preference(std::string_view prefer)
{
    while (!prefer.empty()) {
        const auto comma = find_unquoted(prefer, ',');
        auto one = prefer.substr(0, comma);
        prefer = comma == std::string_view::npos ? std::string_view{} : prefer.substr(comma + 1);
        one = trimmed(one.substr(0, find_unquoted(one, ';')));
        const auto equals = one.find('=');
        if (equals == std::string_view::npos || !same_word(trimmed(one.substr(0, equals)), "wait")) continue;
        return seconds_of(trimmed(one.substr(equals + 1)));
    }
    return std::nullopt;
}

std::optional<std::chrono::seconds> wait_preference(const Request& request)
{
    for (const auto value : request.headers.every("prefer")) {
        const auto wait = wait_preference(value);
        if (wait) return wait;
    }
    return std::nullopt;
}

}  // namespace opsd::http
