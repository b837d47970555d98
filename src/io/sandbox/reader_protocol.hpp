#pragma once
// What the daemon and its reader of task files say to each other, one packet (SOCK_SEQPACKET) each; both are
// the same program on the same machine. The reader knows three requests; whatever else comes ends it.
//
//   request  kind (1 byte), id (8 bytes), path
//            'F' the folder, once and first, without a reply; 'O' open; 'C' open a checkpoint of a task
//   reply    id (8 bytes), code (1 byte: 0 opened, the descriptor comes along; else 1 + Errc), sentence

#include "opsd/result.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace opsd::sandbox {

constexpr std::size_t max_packet = 8192;
constexpr std::size_t max_sentence = 4096;

struct Request {
    enum class Kind : char { folder = 'F', open = 'O', checkpoint = 'C' };
    Kind kind = Kind::open;
    std::uint64_t id = 0;
    /// Absolute of a folder; of a checkpoint below the folder's checkpoints (checkpoints.hpp); else below the
    /// folder, "" is the folder itself.
    std::string path;
};

struct Reply {
    std::uint64_t id = 0;
    std::optional<Error> error;  ///< nothing: a descriptor came along
};

[[nodiscard]] std::string to_packet(const Request& request);
[[nodiscard]] std::string to_packet(const Reply& reply);
/// Nothing: malformed. A path that comes out is safe to hand to the kernel.
[[nodiscard]] std::optional<Request> parse_request(std::string_view packet);
[[nodiscard]] std::optional<Reply> parse_reply(std::string_view packet);

}  // namespace opsd::sandbox
