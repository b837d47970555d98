#pragma once
// Which way this daemon opens files of tasks, decided before it has threads: through a reader that alone
// keeps the right that task-logs.conf gave to the unit, or, without that, with its own rights.
//
// The right is given to a process for life, before anything foreign is read: the reader is started once, and
// outlives reloads. Its folder is fixed while the daemon starts; another one needs a restart. Loop thread.

#include "io/sandbox/reader_link.hpp"

#include <optional>

namespace opsd::sandbox {

class ReaderPlace {
public:
    /// Without a reader: openers have the daemon's own rights.
    ReaderPlace() = default;
    /// The reader could not be started: each call of an opener says so.
    explicit ReaderPlace(Error why) : why_{std::move(why)} {}
    explicit ReaderPlace(std::shared_ptr<ReaderLink> link) : link_{std::move(link)} {}

    /// The first call fixes the folder; its checkpoints (checkpoints.hpp) can be had, too. Never fails: what
    /// is wrong is the error of each of the opener's calls.
    [[nodiscard]] std::unique_ptr<Opener> opener(std::string folder);

    /// The daemon has started: a reader without a folder gets none any more, and ends.
    void seal();

    /// 0: none runs.
    [[nodiscard]] pid_t reader() const noexcept { return link_ ? link_->pid() : 0; }

private:
    std::shared_ptr<ReaderLink> link_;
    std::string folder_;
    std::optional<Error> why_;  ///< there is no reader, though there should be one
};

/// Starts the reader when the right was given to us, and gives it up, unless we are root: call it before
/// there is a thread. `argv` runs it. Error: the right cannot be given up; the daemon must not run with it.
[[nodiscard]] Result<std::shared_ptr<ReaderPlace>> start_reader(std::vector<std::string> argv);

}  // namespace opsd::sandbox
