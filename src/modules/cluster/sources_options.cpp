#include "modules/cluster/sources_options.hpp"

#include "io/mesos/address.hpp"
#include "io/net/url.hpp"
#include "io/zookeeper/address.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::cluster {

using config::between;
using config::Bytes;
using config::Schema;
using config::Secret;
using config::Value;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t most_hosts = 10'000;
constexpr std::size_t most_urls = 100;

std::unexpected<Error> wrong(std::string message) { return fail(Errc::invalid_argument, std::move(message)); }

Result<void> items_of(const Value& from, std::size_t most, std::vector<std::string>& to)
{
    auto done = config::decode(from, to);
    if (done && to.size() > most)
        return wrong(fmt::format("has {} items, must have at most {}", to.size(), most));
    return done;
}

/// "" or what is wrong with it.
std::string_view url_mistake(const std::string& text)
{
    const auto url = net::parse_url(text);
    if (!url || url->scheme == net::Url::Scheme::unix_socket || !mesos::usable_host(url->host))
        return "must be a URL such as http://10.0.0.1:5050, without user and password";
    return {};
}

Schema<StaticSource> static_schema()
{
    return Schema<StaticSource>{}
        .field(&StaticSource::hosts, "hosts",
               "Nodes by name or address, each with an optional :port; they say themselves what they are")
        .field(&StaticSource::masters, "masters", "Nodes that are masters")
        .field(&StaticSource::agents, "agents", "Nodes that are private agents")
        .field(&StaticSource::public_agents, "public_agents", "Nodes that are public agents")
        .field(&StaticSource::interval, "interval", "How often names are looked up again",
               between(Duration{1s}, Duration{24h}))
        .field(&StaticSource::timeout, "timeout",
               "For all look-ups of a round; a name without an answer keeps its last address",
               between(Duration{100ms}, Duration{60s}));
}

Schema<DnsSource> dns_schema()
{
    return Schema<DnsSource>{}
        .field(&DnsSource::names, "names", "Names each of whose addresses is a node, such as master.mesos")
        .field(&DnsSource::role, "role", "What these nodes are; empty: they say so themselves",
               config::one_of({"", "master", "agent", "agent_public"}))
        .field(
            &DnsSource::family, "family",
            "Of a name with IPv4 and IPv6 addresses: the IPv4 ones, the IPv6 ones, or both (two members for "
            "each node until it has answered)",
            config::one_of({"ipv4_first", "ipv6_first", "both"}))
        .field(&DnsSource::interval, "interval", "How often names are looked up again",
               between(Duration{1s}, Duration{24h}))
        .field(&DnsSource::timeout, "timeout",
               "For all look-ups of a round; a name without an answer keeps its last addresses",
               between(Duration{100ms}, Duration{60s}));
}

Schema<MesosSource> mesos_schema()
{
    return Schema<MesosSource>{}
        .field(&MesosSource::masters, "masters",
               "Base URLs of Mesos masters, any of them or http://leader.mesos:5050; redirects to the leader "
               "are "
               "followed. Masters found in ZooKeeper are asked, too; empty and no ZooKeeper: not asked")
        .field(&MesosSource::scheme, "scheme", "How masters found in ZooKeeper are asked",
               config::one_of({"http", "https"}))
        .field(&MesosSource::user, "user", "For Basic authentication; needs password")
        .field(&MesosSource::password, "password",
               "Sent only to masters named here or in ZooKeeper, never to one that only a redirect names")
        .field(&MesosSource::token, "token", "Instead of user and password; sent likewise")
        .field(&MesosSource::token_scheme, "token_scheme",
               "Authorization: Bearer TOKEN, or token=TOKEN as DC/OS wants it",
               config::one_of({"bearer", "dcos"}))
        .field(&MesosSource::interval, "interval", "Time between two questions to the leader",
               between(Duration{1s}, Duration{24h}))
        .field(&MesosSource::timeout, "timeout", "For a round: all masters, redirects and answers together",
               between(Duration{100ms}, Duration{5min}))
        .field(&MesosSource::max_body, "max_body", "The largest answer taken",
               between(Bytes{64U << 10U}, Bytes{1U << 30U}))
        .field(&MesosSource::max_agents, "max_agents", "An answer that lists more agents is refused",
               between<std::int64_t>(1, 1'000'000))
        .field(&MesosSource::max_redirects, "max_redirects", "Redirects followed from one master",
               between<std::int64_t>(0, 10));
}

Schema<ExhibitorSource> exhibitor_schema()
{
    return Schema<ExhibitorSource>{}
        .field(
            &ExhibitorSource::url, "url",
            "Of the cluster status, as http://127.0.0.1:8181/exhibitor/v1/cluster/status; empty: not asked")
        .field(&ExhibitorSource::interval, "interval", "Time between two questions",
               between(Duration{1s}, Duration{24h}))
        .field(&ExhibitorSource::timeout, "timeout", "For the answer, of at most 1 MiB",
               between(Duration{100ms}, Duration{60s}));
}

Schema<ZooKeeperSource> zookeeper_schema()
{
    return Schema<ZooKeeperSource>{}
        .field(&ZooKeeperSource::address, "address",
               "Where the masters elect their leader, as zk://10.0.0.1:2181,10.0.0.2:2181/mesos; empty: not "
               "asked")
        .field(&ZooKeeperSource::user, "user", "For digest authentication; needs password")
        .field(&ZooKeeperSource::password, "password", "For digest authentication")
        .field(&ZooKeeperSource::interval, "interval",
               "How often all is read again; changes are seen at once", between(Duration{1s}, Duration{24h}))
        .field(&ZooKeeperSource::timeout, "timeout", "For one question, waiting for a server included",
               between(Duration{100ms}, Duration{60s}))
        .field(&ZooKeeperSource::session_timeout, "session_timeout", "Asked for; the server decides",
               between(Duration{1s}, Duration{10min}))
        .field(&ZooKeeperSource::tls, "tls", "Connect with TLS, to the servers' secureClientPort");
}

Schema<SourceTls> tls_schema()
{
    return Schema<SourceTls>{}
        .field(&SourceTls::ca_file, "ca_file", "Certificates (PEM) to trust; empty: the system's")
        .field(&SourceTls::certificate_file, "certificate_file",
               "Our certificate (PEM), where one is asked for")
        .field(&SourceTls::key_file, "key_file", "Its key (PEM)");
}

Result<> check_credentials(const MesosSource& mesos)
{
    const bool password = mesos.password.from != Secret::From::none;
    const bool token = mesos.token.from != Secret::From::none;
    if (password == mesos.user.empty())
        return wrong("cannot use cluster.sources.mesos.user and password: only one of them is set; set both");
    if (mesos.user.contains(':'))
        return wrong("cannot use cluster.sources.mesos.user: a user of Basic authentication has no \":\"");
    if (password && token)
        return wrong("cannot use cluster.sources.mesos.token: user and password are set, too; remove one");
    return {};
}

}  // namespace

Result<void> decode(const Value& from, HostList& to)
{
    HostList read;
    auto done = items_of(from, most_hosts, read.items);
    if (!done) return done;
    for (std::size_t i = 0; i < read.items.size(); ++i) {
        if (!mesos::parse_host_port(read.items[i]))
            return wrong(
                fmt::format("item {} is \"{}\", must be a name or an address with an optional :port, such as "
                            "node1, 10.0.0.1:1050 or [fd00::1]:1050",
                            i + 1, mesos::printable(read.items[i])));
    }
    to = std::move(read);
    return {};
}

Result<void> decode(const Value& from, UrlList& to)
{
    UrlList read;
    auto done = items_of(from, most_urls, read.items);
    if (!done) return done;
    for (std::size_t i = 0; i < read.items.size(); ++i) {
        const auto mistake = url_mistake(read.items[i]);
        // The text may hold a password: it is not repeated.
        if (!mistake.empty()) return wrong(fmt::format("item {} {}", i + 1, mistake));
    }
    to = std::move(read);
    return {};
}

Result<void> decode(const Value& from, UrlText& to)
{
    UrlText read;
    auto done = config::decode(from, read.text);
    if (!done) return done;
    const auto mistake = read.text.empty() ? std::string_view{} : url_mistake(read.text);
    if (!mistake.empty()) return wrong(std::string{mistake});
    to = std::move(read);
    return {};
}

Result<void> decode(const Value& from, EnsembleText& to)
{
    EnsembleText read;
    auto done = config::decode(from, read.text);
    if (!done) return done;
    if (read.text.contains('@'))
        return wrong("must not contain a user or password; set user and password beside it");
    if (!read.text.empty() && !zookeeper::parse_address(read.text))
        return wrong("must be like zk://10.0.0.1:2181,10.0.0.2:2181/mesos");
    to = std::move(read);
    return {};
}

Value encode(const HostList& value) { return config::encode(value.items); }
Value encode(const UrlList& value) { return config::encode(value.items); }
Value encode(const UrlText& value) { return config::encode(value.text); }
Value encode(const EnsembleText& value) { return config::encode(value.text); }

bool any_host(const StaticSource& source) noexcept
{
    return !source.hosts.items.empty() || !source.masters.items.empty() || !source.agents.items.empty()
           || !source.public_agents.items.empty();
}

bool any_source(const SourcesOptions& options) noexcept
{
    return any_host(options.fixed) || !options.dns.names.items.empty() || !options.mesos.masters.items.empty()
           || !options.exhibitor.url.text.empty() || !options.zookeeper.address.text.empty();
}

Schema<SourcesOptions> sources_schema()
{
    return Schema<SourcesOptions>{}
        .section(&SourcesOptions::fixed, "static", "Nodes written down here", static_schema())
        .section(&SourcesOptions::dns, "dns", "Names that stand for several nodes", dns_schema())
        .section(&SourcesOptions::mesos, "mesos", "Agents by the word of the leading Mesos master",
                 mesos_schema())
        .section(&SourcesOptions::exhibitor, "exhibitor", "Masters by the word of Exhibitor",
                 exhibitor_schema())
        .section(&SourcesOptions::zookeeper, "zookeeper",
                 "Masters by the word of the ZooKeeper in which they elect their leader", zookeeper_schema())
        .section(&SourcesOptions::tls, "tls", "TLS towards Mesos, Exhibitor and ZooKeeper", tls_schema());
}

Result<> validate(const SourcesOptions& options)
{
    auto done = check_credentials(options.mesos);
    if (!done) return done;
    const auto& ensemble = options.zookeeper;
    if ((ensemble.password.from != Secret::From::none) == ensemble.user.empty())
        return wrong(
            "cannot use cluster.sources.zookeeper.user and password: only one of them is set; set both");
    const bool over_tls = std::ranges::any_of(
        options.mesos.masters.items, [](const std::string& url) { return url.starts_with("https:"); });
    if (over_tls && !ensemble.address.text.empty() && options.mesos.scheme == "http")
        return wrong(
            "cannot use cluster.sources.mesos.scheme: masters named in ZooKeeper would be asked without "
            "TLS while cluster.sources.mesos.masters has https; set it to https");
    if (options.tls.certificate_file.empty() != options.tls.key_file.empty())
        return wrong(
            "cannot use cluster.sources.tls: certificate_file and key_file belong together; set both");
    return {};
}

}  // namespace opsd::cluster
