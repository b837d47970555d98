#pragma once
// The files API of a Mesos agent: sandboxes, and the agent's own log. Bytes come as they are in the file,
// whatever their encoding: their places are what readers go by.

#include "io/net/client.hpp"
#include "opsd/async.hpp"
#include "opsd/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::mesos {

/// The answer to /files/read.
struct FilePart {
    std::string data;
    std::uint64_t offset = 0;  ///< of the data; of a question with offset -1: the size of the file
};

/// An item of /files/browse.
struct FileItem {
    std::string path;
    std::string mode;  ///< "-rw-r--r--"
    std::string uid;
    std::string gid;
    std::uint64_t size = 0;
    std::int64_t mtime = 0;  ///< seconds since the epoch
    std::uint64_t nlink = 0;
    [[nodiscard]] bool directory() const noexcept { return mode.starts_with('d'); }
};

constexpr std::size_t most_read = 64U * 1024;  // an agent gives no more at once
constexpr std::size_t most_files = 20'000;     // of one folder

/// Mesos writes a byte that is not ASCII as it is, or (before 1.9) as \u00XX: both become that byte.
/// Errc::protocol.
Result<FilePart> parse_file_part(std::string_view body);

/// Errc::protocol; also for more than `most` items: half a folder is not shown for the whole one.
Result<std::vector<FileItem>> parse_file_list(std::string_view body, std::size_t most = most_files);

/// Percent-encoded; unreserved characters and those of `keep` stay.
[[nodiscard]] std::string encoded(std::string_view text, std::string_view keep = {});

struct FilesOptions {
    std::string url;                           ///< of the agent: "http://10.0.0.1:5051"
    std::chrono::milliseconds timeout{5'000};  ///< of one question
    std::size_t max_list = 16U << 20U;         ///< bytes of a folder's list
};

/// One agent's files. `authorization` is the value of that header, "" for none. Paths are absolute: real
/// ones, or virtual like "/slave/log". Errors: not_found (no such file; the sandbox may be gone), denied
/// (401, 403), invalid_argument (a folder where a file must be), unavailable, timeout, protocol.
class AgentFiles {
public:
    /// `client` outlives it.
    AgentFiles(net::HttpClient& client, FilesOptions options);

    Task<Result<std::uint64_t>> size(std::string path, std::string authorization) const;
    /// At most `length` and at most most_read bytes; none at the end and beyond.
    Task<Result<std::string>> read(std::string path, std::uint64_t offset, std::size_t length,
                                   std::string authorization) const;
    Task<Result<std::vector<FileItem>>> browse(std::string path, std::string authorization) const;

private:
    Task<Result<std::string>> ask(std::string target, std::string path, std::size_t max_body,
                                  std::string authorization) const;

    net::HttpClient& client_;
    FilesOptions options_;
};

}  // namespace opsd::mesos
