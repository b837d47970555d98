#pragma once
// The settings of section `cluster`, with their defaults.

#include "modules/cluster/sources_options.hpp"
#include "opsd/config.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace opsd::cluster {

/// How members are spoken to.
struct TlsOptions {
    bool enabled = false;
    std::string ca;
    std::string certificate;
    std::string key;
};

/// How members are asked.
struct PullOptions {
    Duration wait{30'000};
    Duration poll_interval{10'000};
    Duration min_interval{100};
    Duration stale_after{5'000};
    Duration answer_timeout{5'000};
    Duration connect_timeout{2'000};
    Duration retry_min{1'000};
    Duration retry_max{10'000};
    std::int64_t first_contacts = 512;
    Duration first_contact_time{250};
    std::int64_t refreshes = 128;
    Duration refresh_timeout{10'000};
    config::Bytes max_document{4 << 20};
};

/// What is kept of the cluster's past.
struct ArchiveOptions {
    Duration max_age{std::chrono::hours{24 * 30}};
    std::int64_t max_rows = 200'000;
    std::int64_t max_rows_per_member = 2'000;
    Duration save_interval{std::chrono::minutes{5}};
    std::int64_t concurrent = 4;
};

struct ClusterOptions {
    std::string watch = "auto";
    std::int64_t port = 1050;
    SourcesOptions sources;
    config::Secret token;
    bool insecure = false;
    TlsOptions tls;
    PullOptions pull;
    ArchiveOptions history;
    std::int64_t max_members = 20'000;
    config::Bytes max_answers{48U << 20U};
    bool node_health_in_units = false;
    Duration forget_after{std::chrono::hours{24 * 7}};
    Duration publish_interval{100};
    Duration max_wait{60'000};
};

[[nodiscard]] config::Schema<ClusterOptions> schema();

/// What no single field's rule can say. Errc::invalid_argument naming the setting.
[[nodiscard]] Result<> validate(const ClusterOptions& options);

}  // namespace opsd::cluster
