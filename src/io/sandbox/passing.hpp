#pragma once
// Packets with a descriptor on a SOCK_SEQPACKET socket.

#include "core/unique_fd.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace opsd::sandbox {

struct Packet {
    std::string bytes;
    UniqueFd descriptor;
};

enum class Received {
    packet,
    closed,  ///< by the other end
    bad,     ///< it was cut, or more came along than one descriptor; what came is closed
    failed,  ///< errno says why
};

/// Waits; at most `most` bytes.
[[nodiscard]] Received receive(int socket, Packet& packet, std::size_t most);

/// False: errno says why. `descriptor` -1: none.
[[nodiscard]] bool send(int socket, std::string_view bytes, int descriptor = -1);

}  // namespace opsd::sandbox
