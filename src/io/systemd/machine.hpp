#pragma once
// Which machine this is.

#include <string>

namespace opsd::systemd {

/// 32 hex digits that name this machine to others; made from /etc/machine-id, which must not be shown. ""
/// where there is none.
[[nodiscard]] std::string public_machine_id();

/// 32 hex digits of the running boot, as the journal has them in _BOOT_ID; "" where it cannot be told.
[[nodiscard]] std::string boot_id();

}  // namespace opsd::systemd
