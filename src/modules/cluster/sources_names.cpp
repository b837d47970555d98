#include "modules/cluster/sources_parts.hpp"

#include "io/mesos/address.hpp"
#include "io/net/resolver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace opsd::cluster {
namespace {

using std::chrono::milliseconds;

using Addresses = std::vector<std::string>;

Task<Result<Addresses>> look_up_by(std::shared_ptr<net::Resolver> resolver, std::string host,
                                   milliseconds limit)
{
    const auto deadline = std::chrono::steady_clock::now() + limit;
    auto found = co_await resolver->resolve(std::move(host), 0, deadline);
    if (!found) co_return fail(std::move(found).error());
    Addresses all;
    for (const auto& endpoint : *found)
        all.push_back(net::host_of(endpoint));
    co_return all;
}

/// Sentences about names, a few of them in full.
class Complaints {
public:
    void add(std::string sentence)
    {
        constexpr std::size_t enough = 3;
        if (count_++ < enough) text_ += (text_.empty() ? "" : "; ") + sentence;
    }
    [[nodiscard]] std::string text() const
    {
        return count_ > 3 ? fmt::format("{}; and {} more names", text_, count_ - 3) : text_;
    }

private:
    std::string text_;
    std::size_t count_ = 0;
};

/// The list of a round without doubles; a node that two names mean is told once.
class Members {
public:
    void add(FoundMember member)
    {
        if (seen_.emplace(member.host, member.port).second) all_.push_back(std::move(member));
    }
    [[nodiscard]] std::vector<FoundMember> take() { return std::move(all_); }

private:
    std::set<std::pair<std::string, std::uint16_t>> seen_;
    std::vector<FoundMember> all_;
};

/// Names written down; each is one node, with the address it had as long as DNS still gives that one.
class Static final : public Source {
public:
    Static(const StaticSource& options, LookUp look_up)
      : Source{"static", options.interval}
      , timeout_{options.timeout}
      , look_up_{std::move(look_up)}
    {
        add(options.hosts, "");
        add(options.masters, "master");
        add(options.agents, "agent");
        add(options.public_agents, "agent_public");
    }

    Task<Round> look() override
    {
        const auto end = std::chrono::steady_clock::now() + timeout_;
        Members members;
        Complaints complaints;
        for (auto& node : nodes_) {
            if (!node.fixed) {
                auto found = co_await look_up_(node.host, left_until(end));
                if (found && !found->empty() && std::ranges::find(*found, node.address) == found->end())
                    node.address = found->front();
                if (!found) complaints.add(found.error().message);
            }
            FoundMember member;
            member.host = node.address.empty() ? node.host : node.address;
            member.port = node.port;
            member.role = node.role;
            if (!node.fixed) member.hostname = node.host;
            members.add(std::move(member));
        }
        Round round;
        round.members = members.take();
        round.doubt = complaints.text();
        co_return round;
    }

private:
    struct Node {
        std::string host;
        std::uint16_t port = 0;
        std::string role;
        std::string address;  // as last looked up
        bool fixed = false;   // an address is not looked up
    };

    void add(const HostList& list, const std::string& role)
    {
        for (const auto& item : list.items) {
            const auto at = mesos::parse_host_port(item);
            if (!at) continue;  // the schema has refused it
            const bool fixed = mesos::is_ip(at->host);
            nodes_.push_back({at->host, at->port, role, fixed ? at->host : "", fixed});
        }
    }

    milliseconds timeout_;
    LookUp look_up_;
    std::vector<Node> nodes_;
};

/// Names with many addresses.
class Dns final : public Source {
public:
    Dns(const DnsSource& options, LookUp look_up)
      : Source{"dns", options.interval}
      , options_{options}
      , look_up_{std::move(look_up)}
    {
        for (const auto& item : options.names.items) {
            if (auto at = mesos::parse_host_port(item)) names_.push_back({at->host, at->port, {}});
        }
    }

    Task<Round> look() override
    {
        const auto end = std::chrono::steady_clock::now() + options_.timeout;
        Members members;
        Complaints complaints;
        bool any = false;
        for (auto& name : names_) {
            auto found = co_await look_up_(name.host, left_until(end));
            if (found && !found->empty())
                name.addresses = of_family(std::move(*found));
            else
                complaints.add(found ? "cannot look up " + name.host + ": it has no address"
                                     : found.error().message);
            any = any || !name.addresses.empty();
            for (const auto& address : name.addresses)
                members.add({.host = address, .port = name.port, .role = options_.role});
        }
        Round round;
        if (any) round.members = members.take();
        round.doubt = complaints.text();
        co_return round;
    }

private:
    struct Name {
        std::string host;
        std::uint16_t port = 0;
        Addresses addresses;  // as last looked up
    };

    [[nodiscard]] Addresses of_family(Addresses all) const
    {
        if (options_.family == "both") return all;
        const bool want_six = options_.family == "ipv6_first";
        Addresses wanted;
        std::ranges::copy_if(all, std::back_inserter(wanted),
                             [&](const std::string& address) { return address.contains(':') == want_six; });
        return wanted.empty() ? all : wanted;
    }

    DnsSource options_;
    LookUp look_up_;
    std::vector<Name> names_;
};

}  // namespace

LookUp system_look_up()
{
    return [resolver = std::make_shared<net::Resolver>()](std::string host, milliseconds limit) {
        return look_up_by(resolver, std::move(host), limit);
    };
}

std::unique_ptr<Source> make_static_source(const StaticSource& options, LookUp look_up)
{
    return std::make_unique<Static>(options, std::move(look_up));
}

std::unique_ptr<Source> make_dns_source(const DnsSource& options, LookUp look_up)
{
    return std::make_unique<Dns>(options, std::move(look_up));
}

}  // namespace opsd::cluster
