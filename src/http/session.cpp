// The way of one request: read, understand, find, authorise, handle. Answers are written in answer.cpp.

#include "http/session_parts.hpp"

#include "http/target.hpp"

#include <boost/asio/post.hpp>
#include <fmt/core.h>

namespace opsd::http {
namespace {

/// For a handler that was cut to say how it ended, before the audit log says that nobody knows.
constexpr auto cut_grace = std::chrono::seconds{1};

std::unexpected<Refusal> silently()
{
    return std::unexpected{Refusal{.status = 0, .reason = {}, .detail = {}}};
}

std::optional<Method> to_method(std::string_view word)
{
    for (const auto method :
         {Method::get, Method::head, Method::post, Method::put, Method::del, Method::options}) {
        if (to_string(method) == word) return method;
    }
    return std::nullopt;
}

bool is_plain_id(std::string_view id)
{
    constexpr std::string_view fits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return !id.empty() && id.size() <= 64 && id.find_first_not_of(fits) == std::string_view::npos;
}

Role needed(Access access)
{
    switch (access) {
    case Access::open:
        return Role::none;
    case Access::local:
        return Role::local;
    case Access::read:
        return Role::viewer;
    case Access::operate:
        return Role::operator_;
    case Access::admin:
        return Role::admin;
    }
    return Role::admin;
}

Response foreign_host(std::string_view method, std::string_view path, std::string_view host)
{
    const auto detail =
        fmt::format("cannot {} {} without credentials under the host name \"{}\", which a foreign web page "
                    "could have pointed here: use localhost, an address, or a token",
                    method, path, host.substr(0, 64));
    return std::move(Response::problem(401, detail).with("WWW-Authenticate", "Bearer realm=\"opsd\""));
}

/// Clients of the DC/OS health API know this body; everything else of ours is problem+json.
Response not_found(const Request& request)
{
    constexpr std::string_view health = "/system/health/v1";
    const std::string_view path = request.path;
    const bool theirs =
        path.starts_with(health) && (path.size() == health.size() || path[health.size()] == '/');
    if (theirs) return Response::text("404 page not found\n", 404);
    return Response::problem(404,
                             fmt::format("cannot find {}: no such path; /api/openapi.json lists them", path));
}

}  // namespace

Session::Session(net::Transport& io, Service& service, Credentials peer)
  : io_{io}
  , service_{service}
  , peer_{std::move(peer)}
  , place_{service.sessions.insert(service.sessions.end(), this)}
{}

Session::~Session() { service_.sessions.erase(place_); }

Task<> Session::run()
{
    // Cancellation shows as a failed operation here, so that every way out closes what it opened.
    co_await asio::this_coro::throw_if_cancelled(false);
    bool more = true;
    while (more && !ending_ && !service_.draining) {
        if (pending_.empty()) {
            const bool awake = co_await wait_for_request();
            if (!awake) break;
        } else {
            co_await asio::post(service_.executor,
                                asio::use_awaitable);  // pipelining must not starve the others
        }
        more = co_await serve_one();
    }
    if (unread_ && !service_.aborted)
        co_await linger();
    else
        io_.close();
}

void Session::drain_certified()
{
    if (!peer_.certificate_subject.empty()) drain();
}

void Session::drain()
{
    ending_ = true;
    if (idle_) io_.cancel();
    if (streaming_ != nullptr) end_stream();
    if (holding_ != nullptr) end_hold();
}

Task<bool> Session::wait_for_request()
{
    std::string{}.swap(pending_);
    idle_ = true;
    io_.expires_after(service_.limits.idle_timeout);
    auto readable = co_await io_.wait_readable();
    idle_ = false;
    co_return readable.has_value();
}

Task<bool> Session::serve_one()
{
    Turn turn{.limits = service_.limits, .share = BodyShare{service_}, .table = service_.table};
    auto head = co_await read_head(turn.limits);
    turn.begin = std::chrono::steady_clock::now();
    turn.request.id = service_.next_request_id();
    if (head) {
        turn.head = std::move(*head);
        co_return co_await serve(turn);
    }
    co_return co_await refuse(turn, std::move(head).error());
}

Task<bool> Session::serve(Turn& turn)
{
    auto refusal = understand(turn);
    if (refusal) co_return co_await refuse(turn, std::move(*refusal));
    auto early = find_route(turn);
    if (!early) early = authorize(turn);
    if (early) {
        turn.keep_alive = turn.keep_alive && skip_body(turn.head);
        co_return co_await answer(turn, std::move(*early));
    }
    auto body = co_await read_body(turn);
    if (!body) co_return co_await refuse(turn, std::move(body).error());
    turn.request.body = std::move(*body);
    auto response = co_await call_handler(turn);
    if (!response) co_return false;
    if (response->hold) co_return co_await hold(turn, std::move(*response));
    co_return co_await answer(turn, std::move(*response));
}

Task<Result<>> Session::more_input()
{
    auto count = co_await io_.read_some(service_.scratch);
    if (!count) co_return fail(std::move(count).error());
    if (*count == 0) co_return fail(Errc::unavailable, "cannot read on: the client closed the connection");
    pending_.append(service_.scratch.data(), *count);
    co_return Result<>{};
}

Task<std::expected<Head, Refusal>> Session::read_head(const Limits& limits)
{
    HeadScanner scanner;
    io_.expires_after(limits.header_timeout);
    for (;;) {
        const auto state = scanner.scan(pending_);
        if (state == HeadScanner::State::bad) {
            co_return std::unexpected{Refusal{
                400, "syntax", "cannot read the request: it contains bytes that no HTTP/1.1 request has"}};
        }
        const bool complete = state == HeadScanner::State::complete;
        if ((complete ? scanner.end() : pending_.size() + 1) > limits.header.count) {
            co_return std::unexpected{
                Refusal{431, "header_size",
                        fmt::format("cannot take the request: its head has more than {} bytes",
                                    limits.header.count)}};
        }
        if (complete) {
            auto head = parse_head(
                std::string_view{pending_}.substr(scanner.begin(), scanner.end() - scanner.begin()));
            pending_.erase(0, scanner.end());
            co_return head;
        }
        auto more = co_await more_input();
        if (more) continue;
        if (more.error().code != Errc::timeout || pending_.empty()) co_return silently();
        co_return std::unexpected{
            Refusal{408, "header_timeout",
                    fmt::format("cannot wait longer for the request: its head took more than {}",
                                human_duration(limits.header_timeout))}};
    }
}

// Fills the Request in; a Refusal when that is not safe.
std::optional<Refusal> Session::understand(Turn& turn)
{
    auto& request = turn.request;
    const auto method = to_method(turn.head.method);
    turn.known_method = method.has_value();
    request.method = method.value_or(Method::get);
    turn.keep_alive = turn.head.keep_alive;
    const auto id = turn.head.fields.get("x-request-id");
    if (is_plain_id(id)) request.id = id;
    if (request.method == Method::options && turn.head.target == "*") {
        request.path = "*";
    } else {
        auto target = parse_target(turn.head);
        if (!target) return std::move(target).error();
        request.path = std::move(target->path);
        request.query = std::move(target->query);
    }
    request.headers = std::move(turn.head.fields);
    request.caller.address = peer_.address;
    turn.understood = true;
    return std::nullopt;
}

// Answers by itself what needs no handler: 404, 405, OPTIONS.
std::optional<Response> Session::find_route(Turn& turn)
{
    auto& request = turn.request;
    if (request.path == "*") {
        return Response::no_content().with("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS");
    }
    auto match =
        turn.table->router().find(turn.known_method ? request.method : Method::options, request.path);
    if (match.route == nullptr && match.allow.empty()) return not_found(request);
    if (match.route != nullptr && turn.known_method) {
        turn.route = match.route;
        request.path_params = std::move(match.params);
        return std::nullopt;
    }
    if (turn.known_method && request.method == Method::options) {
        return Response::no_content().with("Allow", std::move(match.allow));
    }
    auto refused = Response::problem(
        405, fmt::format("cannot {} {}: this path answers {}", turn.head.method, request.path, match.allow));
    return std::move(refused.with("Allow", std::move(match.allow)));
}

std::optional<Response> Session::authorize(Turn& turn)
{
    auto& request = turn.request;
    peer_.authorization = request.headers.get("authorization");
    auto caller = service_.authenticator.identify(peer_);
    if (!caller && caller.error().code != Errc::denied) return Response::problem(caller.error());
    if (!caller) {
        // A certificate is shown once a connection: a new one needs a new connection.
        const bool by_certificate = peer_.authorization.empty() && !peer_.certificate_subject.empty();
        turn.keep_alive = turn.keep_alive && !by_certificate;
        return std::move(
            Response::problem(401, caller.error().message).with("WWW-Authenticate", "Bearer realm=\"opsd\""));
    }
    request.caller = std::move(*caller);
    request.caller.address = peer_.address;
    const auto role = needed(turn.route->access);
    // A page whose name was pointed at 127.0.0.1 (DNS rebinding) comes from loopback, but by its own name.
    const auto host = request.headers.get("host");
    const bool foreign = request.caller.via == "loopback" && !peer_.peer && !is_near_host(host);
    if (foreign) request.caller.role = Role::none;
    if (request.caller.role >= role) return std::nullopt;
    if (foreign) return foreign_host(turn.head.method, request.path, host);
    const bool anonymous = request.caller.via.empty() || request.caller.via == "loopback";
    const auto what = fmt::format("cannot {} {}", turn.head.method, request.path);
    if (anonymous) {
        const auto detail =
            fmt::format("{} without credentials: it needs the role {}; send \"Authorization: Bearer TOKEN\" "
                        "(an admin makes one with \"opsd token create\") or use the Unix socket as a user "
                        "who has that role",
                        what, to_string(role));
        return std::move(Response::problem(401, detail).with("WWW-Authenticate", "Bearer realm=\"opsd\""));
    }
    return Response::problem(
        403, fmt::format("{} as {}, whose role is {}: it needs the role {}; ask an admin for a token "
                         "with that role",
                         what, request.caller.name, to_string(request.caller.role), to_string(role)));
}

// Whether the connection can go on although nobody reads this body: only when it is here already.
bool Session::skip_body(const Head& head)
{
    if (!head.has_body()) return true;
    if (!head.chunked && head.content_length <= pending_.size()) {
        pending_.erase(0, head.content_length);
        return true;
    }
    unread_ = true;
    return false;
}

// Nothing when the server was aborted or the answer was given here.
Task<std::optional<Response>> Session::call_handler(Turn& turn)
{
    Call call{turn.request, service_.executor};
    begin_tasks();
    call.event.expires_after(turn.limits.handler_timeout);
    tasks_->spawn("handler", run_handler(call, *turn.route));
    if (call.finished && tasks_->size() == 0) co_return std::move(call.response);  // as nearly all do
    bool late = false;
    if (!call.finished) {  // a handler that waits for nothing is done before spawn() returns
        auto [ec] = co_await call.event.async_wait(tuple);
        late = !call.finished && !ec;
    }
    turn.cut = call.abandoned = !call.finished;
    tasks_->cancel();
    if (late) {
        service_.log.error("{} {} took longer than {} (request {})", turn.head.method, turn.route->pattern,
                           human_duration(turn.limits.handler_timeout), turn.request.id);
        turn.keep_alive = false;
        auto timeout = Response::problem(504, fmt::format("cannot finish {} {} within {}", turn.head.method,
                                                          turn.request.path,
                                                          human_duration(turn.limits.handler_timeout)));
        co_await answer(turn, std::move(timeout));
        io_.close();
    }
    if (turn.cut && turn.route->audited) co_await audit_cut(turn, call, late);
    co_await end_tasks();  // until then `call` and `turn` are the handler's
    if (turn.cut) co_return std::nullopt;
    co_return std::move(call.response);
}

// The one line of a call that was cut: what came of it if that shows soon, else that nobody knows.
Task<> Session::audit_cut(Turn& turn, Call& call, bool late)
{
    if (!call.finished) {
        // A stop in these moments does not shorten them; end_tasks() switches cancellation on again.
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        call.event.expires_after(cut_grace);
        [[maybe_unused]] auto [ec] = co_await call.event.async_wait(tuple);
    }
    const std::string_view why = late ? "its time was up" : "opsd was stopping";
    // A 5xx of a handler that was cancelled says that it gave up, not how far it had come.
    const auto outcome = call.finished && call.response->status < 500
                             ? fmt::format("cut: {}, but it ended with status {}; the client was not told so",
                                           why, call.response->status)
                             : fmt::format("cut: {} before it ended; whether it took effect is unknown", why);
    service_.audit.record(turn.request, late ? 504 : 0, outcome);
}

Task<> Session::run_handler(Call& call, const Route& route)
{
    try {
        call.response = co_await route.handler(call.request);
    } catch (...) {
        const auto failure = describe(std::current_exception());
        if (!call.abandoned) {
            service_.log.error("{} {} failed: {} (request {})", to_string(route.method), route.pattern,
                               failure.what, call.request.id);
        }
        call.response = Response::problem(
            500, fmt::format("cannot answer: an internal error; the log of opsd has it under request {}",
                             call.request.id));
    }
    call.finished = true;
    call.event.cancel();
}

void Session::begin_tasks()
{
    if (tasks_) return;  // nobody cancelled it: it serves again
    auto on_failure = [&log = service_.log](std::string_view task, std::exception_ptr e) {
        log.error("{}: {}", task, describe(e).what);
    };
    tasks_ = std::make_unique<TaskGroup>(service_.executor, std::move(on_failure));
}

Task<> Session::end_tasks()
{
    tasks_->cancel();
    co_await tasks_->join();
    co_await asio::this_coro::reset_cancellation_state();  // join() switched it off
    tasks_.reset();
}

}  // namespace opsd::http
