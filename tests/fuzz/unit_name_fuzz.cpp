// Unit names come from configuration files, directories and D-Bus; object paths from D-Bus.

#include "io/systemd/manager.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

void require(bool promise)
{
    if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace opsd::systemd;
    const std::string_view input{reinterpret_cast<const char*>(data), size};

    const auto path = unit_path(input);
    constexpr std::string_view prefix = "/org/freedesktop/systemd1/unit/";
    require(path.starts_with(prefix) && path.size() > prefix.size());
    require(path.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
                                   prefix.size())
            == std::string::npos);
    if (!input.empty() && input.find('\0') == std::string_view::npos) require(unit_id(path) == input);

    // Any path: what comes back leads to a unit again.
    for (const auto& other : {std::string{input}, std::string{prefix} + std::string{input}}) {
        const auto id = unit_id(other);
        require(id.empty() || unit_id(unit_path(id)) == id);
    }

    if (valid_unit_name(input)) {
        require(size <= 255 && input.find('.') != std::string_view::npos
                && input.find('/') == std::string_view::npos);
        require(unit_id(path) == input);
    }
    return 0;
}
