#pragma once
// Opens files below one folder for reading, whoever they belong to and whatever a task has put there.
//
// In: a folder, paths below it. Out: descriptors of plain files and folders. Promises: nothing outside the
// folder is ever opened (no symbolic link is followed, no device, no FIFO waited for, no file that has
// another name elsewhere); what is not permitted is an error that says what would permit it.

#include "core/unique_fd.hpp"
#include "opsd/result.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::sandbox {

/// What tells one file from another while it is there.
struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
    friend auto operator<=>(const FileIdentity&, const FileIdentity&) = default;
};

struct OpenFile {
    UniqueFd descriptor;  ///< read only
    FileIdentity identity;
    std::uint64_t size = 0;  ///< bytes, when it was opened
};

/// A plain file or a folder, by name; what is neither is left out.
struct FolderEntry {
    std::string name;
    bool folder = false;
};

/// Blocks: for a worker's thread, one call at a time.
class Opener {
public:
    virtual ~Opener() = default;
    /// A plain file or a folder. `path` is below the folder: "a/b/stdout", no empty part, no "..". Errors:
    /// not_found, denied (with what would permit it), invalid_argument (a link, a device, another name
    /// elsewhere), unavailable (no descriptors, the reader has gone).
    virtual Result<OpenFile> open(std::string_view path) = 0;
    /// The folder's entries in no order, at most `most`; "" is the folder itself. Errors as open().
    virtual Result<std::vector<FolderEntry>> list(std::string_view path, std::size_t most) = 0;
};

/// With the rights of this process. Errors when the folder itself cannot be opened are those of each call.
[[nodiscard]] std::unique_ptr<Opener> make_own_opener(std::string folder);

/// How a module gets one: with the rights that this daemon was given (reader_place.hpp).
using MakeOpener = std::function<std::unique_ptr<Opener>(std::string folder)>;

}  // namespace opsd::sandbox
