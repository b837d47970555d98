#include "io/zookeeper/address.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace opsd::zookeeper {
namespace {

constexpr std::string_view scheme = "zk://";
constexpr std::size_t most_servers = 64;

std::unexpected<Error> bad_address(std::string_view text, std::string_view why)
{
    return fail(
        Errc::invalid_argument,
        fmt::format("cannot use \"{}\" as a ZooKeeper address: {}; write it like h1:2181,h2:2181/path or "
                    "zk://user:password@h1:2181,h2:2181/path",
                    redacted(text), why));
}

bool is_host(std::string_view host)
{
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.'
               || c == '-' || c == '_' || c == ':';
    };
    return !host.empty() && host.size() <= 255 && std::ranges::all_of(host, fits);
}

/// "" or what is wrong.
std::string_view parse_server(std::string_view text, Server& server)
{
    std::string_view port;
    const bool bracketed = text.starts_with('[');
    if (bracketed) {
        const auto end = text.find(']');
        if (end == std::string_view::npos) return "a bracket is not closed";
        port = text.substr(end + 1);
        text = text.substr(1, end - 1);
        if (!port.empty() && !port.starts_with(':')) return "something stands between a bracket and a port";
    } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
        port = text.substr(colon);
        text = text.substr(0, colon);
    }
    if (!is_host(text)) return "a server has no name, or one that no host has";
    server.host = text;
    if (port.empty()) return {};
    port.remove_prefix(1);
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), server.port);
    const bool good = ec == std::errc{} && end == port.data() + port.size() && server.port != 0;
    return good ? "" : "a port is not 1 to 65535";
}

}  // namespace

std::string Server::text() const
{
    return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                               : fmt::format("[{}]:{}", host, port);
}

std::string Address::text() const
{
    std::string all;
    for (const auto& server : servers)
        all += (all.empty() ? "" : ",") + server.text();
    return all + chroot;
}

std::string redacted(std::string_view text)
{
    const auto at = text.rfind('@');
    if (at == std::string_view::npos) return std::string{text};
    return fmt::format("{}***{}", text.starts_with(scheme) ? scheme : "", text.substr(at));
}

Result<Address> parse_address(std::string_view text)
{
    Address address;
    auto rest = text;
    const bool with_scheme = rest.starts_with(scheme);
    if (with_scheme) rest.remove_prefix(scheme.size());
    // The last "@": a password may hold any character, and must not end up among servers and paths.
    if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
        if (!with_scheme) return bad_address(text, "a user and password need zk:// in front");
        address.credentials = rest.substr(0, at);
        rest.remove_prefix(at + 1);
        const auto colon = address.credentials.find(':');
        if (colon == 0 || colon == std::string::npos)
            return bad_address(text, "before the @ stands no user:password");
    }
    const auto slash = std::min(rest.find('/'), rest.size());
    address.chroot = rest.substr(slash);
    if (address.chroot == "/") address.chroot.clear();
    if (!address.chroot.empty()) {
        const auto good = check_path(address.chroot);
        if (!good) return bad_address(text, "its path must be like /a/b");
    }
    auto servers = rest.substr(0, slash);
    for (bool more = true; more;) {
        const auto comma = servers.find(',');
        more = comma != std::string_view::npos;
        Server server;
        const auto wrong = parse_server(servers.substr(0, comma), server);
        if (!wrong.empty()) return bad_address(text, wrong);
        if (address.servers.size() == most_servers) return bad_address(text, "it has more than 64 servers");
        address.servers.push_back(std::move(server));
        if (more) servers.remove_prefix(comma + 1);
    }
    return address;
}

Result<> check_path(std::string_view path)
{
    const auto bad = [path](std::string_view why) {
        const bool printable =
            std::ranges::none_of(path, [](unsigned char c) { return c < ' ' || c == 0x7f; });
        return fail(Errc::invalid_argument, fmt::format("cannot use \"{}\" as a ZooKeeper path: {}",
                                                        printable ? path.substr(0, 256) : "...", why));
    };
    if (!path.starts_with('/')) return bad("it must begin with /");
    if (path == "/") return {};
    const auto control = [](unsigned char c) { return c < ' ' || c == 0x7f; };
    if (std::ranges::any_of(path, control)) return bad("it has a control character");
    for (auto rest = path; !rest.empty();) {
        rest.remove_prefix(1);
        const auto name = rest.substr(0, rest.find('/'));
        if (name.empty()) return bad("it has an empty name, or ends with /");
        if (name == "." || name == "..") return bad("it has a . or .. in it");
        rest.remove_prefix(name.size());
    }
    return {};
}

}  // namespace opsd::zookeeper
