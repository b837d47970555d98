#pragma once
// Files that survive a crash, and reads with a bound. Small files only: these calls block.
// Errors: not_found, denied, invalid_argument (a directory, too large), unavailable (disk full: worth a
// retry), internal (the rest, EIO among them).

#include "opsd/result.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace opsd::files {

/// Writes a temporary file beside `path`, syncs it, renames it over `path`, syncs the directory. `mode` e.g.
/// 0600. On any failure (ENOSPC, EIO, EACCES) the old file is untouched and the temporary one removed.
Result<> write_atomic(const std::string& path, std::string_view content, unsigned mode);

/// Whose a file is.
struct Owner {
    unsigned uid;
    unsigned gid;
};
/// The same; the file is never there with another owner. Errc::denied for who may not give files away.
Result<> write_atomic(const std::string& path, std::string_view content, unsigned mode, Owner owner);

/// The whole file; Errc::invalid_argument when it is larger than `limit` bytes, not_found, denied.
Result<std::string> read_file(const std::string& path, std::size_t limit);

/// Appends one line (a newline is added) with O_APPEND and fdatasync; rotates to `path`.1 first when the file
/// would exceed `limit` bytes, so that at most two files of that size exist.
Result<> append_line(const std::string& path, std::string_view line, std::size_t limit, unsigned mode);

/// The same for several lines with one write and one sync: all or none. A torn last line, left by a crash, is
/// ended first, so that it spoils nothing but itself.
Result<> append_lines(const std::string& path, std::span<const std::string> lines, std::size_t limit,
                      unsigned mode);

/// mkdir -p with this mode for what it makes.
Result<> make_directories(const std::string& path, unsigned mode);

/// Syncs a directory, so that names made or renamed in it survive a power cut.
Result<> sync_directory(const std::string& path);

/// "/var/lib/opsd/state.db" -> "/var/lib/opsd"; "." for a bare name.
[[nodiscard]] std::string parent_of(const std::string& path);

/// The error of a system call on `path`: "cannot VERB PATH: REASON", with what to do where that is known.
[[nodiscard]] Error system_error(std::string_view verb, const std::string& path, int number);

}  // namespace opsd::files
