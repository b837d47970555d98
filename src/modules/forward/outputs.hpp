#pragma once
// The kinds of outputs: from an output's options to what renders its records and what sends them. One row for
// each kind; the configuration offers what has a row.

#include "io/systemd/journal_entry.hpp"
#include "modules/forward/options.hpp"
#include "opsd/clock.hpp"
#include "opsd/worker.hpp"
#include "pipeline/delivery.hpp"

#include <memory>
#include <string>
#include <vector>

namespace opsd::forward {

/// What sinks use; references outlive them.
struct SinkServices {
    Executor executor;
    Clock& clock;
    WorkerThread& disk;  ///< small files: secrets
    WorkerThread& file;  ///< of this output alone: what a file output writes
    std::string credentials_directory;
};

struct Kind {
    std::string name;
    /// What the kind needs of the options, and what it has no use for. Errc::invalid_argument.
    Result<> (*check)(const OutputOptions& options);
    std::unique_ptr<systemd::EntryWriter> (*writer)(const OutputOptions& options,
                                                    const pipeline::Labels& labels);
    std::unique_ptr<pipeline::Sink> (*sink)(const OutputOptions& options, const SinkServices& services);
    /// When a request that the sink has not ended by itself is given up.
    std::chrono::milliseconds (*deadline)(const OutputOptions& options);
};

[[nodiscard]] const std::vector<Kind>& kinds();
[[nodiscard]] std::vector<std::string> kind_names();
/// Null for a type without a row.
[[nodiscard]] const Kind* find_kind(std::string_view type);

}  // namespace opsd::forward
