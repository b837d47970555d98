#pragma once
// One connection: reads requests one after the other, asks the table, writes the answers. Knows no sockets.

#include "http/content.hpp"
#include "http/head.hpp"
#include "http/service.hpp"
#include "io/net/transport.hpp"
#include "opsd/task_group.hpp"

#include <optional>

namespace opsd::http {

class Session final : public StreamWriter {
public:
    /// `peer` is what the connection shows; its authorization is filled in per request.
    Session(net::Transport& io, Service& service, Credentials peer);
    ~Session() override;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Until the client leaves, a limit is hit, or the server drains.
    Task<> run();
    /// No further request: an idle connection ends now, a stream soon, a request in flight is finished.
    void drain();
    /// The same when the client showed a certificate: it must show it again, to those who are trusted now.
    void drain_certified();

    // StreamWriter, for the producer of the stream in hand
    Task<Result<>> write(std::string_view chunk) override;
    Task<> closed() override;
    void set_whole(bool whole) override;

private:
    struct Turn;  // one request and its answer
    struct Call;  // a handler at work

    Task<bool> wait_for_request();
    Task<bool> serve_one();
    Task<bool> serve(Turn& turn);
    Task<std::expected<Head, Refusal>> read_head(const Limits& limits);
    Task<std::expected<std::string, Refusal>> read_body(Turn& turn);
    Task<std::expected<std::string, Refusal>> read_chunks(Turn& turn, std::uint64_t limit);
    Task<Result<>> more_input();
    Task<bool> refuse(Turn& turn, Refusal refusal);
    [[nodiscard]] std::optional<Refusal> understand(Turn& turn);
    [[nodiscard]] std::optional<Response> find_route(Turn& turn);
    [[nodiscard]] std::optional<Response> authorize(Turn& turn);
    [[nodiscard]] bool skip_body(const Head& head);
    Task<std::optional<Response>> call_handler(Turn& turn);
    Task<> run_handler(Call& call, const Route& route);
    Task<bool> answer(Turn& turn, Response response);
    Task<bool> send(Turn& turn, const Outgoing& outgoing);
    void finish(Turn& turn, unsigned status, bool told);
    Task<> audit_cut(Turn& turn, Call& call, bool late);
    Task<> linger();

    // streams
    Task<bool> stream(Turn& turn, Response response);
    Task<> run_producer(const Stream& producer, std::string_view request_id);
    Task<> watch_client();
    Task<> await_producer();
    void end_stream();
    [[nodiscard]] bool still_allowed();
    void begin_tasks();
    Task<> end_tasks();

    struct Streaming;

    // answers that are held back (hold.cpp)
    struct Holding;
    Task<bool> hold(Turn& turn, Response response);
    Task<> run_hold(const Hold& later, std::string_view request_id);
    Task<> watch_held();
    void end_hold();

    net::Transport& io_;
    Service& service_;
    Credentials peer_;
    std::string pending_;               // read, not yet understood; holds no memory while idle
    std::unique_ptr<TaskGroup> tasks_;  // of the request in hand: its handler, or its producer and the watch
    Streaming* streaming_ = nullptr;
    Holding* holding_ = nullptr;
    bool idle_ = false;
    bool ending_ = false;  // drain() was called
    bool unread_ = false;  // the client may still be sending what nobody will read
    std::list<Session*>::iterator place_;
};

}  // namespace opsd::http
