// Host names and addresses that a certificate may carry.

#include "io/pki/pki.hpp"

#include <fmt/format.h>

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace opsd::pki {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool valid_label(std::string_view label)
{
    const auto fits = [](char c) { return is_letter(c) || is_digit(c) || c == '-'; };
    return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-'
           && std::ranges::all_of(label, fits);
}

void add_once(std::vector<std::string>& to, std::string text)
{
    if (std::ranges::find(to, text) == to.end()) to.push_back(std::move(text));
}

}  // namespace

bool valid_host_name(std::string_view text) noexcept
{
    if (text.empty() || text.size() > 253) return false;
    std::string_view label;
    for (std::size_t begin = 0; begin <= text.size(); begin += label.size() + 1) {
        label = text.substr(begin, text.find('.', begin) - begin);
        if (!valid_label(label)) return false;
    }
    return !std::ranges::all_of(label, is_digit);  // the last one: "10.0.0.1" and "1" are read as addresses
}

std::optional<std::string> canonical_address(std::string_view text)
{
    const std::string copy{text};
    std::array<unsigned char, 16> raw{};
    std::array<char, INET6_ADDRSTRLEN> out{};
    for (const int family : {AF_INET, AF_INET6}) {
        if (::inet_pton(family, copy.c_str(), raw.data()) == 1 && copy.find('\0') == std::string::npos)
            return ::inet_ntop(family, raw.data(), out.data(), out.size());
    }
    return std::nullopt;
}

Result<> add_name(Names& names, std::string_view text)
{
    if (auto address = canonical_address(text)) {
        add_once(names.addresses, std::move(*address));
        return {};
    }
    if (!valid_host_name(text)) {
        return fail(
            Errc::invalid_argument,
            fmt::format("cannot use \"{}\": it is neither a host name nor an address", text.substr(0, 64)));
    }
    std::string host{text};
    std::ranges::transform(host, host.begin(),
                           [](char c) { return is_letter(c) ? static_cast<char>(c | 0x20) : c; });
    add_once(names.hosts, std::move(host));
    return {};
}

}  // namespace opsd::pki
