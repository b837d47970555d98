#pragma once
// The files of tasks as they are read: below the agent's work_dir, by this process, by a helper with more
// rights, or through the agent. All of it blocks and is for one worker's thread.

#include "io/sandbox/opener.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::forward {

struct FileFacts {
    std::uint64_t size = 0;
    std::int64_t changed = 0;  ///< nanoseconds since the epoch; also a rename counts. 0: not known
    bool unlinked = false;     ///< it has no name any more
};

class TaskFile {
public:
    virtual ~TaskFile() = default;
    /// Device 0: nobody told, then the inode is of its name only.
    [[nodiscard]] virtual sandbox::FileIdentity identity() const = 0;
    virtual Result<FileFacts> look() = 0;
    /// At most `length` bytes; none at the end and beyond.
    virtual Result<std::string> read(std::uint64_t offset, std::size_t length) = 0;
};

class TaskFolder {
public:
    virtual ~TaskFolder() = default;
    /// Errors are those of sandbox::Opener.
    virtual Result<std::unique_ptr<TaskFile>> open(std::string_view path) = 0;
    virtual Result<std::vector<sandbox::FolderEntry>> list(std::string_view path, std::size_t most) = 0;
};

/// What the opener opens.
[[nodiscard]] std::unique_ptr<TaskFolder> make_task_folder(std::unique_ptr<sandbox::Opener> opener);
/// A folder in another one.
struct FolderPart {
    std::string name;  ///< its path there
    std::unique_ptr<TaskFolder> inner;
};
/// A folder of which only these parts are there.
[[nodiscard]] std::unique_ptr<TaskFolder> make_part_folder(std::vector<FolderPart> parts);
/// `first`; where that is not permitted to read, `second`. Of both errors, the first one's.
[[nodiscard]] std::unique_ptr<TaskFolder> make_either_folder(std::unique_ptr<TaskFolder> first,
                                                             std::unique_ptr<TaskFolder> second);

}  // namespace opsd::forward
