#pragma once
// Which machine this is.

#include <string>

namespace opsd::systemd {

/// 32 hex digits that name this machine to others; made from /etc/machine-id, which must not be shown. ""
/// where there is none.
[[nodiscard]] std::string public_machine_id();

/// 32 hex digits of the present boot, as _BOOT_ID in the journal has them; "" when the kernel does not say.
[[nodiscard]] std::string present_boot_id();

}  // namespace opsd::systemd
