#pragma once
// Records that a far side refuses for good, kept for people: why, when, and the bytes themselves, so that
// they can be sent again once the reason is gone. Capped: the oldest go, and are counted as lost.
//
// A line a letter, two files that take turns growing (PATH and PATH.1; PATH.next is on its way to be PATH). A
// torn line, left by a crash, spoils
// nothing but itself: its record was not acknowledged as buried, so it is refused and buried again.

#include "opsd/async.hpp"
#include "opsd/result.hpp"
#include "opsd/worker.hpp"
#include "pipeline/outbox.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::pipeline {

/// A letter as a line without its line break, and back. Errc::invalid_argument for a torn line.
[[nodiscard]] std::string letter_line(const DeadLetter& letter);
[[nodiscard]] Result<DeadLetter> parse_letter(std::string_view line);

/// A letter as it is shown: of its bytes no more than was asked for.
struct ListedLetter : DeadLetter {
    std::uint64_t size = 0;  ///< of all its bytes
};

/// What is in the files.
struct LetterList {
    std::vector<ListedLetter> letters;  ///< oldest first, each id once: its newest; the newest so many
    std::uint64_t count = 0;            ///< all of them
    std::uint64_t torn = 0;             ///< lines that cannot be read
};

/// How much of the files one look takes along: never all of them, whatever their size.
struct LetterLimits {
    std::size_t letters = 1'000;
    std::size_t bytes = 1'000;  ///< of each
};

/// Letters to send again, oldest first, and what is behind them.
struct LetterPage {
    std::vector<DeadLetter> letters;
    std::uint64_t more = 0;     ///< for further pages
    std::uint64_t without = 0;  ///< whose bytes were not kept
};

/// Blocks: for a worker's thread, one call at a time.
class DeadLetterFile {
public:
    /// `cap`: bytes of both files together, at least 2 MiB.
    DeadLetterFile(std::string path, std::size_t cap);

    /// Appends them, durably, all or none; how many older ones went for them. At most 500 at a time. A letter
    /// too large for its share keeps everything but its bytes: its position says where they can be read.
    /// Older ones go only once the new ones are on the disk.
    Result<std::uint64_t> bury(const std::vector<DeadLetter>& letters);
    [[nodiscard]] Result<LetterList> list(LetterLimits limits = {}) const;
    /// Those with these ids, or all when there are none, `bytes` of them at most but one at least; none of
    /// those that were `asked` about before.
    [[nodiscard]] Result<LetterPage> page(const std::set<std::string>& ids,
                                          const std::set<std::string>& asked, std::size_t bytes) const;
    /// They were sent again, or are not wanted. How many were there.
    Result<std::uint64_t> remove(const std::set<std::string>& ids);

    /// How many there are; nothing until somebody has looked (list, bury, remove). From any thread.
    [[nodiscard]] std::optional<std::uint64_t> count() const noexcept;

private:
    Result<std::uint64_t> count_lines(const std::string& path) const;
    Result<> append(const std::vector<std::string>& lines, std::size_t size);
    void know_count() const;

    std::string path_;
    std::size_t half_;
    std::size_t longest_;        ///< line
    std::uint64_t dropped_ = 0;  ///< went, and is not told yet
    mutable std::atomic<std::int64_t> count_{-1};
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
