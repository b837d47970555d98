#include "modules/forward/task_folder.hpp"

#include "io/files/files.hpp"

#include <fmt/format.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

namespace opsd::forward {
namespace {

class OpenedFile final : public TaskFile {
public:
    OpenedFile(sandbox::OpenFile file, std::string path) : file_{std::move(file)}, path_{std::move(path)} {}

    [[nodiscard]] sandbox::FileIdentity identity() const override { return file_.identity; }

    Result<FileFacts> look() override
    {
        struct stat now{};
        if (::fstat(file_.descriptor.get(), &now) != 0)
            return fail(files::system_error("look at", path_, errno));
        constexpr std::int64_t nanoseconds = 1'000'000'000;
        FileFacts facts;
        facts.size = static_cast<std::uint64_t>(now.st_size);
        facts.changed = static_cast<std::int64_t>(now.st_ctim.tv_sec) * nanoseconds + now.st_ctim.tv_nsec;
        facts.unlinked = now.st_nlink == 0;
        return facts;
    }

    Result<std::string> read(std::uint64_t offset, std::size_t length) override
    {
        std::string bytes;
        int number = 0;
        // The second argument is the capacity in libstdc++ 12, which may be more.
        bytes.resize_and_overwrite(length, [&](char* to, std::size_t) {
            std::size_t have = 0;
            while (have < length) {
                const auto got = ::pread(file_.descriptor.get(), to + have, length - have,
                                         static_cast<off_t>(offset + have));
                if (got < 0 && errno == EINTR) continue;
                if (got < 0) number = errno;
                if (got <= 0) break;
                have += static_cast<std::size_t>(got);
            }
            return have;
        });
        if (number != 0 && bytes.empty()) return fail(files::system_error("read", path_, number));
        return bytes;
    }

private:
    sandbox::OpenFile file_;
    std::string path_;
};

class OpenerFolder final : public TaskFolder {
public:
    explicit OpenerFolder(std::unique_ptr<sandbox::Opener> opener) : opener_{std::move(opener)} {}

    Result<std::unique_ptr<TaskFile>> open(std::string_view path) override
    {
        auto file = opener_->open(path);
        if (!file) return fail(std::move(file).error());
        return std::make_unique<OpenedFile>(std::move(*file), std::string{path});
    }
    Result<std::vector<sandbox::FolderEntry>> list(std::string_view path, std::size_t most) override
    {
        return opener_->list(path, most);
    }

private:
    std::unique_ptr<sandbox::Opener> opener_;
};

class PartFolder final : public TaskFolder {
public:
    explicit PartFolder(std::vector<FolderPart> parts) : parts_{std::move(parts)} {}

    Result<std::unique_ptr<TaskFile>> open(std::string_view path) override
    {
        auto* const part = take_part(path);
        if (part == nullptr || path.empty()) return fail(other(path));
        return part->open(path);
    }
    Result<std::vector<sandbox::FolderEntry>> list(std::string_view path, std::size_t most) override
    {
        auto* const part = take_part(path);
        if (part == nullptr) return fail(other(path));
        return part->list(path, most);
    }

private:
    /// The part that the path is in, which is left below it; null: none.
    [[nodiscard]] TaskFolder* take_part(std::string_view& path) const
    {
        for (const auto& [name, inner] : parts_) {
            if (!path.starts_with(name)) continue;
            const auto rest = path.substr(name.size());
            if (!rest.empty() && rest.front() != '/') continue;
            path = rest.substr(std::min<std::size_t>(rest.size(), 1));
            return inner.get();
        }
        return nullptr;
    }
    [[nodiscard]] Error other(std::string_view path) const
    {
        std::string names;
        for (const auto& part : parts_)
            names += (names.empty() ? "" : " and ") + part.name;
        return {Errc::invalid_argument,
                fmt::format("cannot open {}: only what is in {} is opened", path, names)};
    }

    std::vector<FolderPart> parts_;
};

class EitherFolder final : public TaskFolder {
public:
    EitherFolder(std::unique_ptr<TaskFolder> first, std::unique_ptr<TaskFolder> second)
      : first_{std::move(first)}
      , second_{std::move(second)}
    {}
    Result<std::unique_ptr<TaskFile>> open(std::string_view path) override
    {
        return either([path](TaskFolder& folder) { return folder.open(path); });
    }
    Result<std::vector<sandbox::FolderEntry>> list(std::string_view path, std::size_t most) override
    {
        return either([=](TaskFolder& folder) { return folder.list(path, most); });
    }

private:
    template <class Ask>
    auto either(Ask ask) -> decltype(ask(std::declval<TaskFolder&>()))
    {
        auto answer = ask(*first_);
        if (answer || answer.error().code != Errc::denied) return answer;
        auto other = ask(*second_);
        if (other || other.error().code == Errc::not_found) return other;
        return answer;
    }

    std::unique_ptr<TaskFolder> first_;
    std::unique_ptr<TaskFolder> second_;
};

}  // namespace

std::unique_ptr<TaskFolder> make_task_folder(std::unique_ptr<sandbox::Opener> opener)
{
    return std::make_unique<OpenerFolder>(std::move(opener));
}

std::unique_ptr<TaskFolder> make_part_folder(std::vector<FolderPart> parts)
{
    return std::make_unique<PartFolder>(std::move(parts));
}

std::unique_ptr<TaskFolder> make_either_folder(std::unique_ptr<TaskFolder> first,
                                               std::unique_ptr<TaskFolder> second)
{
    return std::make_unique<EitherFolder>(std::move(first), std::move(second));
}

}  // namespace opsd::forward
