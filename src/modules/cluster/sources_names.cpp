#include "modules/cluster/sources_parts.hpp"

#include "io/mesos/address.hpp"
#include "io/net/resolver.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

namespace opsd::cluster {
namespace {

using std::chrono::milliseconds;

using Addresses = std::vector<std::string>;

Task<Result<Addresses>> look_up_by_system(std::string host, milliseconds limit)
{
    const auto executor = co_await asio::this_coro::executor;
    const auto deadline = std::chrono::steady_clock::now() + limit;
    auto found = co_await net::Resolver::of(executor).resolve(std::move(host), 0, deadline);
    if (!found) co_return fail(std::move(found).error());
    Addresses all;
    for (const auto& endpoint : *found)
        all.push_back(net::host_of(endpoint));
    co_return all;
}

/// Names that are looked up together: one that hangs delays no other.
class Names {
public:
    explicit Names(LookUp look_up) : look_up_{std::move(look_up)} {}

    void add(std::string host)
    {
        order_.push_back(hosts_.size());
        hosts_.push_back(std::move(host));
        found_.emplace_back();
    }
    /// Addresses of the i-th name, or why it has none, by the last round.
    [[nodiscard]] const Result<Addresses>& operator[](std::size_t i) const { return found_[i]; }

    /// Asks for all of them; ends within the limit.
    Task<> look(milliseconds limit)
    {
        // One that hangs may keep its place to the end: those that answered last time come first, and the
        // others take turns.
        const auto answered = [this](std::size_t i) { return found_[i].has_value(); };
        std::vector<std::size_t> first;
        std::vector<std::size_t> others;
        for (const auto i : order_)
            (answered(i) ? first : others).push_back(i);
        std::ranges::rotate(others, others.begin() + std::min<std::ptrdiff_t>(7, std::ssize(others)));
        std::ranges::copy(others, std::back_inserter(first));
        order_ = std::move(first);
        next_ = 0;
        return side_by_side(std::min(most_at_once, hosts_.size()), std::chrono::steady_clock::now() + limit);
    }

private:
    static constexpr std::size_t most_at_once = 64;  // there may be thousands, and few threads to ask on

    Task<> side_by_side(std::size_t count, net::Deadline end)
    {
        using asio::experimental::awaitable_operators::operator&&;
        if (count > 1)
            co_await (side_by_side(count / 2, end) && side_by_side(count - count / 2, end));
        else
            co_await look_at_some(end);
    }
    Task<> look_at_some(net::Deadline end)
    {
        while (next_ < order_.size()) {
            const auto i = order_[next_++];
            found_[i] = co_await look_up_(hosts_[i], left_until(end));
            // We are stopping: that is no news of the name.
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none)
                throw boost::system::system_error{asio::error::operation_aborted};
        }
    }

    LookUp look_up_;
    std::vector<std::string> hosts_;
    std::vector<Result<Addresses>> found_;
    std::vector<std::size_t> order_;  // in which they are asked for
    std::size_t next_ = 0;            // of the order, in this round
};

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
      , names_{std::move(look_up)}
    {
        add(options.hosts, "");
        add(options.masters, "master");
        add(options.agents, "agent");
        add(options.public_agents, "agent_public");
    }

    Task<Round> look() override
    {
        co_await names_.look(timeout_);
        Members members;
        Complaints complaints;
        std::size_t next_name = 0;
        for (auto& node : nodes_) {
            if (!node.fixed) {
                const auto& found = names_[next_name++];
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
            if (!fixed) names_.add(at->host);
            nodes_.push_back({at->host, at->port, role, fixed ? at->host : "", fixed});
        }
    }

    milliseconds timeout_;
    Names names_;  // of the nodes that are not fixed, in their order
    std::vector<Node> nodes_;
};

/// Names with many addresses.
class Dns final : public Source {
public:
    Dns(const DnsSource& options, LookUp look_up)
      : Source{"dns", options.interval}
      , options_{options}
      , looked_up_{std::move(look_up)}
    {
        for (const auto& item : options.names.items) {
            const auto at = mesos::parse_host_port(item);
            if (!at) continue;  // the schema has refused it
            looked_up_.add(at->host);
            names_.push_back({at->host, at->port, {}});
        }
    }

    Task<Round> look() override
    {
        co_await looked_up_.look(options_.timeout);
        Members members;
        Complaints complaints;
        bool any = false;
        for (std::size_t i = 0; i < names_.size(); ++i) {
            auto& name = names_[i];
            const auto& found = looked_up_[i];
            if (found && !found->empty())
                name.addresses = of_family(*found);
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
    Names looked_up_;  // each of the names, in their order
    std::vector<Name> names_;
};

}  // namespace

LookUp system_look_up() { return look_up_by_system; }

std::unique_ptr<Source> make_static_source(const StaticSource& options, LookUp look_up)
{
    return std::make_unique<Static>(options, std::move(look_up));
}

std::unique_ptr<Source> make_dns_source(const DnsSource& options, LookUp look_up)
{
    return std::make_unique<Dns>(options, std::move(look_up));
}

}  // namespace opsd::cluster
