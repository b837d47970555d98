#pragma once
// Plugins of the dcos command line in a folder of this machine. All of it blocks: for a worker thread.

#include "opsd/result.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::dcos {

/// A plugin for one system.
struct Plugin {
    std::string os;      ///< "linux", "darwin", "windows"
    std::string file;    ///< its name in the folder
    std::string sha256;  ///< 64 hexadecimal digits
};

/// A part of a file.
struct PluginPart {
    std::string bytes;
    std::uint64_t size = 0;  ///< of the whole file
};

/// a-z, 0-9, "-" and "_": nothing that could leave the folder.
[[nodiscard]] bool is_package(std::string_view name) noexcept;
/// A package with "-OS" or not, and ".zip".
[[nodiscard]] bool is_plugin_file(std::string_view name) noexcept;

class Plugins {
public:
    Plugins(std::string directory, std::uint64_t max_size)
      : directory_{std::move(directory)}
      , max_size_{max_size}
    {}

    /// Those of a package. Errc::not_found when there is none; invalid_argument: larger than max_size.
    Result<std::vector<Plugin>> find(std::string_view package);
    /// At most `length` bytes from `offset`; none at the end. Errc::not_found, denied, internal.
    [[nodiscard]] Result<PluginPart> read(std::string_view file, std::uint64_t offset,
                                          std::size_t length) const;

private:
    struct Known {
        std::uint64_t size = 0;
        std::int64_t changed = 0;  ///< nanoseconds
        std::string sha256;
    };
    Result<std::string> checksum(const std::string& path, std::uint64_t size, std::int64_t changed);

    std::string directory_;
    std::uint64_t max_size_;
    std::map<std::string, Known> known_;  // by path; at most one for each package and system asked for
};

}  // namespace opsd::dcos
