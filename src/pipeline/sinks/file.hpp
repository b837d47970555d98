#pragma once
// A file on this node: one line a record, synced before it counts as delivered. When it is full it becomes
// PATH.1, and what was there before is gone: both together have the size that is allowed.

#include "opsd/worker.hpp"
#include "pipeline/delivery.hpp"

#include <memory>
#include <string>

namespace opsd::pipeline {

struct FileSinkOptions {
    std::string path;
    std::size_t max_size = std::size_t{256} * 1024 * 1024;  ///< of both files together
};

/// Records are lines without their line break (EcsWriter).
class FileSink final : public Sink {
public:
    /// `worker` does the writing, one request after another, and outlives it. It is of no use for anything
    /// else: a disk that hangs holds it.
    FileSink(FileSinkOptions options, WorkerThread& worker) : options_{std::move(options)}, worker_{worker} {}
    Task<Verdict> send(const Batch& batch) override;

    /// What "accepted" means, for people.
    [[nodiscard]] std::string_view acknowledged_means() const noexcept override
    {
        return "it is in the file and synced to the disk";
    }

private:
    FileSinkOptions options_;
    std::weak_ptr<int> writing_;  ///< while a write is under way, also one that nobody waits for any more
    WorkerThread& worker_;
};

}  // namespace opsd::pipeline
