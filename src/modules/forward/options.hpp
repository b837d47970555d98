#pragma once
// The settings of section `forward`, with their defaults.

#include "opsd/config.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::forward {

using config::Duration;

/// How the far side is spoken to.
struct TlsOptions {
    bool enabled = true;
    std::string ca;
    std::string certificate;
    std::string key;
};

/// Which entries an output gets: those that fit all three.
struct FilterOptions {
    std::vector<std::string> units;
    std::string priority;
    std::vector<std::string> matches;
};

/// Lines of a task that are one record.
struct MultilineOptions {
    std::string start;
    std::int64_t max_lines = 500;
    Duration timeout{2'000};
};

/// How the files of tasks are found and read.
struct TaskOptions {
    std::string work_dir = "/var/lib/mesos/slave";
    std::string agent = "http://127.0.0.1:5051";
    std::string ca;
    config::Secret authorization;
    Duration timeout{5'000};
    std::vector<std::string> files{"stdout", "stderr"};
    Duration interval{5'000};
    Duration poll{500};
    std::int64_t max_files = 2'000;
    std::int64_t max_queued = 1'000;
    config::Bytes max_line{256 << 10};
    Duration partial_timeout{5'000};
    MultilineOptions multiline;
};

/// What one request holds.
struct BatchOptions {
    std::int64_t records = 2'000;
    config::Bytes bytes{5'000'000};
    Duration age{1'000};
    std::int64_t in_flight = 1;
};

/// What is taken out before anything leaves the node.
struct RedactOptions {
    bool known = true;
    std::vector<std::string> patterns;
};

struct OutputOptions {
    std::string name;
    std::string type;
    std::string input = "journal";
    std::vector<std::string> urls;
    std::vector<std::string> hosts;
    std::string index;
    std::string topic = "opsd-logs";
    std::string source_type = "opsd:journal";
    bool raw_fields = false;
    std::string user;
    config::Secret password;
    config::Secret api_key;
    config::Secret token;
    std::string mechanism = "PLAIN";
    bool acknowledge = true;
    bool lines = false;
    config::Bytes message_bytes{1'000'000};
    TlsOptions tls;
    bool insecure = false;
    bool gzip = true;
    std::string path;
    config::Bytes max_size{256 << 20};
    FilterOptions filter;
    BatchOptions batch;
    RedactOptions redact;
    config::Bytes memory{8 << 20};
    Duration timeout{60'000};
    config::Bytes rate{0};
    std::string start = "now";
    config::Bytes dead_letters{16 << 20};
};

struct ForwardOptions {
    std::string cluster;
    std::int64_t threads = 1;
    config::Bytes max_memory{64 << 20};
    config::Bytes max_disk{std::uint64_t{1} << 30};
    TaskOptions tasks;
    std::vector<OutputOptions> outputs;
};

/// Does it send the files of tasks, not the journal?
[[nodiscard]] inline bool of_tasks(const OutputOptions& output) { return output.input == "tasks"; }

[[nodiscard]] config::Schema<ForwardOptions> schema();

/// What no single field's rule can say: names, addresses, what belongs to which type, sums of the bounds.
/// Errc::invalid_argument naming the output and the setting.
[[nodiscard]] Result<> validate(const ForwardOptions& options);

/// Bytes of disk that the output may fill: its dead letters, and a file's two halves.
[[nodiscard]] std::uint64_t disk_of(const OutputOptions& options);

/// What stands before a sentence about one of its settings: `cannot use the output "elk": `.
[[nodiscard]] std::string cannot_use(const OutputOptions& output);

}  // namespace opsd::forward
