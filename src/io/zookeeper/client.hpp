#pragma once
// A ZooKeeper client on the event loop, as coroutines.
//
// In:  an address ("zk://user:password@h1:2181,h2:2181/mesos"), a Dialer (TCP or TLS), options; then
// requests. Out: data, children and status of nodes, each with the zxid of the answer; events of one-shot
// watches in an Inbox;
//      the session's state as a Latest cell.
// Promises: every wait has a limit; requests are pipelined and answered in the order they were asked; a
// session
//      moves to the next server with its watches when its server fails, hangs or is stopped, and when it has
//      expired a new one begins and every Inbox is told to look again. Requests at the server when the
//      connection is lost fail (they may have been done) and are not repeated here; those that wait go on
//      waiting until request_timeout. Nothing grows without a bound of ClientOptions. No message has a
//      password in it.
//
//     Client client{executor, clock, *dialer, options, log};
//     group.spawn("zookeeper", client.run());
//     const auto inbox = client.inbox();
//     for (;;) {
//         auto masters = co_await client.children("/mesos", inbox);
//         ...
//         if (masters) event = co_await inbox->next();
//     }

#include "io/zookeeper/session.hpp"

namespace opsd::zookeeper {

struct Node {
    std::string data;
    bool null_data = false;  ///< without data, which is not the same as with empty data
    Stat stat;
    std::int64_t zxid = 0;  ///< of the answer: the state of the tree that was read
};

struct Children {
    std::vector<std::string> names;  ///< in no order
    Stat stat;                       ///< of the parent
    std::int64_t zxid = 0;
};

struct Presence {
    std::optional<Stat> stat;  ///< nothing: there is no such node
    std::int64_t zxid = 0;
};

/// Loop thread only; outlives its run() and its requests. Paths are below the address's chroot. A path that
/// no server takes is Errc::invalid_argument; ZooKeeper's NoNode is not_found, NoAuth denied, no connection
/// or no answer unavailable or timeout, an answer that cannot be read protocol, after the end cancelled.
class Client {
public:
    Client(const Executor& executor, Clock& clock, Dialer& dialer, ClientOptions options, Log log)
      : session_{executor, clock, dialer, std::move(options), std::move(log)}
    {}

    /// Keeps the session until it is cancelled or close() is done. Once only; requests need it running.
    Task<> run() { return session_.run(); }
    /// Ends the session at the server, too (1 s at most), and with it run(). Requests that wait are
    /// cancelled.
    Task<> close() { return session_.close(); }

    /// The data of a node. With an inbox: tells it once when the data changes or the node is deleted. No
    /// watch is left behind when the answer is an error.
    Task<Result<Node>> get(std::string path, std::shared_ptr<Inbox> watch = {});
    /// The names below a node. With an inbox: once when a child comes or goes, or the node is deleted.
    Task<Result<Children>> children(std::string path, std::shared_ptr<Inbox> watch = {});
    /// Whether there is a node. With an inbox: once when it is created, changed or deleted.
    Task<Result<Presence>> exists(std::string path, std::shared_ptr<Inbox> watch = {});
    /// Lets the server catch up with its leader: what is read after it is as new as now. The zxid of the
    /// answer.
    Task<Result<std::int64_t>> sync(std::string path = "/");

    /// Where watches tell their news; any number of watches to one. Watches of a dropped inbox are forgotten.
    std::shared_ptr<Inbox> inbox(std::size_t capacity = 1'000) { return session_.inbox(capacity); }

    /// Connecting, connected or ended, and which session it is.
    [[nodiscard]] Latest<SessionState>& state() noexcept { return session_.state(); }
    /// Counters, requests in flight, watches.
    [[nodiscard]] const Session& session() const noexcept { return session_; }

private:
    [[nodiscard]] Result<std::string> full_path(std::string_view path) const;
    Task<Result<Reply>> read(Op op, std::string path, std::string doing, std::shared_ptr<Inbox> watch,
                             WatchTable::Kind kind);

    Session session_;
};

}  // namespace opsd::zookeeper
