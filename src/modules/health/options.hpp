#pragma once
// The settings of section `health`, with their defaults.

#include "opsd/config.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace opsd::health {

using config::Duration;

/// How long a unit may stay between two states before it is called stuck.
struct StuckAfter {
    Duration activating{std::chrono::minutes{5}};
    Duration deactivating{std::chrono::minutes{2}};
    Duration reloading{std::chrono::minutes{2}};
};

/// When a unit that keeps restarting is called flapping.
struct Flapping {
    std::int64_t restarts = 3;
    Duration window{std::chrono::minutes{10}};
    Duration gather{std::chrono::seconds{2}};
};

/// What is kept of the past.
struct HistoryOptions {
    Duration max_age{std::chrono::hours{24 * 30}};
    std::int64_t max_rows = 100'000;
    std::int64_t max_rows_per_unit = 1'000;
    Duration fold_window{std::chrono::minutes{10}};
    std::int64_t concurrent = 4;
};

/// The evidence shown with an unhealthy unit.
struct JournalOptions {
    std::int64_t lines = 50;
    config::Bytes max_bytes{16 * 1024};
    Duration settle{700};
};

/// The connection to systemd.
struct SystemdOptions {
    Duration call_timeout{5'000};
    std::int64_t window = 100;
    Duration resync{std::chrono::minutes{5}};
    Duration reconnect_min{100};
    Duration reconnect_max{10'000};
    bool private_socket = true;
};

/// Explanations of single units, on demand.
struct ExplainOptions {
    Duration deadline{5'000};
    std::int64_t concurrent = 4;
    Duration keep{5'000};
    std::int64_t kept = 64;
    std::int64_t journal_lines = 50;
    std::int64_t dependencies = 100;
    Duration worked_after{5'000};
};

struct HealthOptions {
    std::vector<std::string> units;
    std::vector<std::string> globs;
    std::vector<std::string> targets;
    std::vector<std::string> exclude{"dcos-setup.service", "dcos-link-env.service", "dcos-download.service"};
    std::int64_t max_units = 5'000;
    Duration publish_interval{10};
    StuckAfter stuck_after;
    Flapping flapping;
    HistoryOptions history;
    JournalOptions journal;
    SystemdOptions systemd;
    ExplainOptions explain;
};

[[nodiscard]] config::Schema<HealthOptions> schema();

/// What no single field's rule can say: names that are no unit names, targets that are no targets, limits
/// that contradict each other. Errc::invalid_argument naming the setting.
[[nodiscard]] Result<> validate(const HealthOptions& options);

}  // namespace opsd::health
