#pragma once
// A ZooKeeper session on the event loop: it finds a server, keeps the session alive, moves it to the next
// server when one fails, and begins a new one when it has expired. Requests are pipelined; what a request
// means is the Client's business (client.hpp).

#include "io/zookeeper/dialer.hpp"
#include "io/zookeeper/protocol.hpp"
#include "io/zookeeper/watches.hpp"
#include "opsd/board.hpp"
#include "opsd/clock.hpp"
#include "opsd/log.hpp"

#include <list>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace opsd::zookeeper {

struct ClientOptions {
    Address address;
    /// Asked for; the server decides (by default between 2 and 20 of its ticks). A server that is silent for
    /// two thirds of it is left. The session is given up after twice the time without a server.
    std::chrono::milliseconds session_timeout{30'000};
    /// For one server: name, connection, TLS, session, authentication. At least 1 ms, as all times here.
    std::chrono::milliseconds connect_timeout{4'000};
    /// From the request to its answer, waiting for a server and for its turn included.
    std::chrono::milliseconds request_timeout{10'000};
    /// Between attempts, the longest; the first waits 50 to 100 ms, and each round of all servers doubles
    /// that.
    std::chrono::milliseconds retry_limit{10'000};
    std::size_t max_packet =
        4U << 20U;  ///< bytes of one answer; a server takes 1 MiB, a list of children may be longer
    std::size_t window = 500;      ///< requests at the server at once, at least 1
    std::size_t queue = 10'000;    ///< requests that wait for a server or their turn; beyond it they fail
    std::size_t watches = 10'000;  ///< watched paths
};

/// How the session is.
struct SessionState {
    enum class Status { connecting, connected, ended };
    Status status = Status::connecting;
    std::string server;        ///< "h1:2181" while connected
    std::int64_t session = 0;  ///< its id; 0 before the first
    std::uint64_t sessions =
        0;  ///< counts sessions: one more means that watches and ephemeral nodes are gone
    std::chrono::milliseconds timeout{};  ///< as the server decided
    std::string why;                      ///< not connected: the last failure, a sentence
};

/// Only grow; for metrics.
struct SessionCounters {
    std::uint64_t attempts = 0;     ///< to connect
    std::uint64_t connections = 0;  ///< that became one
    std::uint64_t expired = 0;      ///< sessions that were lost
    std::uint64_t requests = 0;     ///< accepted
    std::uint64_t answers = 0;      ///< errors of ZooKeeper included
    std::uint64_t lost = 0;         ///< requests whose connection was lost
    std::uint64_t late = 0;         ///< requests without an answer in time
    std::uint64_t refused = 0;      ///< requests beyond `queue` or `watches`
};

/// A request as the wire knows it.
struct Request {
    /// What to watch when the answer is good; on a missing node too if `even_missing` (exists).
    struct Watch {
        std::shared_ptr<Inbox> inbox;
        WatchTable::Kind kind = WatchTable::Kind::data;
        bool even_missing = false;
    };
    Op op = Op::ping;
    std::string path;    ///< the server's, with the chroot
    std::string record;  ///< what follows the op code
    std::string doing;   ///< "read": "cannot read /path at ZooKeeper h1:2181: ..."
    std::optional<Watch> watch = {};
};

struct Reply {
    std::int64_t zxid = 0;
    std::int32_t error = 0;  ///< a code of ZooKeeper, 0: none
    std::string record;
    std::string what;  ///< "read /path at ZooKeeper h1:2181": for reply_error()
};

/// One session after the other. Loop thread only; outlives its run() and all call()s.
class Session {
public:
    Session(const Executor& executor, Clock& clock, Dialer& dialer, ClientOptions options, Log log);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Until it is cancelled or close() is done. Once only.
    Task<> run();
    /// Tells the server that the session is over, which takes a second at most; run() has ended then.
    Task<> close();

    /// An answer, or why there is none: timeout, unavailable (connection lost: the request may have been
    /// done; queue full; not running), denied (the last server refused us), protocol, cancelled.
    Task<Result<Reply>> call(Request request);

    std::shared_ptr<Inbox> inbox(std::size_t capacity);

    [[nodiscard]] const ClientOptions& options() const noexcept { return options_; }
    [[nodiscard]] Latest<SessionState>& state() noexcept { return state_; }
    [[nodiscard]] const SessionCounters& counters() const noexcept { return counters_; }
    [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }
    [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_.size(); }
    [[nodiscard]] const WatchTable& watches() const noexcept { return watches_; }

private:
    struct Pending;
    struct Link;
    class Place;
    struct Running;
    struct Serving;
    using PendingList = std::list<std::shared_ptr<Pending>>;
    using Linked = Result<std::unique_ptr<Link>>;

    // the way to a server (session.cpp)
    Task<> keep_connected();
    Task<> pause();
    void give_up_overdue();
    void forget_session(std::string_view why);
    const Server& next_server();
    Task<Linked> establish(Server server);
    Task<Linked> too_slow(Server server);
    Task<Result<>> greet(Link& link);
    Task<Result<>> authenticate(Link& link);
    void adopt(const ConnectReply& reply);
    Task<Error> serve(Link& link);
    void attempt_failed(const Server& server, Error why, bool was_connected);
    void publish(SessionState::Status status, std::string server, std::string why);
    Task<> expire_requests();
    Task<> until_closed();

    // on one connection (link.cpp)
    Task<Result<std::string_view>> next_frame(Link& link);
    Task<Error> read(Link& link);
    Task<Error> write(Link& link);
    Task<Error> watch_silence(Link& link);
    void fill(Link& link);
    std::optional<Error> handle(Link& link, std::string_view frame);
    std::optional<Error> answer(Link& link, const ReplyHeader& header, std::string_view record);

    // requests (requests.cpp)
    std::optional<Error> refusal(const Request& request);
    void expire(Monotonic now);
    [[nodiscard]] Monotonic next_expiry(Monotonic now) const;
    static void finish(Pending& pending, Result<Reply> outcome);
    void fail_in_flight(std::string_view server, const Error& why);
    void fail_waiting(const Error& why);

    Executor executor_;
    Clock& clock_;
    Dialer& dialer_;
    ClientOptions options_;
    Log log_;
    std::minstd_rand random_;
    Latest<SessionState> state_;
    SessionCounters counters_;
    WatchTable watches_;
    std::list<std::weak_ptr<Inbox>> inboxes_;

    std::int64_t id_ = 0;  // of the session; 0: none
    std::string password_;
    std::chrono::milliseconds timeout_{};
    std::int64_t last_zxid_ = 0;
    std::uint64_t sessions_ = 0;
    Monotonic last_contact_{};  // with the session

    std::size_t server_ = 0;
    std::size_t failures_ = 0;  // attempts since a connection that lasted
    bool expired_ = false;      // the server just said so: no failure, begin anew at once
    std::optional<Error> last_failure_;

    std::int32_t last_xid_ = 0;
    PendingList waiting_;
    PendingList
        in_flight_;  // oldest first, as the answers come; answered late ones stay until their answer comes
    asio::steady_timer wake_;  // the writer
    asio::steady_timer stop_;  // until_closed()
    asio::steady_timer over_;  // close() waits for the end of run()
    std::size_t wishes_ = 0;   // requests that will be watches
    Link* link_ = nullptr;
    bool running_ = false;
    bool ended_ = false;
    bool closing_ = false;
    bool closed_ = false;
};

}  // namespace opsd::zookeeper
