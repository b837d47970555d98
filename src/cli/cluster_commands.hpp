#pragma once
// `opsd cluster ...`: certificates for connections between nodes.

#include "cli/commands.hpp"

#include <string>
#include <vector>

namespace opsd::cli {

/// What `init` and `join` have in common.
struct ClusterPlace {
    std::string directory = "/etc/opsd/cluster";
    std::string account = "opsd";        ///< whose the keys are
    std::vector<std::string> addresses;  ///< and names, for the certificate
    int port = 1050;
    bool write_config = false;  ///< into conf.d of `sources`
    config::Sources sources;
};

/// An empty name is "opsd".
int cluster_init(const ClusterPlace& place, std::string name);

struct JoinTarget {
    std::string url;
    std::string token;
    std::string fingerprint;
};
int cluster_join(const ClusterPlace& place, const JoinTarget& target);

struct TokenOptions {
    std::string lifetime = "30m";
    int uses = 1;
    std::string node;      ///< the one node that may use it; "": any
    bool replace = false;  ///< and take its name over from a certificate that still runs
};
int cluster_token_create(const Context& context, const TokenOptions& options);
int cluster_token_revoke(const Context& context);

/// A node, an address, or a serial number.
int cluster_revoke(const Context& context, const std::string& certificate);

struct RenewOptions {
    std::string directory = "/etc/opsd/cluster";
    std::string within;   ///< only when the certificate has less than this left; "": now
    bool reload = false;  ///< systemctl reload opsd, when it was renewed
    config::Sources sources;
};
int cluster_renew(const RenewOptions& options);

int cluster_show(const Context& context, const std::string& directory);

}  // namespace opsd::cli
