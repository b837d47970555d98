#pragma once
// The daemon's own configuration sections; modules bring theirs through the catalog.

#include "http/server.hpp"
#include "opsd/config.hpp"
#include "opsd/module.hpp"

#include <string>
#include <vector>

namespace opsd::daemon {

/// Section `node`: who this node is. What is left empty is found out (identity.hpp).
struct NodeOptions {
    std::string hostname;
    std::string ip;
    std::vector<std::string> ip_detect;
    config::Duration ip_detect_timeout{10'000};
    std::string role = "auto";
    std::string mesos_id;
    std::string mesos_work_dir = "/var/lib/mesos/slave";
    std::string dcos_version;
};

/// Section `log`.
struct LogOptions {
    std::string level = "info";
};

/// One TCP listener of section `http`.
struct ListenOptions {
    std::string address = "127.0.0.1";
    std::int64_t port = 1050;
    std::string certificate;
    std::string key;
    std::string client_ca;
    bool insecure = false;
};

/// Section `http`.
struct HttpOptions {
    std::vector<ListenOptions> listen{ListenOptions{}};
    std::string socket = "/run/opsd/opsd.sock";
    std::int64_t socket_mode = 666;  // written as the octal digits
    std::string anonymous = "local";
    http::Limits limits;
    config::Duration stop_grace{5'000};
};

/// Section `store`.
struct StoreSection {
    config::Bytes max_size{256ULL << 20};
    config::Duration statement_timeout{5'000};
};

config::Schema<NodeOptions> node_schema();
config::Schema<LogOptions> log_schema();
config::Schema<HttpOptions> http_schema();
config::Schema<StoreSection> store_schema();

/// All top-level sections, the daemon's and the modules', in the order of the documentation.
std::vector<config::SectionSchema> all_sections();

/// What the schema cannot say: a listener that is not on loopback needs TLS and a way to authenticate, or
/// `insecure: true`. All mistakes at once.
void check_listeners(const HttpOptions& options, config::Mistakes& mistakes);

/// Is the address 127.0.0.0/8, ::1 or "localhost"?
[[nodiscard]] bool is_loopback(const std::string& address);

}  // namespace opsd::daemon
