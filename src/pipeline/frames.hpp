#pragma once
// How rendered records travel from the thread that reads them to the output: one text with a small head
// before each record, so that a reader that only carries text carries records. Pure.

#include "io/systemd/journal_entry.hpp"
#include "opsd/result.hpp"
#include "pipeline/batch.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::pipeline {

/// Begins a record at the end of `out`; what is appended before end_frame() is its bytes. Returns what
/// end_frame() needs.
[[nodiscard]] std::size_t begin_frame(std::string& out, std::string_view id, std::string_view position,
                                      std::int64_t time);
void end_frame(std::string& out, std::size_t frame);

/// The records in a text made so, in its order. Errc::internal when it is something else.
[[nodiscard]] Result<std::vector<Record>> read_frames(const Text& text);

/// Appends the id of a journal entry: the parts of its cursor that tell it from every other. Sequence id and
/// number alone do not: after a restart journald of systemd 252 numbers on from each file's own end, so that
/// two files can have the same number for different entries; the time tells them apart. A cursor of another
/// form is its own id.
void append_entry_id(std::string& out, std::string_view cursor);

/// Frames what another writer makes of the entries of a journal: id and position are from the cursor.
class FrameWriter final : public systemd::EntryWriter {
public:
    explicit FrameWriter(std::unique_ptr<systemd::EntryWriter> inner) : inner_{std::move(inner)} {}
    bool write(const systemd::JournalEntry& entry, std::string& out) override;

private:
    std::unique_ptr<systemd::EntryWriter> inner_;
    std::string id_;
};

}  // namespace opsd::pipeline
