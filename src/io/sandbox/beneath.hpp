#pragma once
// The one way below a folder that tasks write in: for the opener with our own rights and for the reader.

#include "io/sandbox/opener.hpp"

#include <functional>
#include <optional>

namespace opsd::sandbox {

/// A plain file or a folder below `folder`, opened for reading; "" is the folder itself. `permit` says what
/// would permit what is denied; it is appended to that error. Errors as Opener::open().
///
/// Folder by folder, following no link: openat2(2) does it in one call, but RestrictSUIDSGID= of our unit,
/// which cannot look into its arguments, lets the kernel say that it has none.
///
/// Mounts below the folder are crossed: Mesos binds persistent volumes into sandboxes, and only root mounts.
/// The folder is opened anew each time: a descriptor that is kept would hold its file system, and read on in
/// a folder that was replaced.
[[nodiscard]] Result<UniqueFd> open_beneath(const std::string& folder, std::string_view path,
                                            std::string_view permit);

/// Is it what open_beneath() opens? For who was handed the descriptor, too. `name` is for the error.
[[nodiscard]] Result<OpenFile> examine(UniqueFd descriptor, std::string_view name);

/// What an entry is whose folder does not say: true is a folder, nothing is left out.
using KindOf = std::function<std::optional<bool>(int folder, const std::string& name)>;

/// Reads at most `most` entries, and looks at a bounded number of those that it leaves out. Without
/// `kind_of` the file itself is asked.
[[nodiscard]] Result<std::vector<FolderEntry>> entries_of(UniqueFd folder, std::string_view name,
                                                          std::size_t most, const KindOf& kind_of);

/// "FOLDER/PATH", for errors: cut, without control characters.
[[nodiscard]] std::string name_of(const std::string& folder, std::string_view path);

/// Is it written as Opener::open() wants it? "" is not.
[[nodiscard]] bool well_formed(std::string_view path) noexcept;

/// The error of a path that is not.
[[nodiscard]] Error malformed(const std::string& folder);

}  // namespace opsd::sandbox
