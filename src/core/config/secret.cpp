// Reading a secret where it lies. Files only: a FIFO or a device would block the daemon's start for ever.

#include "core/config/local_file.hpp"
#include "opsd/config.hpp"

#include <fmt/format.h>

namespace opsd::config {

Result<std::string> Secret::read(const std::string& credentials_directory) const
{
    constexpr std::size_t limit = 64 * 1024;
    if (from == From::none) {
        return fail(Errc::invalid_argument,
                    "cannot read the secret: none is configured; write {file: PATH} or {credential: NAME}");
    }
    const bool credential = from == From::credential;
    if (credential && credentials_directory.empty()) {
        return fail(Errc::not_found,
                    fmt::format("cannot read the credential {0}: systemd passed none to opsd; add "
                                "LoadCredential={0}:PATH to the [Service] section of opsd.service",
                                name));
    }
    const auto path = credential ? credentials_directory + "/" + name : name;
    auto content = detail::read_local_file(path, limit);
    if (!content)
        return fail(Error{content.error().code,
                          fmt::format("cannot read the secret {}: {}", path, content.error().message)});
    if (content->ends_with('\n')) content->pop_back();
    if (content->empty()) {
        return fail(Errc::invalid_argument, fmt::format("cannot use the secret {}: the file is empty", path));
    }
    return std::move(*content);
}

}  // namespace opsd::config
