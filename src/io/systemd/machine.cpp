#include "io/systemd/machine.hpp"

#include <systemd/sd-id128.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

namespace opsd::systemd {

std::string public_machine_id()
{
    const sd_id128_t opsd{.bytes = {0x5e, 0x0b, 0x8c, 0x41, 0x77, 0x2f, 0x4d, 0x93, 0x9a, 0x66, 0x1d, 0xc3,
                                    0xf0, 0x52, 0xb8, 0x0e}};
    sd_id128_t id{};
    if (sd_id128_get_machine_app_specific(opsd, &id) < 0) return {};
    std::array<char, SD_ID128_STRING_MAX> text{};
    return sd_id128_to_string(id, text.data());
}

std::string boot_id()
{
    sd_id128_t id{};
    if (sd_id128_get_boot(&id) < 0) return {};
    std::array<char, SD_ID128_STRING_MAX> text{};
    return sd_id128_to_string(id, text.data());
}

std::string own_unit()
{
    std::ifstream file{"/proc/self/cgroup"};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    return unit_of_cgroup(text);
}

std::string unit_of_cgroup(std::string_view text)
{
    // "0::/system.slice/opsd.service", also below it; older hierarchies have a line each.
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        auto path = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        while (!path.empty()) {
            const auto slash = std::min(path.find('/'), path.size());
            const auto part = path.substr(0, slash);
            path.remove_prefix(std::min(slash + 1, path.size()));
            if (part.ends_with(".service") || part.ends_with(".scope")) return std::string{part};
        }
    }
    return {};
}

}  // namespace opsd::systemd
