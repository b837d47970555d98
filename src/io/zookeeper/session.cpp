#include "io/zookeeper/session.hpp"

#include "core/first_of.hpp"
#include "io/zookeeper/session_parts.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cassert>

namespace opsd::zookeeper {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_pause{100};
constexpr milliseconds goodbye_limit{1'000};
constexpr milliseconds shortest_timeout{100};  // of a session, whatever a server says: it paces the pings

Task<Result<Reply>> goodbye_too_slow(Clock& clock)
{
    co_await clock.sleep_for(goodbye_limit);
    co_return fail(Errc::timeout, "cannot say goodbye to ZooKeeper: it did not answer");
}

}  // namespace

/// While run() runs; whatever ends it, nobody waits for an answer or an event any more.
struct Session::Running {
    explicit Running(Session& s) : session{s} { session.running_ = true; }
    ~Running()
    {
        const Error why{Errc::cancelled, "the session was closed here"};
        session.running_ = false;
        session.ended_ = true;
        session.fail_in_flight(session.options_.address.text(), why);
        session.fail_waiting(why);
        session.publish(SessionState::Status::ended, "", why.message);
        for (const auto& weak : session.inboxes_) {
            if (const auto inbox = weak.lock()) inbox->end();
        }
        session.over_.cancel();
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    Session& session;
};

/// While a connection is in use.
struct Session::Serving {
    Serving(Session& s, Link& link) : session{s} { session.link_ = &link; }
    ~Serving() { session.link_ = nullptr; }
    Serving(const Serving&) = delete;
    Serving& operator=(const Serving&) = delete;
    Session& session;
};

Session::Session(const Executor& executor, Clock& clock, Dialer& dialer, ClientOptions options, Log log)
  : executor_{executor}
  , clock_{clock}
  , dialer_{dialer}
  , options_{std::move(options)}
  , log_{std::move(log)}
  , random_{static_cast<std::minstd_rand::result_type>(clock.monotonic().count())}
  , state_{executor}
  , watches_{options_.address.chroot}
  , wake_{executor, never}
  , stop_{executor, never}
  , over_{executor, never}
{
    assert(!options_.address.servers.empty() && options_.window > 0);
    // Not every node of a cluster begins with the same server.
    std::ranges::shuffle(options_.address.servers, random_);
    publish(SessionState::Status::connecting, "", "no server was tried yet");
}

Session::~Session() { assert(!running_ && waiting_.empty() && "a Session outlives its run() and its calls"); }

void Session::publish(SessionState::Status status, std::string server, std::string why)
{
    SessionState state{.status = status,
                       .server = std::move(server),
                       .session = id_,
                       .sessions = sessions_,
                       .timeout = timeout_,
                       .why = std::move(why)};
    state_.publish(std::move(state), clock_.now());
}

std::shared_ptr<Inbox> Session::inbox(std::size_t capacity)
{
    std::erase_if(inboxes_, [](const auto& one) { return one.expired(); });
    auto made = std::make_shared<Inbox>(executor_, capacity);
    inboxes_.push_back(made);
    if (ended_) made->end();
    return made;
}

Task<> Session::run()
{
    assert(!running_ && !ended_ && "a Session runs once");
    const Running running{*this};
    co_await first_of(first_of(keep_connected(), expire_requests()), until_closed());
}

Task<> Session::until_closed()
{
    while (!closed_)
        co_await wait_event(stop_);
}

Task<> Session::close()
{
    closing_ = true;
    if (running_ && link_ != nullptr) {
        Request goodbye{.op = Op::close, .path = "", .record = "", .doing = "close the session"};
        // However it ends, the server will notice at the latest when the session expires.
        [[maybe_unused]] auto said = co_await first_of(call(std::move(goodbye)), goodbye_too_slow(clock_));
    }
    closed_ = true;
    stop_.cancel();
    while (running_)
        co_await wait_event(over_);
}

Task<> Session::keep_connected()
{
    for (;;) {
        const bool at_once = std::exchange(expired_, false);  // a new session, without delay
        if (failures_ > 0 && !at_once) co_await pause();
        give_up_overdue();
        const auto server = next_server();
        ++counters_.attempts;
        auto link = co_await first_of(establish(server), too_slow(server));
        if (!link) {
            if (expired_) continue;
            attempt_failed(server, std::move(link).error(), false);
            continue;
        }
        auto why = co_await serve(**link);
        attempt_failed(server, std::move(why), true);
    }
}

Task<> Session::pause()
{
    const auto rounds = std::min<std::size_t>(failures_ / options_.address.servers.size(), 20);
    const auto longest = std::min(options_.retry_limit, first_pause * (1L << rounds));
    std::uniform_int_distribution<milliseconds::rep> some{longest.count() / 2, longest.count()};
    co_await clock_.sleep_for(milliseconds{some(random_)});
}

const Server& Session::next_server()
{
    const auto& servers = options_.address.servers;
    return servers[server_++ % servers.size()];
}

// The server counts from our last ping; beyond that nothing hangs on the session. It must be dropped at some
// time: an ensemble that was restored from a backup refuses a client that has seen more than it, for ever.
void Session::give_up_overdue()
{
    if (id_ == 0 || clock_.monotonic() - last_contact_ < timeout_ * 2) return;
    forget_session("no server was there for " + human_duration(timeout_ * 2));
    last_zxid_ = 0;
}

void Session::forget_session(std::string_view why)
{
    log_.warning("the session 0x{:x} at {} is lost: {}; its watches are gone",
                 static_cast<std::uint64_t>(id_), options_.address.text(), why);
    ++counters_.expired;
    id_ = 0;
    password_.clear();
}

Task<Session::Linked> Session::too_slow(Server server)
{
    co_await clock_.sleep_for(options_.connect_timeout);
    co_return fail(Errc::timeout,
                   fmt::format("cannot connect to ZooKeeper {}: no session within {}; is it hanging?",
                               server.text(), human_duration(options_.connect_timeout)));
}

Task<Session::Linked> Session::establish(Server server)
{
    auto dialed = co_await dialer_.dial(server, options_.connect_timeout);
    if (!dialed) co_return fail(std::move(dialed).error().wrap("connect to ZooKeeper " + server.text()));
    auto link = std::make_unique<Link>(server.text(), std::move(*dialed), options_.max_packet);
    auto greeted = co_await greet(*link);
    if (!greeted) co_return fail(std::move(greeted).error());
    auto known = co_await authenticate(*link);
    if (!known) co_return fail(std::move(known).error());
    co_return link;
}

Task<Result<>> Session::greet(Link& link)
{
    const ConnectRequest request{
        .last_zxid = last_zxid_, .timeout = options_.session_timeout, .session = id_, .password = password_};
    auto sent = co_await link.transport->write_all(connect_frame(request));
    if (!sent) co_return fail(std::move(sent).error().wrap("connect to ZooKeeper " + link.server));
    link.sent = clock_.monotonic();
    auto frame = co_await next_frame(link);
    if (!frame) {
        auto why = std::move(frame).error();
        if (why.code == Errc::unavailable)
            why.message += "; is it without a quorum, behind the others, a TLS port, or full of connections?";
        co_return fail(std::move(why));
    }
    auto reply = decode_connect(*frame);
    if (!reply) co_return fail(std::move(reply).error().wrap("connect to ZooKeeper " + link.server));
    if (reply->timeout.count() <= 0 || reply->session == 0) {
        expired_ = id_ != 0;
        if (expired_) forget_session("the server says it has expired");
        co_return fail(Errc::unavailable,
                       "cannot connect to ZooKeeper " + link.server + ": it gives no session");
    }
    adopt(*reply);
    co_return Result<>{};
}

void Session::adopt(const ConnectReply& reply)
{
    const bool is_new = reply.session != id_;
    id_ = reply.session;
    password_ = reply.password;
    timeout_ = std::max(reply.timeout, shortest_timeout);
    last_contact_ = clock_.monotonic();
    if (!is_new) return;
    ++sessions_;
    watches_.lose();
}

Task<Result<>> Session::authenticate(Link& link)
{
    const auto& credentials = options_.address.credentials;
    if (credentials.empty()) co_return Result<>{};
    auto sent = co_await link.transport->write_all(auth_frame("digest", credentials));
    if (!sent) co_return fail(std::move(sent).error().wrap("log in to ZooKeeper " + link.server));
    auto frame = co_await next_frame(link);
    if (!frame) co_return fail(std::move(frame).error().wrap("log in to ZooKeeper " + link.server));
    auto record = *frame;
    const auto header = take_header(record);
    if (!header || header->xid != xid::auth) {
        co_return fail(Errc::protocol,
                       "cannot log in to ZooKeeper " + link.server + ": it answered something else");
    }
    if (header->error != code::ok)
        co_return fail(reply_error(header->error, "log in to ZooKeeper " + link.server));
    co_return Result<>{};
}

Task<Error> Session::serve(Link& link)
{
    const Serving serving{*this, link};
    const auto since = clock_.monotonic();
    ++counters_.connections;
    last_failure_.reset();
    // Before any other request: what they then read is not older than what the watches tell.
    for (const auto& record : watches_.rearm(last_zxid_))
        link.out += request_frame(xid::set_watches, Op::set_watches, record);
    log_.info("connected to {}, session 0x{:x}, timeout {}", link.server, static_cast<std::uint64_t>(id_),
              human_duration(timeout_));
    publish(SessionState::Status::connected, link.server, "");
    auto why = co_await first_of(first_of(read(link), write(link)), watch_silence(link));
    if (clock_.monotonic() - since > timeout_) failures_ = 0;  // it was good for something
    co_return why;
}

void Session::attempt_failed(const Server& server, Error why, bool was_connected)
{
    ++failures_;
    // Once per outage; a retry that fails is no news.
    if (was_connected || failures_ == 1) {
        log_.warning("{}", why.message);
    } else {
        log_.debug("{}", why.message);
    }
    if (was_connected) fail_in_flight(server.text(), why);
    if (why.code == Errc::denied) fail_waiting(why);
    publish(SessionState::Status::connecting, "", why.message);
    last_failure_ = std::move(why);
}

}  // namespace opsd::zookeeper
