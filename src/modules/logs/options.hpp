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
    bool tasks = false;
};

/// How the journal is followed.
struct FollowOptions {
    std::int64_t clients = 256;
    std::int64_t handles = 64;
    config::Bytes queue{256 * 1024};
    Duration poll{10};
};

/// How the logs of tasks are found and read.
struct TaskOptions {
    std::string agent = "http://127.0.0.1:5051";
    std::string ca;
    std::string work_dir = "/var/lib/mesos/slave";
    Duration timeout{5'000};
    Duration find_timeout{10'000};
    Duration keep{2'000};
    Duration poll{250};
    std::int64_t finds = 32;
    std::int64_t readings = 128;
};

/// How other nodes are asked.
struct NodeOptions {
    Duration answer_timeout{5'000};
    std::int64_t streams = 128;
    std::int64_t most = 64;
    std::int64_t most_lines = 10'000;
    config::Bytes buffer{16U << 20U};
    Duration settle{300};
};

/// How the leader of Marathon is known.
struct MarathonOptions {
    std::string url = "http://127.0.0.1:8080";
    Duration timeout{5'000};
    Duration keep{25'000};
};

struct LogsOptions {
    std::int64_t threads = 2;
    std::int64_t readings = 32;
    config::Bytes max_answer{std::uint64_t{4} << 30};
    config::Bytes max_entry{1 << 20};
    std::vector<std::string> fields{"FRAMEWORK_ID", "AGENT_ID", "EXECUTOR_ID", "CONTAINER_ID", "STREAM"};
    std::vector<AllowRule> allow;
    FollowOptions follow;
    TaskOptions tasks;
    NodeOptions nodes;
    MarathonOptions marathon;
};

[[nodiscard]] config::Schema<LogsOptions> schema();

/// What no single field's rule can say: a role twice, a role that may read less than a lesser one, an address
/// that is none.
/// Errc::invalid_argument naming the setting.
[[nodiscard]] Result<> validate(const LogsOptions& options);

}  // namespace opsd::logs
