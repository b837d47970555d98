#include "core/member_address.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>

namespace opsd {
namespace {

struct Parts {
    std::optional<std::array<unsigned, 4>> ipv4;
    std::string_view host;
    unsigned port = 0;
};

std::optional<std::array<unsigned, 4>> ipv4_of(std::string_view text)
{
    std::array<unsigned, 4> bytes{};
    for (std::size_t i = 0; i < 4; ++i) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes.at(i));
        if (error != std::errc{} || bytes.at(i) > 255) return std::nullopt;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        if (i == 3) break;
        if (!text.starts_with('.')) return std::nullopt;
        text.remove_prefix(1);
    }
    return text.empty() ? std::optional{bytes} : std::nullopt;
}

/// "10.0.0.2:1051", "[fd00::2]:1051", "fd00::2", "name".
Parts parts_of(std::string_view address)
{
    Parts parts;
    parts.host = address;
    const auto colon = address.rfind(':');
    const bool bracketed = address.starts_with('[');
    const bool one_colon = colon != std::string_view::npos && address.find(':') == colon;
    if (one_colon || (bracketed && colon != std::string_view::npos && address[colon - 1] == ']')) {
        const auto digits = address.substr(colon + 1);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parts.port);
        if (error == std::errc{} && end == digits.data() + digits.size())
            parts.host = address.substr(0, colon);
    }
    if (parts.host.size() > 2 && parts.host.front() == '[' && parts.host.back() == ']')
        parts.host = parts.host.substr(1, parts.host.size() - 2);
    parts.ipv4 = ipv4_of(parts.host);
    return parts;
}

}  // namespace

bool AddressLess::operator()(std::string_view a, std::string_view b) const noexcept
{
    const auto left = parts_of(a);
    const auto right = parts_of(b);
    if (left.ipv4.has_value() != right.ipv4.has_value()) return left.ipv4.has_value();
    if (left.ipv4 && *left.ipv4 != *right.ipv4) return *left.ipv4 < *right.ipv4;
    if (!left.ipv4 && left.host != right.host) return left.host < right.host;
    if (left.port != right.port) return left.port < right.port;
    return a < b;
}

std::string member_address(std::string_view host, std::uint16_t port, std::uint16_t cluster_port)
{
    if (port == 0 || port == cluster_port) return std::string{host};
    return host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::string_view host_of(std::string_view address) { return parts_of(address).host; }

namespace {

/// Most addresses do not even contain the name: only of those that do is the port cut off.
bool is_at(std::string_view address, std::string_view name)
{
    return address.contains(name) && (address == name || host_of(address) == name);
}

bool is_called(const Member& member, std::string_view name)
{
    const auto& who = member.identity;
    return who.hostname == name || who.mesos_id == name || member.node_id == name || who.ip == name
           || is_at(member.address, name);
}

/// Where those are shown that have the name as another address. Once for all members: there may be as many
/// aliases.
std::set<std::string_view> shown_for(const Cluster& cluster, std::string_view name)
{
    std::set<std::string_view> shown;
    for (const auto& alias : cluster.aliases)
        if (is_at(alias.address, name)) shown.insert(alias.of);
    return shown;
}

}  // namespace

Lookup look_up(const Cluster& cluster, std::string_view name)
{
    Lookup found;
    if (name.empty()) return found;
    const auto shown = shown_for(cluster, name);
    for (const auto& member : cluster.members) {
        if (member->address == name) return {member, {member->address}};
        if (!is_called(*member, name) && !shown.contains(member->address)) continue;
        found.candidates.push_back(member->address);
        found.member = member;
    }
    if (found.candidates.size() > 1) found.member = nullptr;
    return found;
}

std::string ambiguous(std::string_view name, const Lookup& found)
{
    return fmt::format("cannot tell which node \"{}\" is: {} have that name; use the address", name,
                       fmt::join(found.candidates, " and "));
}

}  // namespace opsd
