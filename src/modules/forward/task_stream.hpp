#pragma once
// One name in a sandbox, such as stdout, through all the files that have it in turn: read to their end one
// after another, whether a file is renamed and another takes its name, or is copied and truncated.
//
// In: a place to begin at, looks. Out: blocks of whole records and where they are. Promises: what is between
// two places is read once and in order; the same bytes have the same generation and offset, whenever they are
// read; what is gone before it was read is told. Blocks; for one worker's thread.

#include "modules/forward/task_folder.hpp"
#include "opsd/clock.hpp"
#include "pipeline/tail/file_position.hpp"
#include "pipeline/tail/multi_line.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace opsd::forward {

struct TailRules {
    pipeline::JoinRules join;
    std::chrono::milliseconds partial_timeout{5'000};    ///< for the end of a line
    std::chrono::milliseconds multiline_timeout{2'000};  ///< for more lines of a record
    /// Files that are open only because others are read before them, of all streams; exceeded by one
    /// stream's.
    std::size_t most_queued = 1'000;
    std::shared_ptr<std::size_t> queued = std::make_shared<std::size_t>(0);
};

/// Records of one file.
struct StreamBlock {
    std::unique_ptr<const std::string> bytes;
    std::vector<pipeline::Piece> pieces;  ///< views into `bytes`, which does not move with this
    pipeline::FilePosition from;          ///< of the first of the bytes
};

/// Whether an identity tells a file from another: through the agent there is none.
[[nodiscard]] inline bool told(const sandbox::FileIdentity& identity) noexcept
{
    return identity.device != 0;
}

class TaskStream {
public:
    enum class Begin { start, end };

    /// `path` is that of the run's folder, `name` the file's below it. Both outlive it.
    TaskStream(TaskFolder& folder, const TailRules& rules, std::string path, std::string name);
    TaskStream(const TaskStream&) = delete;
    TaskStream& operator=(const TaskStream&) = delete;
    ~TaskStream();

    /// At the saved place, or where `begin` says. Errors: not_found, denied and all others of the folder;
    /// it may be opened again then.
    Result<> open(const std::optional<pipeline::FilePosition>& saved, Begin begin, Monotonic now);

    /// Lets go of all files; at() stays, and open() may follow.
    void close();

    /// What has become of the file. `last`: nobody writes it any more. What cannot be looked at now changes
    /// nothing: the next look tries again.
    void look(Monotonic now, bool last);
    /// Whether read() may have something, without a look.
    [[nodiscard]] bool ready(Monotonic now) const;
    /// The next records; nothing: not now.
    Result<std::optional<StreamBlock>> read(Monotonic now);

    /// Of the block that was just read only the first records were used: the others come again.
    void give_back(const StreamBlock& block, std::size_t used);

    /// Everything before it was handed out.
    [[nodiscard]] const pipeline::FilePosition& at() const noexcept
    {
        // Nothing of a file that was truncated tells which of its copies were read before.
        return copied_ && at_.offset == 0 ? *before_ : at_;
    }
    /// Nobody writes it any more, and all was handed out.
    [[nodiscard]] bool finished() const noexcept { return finished_; }
    /// What the last look could not look at, a sentence; "": nothing.
    [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }
    /// It was removed, nothing has its name or had it, all was handed out, and nobody has written for long.
    [[nodiscard]] bool gone() const noexcept { return gone_; }
    /// The generation of the next file that gets the name then; room is left for those before it.
    [[nodiscard]] std::uint64_t next_generation() const noexcept;
    /// Looks in a row that found nothing new.
    [[nodiscard]] unsigned quiet() const noexcept { return quiet_; }
    /// Bytes not read yet, as last seen.
    [[nodiscard]] std::uint64_t behind() const;
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// A sentence for each time that something was gone before it was read; taken once.
    [[nodiscard]] std::vector<std::string> take_losses();

private:
    /// A file that has, or had, the name.
    struct Part {
        std::unique_ptr<TaskFile> file;
        sandbox::FileIdentity identity;  ///< in positions: a copy has that of its original
        bool final = false;              ///< nobody writes it
    };
    using Parts = std::vector<Part>;
    struct Known {
        sandbox::FileIdentity identity;
        std::uint64_t size = 0;
        friend bool operator==(const Known&, const Known&) = default;
    };

    Result<Parts> siblings();
    Result<Part> live();
    void open_all(std::optional<Part>&& live, Parts&& rest,
                  const std::optional<pipeline::FilePosition>& saved);
    Result<> open_end(Part&& live);
    Result<> open_saved(std::optional<Part>&& live, const pipeline::FilePosition& saved);
    [[nodiscard]] static Result<bool> begins(const Part& part, std::uint64_t size,
                                             const pipeline::FilePosition& position);
    [[nodiscard]] static bool begins_as(const Part& part, std::uint64_t size,
                                        const pipeline::FilePosition& position);
    void append_chain(Parts&& newest_first, std::size_t count, std::optional<Part>&& live);
    Result<> look_now(Monotonic now);
    Result<> see_changes(const FileFacts& facts, bool& another);
    Result<> check_name(Monotonic now);
    Result<> renamed(Part&& live);
    Result<> truncated();
    Result<bool> truncated_again();
    [[nodiscard]] static std::size_t unseen(const Parts& parts,
                                            const std::optional<std::vector<Known>>& seen);
    void insert_copies(Parts&& newest_first, std::size_t count);
    void go_on();
    void lost(std::string_view what);
    void see_gone(bool unlinked);
    void see_size(std::uint64_t size, Monotonic now);
    [[nodiscard]] Result<bool> still(Monotonic now);
    Result<std::optional<StreamBlock>> fail_beyond(std::size_t bytes);
    void advance(std::size_t bytes, std::string_view block);
    [[nodiscard]] bool flush_due(Monotonic now) const;
    [[nodiscard]] Result<> room_for(std::size_t files) const;
    void count_queued();
    [[nodiscard]] std::string full_path(std::string_view name) const;

    TaskFolder& folder_;
    const TailRules& rules_;
    std::string path_;
    std::string name_;
    Part current_;
    std::deque<Part> chain_;   ///< what comes after it, in order
    std::size_t counted_ = 0;  ///< of these, in rules_.queued
    pipeline::FilePosition at_;
    std::optional<pipeline::FilePosition> before_;  ///< where the generation before ended
    bool copied_ = false;                           ///< which had the same inode
    std::uint64_t size_ = 0;
    std::int64_t changed_ = 0;
    std::optional<std::vector<Known>> known_;  ///< older ones, when last listed
    bool stuck_ = false;                       ///< what is there is no whole record
    pipeline::Pieces::Rest rest_ = pipeline::Pieces::Rest::nothing;
    std::optional<Monotonic> waits_since_;  ///< what is there, for more
    Monotonic grew_at_{};
    std::optional<Monotonic> name_checked_;
    bool active_ = false;  ///< changed since the name was checked
    unsigned quiet_ = 0;   ///< looks in a row that found nothing new
    bool last_ = false;
    bool finished_ = false;
    std::string trouble_;
    bool halted_ = false;  ///< by it: it is not known what the file is now
    bool blind_ = false;   ///< by it: it is not known what comes after the file
    bool alone_ = false;   ///< when the name was checked, no file had it, nor had had it
    bool gone_ = false;
    std::vector<std::string> losses_;
};

}  // namespace opsd::forward
