#pragma once
// A non-blocking descriptor whose waits have deadlines. The timer is lazy: it is moved only when a deadline
// comes nearer, so that a busy keep-alive connection hardly touches the timer queue.

#include "io/net/transport.hpp"

namespace opsd::net {

class Readiness {
public:
    /// Takes the descriptor, which must be non-blocking, and closes it in the end.
    Readiness(Executor executor, int fd);
    ~Readiness();
    Readiness(const Readiness&) = delete;
    Readiness& operator=(const Readiness&) = delete;

    [[nodiscard]] int fd() const noexcept { return fd_; }
    /// Gives the descriptor away; nothing may be pending.
    [[nodiscard]] int release();
    Task<Result<>> readable() { return wait(0); }
    Task<Result<>> writable() { return wait(1); }
    void expires_at(Deadline when) noexcept;
    void cancel();

private:
    struct State;
    Task<Result<>> wait(std::size_t direction);

    int fd_;
    std::shared_ptr<State> state_;
};

/// The failure of a system call on a connection: "cannot read from the peer: Connection reset by peer".
[[nodiscard]] Error connection_error(std::string_view doing, int number);

}  // namespace opsd::net
