#pragma once
// Small regular files, read whole at start and reload. The layer below src/io/files: the configuration comes
// first.

#include "opsd/result.hpp"

#include <cstddef>
#include <string>

namespace opsd::config::detail {

/// The whole file. Errc::not_found, denied, invalid_argument (a directory, a FIFO, larger than `limit`) or
/// internal; the message is only the reason, for the caller names the file.
Result<std::string> read_local_file(const std::string& path, std::size_t limit);

}  // namespace opsd::config::detail
