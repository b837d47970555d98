#pragma once
// The settings of `cluster.sources`: who says which nodes belong to the cluster. A source that is given
// nothing to ask is off.

#include "opsd/config.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace opsd::cluster {

using config::Duration;

/// Names or addresses, each with an optional ":port". Checked when it is read.
struct HostList {
    std::vector<std::string> items;
    bool operator==(const HostList&) const = default;
};
/// URLs, http or https.
struct UrlList {
    std::vector<std::string> items;
    bool operator==(const UrlList&) const = default;
};
/// One URL; "" for none.
struct UrlText {
    std::string text;
    bool operator==(const UrlText&) const = default;
};
/// Where a ZooKeeper ensemble is, without a password; "" for none.
struct EnsembleText {
    std::string text;
    bool operator==(const EnsembleText&) const = default;
};

// found by the schema
Result<void> decode(const config::Value& from, HostList& to);
Result<void> decode(const config::Value& from, UrlList& to);
Result<void> decode(const config::Value& from, UrlText& to);
Result<void> decode(const config::Value& from, EnsembleText& to);
config::Value encode(const HostList& value);
config::Value encode(const UrlList& value);
config::Value encode(const UrlText& value);
config::Value encode(const EnsembleText& value);
inline std::string type_name(const HostList&) { return "list of strings"; }
inline std::string type_name(const UrlList&) { return "list of strings"; }
inline std::string type_name(const UrlText&) { return "string"; }
inline std::string type_name(const EnsembleText&) { return "string"; }

/// Nodes written down here.
struct StaticSource {
    HostList hosts;
    HostList masters;
    HostList agents;
    HostList public_agents;
    Duration interval{60'000};
    Duration timeout{10'000};
};

/// Names that stand for several nodes, such as master.mesos.
struct DnsSource {
    HostList names;
    std::string role;
    std::string family = "ipv4_first";
    Duration interval{30'000};
    Duration timeout{10'000};
};

/// The agents (and the leader) by the word of the leading Mesos master.
struct MesosSource {
    UrlList masters;
    std::string scheme = "http";
    std::string user;
    config::Secret password;
    config::Secret token;
    std::string token_scheme = "bearer";
    Duration interval{15'000};
    Duration timeout{10'000};
    config::Bytes max_body{64U << 20U};
    std::int64_t max_agents = 100'000;
    std::int64_t max_redirects = 3;
};

/// The masters by the word of Exhibitor.
struct ExhibitorSource {
    UrlText url;
    Duration interval{30'000};
    Duration timeout{10'000};
};

/// The masters by the word of the ZooKeeper in which they elect their leader.
struct ZooKeeperSource {
    EnsembleText address;
    std::string user;
    config::Secret password;
    Duration interval{60'000};
    Duration timeout{10'000};
    Duration session_timeout{30'000};
    bool tls = false;
};

/// TLS towards Mesos, Exhibitor and ZooKeeper; certificates are always verified.
struct SourceTls {
    std::string ca_file;
    std::string certificate_file;
    std::string key_file;
};

struct SourcesOptions {
    StaticSource fixed;
    DnsSource dns;
    MesosSource mesos;
    ExhibitorSource exhibitor;
    ZooKeeperSource zookeeper;
    SourceTls tls;
};

/// Is there any source to ask? Without one the cluster is this node alone.
[[nodiscard]] bool any_source(const SourcesOptions& options) noexcept;
/// Are nodes written down in it?
[[nodiscard]] bool any_host(const StaticSource& source) noexcept;

/// For `Schema::section(..., "sources", ..., sources_schema())`.
[[nodiscard]] config::Schema<SourcesOptions> sources_schema();

/// What no single field's rule can say: a user without a password, credentials that would leave TLS, a key
/// without its certificate. Errc::invalid_argument naming the setting below cluster.sources.
[[nodiscard]] Result<> validate(const SourcesOptions& options);

}  // namespace opsd::cluster
