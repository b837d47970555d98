#pragma once
// The requests and replies that opsd uses, and what ZooKeeper's error codes mean to us. Spec
// backup-upgrade 2.7 has the facts. A further operation is an op code, an encoder and a decoder here, and a
// method of the Client.

#include "opsd/result.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::zookeeper {

/// What a request asks for.
enum class Op : std::int32_t {
    close = -11,
    exists = 3,
    get_data = 4,
    sync = 9,
    ping = 11,
    get_children2 = 12,
    auth = 100,
    set_watches = 101,
};

/// Request numbers that are no requests of a caller.
namespace xid {
inline constexpr std::int32_t watch_event = -1;
inline constexpr std::int32_t ping = -2;
inline constexpr std::int32_t auth = -4;
inline constexpr std::int32_t set_watches = -8;
}  // namespace xid

/// Error codes that decide something here; reply_error() knows all of them.
namespace code {
inline constexpr std::int32_t ok = 0;
inline constexpr std::int32_t no_node = -101;
inline constexpr std::int32_t session_expired = -112;
inline constexpr std::int32_t auth_failed = -115;
inline constexpr std::int32_t session_moved = -118;
}  // namespace code

/// What ZooKeeper keeps about a node. Times are milliseconds since the epoch, by the server's clock.
struct Stat {
    std::int64_t created_zxid = 0;
    std::int64_t modified_zxid = 0;
    std::int64_t created_ms = 0;
    std::int64_t modified_ms = 0;
    std::int32_t version = 0;
    std::int32_t children_version = 0;
    std::int32_t acl_version = 0;
    std::int64_t ephemeral_owner = 0;  ///< a session, 0: none; 1 << 63: a container
    std::int32_t data_length = 0;
    std::int32_t children = 0;
    std::int64_t children_zxid = 0;
    bool operator==(const Stat&) const = default;
};

struct ConnectRequest {
    std::int64_t last_zxid = 0;  ///< a server that has not come as far refuses us
    std::chrono::milliseconds timeout{};
    std::int64_t session = 0;  ///< 0: a new one
    std::string password;      ///< of the session, a secret
};
struct ConnectReply {
    std::chrono::milliseconds timeout{};  ///< 0: the session has expired
    std::int64_t session = 0;
    std::string password;
};
struct ReplyHeader {
    std::int32_t xid = 0;
    std::int64_t zxid = 0;  ///< how far the server had come; -1 with events
    std::int32_t error = 0;
};
/// What happened to a watched node.
enum class EventType : std::int32_t { created = 1, deleted = 2, data_changed = 3, children_changed = 4 };
struct RawEvent {
    std::int32_t type = 0;  ///< an EventType, or one that we do not know
    std::string path;
};
struct DataReply {
    std::optional<std::string> data;  ///< a node without data is not one with empty data
    Stat stat;
};
struct ChildrenReply {
    std::vector<std::string> names;
    Stat stat;
};

/// Whole frames.
[[nodiscard]] std::string connect_frame(const ConnectRequest& request);
[[nodiscard]] std::string request_frame(std::int32_t xid, Op op, std::string_view record);
[[nodiscard]] std::string ping_frame();
[[nodiscard]] std::string auth_frame(std::string_view scheme, std::string_view secret);

/// Records for request_frame(). Get, exists and children are all a path and whether to watch.
[[nodiscard]] std::string read_record(std::string_view path, bool watch);
[[nodiscard]] std::string sync_record(std::string_view path);
[[nodiscard]] std::string set_watches_record(std::int64_t zxid, const std::vector<std::string>& data,
                                             const std::vector<std::string>& missing,
                                             const std::vector<std::string>& children);

/// All fail with Errc::protocol and nothing else.
Result<ConnectReply> decode_connect(std::string_view record);
/// Takes the header off the front of `record`.
Result<ReplyHeader> take_header(std::string_view& record);
Result<RawEvent> decode_event(std::string_view record);
Result<DataReply> decode_data(std::string_view record);
Result<ChildrenReply> decode_children(std::string_view record);
Result<Stat> decode_stat(std::string_view record);

/// "cannot read /mesos at ZooKeeper h1:2181: NoNode, ...": `what` completes "cannot ...".
[[nodiscard]] Error reply_error(std::int32_t error, std::string_view what);

}  // namespace opsd::zookeeper
