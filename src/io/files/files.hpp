#pragma once
// Files that survive a crash, and reads with a bound. Small files only: these calls block.

#include "opsd/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace opsd::files {

/// Writes a temporary file beside `path`, syncs it, renames it over `path`, syncs the directory. `mode` e.g.
/// 0600. On any failure (ENOSPC, EIO, EACCES) the old file is untouched and the temporary one removed.
Result<> write_atomic(const std::string& path, std::string_view content, unsigned mode);

/// The whole file; Errc::invalid_argument when it is larger than `limit` bytes, not_found, denied.
Result<std::string> read_file(const std::string& path, std::size_t limit);

/// Appends one line (a newline is added) with O_APPEND and fdatasync; rotates to `path`.1 first when the file
/// would exceed `limit` bytes, so that at most two files of that size exist.
Result<> append_line(const std::string& path, std::string_view line, std::size_t limit, unsigned mode);

/// mkdir -p with this mode for what it makes.
Result<> make_directories(const std::string& path, unsigned mode);

}  // namespace opsd::files
