#include "modules/dcos/plugins.hpp"

#include "http/auth_text.hpp"
#include "io/files/files.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace opsd::dcos {
namespace {

constexpr std::array<std::string_view, 3> systems{"linux", "darwin", "windows"};
constexpr std::size_t most_known = 64;
constexpr std::string_view zip = ".zip";

std::string hex(std::string_view bytes)
{
    std::string text;
    for (const char c : bytes)
        text += fmt::format("{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    return text;
}

/// Closes it again.
class Descriptor {
public:
    explicit Descriptor(int fd) : fd_{fd} {}
    ~Descriptor()
    {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_;
};

}  // namespace

bool is_package(std::string_view name) noexcept
{
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    };
    return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, fits);
}

bool is_plugin_file(std::string_view name) noexcept
{
    return name.ends_with(zip) && is_package(name.substr(0, name.size() - zip.size()));
}

Result<std::vector<Plugin>> Plugins::find(std::string_view package)
{
    if (!is_package(package))
        return fail(Errc::invalid_argument, "cannot look for the package: its name is none");
    std::vector<Plugin> all;
    for (const auto os : systems) {
        for (const bool generic : {false, true}) {
            if (generic && os != "linux") continue;
            auto file = generic ? fmt::format("{}.zip", package) : fmt::format("{}-{}.zip", package, os);
            const auto path = fmt::format("{}/{}", directory_, file);
            struct stat status{};
            if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
            const auto changed = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
            auto sum = checksum(path, static_cast<std::uint64_t>(status.st_size), changed);
            if (!sum) return fail(std::move(sum).error());
            all.push_back({std::string{os}, std::move(file), std::move(*sum)});
            break;
        }
    }
    if (all.empty())
        return fail(Errc::not_found, fmt::format("cannot find a plugin of {}: put {}.zip into {}", package,
                                                 package, directory_));
    return all;
}

/// Computed once for each version of a file.
Result<std::string> Plugins::checksum(const std::string& path, std::uint64_t size, std::int64_t changed)
{
    const auto known = known_.find(path);
    if (known != known_.end() && known->second.size == size && known->second.changed == changed)
        return known->second.sha256;
    auto bytes = files::read_file(path, static_cast<std::size_t>(max_size_));
    if (!bytes) return fail(std::move(bytes).error());
    auto sum = hex(http::sha256(*bytes));
    if (known_.size() >= most_known) known_.clear();
    known_.insert_or_assign(path, Known{size, changed, sum});
    return sum;
}

Result<PluginPart> Plugins::read(std::string_view file, std::uint64_t offset, std::size_t length) const
{
    if (!is_plugin_file(file))
        return fail(Errc::not_found, "cannot serve the plugin: there is none of this name");
    const auto path = fmt::format("{}/{}", directory_, file);
    const Descriptor opened{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (opened.get() < 0) return fail(files::system_error("open", path, errno));
    struct stat status{};
    if (::fstat(opened.get(), &status) != 0 || !S_ISREG(status.st_mode))
        return fail(Errc::not_found, fmt::format("cannot serve {}: it is no file", path));
    PluginPart part;
    part.size = static_cast<std::uint64_t>(status.st_size);
    if (part.size > max_size_)
        return fail(Errc::invalid_argument,
                    fmt::format("cannot serve {}: it has {} bytes, dcos.plugins.max_size is {}", path,
                                part.size, max_size_));
    part.bytes.resize(length);
    const auto got = ::pread(opened.get(), part.bytes.data(), length, static_cast<off_t>(offset));
    if (got < 0) return fail(files::system_error("read", path, errno));
    part.bytes.resize(static_cast<std::size_t>(got));
    return part;
}

}  // namespace opsd::dcos
