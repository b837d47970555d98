#pragma once
// The settings of section `dcos`, with their defaults. Where Mesos is, is said in cluster.sources.

#include "opsd/config.hpp"

#include <cstdint>
#include <string>

namespace opsd::dcos {

using config::Duration;

/// How questions are handed on to Mesos.
struct MesosOptions {
    std::string authorization = "own";
    Duration timeout{10'000};
    Duration idle_timeout{15'000};
    Duration probe_interval{15'000};
    Duration leader_age{2'000};
    Duration agents_age{15'000};
    config::Bytes max_answer{std::uint64_t{1} << 30};
    std::int64_t concurrent = 32;
};

/// Where Marathon is.
struct MarathonOptions {
    std::string url;
    std::string framework = "marathon";
    Duration age{15'000};
    bool pass_authorization = false;
};

/// The command line's plugin, for `dcos cluster setup`.
struct PluginOptions {
    std::string directory;
    std::string url;
    config::Bytes max_size{std::uint64_t{64} << 20};
};

/// What the node says of its cluster.
struct MetadataOptions {
    std::string cluster_id;
    std::string public_ip;
    std::string version;
    std::string variant = "open";
    std::string image_commit;
    std::string bootstrap_id;
};

struct DcosOptions {
    bool enabled = true;
    MetadataOptions metadata;
    MesosOptions mesos;
    MarathonOptions marathon;
    PluginOptions plugins;
};

[[nodiscard]] config::Schema<DcosOptions> schema();

}  // namespace opsd::dcos
