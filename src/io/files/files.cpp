#include "io/files/files.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <system_error>
#include <utility>

namespace opsd::files {
namespace {

/// A descriptor that closes itself.
class Descriptor {
public:
    explicit Descriptor(int fd) : fd_{fd} {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor()
    {
        if (fd_ >= 0) ::close(fd_);
    }
    [[nodiscard]] int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    /// close(2) reports what a network file system could not write.
    [[nodiscard]] bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

private:
    int fd_;
};

/// Removes a temporary file unless it was renamed away.
struct Temporary {
    std::string path;
    bool keep = false;
    ~Temporary()
    {
        if (!keep) ::unlink(path.c_str());
    }
};

/// All of it or errno.
bool write_all(int fd, std::string_view text)
{
    while (!text.empty()) {
        const auto size = ::write(fd, text.data(), text.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return false;
        text.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
}

/// Does the file end in the middle of a line?
bool ends_torn(int fd, off_t size)
{
    char last = '\n';
    return size > 0 && ::pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

Result<> append_text(const std::string& path, std::string text, std::size_t limit, unsigned mode)
{
    const Descriptor file{::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, mode)};
    struct stat now{};
    if (!file || ::fstat(file.get(), &now) != 0) return fail(system_error("append to", path, errno));
    const auto size = static_cast<std::size_t>(now.st_size);
    if (size > 0 && size + text.size() > limit) {
        if (::rename(path.c_str(), (path + ".1").c_str()) != 0)
            return fail(system_error("rotate", path, errno));
        return append_text(path, std::move(text), limit, mode);
    }
    if (ends_torn(file.get(), now.st_size)) text.insert(0, 1, '\n');
    if (!write_all(file.get(), text) || ::fdatasync(file.get()) != 0) {
        const int number = errno;
        // No half line stays behind: the caller repeats the whole of it.
        if (::ftruncate(file.get(), now.st_size) != 0) return fail(system_error("repair", path, errno));
        return fail(system_error("append to", path, number));
    }
    if (size == 0) return sync_directory(parent_of(path));
    return {};
}

Result<> replace_file(const std::string& path, std::string_view content, unsigned mode,
                      std::optional<Owner> owner)
{
    static std::atomic<unsigned> counter{0};
    // Process and counter make the name unique among the living: what is there already is a dead one's
    // leftover.
    Temporary temporary{fmt::format("{}.tmp{}-{}", path, ::getpid(), counter++)};
    ::unlink(temporary.path.c_str());
    Descriptor file{
        ::open(temporary.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)};
    if (!file) {
        temporary.keep = true;
        return fail(system_error("write", path, errno));
    }
    const bool given = !owner || ::fchown(file.get(), owner->uid, owner->gid) == 0;
    const bool written = given && ::fchmod(file.get(), mode) == 0 && write_all(file.get(), content)
                         && ::fsync(file.get()) == 0 && file.close()
                         && std::rename(temporary.path.c_str(), path.c_str()) == 0;
    if (!written) return fail(system_error("write", path, errno));
    temporary.keep = true;
    return sync_directory(parent_of(path));
}

}  // namespace

Error system_error(std::string_view verb, const std::string& path, int number)
{
    auto code = Errc::internal;
    std::string_view advice;
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        code = Errc::not_found;
        break;
    case EACCES:
    case EPERM:
        code = Errc::denied;
        advice = "; check the owner and mode of the path";
        break;
    case EROFS:
        code = Errc::denied;
        break;
    case ENOSPC:
    case EDQUOT:
        code = Errc::unavailable;
        advice = "; free space on that file system, it works again by itself then";
        break;
    default:
        break;
    }
    return {code,
            fmt::format("cannot {} {}: {}{}", verb, path, std::generic_category().message(number), advice)};
}

std::string parent_of(const std::string& path)
{
    const auto slash = path.find_last_of('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

Result<> sync_directory(const std::string& path)
{
    const Descriptor directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!directory || ::fsync(directory.get()) != 0) return fail(system_error("sync", path, errno));
    return {};
}

Result<> write_atomic(const std::string& path, std::string_view content, unsigned mode)
{
    return replace_file(path, content, mode, {});
}

Result<> write_atomic(const std::string& path, std::string_view content, unsigned mode, Owner owner)
{
    return replace_file(path, content, mode, owner);
}

Result<std::string> read_file(const std::string& path, std::size_t limit)
{
    // O_NONBLOCK: opening a FIFO must not wait for its writer.
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
    struct stat now{};
    if (!file || ::fstat(file.get(), &now) != 0) return fail(system_error("read", path, errno));
    if (!S_ISREG(now.st_mode)) {
        return fail(Errc::invalid_argument, fmt::format("cannot read {}: it is not a regular file", path));
    }
    std::string content;
    char chunk[16 * 1024];
    for (;;) {  // to the end, not to st_size: /proc says 0
        const auto size = ::read(file.get(), chunk, sizeof chunk);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return fail(system_error("read", path, errno));
        if (size == 0) return content;
        content.append(chunk, static_cast<std::size_t>(size));
        if (content.size() > limit) {
            return fail(Errc::invalid_argument,
                        fmt::format("cannot read {}: it is larger than {} bytes, the most allowed here", path,
                                    limit));
        }
    }
}

Result<> append_line(const std::string& path, std::string_view line, std::size_t limit, unsigned mode)
{
    const std::string one{line};
    return append_lines(path, {&one, 1}, limit, mode);
}

Result<> append_lines(const std::string& path, std::span<const std::string> lines, std::size_t limit,
                      unsigned mode)
{
    std::string text;
    for (const auto& line : lines) {
        if (line.find('\n') != std::string::npos) {
            return fail(Errc::invalid_argument,
                        fmt::format("cannot append to {}: a line holds a line break", path));
        }
        text.append(line).push_back('\n');
    }
    if (text.size() > limit) {
        return fail(Errc::invalid_argument, fmt::format("cannot append {} bytes to {}: its limit is {} bytes",
                                                        text.size(), path, limit));
    }
    return text.empty() ? Result<>{} : append_text(path, std::move(text), limit, mode);
}

Result<> make_directories(const std::string& path, unsigned mode)
{
    for (std::size_t slash = 0; slash != std::string::npos;) {
        slash = path.find('/', slash + 1);
        const auto part = path.substr(0, slash);
        if (::mkdir(part.c_str(), mode) == 0) {
            // The umask took bits away.
            if (::chmod(part.c_str(), mode) != 0)
                return fail(system_error("make the directory", part, errno));
            continue;
        }
        const int number = errno;
        struct stat now{};
        if (::stat(part.c_str(), &now) == 0 && S_ISDIR(now.st_mode)) continue;
        return fail(system_error("make the directory", part, number));
    }
    return {};
}

}  // namespace opsd::files
