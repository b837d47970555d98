#pragma once
// The position of one output on disk: how far the far side has confirmed. Two files take turns, each replaced
// as a whole (temporary file, fsync, rename, fsync of the directory), so that the position before is there
// whatever becomes of the newest.
//
// In: a position, any bytes. Out: after a restart, the newest that is whole; or that there is none, and why.
// Promises: nothing is written that is there already; a write that fails changes nothing.

#include "opsd/async.hpp"
#include "opsd/result.hpp"
#include "opsd/worker.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace opsd::pipeline {

/// A position and its number: the higher of two is the newer.
struct SavedPosition {
    std::uint64_t generation = 0;
    std::string position;
};

/// The text of a position file, and back. Errc::invalid_argument for one that is torn or no such file.
[[nodiscard]] std::string position_text(const SavedPosition& saved);
[[nodiscard]] Result<SavedPosition> parse_position(std::string_view text);

/// Where an output begins.
struct Start {
    enum class Kind {
        first,     ///< it never ran: begins as its configuration says
        saved,     ///< after `position`
        previous,  ///< after `position`, the one before a damaged file's: some records are sent again
        unknown,   ///< the files are damaged: begins as its configuration says, but not at the end
    };
    Kind kind = Kind::first;
    std::string position;
    std::string sentence;  ///< what is damaged; "" when all is well
};

/// The disk as a position file needs it; blocks.
class PositionDisk {
public:
    virtual ~PositionDisk() = default;
    /// Errc::not_found when it is not there.
    virtual Result<std::string> read(const std::string& path) = 0;
    /// All or nothing, and durable.
    virtual Result<> write(const std::string& path, std::string_view content) = 0;
};
[[nodiscard]] std::shared_ptr<PositionDisk> make_position_disk();

/// The two files PATH.a and PATH.b. Blocks: for a worker's thread, one at a time.
class PositionFile {
public:
    PositionFile(std::string path, std::shared_ptr<PositionDisk> disk);

    /// Errors: the files cannot be read (denied, EIO); to begin anywhere would be a guess, so try again
    /// later.
    Result<Start> load();
    /// After load(). Errors: unavailable (disk full), denied, internal.
    Result<> save(const std::string& position);

    [[nodiscard]] std::uint64_t writes() const noexcept { return writes_; }

private:
    std::string path_;
    std::shared_ptr<PositionDisk> disk_;
    std::uint64_t generation_ = 0;  ///< the highest in the files
    bool into_b_ = false;           ///< the file for the next one
    std::optional<std::string> saved_;
    std::uint64_t writes_ = 0;
};

/// A position as an output sees it: asked for on the event loop, which it never blocks.
class PositionStore {
public:
    virtual ~PositionStore() = default;
    virtual Task<Result<Start>> load() = 0;
    virtual Task<Result<>> save(std::string position) = 0;
};

/// `worker` does the writing; it may serve several outputs. It outlives the store.
[[nodiscard]] std::unique_ptr<PositionStore>
make_position_store(std::string path, std::shared_ptr<PositionDisk> disk, WorkerThread& worker);

}  // namespace opsd::pipeline
