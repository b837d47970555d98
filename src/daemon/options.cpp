#include "daemon/options.hpp"

#include "daemon/catalog.hpp"
#include "http/auth_options.hpp"

#include <boost/asio/ip/address.hpp>
#include <fmt/format.h>

namespace opsd::daemon {

using config::at_least;
using config::between;
using config::Bytes;
using config::Duration;
using config::one_of;

config::Schema<NodeOptions> node_schema()
{
    return config::Schema<NodeOptions>{}
        .field(&NodeOptions::hostname, "hostname", "Host name to report; empty: the system's")
        .field(&NodeOptions::ip, "ip",
               "Address to report; empty: from ip_detect, else the address of the default route")
        .field(&NodeOptions::ip_detect, "ip_detect",
               "Command that prints the address, e.g. [/opt/mesosphere/bin/detect_ip]; retried until it "
               "succeeds")
        .field(&NodeOptions::ip_detect_timeout, "ip_detect_timeout", "Deadline of one run of ip_detect",
               between(Duration{100}, Duration{60'000}))
        .field(&NodeOptions::role, "role",
               "Role to report; auto reads /etc/mesosphere/roles and is empty on a host that is not of a "
               "cluster",
               one_of({"auto", "master", "agent", "agent_public"}))
        .field(&NodeOptions::mesos_id, "mesos_id",
               "Mesos id to report; empty: an agent's from its work directory")
        .field(&NodeOptions::mesos_work_dir, "mesos_work_dir", "The Mesos agent's --work_dir")
        .field(&NodeOptions::dcos_version, "dcos_version",
               "DC/OS version to report; empty: the environment's DCOS_VERSION");
}

config::Schema<LogOptions> log_schema()
{
    return config::Schema<LogOptions>{}.field(&LogOptions::level, "level", "Least important level to log",
                                              one_of({"error", "warning", "info", "debug"}));
}

namespace {

config::Schema<ListenOptions> listen_schema()
{
    return config::Schema<ListenOptions>{}
        .fixed(&ListenOptions::address, "address", "Address to bind")
        .fixed(&ListenOptions::port, "port", "TCP port", between<std::int64_t>(0, 65535))
        .fixed(&ListenOptions::certificate, "certificate",
               "PEM file with the certificate chain: switches TLS on")
        .fixed(&ListenOptions::key, "key", "PEM file with the private key")
        .fixed(&ListenOptions::client_ca, "client_ca", "PEM file: accept client certificates signed by it")
        .fixed(&ListenOptions::insecure, "insecure", "Allow an address other than loopback without TLS");
}

config::Schema<http::Limits> limits_schema()
{
    using L = http::Limits;
    const auto wait = between(Duration{100}, Duration{600'000});
    return config::Schema<L>{}
        .field(&L::connections, "connections",
               "Open connections in all; fewer when LimitNOFILE leaves no room for them",
               between<std::int64_t>(1, 100'000))
        .field(&L::reserved_connections, "reserved_connections",
               "Connections beyond that, for root and operators on the Unix socket",
               between<std::int64_t>(0, 1'000))
        .field(&L::connections_per_address, "connections_per_address",
               "Open connections of one remote address; loopback and the socket are exempt",
               between<std::int64_t>(1, 100'000))
        .field(&L::header, "header", "Size of a request's header; beyond it 431",
               between(Bytes{1024}, Bytes{1 << 20}))
        .field(&L::body, "body", "Size of a request's body; beyond it 413",
               between(Bytes{1024}, Bytes{64 << 20}))
        .field(&L::header_timeout, "header_timeout",
               "From the first byte of a request to the end of its header", wait)
        .field(&L::body_timeout, "body_timeout", "For the body of a request", wait)
        .field(&L::idle_timeout, "idle_timeout", "Between two requests of a connection", wait)
        .field(&L::write_timeout, "write_timeout", "For a slow client to take a response or a chunk", wait)
        .field(&L::handler_timeout, "handler_timeout", "For opsd to make an answer; beyond it 504", wait)
        .field(&L::streams, "streams", "Open follow streams; beyond it 503",
               between<std::int64_t>(0, 100'000));
}

bool octal_mode(std::int64_t digits)
{
    return digits >= 0 && digits <= 777 && digits % 10 < 8 && digits / 10 % 10 < 8;
}

}  // namespace

config::Schema<HttpOptions> http_schema()
{
    return config::Schema<HttpOptions>{}
        .list(&HttpOptions::listen, "listen", "TCP listeners; [] for none", listen_schema())
        .fixed(&HttpOptions::socket, "socket", "Unix socket; its peer's uid gives the role. Empty: none")
        .fixed(&HttpOptions::socket_mode, "socket_mode", "File mode of the Unix socket",
               config::Rule<std::int64_t>{"octal digits such as 660", octal_mode, {}})
        .field(
            &HttpOptions::anonymous, "anonymous",
            "What loopback may do without credentials: none; local: states, causes and metrics; viewer: also "
            "journal lines, as DC/OS does",
            one_of({"none", "local", "viewer"}))
        .section(&HttpOptions::limits, "limits", "Bounds of what clients can make opsd hold or wait for",
                 limits_schema())
        .field(&HttpOptions::stop_grace, "stop_grace",
               "For modules to end, and again for requests in flight, when opsd stops",
               between(Duration{0}, Duration{7'000}));
}

config::Schema<StoreSection> store_schema()
{
    return config::Schema<StoreSection>{}
        .fixed(&StoreSection::max_size, "max_size",
               "Size of state.db; when full, history stops and opsd says so", at_least(Bytes{1 << 20}))
        .fixed(&StoreSection::statement_timeout, "statement_timeout", "Deadline of one query of the store",
               between(Duration{100}, Duration{60'000}));
}

std::vector<config::SectionSchema> all_sections()
{
    std::vector<config::SectionSchema> all{
        {"node", "Who this node is.", config::AnySchema{node_schema()}},
        {"log", "What opsd says about itself.", config::AnySchema{log_schema()}},
        {"http", "The HTTP API.", config::AnySchema{http_schema()}},
        {"auth", "Who may do what.", config::AnySchema{http::auth_schema()}},
        {"store", "The state on disk.", config::AnySchema{store_schema()}},
    };
    for (const auto& entry : catalog())
        all.push_back({entry.name, entry.summary, entry.schema});
    return all;
}

bool is_loopback(const std::string& address)
{
    if (address == "localhost") return true;
    error_code ec;
    const auto ip = asio::ip::make_address(address, ec);
    return !ec && ip.is_loopback();
}

void check_listeners(const HttpOptions& options, config::Mistakes& mistakes)
{
    for (std::size_t i = 0; i < options.listen.size(); ++i) {
        const auto& listen = options.listen[i];
        const auto path = fmt::format("http.listen[{}]", i);
        if (listen.certificate.empty() != listen.key.empty()) {
            mistakes.push_back({{}, path, "has only one of certificate and key: TLS needs both"});
        }
        if (!listen.client_ca.empty() && listen.certificate.empty()) {
            mistakes.push_back(
                {{}, path, "has client_ca without certificate and key: client certificates need TLS"});
        }
        if (!is_loopback(listen.address) && listen.certificate.empty() && !listen.insecure) {
            mistakes.push_back(
                {{},
                 path,
                 fmt::format("listens on {} without TLS, so that tokens and journal lines would cross "
                             "the network in the clear: set certificate and key, or insecure: true",
                             listen.address)});
        }
    }
}

}  // namespace opsd::daemon
