#include "io/sandbox/beneath.hpp"

#include "io/files/files.hpp"

#include <fmt/format.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <system_error>

namespace opsd::sandbox {
namespace {

/// A folder full of links must not hold us.
constexpr std::size_t looked_at_per_entry = 16;
/// Of a path, in an error.
constexpr std::size_t max_shown = 1024;

Error open_error(const std::string& name, int number, std::string_view permit)
{
    const auto error = [&](Errc code, std::string_view why) {
        return Error{code, fmt::format("cannot open {}: {}", name, why)};
    };
    switch (number) {
    case EACCES:
    case EPERM:
        return error(Errc::denied, fmt::format("{}; {}", std::generic_category().message(number), permit));
    case ELOOP:
        return error(Errc::invalid_argument,
                     "a symbolic link is in the way, and links of tasks are not followed");
    case ENXIO:
        return error(Errc::invalid_argument, "it is neither a plain file nor a folder");
    case ENAMETOOLONG:
        return error(Errc::invalid_argument, std::generic_category().message(number));
    case EMFILE:
    case ENFILE:
        return error(Errc::unavailable, fmt::format("{}; raise LimitNOFILE= of the unit",
                                                    std::generic_category().message(number)));
    case EAGAIN:
    case EIO:
    case EINTR:
    case ENOMEM:
    case ESTALE:
    case ETIMEDOUT:
        return error(Errc::unavailable, std::generic_category().message(number));
    default:
        return files::system_error("open", name, number);
    }
}

/// One step; none: errno says why, ELOOP that it is a link.
UniqueFd step(int folder, const std::string& part, int flags)
{
    UniqueFd next{::openat(folder, part.c_str(), flags | O_NOFOLLOW | O_CLOEXEC)};
    struct stat now{};
    if (next || errno != ENOTDIR) return next;
    const bool link = ::fstatat(folder, part.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(now.st_mode);
    errno = link ? ELOOP : ENOTDIR;
    return next;
}

/// What it is, when it is what may be opened.
Result<struct stat> check_kind(int descriptor, std::string_view name)
{
    const auto refused = [name](std::string_view why) {
        return fail(Errc::invalid_argument, fmt::format("cannot open {}: {}", name, why));
    };
    struct stat now{};
    if (::fstat(descriptor, &now) != 0) return fail(files::system_error("look at", std::string{name}, errno));
    if (S_ISDIR(now.st_mode)) return now;
    if (S_ISLNK(now.st_mode)) return refused("it is a symbolic link, and links of tasks are not followed");
    if (!S_ISREG(now.st_mode)) return refused("it is neither a plain file nor a folder");
    // A task can give any file of its file system that its user may write a name in its sandbox.
    if (now.st_nlink > 1)
        return refused("it is a hard link: it has another name, which may be anybody's file; copy the file "
                       "instead of linking it");
    return now;
}

std::optional<bool> kind_by_stat(int folder, const std::string& name)
{
    struct stat now{};
    if (::fstatat(folder, name.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0) return {};
    if (!S_ISDIR(now.st_mode) && !S_ISREG(now.st_mode)) return {};
    return S_ISDIR(now.st_mode);
}

std::optional<bool> kind_of_entry(int folder, const dirent& entry, const KindOf& kind_of)
{
    if (entry.d_type == DT_DIR) return true;
    if (entry.d_type == DT_REG) return false;
    if (entry.d_type != DT_UNKNOWN) return {};
    return kind_of ? kind_of(folder, entry.d_name) : kind_by_stat(folder, entry.d_name);
}

struct CloseFolder {
    void operator()(DIR* folder) const noexcept { ::closedir(folder); }
};

}  // namespace

std::string name_of(const std::string& folder, std::string_view path)
{
    auto name = path.empty() ? folder : fmt::format("{}/{}", folder, path.substr(0, max_shown));
    // A task names its files as it likes; terminals and logs see this.
    std::ranges::replace_if(
        name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, '?');
    return name;
}

bool well_formed(std::string_view path) noexcept
{
    if (path.empty() || path.size() >= PATH_MAX || path.find('\0') != std::string_view::npos) return false;
    for (;;) {
        const auto slash = path.find('/');
        const auto part = path.substr(0, slash);
        if (part.empty() || part == "." || part == "..") return false;
        if (slash == std::string_view::npos) return true;
        path.remove_prefix(slash + 1);
    }
}

Error malformed(const std::string& folder)
{
    return {Errc::invalid_argument,
            fmt::format("cannot open a file below {}: its path has an empty part, \".\" or \"..\", or is too "
                        "long",
                        folder)};
}

Result<UniqueFd> open_beneath(const std::string& folder, std::string_view path, std::string_view permit)
{
    const auto name = name_of(folder, path);
    if (!path.empty() && !well_formed(path)) return fail(malformed(folder));
    // To go through it needs less than to read it.
    const int how = path.empty() ? O_RDONLY : O_PATH;
    UniqueFd root{::open(folder.c_str(), how | O_DIRECTORY | O_CLOEXEC)};
    if (!root) return fail(open_error(folder, errno, permit));
    if (path.empty()) return root;
    for (auto slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/')) {
        auto next = step(root.get(), std::string{path.substr(0, slash)}, O_PATH | O_DIRECTORY);
        if (!next) return fail(open_error(name, errno, permit));
        root = std::move(next);
        path.remove_prefix(slash + 1);
    }
    // First without opening: a device or a FIFO would notice.
    const std::string last{path};
    UniqueFd opened;
    for (const int flags : {O_PATH, O_RDONLY | O_NONBLOCK | O_NOCTTY}) {
        opened = step(root.get(), last, flags);
        if (!opened) return fail(open_error(name, errno, permit));
        const auto good = check_kind(opened.get(), name);
        if (!good) return fail(good.error());
    }
    return opened;
}

Result<OpenFile> examine(UniqueFd descriptor, std::string_view name)
{
    const auto now = check_kind(descriptor.get(), name);
    if (!now) return fail(now.error());
    return OpenFile{
        std::move(descriptor), {now->st_dev, now->st_ino}, static_cast<std::uint64_t>(now->st_size)};
}

Result<std::vector<FolderEntry>> entries_of(UniqueFd folder, std::string_view name, std::size_t most,
                                            const KindOf& kind_of)
{
    const std::unique_ptr<DIR, CloseFolder> reading{::fdopendir(folder.get())};
    if (!reading) return fail(files::system_error("list", std::string{name}, errno));
    const int descriptor = folder.release();
    std::vector<FolderEntry> entries;
    for (std::size_t looked_at = 0; entries.size() < most && looked_at / looked_at_per_entry < most;
         ++looked_at) {
        errno = 0;
        const auto* entry = ::readdir(reading.get());
        if (entry == nullptr && errno != 0)
            return fail(files::system_error("list", std::string{name}, errno));
        if (entry == nullptr) break;
        const std::string_view text{entry->d_name};
        if (text == "." || text == "..") continue;
        const auto is_folder = kind_of_entry(descriptor, *entry, kind_of);
        if (is_folder) entries.push_back({std::string{text}, *is_folder});
    }
    return entries;
}

}  // namespace opsd::sandbox
