#include "io/systemd/machine.hpp"

#include <systemd/sd-id128.h>

#include <array>

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

}  // namespace opsd::systemd
