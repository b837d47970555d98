#include "core/config/local_file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace opsd::config::detail {
namespace {

std::unexpected<Error> failure(int error)
{
    const auto reason = std::error_code{error, std::generic_category()}.message();
    if (error == ENOENT || error == ENOTDIR) return fail(Errc::not_found, reason);
    if (error == EACCES || error == EPERM) return fail(Errc::denied, reason);
    return fail(Errc::internal, reason);
}

struct Descriptor {
    int fd;
    ~Descriptor()
    {
        if (fd >= 0) ::close(fd);
    }
};

}  // namespace

Result<std::string> read_local_file(const std::string& path, std::size_t limit)
{
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (file.fd < 0) return failure(errno);
    struct stat info{};
    if (::fstat(file.fd, &info) != 0) return failure(errno);
    if (!S_ISREG(info.st_mode)) return fail(Errc::invalid_argument, "it is not a regular file");
    std::string content;
    for (;;) {
        char chunk[16 * 1024];
        const auto count = ::read(file.fd, chunk, sizeof chunk);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failure(errno);
        if (count == 0) return content;
        content.append(chunk, static_cast<std::size_t>(count));
        if (content.size() > limit) {
            return fail(Errc::invalid_argument, fmt::format("it is larger than {} bytes", limit));
        }
    }
}

}  // namespace opsd::config::detail
