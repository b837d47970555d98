#pragma once
// A line of a task's file as an entry of a journal, so that every output renders it as it renders those.
// Pure.

#include "io/systemd/journal_entry.hpp"
#include "pipeline/tail/file_position.hpp"
#include "pipeline/tail/multi_line.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace opsd::forward {

/// Whose the files are.
struct TaskNames {
    std::string id;         ///< "": of several tasks, or of the executor itself
    std::string name;       ///< of the task, or the executor's
    std::string container;  ///< of a task of a pod: RUN.NESTED
};

/// The number of the record that is written next: what stands for its position (task_ledger.hpp). Used by the
/// thread that reads.
struct RecordNumber {
    std::uint64_t value = 0;
};

/// Frames what another writer makes of the entries: the id is the cursor, the position the number.
class NumberedFrames final : public systemd::EntryWriter {
public:
    NumberedFrames(std::unique_ptr<systemd::EntryWriter> inner, std::shared_ptr<const RecordNumber> number)
      : inner_{std::move(inner)}
      , number_{std::move(number)}
    {}
    bool write(const systemd::JournalEntry& entry, std::string& out) override;

private:
    std::unique_ptr<systemd::EntryWriter> inner_;
    std::shared_ptr<const RecordNumber> number_;
};

/// Entries of one file's lines.
class TaskRecords {
public:
    /// All that is given outlives it. `file` is the path below the sandbox.
    TaskRecords(const pipeline::RunName& run, const TaskNames& task, std::string_view file,
                const std::string& host);

    /// The entry of a record in a block that begins at `from`; valid until the next one.
    [[nodiscard]] systemd::JournalEntry entry(const pipeline::FilePosition& from,
                                              const pipeline::Piece& piece, std::int64_t time);

private:
    static constexpr std::size_t message_field = 0;
    std::array<systemd::JournalField, 13> fields_;
    std::string id_;
    std::string container_;  ///< of the run, as ids have it
};

/// Which stream a file is: stdout, stderr, or its own name.
[[nodiscard]] std::string_view stream_of(std::string_view file) noexcept;

}  // namespace opsd::forward
