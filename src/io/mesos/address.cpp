#include "io/mesos/address.hpp"

#include "io/net/socket.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace opsd::mesos {
namespace {

bool alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool usable_label(std::string_view label)
{
    return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-'
           && std::ranges::all_of(label, [](char c) { return alphanumeric(c) || c == '-' || c == '_'; });
}

std::string lowered(std::string_view text)
{
    std::string out{text};
    for (auto& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

bool parse_port(std::string_view digits, std::uint16_t& port)
{
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    return error == std::errc{} && stop == digits.data() + digits.size() && port != 0;
}

std::unexpected<Error> bad(std::string_view text, std::string_view as, std::string_view why)
{
    return fail(Errc::invalid_argument, fmt::format("cannot use \"{}\" as {}: {}", printable(text), as, why));
}

/// Cuts at the colon before the port; a bare IPv6 address has none.
bool split(std::string_view text, std::string_view& host, std::string_view& port)
{
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return false;
        host = text.substr(1, close - 1);
        if (!host.contains(':')) return false;
        const auto rest = text.substr(close + 1);
        if (!rest.empty() && (rest.size() < 2 || rest.front() != ':')) return false;
        port = rest.empty() ? rest : rest.substr(1);
        return true;
    }
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) {
        host = text;
        port = {};
        return true;
    }
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    return !port.empty();
}

}  // namespace

std::string printable(std::string_view text)
{
    constexpr std::size_t enough = 80;
    std::string out{text.substr(0, enough)};
    for (auto& c : out) {
        if (c < ' ' || c > '~' || c == '"') c = '?';
    }
    if (text.size() > enough) out += "...";
    return out;
}

bool is_ip(std::string_view text)
{
    return text.size() < 64 && !text.contains('\0') && net::ip_endpoint(std::string{text}, 0).has_value();
}

bool usable_host(std::string_view text)
{
    if (text.empty() || text.size() > 253) return false;
    if (is_ip(text)) return true;
    auto rest = text.ends_with('.') ? text.substr(0, text.size() - 1) : text;
    bool numeric = false;  // the last label: 1.2.3.400 is a mistake, not a name
    for (bool more = true; more;) {
        const auto dot = rest.find('.');
        const auto label = rest.substr(0, dot);
        if (!usable_label(label)) return false;
        numeric = std::ranges::all_of(label, [](char c) { return c >= '0' && c <= '9'; });
        more = dot != std::string_view::npos;
        if (more) rest.remove_prefix(dot + 1);
    }
    return !numeric;
}

Result<HostPort> parse_host_port(std::string_view text)
{
    constexpr std::string_view as = "a host";
    std::string_view host;
    std::string_view port;
    HostPort out;
    if (!split(text, host, port) || !usable_host(host))
        return bad(text, as, "write a name or an address, such as node1, 10.0.0.1:1050 or [fd00::1]:1050");
    if (!port.empty() && !parse_port(port, out.port)) return bad(text, as, "its port must be 1 to 65535");
    out.host = lowered(host);
    return out;
}

std::string join_host_port(std::string_view host, std::uint16_t port)
{
    if (host.contains(':')) return fmt::format("[{}]:{}", host, port);
    return fmt::format("{}:{}", host, port);
}

Result<HostPort> parse_pid(std::string_view pid)
{
    constexpr std::string_view as = "a pid";
    const auto at = pid.rfind('@');
    const auto colon = pid.rfind(':');
    if (at == std::string_view::npos || at == 0 || colon == std::string_view::npos || colon < at)
        return bad(pid, as, "it is not like slave(1)@10.0.0.1:5051");
    auto host = pid.substr(at + 1, colon - at - 1);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    HostPort out;
    if (!is_ip(host) || host == "0.0.0.0" || host == "::") return bad(pid, as, "it holds no IP address");
    if (!parse_port(pid.substr(colon + 1), out.port)) return bad(pid, as, "its port is none");
    out.host = lowered(host);
    return out;
}

}  // namespace opsd::mesos
