#pragma once
// The insides of Session, shared by the files that implement it.

#include "http/session.hpp"

namespace opsd::http {

/// One request and what is known about it so far.
struct Session::Turn {
    Limits limits;
    BodyShare share;
    std::shared_ptr<Table> table;  // and with it the route, whatever a reload does
    Head head{};
    Request request{};
    bool understood = false;  // the request can be shown to handlers and audit
    bool known_method = true;
    const Route* route = nullptr;
    std::string allow{};
    bool keep_alive = false;
    bool cut = false;  // the handler was; audit_cut() writes its line
    std::chrono::steady_clock::time_point begin{};
};

/// A handler at work in its own task, so that its timeout does not wait for it.
struct Session::Call {
    Call(const Request& given, const Executor& executor) : request{given}, event{executor, never} {}
    const Request& request;
    std::optional<Response> response;
    bool finished = false;
    bool abandoned = false;  // cancelled here: its failure is no news
    asio::steady_timer event;
};

/// A stream being written.
struct Session::Streaming {
    Streaming(const Executor& executor, const Turn& turn, Monotonic now)
      : chunked{turn.head.http11}
      , write_timeout{turn.limits.write_timeout}
      , role{turn.request.caller.role}
      , authorization{turn.request.headers.get("authorization")}
      , checked{now}
      , ended_event{executor, never}
      , changed{executor, never}
    {}
    bool chunked;
    std::chrono::milliseconds write_timeout;
    Role role;                  // what the caller was when it began
    std::string authorization;  // to ask again who that is
    Monotonic checked;          // when that was
    bool ended = false;         // the client left or the server drains: the producer should return
    bool failed = false;        // what was written is not whole: no last chunk
    bool whole = true;          // the producer says that a clean end would be the truth
    bool finished = false;      // the producer returned
    asio::steady_timer ended_event;
    asio::steady_timer changed;
};

}  // namespace opsd::http
