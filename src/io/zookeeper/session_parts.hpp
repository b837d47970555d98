#pragma once
// What a Session is made of: shared by its three files, of no interest to others.

#include "io/zookeeper/jute.hpp"
#include "io/zookeeper/session.hpp"

#include <array>

namespace opsd::zookeeper {

/// A request and the caller that waits for it.
struct Session::Pending {
    Pending(const Executor& executor, Request asked, Monotonic until)
      : request{std::move(asked)}
      , deadline{until}
      , done{executor, never}
    {}

    Request request;
    Monotonic deadline;
    asio::steady_timer done;
    std::int32_t xid = 0;
    std::optional<Result<Reply>> outcome;
    bool queued = true;  // in waiting_
};

/// A connection to one server.
struct Session::Link {
    Link(std::string name, std::unique_ptr<net::Transport> stream, std::size_t max_packet)
      : server{std::move(name)}
      , transport{std::move(stream)}
      , frames{max_packet}
    {}

    std::string server;
    std::unique_ptr<net::Transport> transport;
    jute::Frames frames;
    std::array<char, 64 * 1024> chunk;  // of one read
    std::string out;                    // frames to be written
    Monotonic heard{};
    Monotonic sent{};
};

}  // namespace opsd::zookeeper
