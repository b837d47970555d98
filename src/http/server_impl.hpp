#pragma once
// The insides of Server, shared by the files that implement it: listening and accepting (accept.cpp), serving
// (server.cpp).

#include "http/listener.hpp"
#include "http/service.hpp"
#include "io/net/readiness.hpp"
#include "opsd/task_group.hpp"

#include <unistd.h>

#include <list>
#include <optional>
#include <utility>

namespace opsd::http {

/// A connection as accept() gave it; closes it unless somebody takes it.
struct Accepted {
    Accepted(int descriptor, const net::Endpoint& from) : fd{descriptor}, peer{from} {}
    Accepted(Accepted&& other) noexcept : fd{std::exchange(other.fd, -1)}, peer{other.peer} {}
    Accepted& operator=(Accepted&&) = delete;
    ~Accepted()
    {
        if (fd >= 0) ::close(fd);
    }
    int take() noexcept { return std::exchange(fd, -1); }

    int fd;
    net::Endpoint peer;
};

class Server::Impl {
public:
    /// A listening socket in use.
    struct Open {
        Open(ListenSocket opened, const Executor& executor)
          : socket{std::move(opened)}
          , ready{executor, socket.release()}
        {}
        ListenSocket socket;  // keeps the name and the file; the descriptor is below
        net::Readiness ready;
    };

    /// A listener for life: its socket may be lost and opened again.
    struct Listening {
        Listener listener;
        std::string name;  // as it is shown
        net::TlsContext tls;
        telemetry::Gauge* up = nullptr;
        std::optional<Open> open;
        std::string trouble;    // why it is not open
        bool started = false;   // it has its tasks
        bool gone = false;      // its socket file is
        bool hopeless = false;  // it was lost for long, or for good
    };

    /// A connection's part of the limits, for as long as it lives.
    struct Place {
        Place(Impl& server, const net::Endpoint& peer);
        Place(Place&& other) noexcept
          : impl{std::exchange(other.impl, nullptr)}
          , address{std::move(other.address)}
        {}
        Place& operator=(Place&&) = delete;
        ~Place();
        Impl* impl;
        std::string address;
    };

    Impl(Executor executor, Limits limits, Authenticator& authenticator, AuditSink& audit, const Clock& clock,
         telemetry::Registry& metrics, Log log);
    ~Impl();
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void set_limits(Limits limits);
    void use(Listening& listening, const net::TlsServer& tls);

    // accept.cpp
    void open(Listening& listening, ListenSocket socket);
    void start(Listening& listening);
    Task<> keep_listening(Listening& listening);
    Task<Error> accept(Listening& listening);
    void lose(Listening& listening, const Error& why);
    Task<bool> open_again(Listening& listening);
    Task<> watch_file(Listening& listening);
    void give_up(Listening& listening);
    Task<> make_room(int number);
    void admit(Listening& listening, Accepted accepted);
    [[nodiscard]] bool from_reserve(const Accepted& accepted);
    void refuse(const Listening& listening, const Accepted& accepted, std::string_view reason);
    void count_refused(std::string_view reason);
    [[nodiscard]] std::vector<std::string> degraded() const;

    // server.cpp
    Task<> serve(Accepted accepted, Place place, net::TlsContext tls);
    Task<std::unique_ptr<net::Transport>> secure(int fd, net::TlsContext tls, Credentials& credentials);
    TaskGroup::OnFailure failure_log(std::string kind);

    Service service;
    telemetry::Gauge& open_connections;
    telemetry::Gauge& room;
    telemetry::Counter& reserve_used;
    std::int64_t places = 0;  // for anybody; what the descriptors allow of limits.connections
    TaskGroup sessions;
    TaskGroup acceptors;
    asio::steady_timer changed;  // a listener was added, none is left, or the end
    std::list<Listening> listeners;
    std::list<net::Transport*> handshakes;
    std::unordered_map<std::string, std::int64_t> by_address;
    unsigned certificates = 0;           // counts their reloads
    std::optional<Monotonic> exhausted;  // when descriptors last ran out
    std::string exhausted_why;
    std::string collapse;  // why no listener is left
    int spare;             // given up for a moment to refuse a connection when descriptors run out
};

}  // namespace opsd::http
