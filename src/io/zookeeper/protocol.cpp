#include "io/zookeeper/protocol.hpp"

#include "io/zookeeper/jute.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace opsd::zookeeper {
namespace {

struct Meaning {
    std::int32_t number;
    std::string_view name;
    Errc code;
    std::string_view text;
};

constexpr std::string_view look_at_the_server = "look into the server's log";

// KeeperException.Code of ZooKeeper 3.4 to 3.9. What only a client's own library reports (-13x) never comes
// over the wire.
constexpr std::array meanings{
    Meaning{-1, "SystemError", Errc::unavailable, look_at_the_server},
    Meaning{-2, "RuntimeInconsistency", Errc::unavailable, look_at_the_server},
    Meaning{-3, "DataInconsistency", Errc::unavailable, look_at_the_server},
    Meaning{-4, "ConnectionLoss", Errc::unavailable, "the server lost its ensemble; try again"},
    Meaning{-5, "MarshallingError", Errc::protocol,
            "the server could not read the request, perhaps it is too old"},
    Meaning{-6, "Unimplemented", Errc::protocol, "the server is too old for this request"},
    Meaning{-7, "OperationTimeout", Errc::timeout, "the ensemble is slow; try again"},
    Meaning{-8, "BadArguments", Errc::invalid_argument, "check the path"},
    Meaning{-12, "UnknownSession", Errc::unavailable, "the session is gone; try again"},
    Meaning{-13, "NewConfigNoQuorum", Errc::unavailable, "no quorum of the new configuration is there"},
    Meaning{-14, "ReconfigInProgress", Errc::unavailable, "another reconfiguration runs; try again"},
    Meaning{-100, "APIError", Errc::protocol, look_at_the_server},
    Meaning{-101, "NoNode", Errc::not_found,
            "there is no such node; check the path, and the path behind the servers"},
    Meaning{
        -102, "NoAuth", Errc::denied,
        "the node's ACL does not allow it; give a user and password that it allows (zk://user:password@...)"},
    Meaning{-103, "BadVersion", Errc::invalid_argument, "somebody changed the node meanwhile; read it again"},
    Meaning{-108, "NoChildrenForEphemerals", Errc::invalid_argument,
            "an ephemeral node cannot have children"},
    Meaning{-110, "NodeExists", Errc::invalid_argument, "the node exists already"},
    Meaning{-111, "NotEmpty", Errc::invalid_argument, "the node has children"},
    Meaning{-112, "SessionExpired", Errc::unavailable, "the session is gone; try again"},
    Meaning{-114, "InvalidACL", Errc::invalid_argument, "the server does not take this ACL"},
    Meaning{-115, "AuthFailed", Errc::denied, "the server refuses the user and password, or their scheme"},
    Meaning{-118, "SessionMoved", Errc::unavailable, "another server has the session now; try again"},
    Meaning{-119, "NotReadOnly", Errc::unavailable, "the server has no quorum and only reads; try again"},
    Meaning{-120, "EphemeralOnLocalSession", Errc::invalid_argument,
            "a local session has no ephemeral nodes"},
    Meaning{-121, "NoWatcher", Errc::not_found, "there is no such watch"},
    Meaning{-122, "RequestTimeout", Errc::timeout, "the ensemble is slow; try again"},
    Meaning{-123, "ReconfigDisabled", Errc::denied, "the servers do not allow reconfiguration"},
    Meaning{-124, "SessionClosedRequireSaslAuth", Errc::denied,
            "the server wants another way of authentication"},
    Meaning{-125, "QuotaExceeded", Errc::denied, "a quota below /zookeeper/quota is used up"},
    Meaning{-127, "ThrottledOp", Errc::unavailable, "the server is overloaded; try again later"},
};

std::unexpected<Error> unreadable(std::string_view what)
{
    return fail(Errc::protocol,
                fmt::format("cannot read {} of the server: it is cut off, or it lies about a length", what));
}

Stat read_stat(jute::Reader& reader)
{
    Stat stat;
    stat.created_zxid = reader.i64();
    stat.modified_zxid = reader.i64();
    stat.created_ms = reader.i64();
    stat.modified_ms = reader.i64();
    stat.version = reader.i32();
    stat.children_version = reader.i32();
    stat.acl_version = reader.i32();
    stat.ephemeral_owner = reader.i64();
    stat.data_length = reader.i32();
    stat.children = reader.i32();
    stat.children_zxid = reader.i64();
    return stat;
}

}  // namespace

std::string connect_frame(const ConnectRequest& request)
{
    constexpr std::int32_t protocol_version = 0;
    // Servers fill in what they get: a new session without these bytes could have a password without any.
    const auto password = request.session == 0 ? std::string(16, '\0') : request.password;
    jute::Writer writer;
    writer.i32(protocol_version)
        .i64(request.last_zxid)
        .i32(static_cast<std::int32_t>(request.timeout.count()));
    writer.i64(request.session).string(password).boolean(false);  // no server that only reads
    return std::move(writer).frame();
}

std::string request_frame(std::int32_t xid, Op op, std::string_view record)
{
    jute::Writer writer;
    writer.i32(xid).i32(static_cast<std::int32_t>(op)).raw(record);
    return std::move(writer).frame();
}

std::string ping_frame() { return request_frame(xid::ping, Op::ping, {}); }

std::string auth_frame(std::string_view scheme, std::string_view secret)
{
    constexpr std::int32_t unused_type = 0;
    jute::Writer writer;
    writer.i32(unused_type).string(scheme).string(secret);
    return request_frame(xid::auth, Op::auth, std::move(writer).record());
}

std::string read_record(std::string_view path, bool watch)
{
    jute::Writer writer;
    writer.string(path).boolean(watch);
    return std::move(writer).record();
}

std::string sync_record(std::string_view path)
{
    jute::Writer writer;
    writer.string(path);
    return std::move(writer).record();
}

std::string set_watches_record(std::int64_t zxid, const std::vector<std::string>& data,
                               const std::vector<std::string>& missing,
                               const std::vector<std::string>& children)
{
    jute::Writer writer;
    writer.i64(zxid).strings(data).strings(missing).strings(children);
    return std::move(writer).record();
}

Result<ConnectReply> decode_connect(std::string_view record)
{
    jute::Reader reader{record};
    ConnectReply reply;
    reader.i32();  // the protocol's version: always 0
    reply.timeout = std::chrono::milliseconds{reader.i32()};
    reply.session = reader.i64();
    reply.password = reader.string();
    // A flag follows: does the server only read? Not from servers before 3.4, and never true for us.
    if (!reader.ok() || reply.password.size() > 256) return unreadable("the answer to the connection");
    return reply;
}

Result<ReplyHeader> take_header(std::string_view& record)
{
    jute::Reader reader{record};
    ReplyHeader header;
    header.xid = reader.i32();
    header.zxid = reader.i64();
    header.error = reader.i32();
    if (!reader.ok()) return unreadable("an answer");
    record = reader.rest();
    return header;
}

Result<RawEvent> decode_event(std::string_view record)
{
    jute::Reader reader{record};
    RawEvent event;
    event.type = reader.i32();
    reader.i32();  // the session's state: what we see of it ourselves
    event.path = reader.string();
    if (!reader.ok()) return unreadable("an event");
    return event;
}

Result<DataReply> decode_data(std::string_view record)
{
    jute::Reader reader{record};
    DataReply reply;
    reply.data = reader.maybe_string();
    reply.stat = read_stat(reader);
    if (!reader.ok()) return unreadable("the data");
    return reply;
}

Result<ChildrenReply> decode_children(std::string_view record)
{
    jute::Reader reader{record};
    ChildrenReply reply;
    reply.names = reader.strings();
    reply.stat = read_stat(reader);
    if (!reader.ok()) return unreadable("the list of children");
    return reply;
}

Result<Stat> decode_stat(std::string_view record)
{
    jute::Reader reader{record};
    const auto stat = read_stat(reader);
    if (!reader.ok()) return unreadable("the status of the node");
    return stat;
}

Error reply_error(std::int32_t error, std::string_view what)
{
    const auto meaning = std::ranges::find(meanings, error, &Meaning::number);
    if (meaning == meanings.end()) {
        return {Errc::protocol, fmt::format("cannot {}: ZooKeeper's error {}, which opsd does not know; {}",
                                            what, error, look_at_the_server)};
    }
    return {meaning->code, fmt::format("cannot {}: {}, {}", what, meaning->name, meaning->text)};
}

}  // namespace opsd::zookeeper
