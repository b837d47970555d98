#pragma once
// The settings of section `logs`, with their defaults.

#include "opsd/config.hpp"
#include "opsd/http.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace opsd::logs {

using config::Duration;

/// What a role may read; nothing listed: everything.
struct AllowRule {
    std::string role;
    std::vector<std::string> units;
};

/// How the journal is followed.
struct FollowOptions {
    std::int64_t clients = 256;
    std::int64_t handles = 64;
    config::Bytes queue{256 * 1024};
    Duration poll{10};
};

struct LogsOptions {
    std::int64_t threads = 2;
    std::int64_t readings = 32;
    config::Bytes max_answer{std::uint64_t{4} << 30};
    config::Bytes max_entry{1 << 20};
    std::vector<std::string> fields{"FRAMEWORK_ID", "AGENT_ID", "EXECUTOR_ID", "CONTAINER_ID", "STREAM"};
    std::vector<AllowRule> allow;
    FollowOptions follow;
};

[[nodiscard]] config::Schema<LogsOptions> schema();

/// What no single field's rule can say: a role twice, a role that may read less than a lesser one.
/// Errc::invalid_argument naming the setting.
[[nodiscard]] Result<> validate(const LogsOptions& options);

}  // namespace opsd::logs
