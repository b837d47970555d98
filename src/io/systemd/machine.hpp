#pragma once
// Which machine this is.

#include <string>
#include <string_view>

namespace opsd::systemd {

/// 32 hex digits that name this machine to others; made from /etc/machine-id, which must not be shown. ""
/// where there is none.
[[nodiscard]] std::string public_machine_id();

/// 32 hex digits of the running boot, as the journal has them in _BOOT_ID; "" where it cannot be told.
[[nodiscard]] std::string boot_id();

/// The unit this process belongs to, as the journal has it in _SYSTEMD_UNIT; "" where there is none.
[[nodiscard]] std::string own_unit();
/// The same, from the text of /proc/self/cgroup. Pure.
[[nodiscard]] std::string unit_of_cgroup(std::string_view text);

}  // namespace opsd::systemd
