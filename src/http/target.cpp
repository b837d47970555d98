#include "http/target.hpp"

#include <algorithm>
#include <optional>

namespace opsd::http {
namespace {

std::unexpected<Refusal> refuse(std::string detail)
{
    return std::unexpected<Refusal>{Refusal{400, "target", "cannot serve the target: " + std::move(detail)}};
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::optional<std::string> decode(std::string_view text, bool plus_is_space)
{
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            out += ' ';
        } else if (text[i] != '%') {
            out += text[i];
        } else {
            const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) return std::nullopt;
            out += static_cast<char>(high * 16 + low);
            i += 2;
        }
    }
    return out;
}

/// Length of the UTF-8 sequence at the front; 0 when it is none (overlong, surrogate, beyond U+10FFFF, cut).
std::size_t sequence_length(std::string_view text)
{
    const auto at = [text](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const auto first = at(0);
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((at(i) & 0xc0U) != 0x80) return 0;
    }
    const bool odd = (first == 0xe0 && at(1) < 0xa0) || (first == 0xed && at(1) >= 0xa0)
                     || (first == 0xf0 && at(1) < 0x90) || (first == 0xf4 && at(1) >= 0x90);
    return odd ? 0 : length;
}

bool is_utf8(std::string_view text)
{
    while (!text.empty()) {
        const auto length = sequence_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

bool has_control(std::string_view text)
{
    return std::ranges::any_of(text, [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

/// "http://host/path" -> "/path", when it means this very host.
std::expected<std::string_view, Refusal> without_authority(std::string_view target, std::string_view host)
{
    if (target.starts_with('/')) return target;
    const auto scheme = target.find("://");
    if (scheme == std::string_view::npos) return refuse("it must begin with \"/\"");
    if (!same_word(target.substr(0, scheme), "http") && !same_word(target.substr(0, scheme), "https")) {
        return refuse("its scheme is not http");
    }
    target.remove_prefix(scheme + 3);
    const auto end = target.find_first_of("/?#");
    const auto authority = target.substr(0, end);
    if (authority.empty() || !same_word(authority, host))
        return refuse("its host differs from the Host header");
    if (end == std::string_view::npos || target[end] != '/') return refuse("it has no path");
    return target.substr(end);
}

std::expected<std::string, Refusal> decode_path(std::string_view raw)
{
    std::string path;
    for (auto rest = raw.substr(1);;) {
        const auto slash = rest.find('/');
        const bool last = slash == std::string_view::npos;
        const auto segment = decode(rest.substr(0, slash), false);
        if (!segment) return refuse("it has a \"%\" that is not followed by two hexadecimal digits");
        if (segment->empty() && !last) return refuse("its path has an empty segment");
        if (*segment == "." || *segment == "..") return refuse("its path has a \".\" or \"..\" segment");
        if (segment->find('/') != std::string::npos) return refuse("its path has an encoded slash");
        if (has_control(*segment)) return refuse("its path has a control character");
        path.append("/").append(*segment);
        if (last) break;
        rest.remove_prefix(slash + 1);
    }
    if (!is_utf8(path)) return refuse("its path is not UTF-8");
    return path;
}

std::expected<Params, Refusal> decode_query(std::string_view rest)
{
    Params query;
    while (!rest.empty()) {
        const auto amp = rest.find('&');
        const auto pair = rest.substr(0, amp);
        rest.remove_prefix(amp == std::string_view::npos ? rest.size() : amp + 1);
        if (pair.empty()) continue;
        const auto equals = pair.find('=');
        auto name = decode(pair.substr(0, equals), true);
        auto value =
            decode(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1), true);
        if (!name || !value) return refuse("it has a \"%\" that is not followed by two hexadecimal digits");
        const bool nul = name->find('\0') != std::string::npos || value->find('\0') != std::string::npos;
        if (nul || !is_utf8(*name) || !is_utf8(*value)) return refuse("its query has a NUL or is not UTF-8");
        query.add(std::move(*name), std::move(*value));
    }
    return query;
}

}  // namespace

std::expected<Target, Refusal> parse_target(const Head& head)
{
    if (head.target.find('#') != std::string::npos) return refuse("it has a fragment");
    auto local = without_authority(head.target, head.fields.get("host"));
    if (!local) return std::unexpected{std::move(local).error()};
    const auto question = local->find('?');
    auto path = decode_path(local->substr(0, question));
    if (!path) return std::unexpected{std::move(path).error()};
    auto query =
        decode_query(question == std::string_view::npos ? std::string_view{} : local->substr(question + 1));
    if (!query) return std::unexpected{std::move(query).error()};
    return Target{.path = std::move(*path), .query = std::move(*query)};
}

}  // namespace opsd::http
