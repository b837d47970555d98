#include "io/net/readiness.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <array>
#include <system_error>

namespace opsd::net {

struct Readiness::State : std::enable_shared_from_this<State> {
    struct Wait {
        bool pending = false;
        bool expired = false;
        Deadline until{};
    };

    State(const Executor& executor, int fd) : descriptor{executor, fd}, timer{executor} {}

    void arm(Deadline until)
    {
        if (until >= armed) return;  // it rings early enough and looks again
        armed = until;
        timer.expires_at(until);
        timer.async_wait([self = shared_from_this()](error_code ec) {
            if (!ec) self->ring();
        });
    }

    void ring()
    {
        armed = Deadline::max();
        const auto now = std::chrono::steady_clock::now();
        auto next = Deadline::max();
        bool late = false;
        for (auto& wait : waits) {
            if (!wait.pending) continue;
            wait.expired = wait.until <= now;
            late = late || wait.expired;
            next = std::min(next, wait.until);
        }
        if (late) {
            error_code ignored;
            descriptor.cancel(ignored);
        } else {
            arm(next);
        }
    }

    asio::posix::stream_descriptor descriptor;
    asio::steady_timer timer;
    Deadline deadline = Deadline::max();
    Deadline armed = Deadline::max();
    std::array<Wait, 2> waits{};
};

Readiness::Readiness(Executor executor, int fd) : fd_{fd}, state_{std::make_shared<State>(executor, fd)} {}

Readiness::~Readiness()
{
    error_code ignored;
    state_->timer.cancel();
    state_->descriptor.close(ignored);
}

int Readiness::release()
{
    state_->timer.cancel();
    return state_->descriptor.release();
}

void Readiness::expires_at(Deadline when) noexcept { state_->deadline = when; }

void Readiness::cancel()
{
    error_code ignored;
    state_->descriptor.cancel(ignored);
}

Task<Result<>> Readiness::wait(std::size_t direction)
{
    auto state = state_;
    auto& wait = state->waits[direction];
    wait = {.pending = true, .expired = false, .until = state->deadline};
    state->arm(wait.until);
    const auto what =
        direction == 0 ? asio::posix::descriptor_base::wait_read : asio::posix::descriptor_base::wait_write;
    auto [ec] = co_await state->descriptor.async_wait(what, tuple);
    wait.pending = false;
    if (!ec) co_return Result<>{};
    if (wait.expired)
        co_return fail(Errc::timeout, "cannot go on with the peer: nothing moved before the deadline");
    if (ec == asio::error::operation_aborted) {
        co_return fail(Errc::cancelled, "cannot go on with the connection: it was cancelled here");
    }
    co_return fail(connection_error("wait for the peer", ec.value()));
}

Error connection_error(std::string_view doing, int number)
{
    auto reason = std::generic_category().message(number);
    return {Errc::unavailable, "cannot " + std::string{doing} + ": " + std::move(reason)};
}

}  // namespace opsd::net
