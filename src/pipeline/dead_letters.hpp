#pragma once
// Records that a far side refuses for good, kept for people: why, when, and the bytes themselves, so that
// they can be sent again once the reason is gone. Capped: the oldest go, and are counted as lost.
//
// A line a letter, two files that take turns growing (PATH and PATH.1). A torn line, left by a crash, spoils
// nothing but itself: its record was not acknowledged as buried, so it is refused and buried again.

#include "opsd/async.hpp"
#include "opsd/result.hpp"
#include "opsd/worker.hpp"
#include "pipeline/outbox.hpp"

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::pipeline {

/// A letter as a line without its line break, and back. Errc::invalid_argument for a torn line.
[[nodiscard]] std::string letter_line(const DeadLetter& letter);
[[nodiscard]] Result<DeadLetter> parse_letter(std::string_view line);

/// What is in the files.
struct LetterList {
    std::vector<DeadLetter> letters;  ///< oldest first, each id once: its newest
    std::uint64_t torn = 0;           ///< lines that cannot be read
};

/// Blocks: for a worker's thread, one call at a time.
class DeadLetterFile {
public:
    /// `cap`: bytes of both files together, at least 2 MiB.
    DeadLetterFile(std::string path, std::size_t cap);

    /// Appends them, durably, all or none; how many older ones went for them. At most 500 at a time. A letter
    /// too large for its share keeps everything but its bytes: its position says where they can be read.
    Result<std::uint64_t> bury(const std::vector<DeadLetter>& letters);
    [[nodiscard]] Result<LetterList> list() const;
    /// They were sent again, or are not wanted. How many were there.
    Result<std::uint64_t> remove(const std::set<std::string>& ids);

private:
    [[nodiscard]] Result<std::string> text_of(const std::string& path) const;

    std::string path_;
    std::size_t half_;
};

/// The dead letters as an output sees them: on the event loop, which it never blocks.
class LetterBox {
public:
    virtual ~LetterBox() = default;
    virtual Task<Result<std::uint64_t>> bury(std::vector<DeadLetter> letters) = 0;
};

/// `worker` outlives it and may serve several outputs.
[[nodiscard]] std::unique_ptr<LetterBox> make_letter_box(std::shared_ptr<DeadLetterFile> file,
                                                         WorkerThread& worker);

}  // namespace opsd::pipeline
