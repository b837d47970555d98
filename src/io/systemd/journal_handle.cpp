#include "io/systemd/journal_handle.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace opsd::systemd {
namespace {

namespace fs = std::filesystem;

/// What an empty answer may mean.
enum class Files { none, readable, denied };

Files look_into(const fs::path& directory, int depth)
{
    std::error_code ec;
    auto seen = Files::none;
    fs::directory_iterator it{directory, ec};
    if (ec == std::errc::permission_denied) return Files::denied;
    for (; !ec && it != fs::directory_iterator{}; it.increment(ec)) {
        std::error_code ignored;
        auto found = Files::none;
        if (it->path().extension() == ".journal") {
            found =
                ::access(it->path().c_str(), R_OK) == 0 || errno == ENOENT ? Files::readable : Files::denied;
        } else if (depth > 0 && it->is_directory(ignored)) {
            found = look_into(it->path(), depth - 1);
        }
        seen = std::max(seen, found);
    }
    return seen;
}

}  // namespace

JournalHandle::JournalHandle(std::string directory) : directory_{std::move(directory)}
{
    if (directory_.empty())
        roots_ = {"/var/log/journal", "/run/log/journal"};
    else
        roots_ = {directory_};
}

std::vector<JournalHandle::Identity> JournalHandle::identities() const
{
    std::vector<Identity> all;
    for (const auto& root : roots_) {
        struct stat file{};
        const bool there = ::stat(root.c_str(), &file) == 0;
        all.push_back(there ? Identity{file.st_dev, file.st_ino} : Identity{});
    }
    return all;
}

int JournalHandle::ready()
{
    auto present = identities();
    if (!journal_ || opened_ != present) {
        journal_.reset();
        opened_ = std::move(present);
        sd_journal* raw = nullptr;
        int r = directory_.empty() ? sd_journal_open(&raw, SD_JOURNAL_LOCAL_ONLY)
                                   : sd_journal_open_directory(&raw, directory_.c_str(), 0);
        if (r < 0) return r;
        journal_.reset(raw);
        ++generation_;
        // Watches the directories: sd_journal_process() then notices new and rotated files.
        r = sd_journal_get_fd(raw);
        if (r < 0) return r;
    }
    const int r = sd_journal_process(journal_.get());
    changed_ = r == SD_JOURNAL_INVALIDATE;
    return std::min(r, 0);
}

int JournalHandle::why_nothing() const
{
    auto seen = Files::none;
    for (const auto& root : roots_)
        seen = std::max(seen, look_into(root, 1));
    if (seen == Files::readable) return 0;
    return seen == Files::denied ? -EACCES : -ENOENT;
}

Error JournalHandle::failure(std::string_view what, int error) const
{
    const auto where = directory_.empty() ? std::string{"the journal"} : "the journal in " + directory_;
    const auto sentence = fmt::format("cannot {} from {}: ", what, where);
    if (error == EACCES || error == EPERM) {
        return {Errc::denied,
                sentence + "no permission; add the user that opsd runs as to the group systemd-journal"};
    }
    if (error == ENOENT || error == ENOTDIR) {
        return {
            Errc::not_found,
            sentence
                + "there are no journal files; is systemd-journald running, with Storage= other than none?"};
    }
    return {Errc::unavailable, sentence + std::strerror(error)};
}

}  // namespace opsd::systemd
