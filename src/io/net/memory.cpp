#include "io/net/memory.hpp"

#include <list>
#include <string>

namespace opsd::net {
namespace {

/// One direction.
struct Pipe {
    explicit Pipe(MemoryOptions given) : options{given} {}

    void wake()
    {
        for (auto* waiter : waiters)
            waiter->cancel();
    }

    MemoryOptions options;
    std::string bytes;
    bool ended = false;    // the writer closed
    bool refused = false;  // the reader is gone
    std::list<asio::steady_timer*> waiters;
};

class MemoryEnd final : public Transport {
public:
    MemoryEnd(Executor executor, std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out)
      : executor_{std::move(executor)}
      , in_{std::move(in)}
      , out_{std::move(out)}
    {}
    ~MemoryEnd() override
    {
        out_->ended = true;
        in_->refused = true;
        out_->wake();
        in_->wake();
    }

    Task<Result<std::size_t>> read_some(std::span<char> into) override
    {
        auto waited = co_await wait_readable();
        if (!waited) co_return fail(std::move(waited).error());
        const auto count = std::min({into.size(), in_->bytes.size(), in_->options.step});
        in_->bytes.copy(into.data(), count);
        in_->bytes.erase(0, count);
        in_->wake();
        co_return count;
    }

    Task<Result<>> write_all(std::string_view bytes, std::string_view more) override
    {
        for (auto part : {bytes, more}) {
            while (!part.empty()) {
                if (out_->refused) co_return fail(Errc::unavailable, "cannot write to the peer: it is gone");
                const auto room =
                    out_->options.capacity - std::min(out_->options.capacity, out_->bytes.size());
                const auto count = std::min(room, part.size());
                out_->bytes.append(part.substr(0, count));
                part.remove_prefix(count);
                out_->wake();
                if (part.empty()) break;
                auto waited = co_await wait(out_);
                if (!waited) co_return waited;
            }
        }
        co_return Result<>{};
    }

    Task<Result<>> wait_readable() override
    {
        while (in_->bytes.empty() && !in_->ended) {
            auto waited = co_await wait(in_);
            if (!waited) co_return waited;
        }
        co_return Result<>{};
    }

    void expires_at(Deadline when) override { deadline_ = when; }
    bool quiet() override { return in_->bytes.empty() && !in_->ended; }
    void cancel() override
    {
        ++cancels_;
        in_->wake();
        out_->wake();
    }
    void close() override
    {
        out_->ended = true;
        out_->wake();
    }

private:
    // Until something changes in the pipe.
    Task<Result<>> wait(std::shared_ptr<Pipe> pipe)
    {
        const auto cancels = cancels_;
        asio::steady_timer timer{executor_, deadline_};
        pipe->waiters.push_front(&timer);
        const auto place = pipe->waiters.begin();
        auto [ec] = co_await timer.async_wait(tuple);
        pipe->waiters.erase(place);
        if (!ec)
            co_return fail(Errc::timeout, "cannot go on with the peer: nothing moved before the deadline");
        const auto state = co_await asio::this_coro::cancellation_state;
        if (cancels != cancels_ || state.cancelled() != asio::cancellation_type::none) {
            co_return fail(Errc::cancelled, "cannot go on with the connection: it was cancelled here");
        }
        co_return Result<>{};
    }

    Executor executor_;
    std::shared_ptr<Pipe> in_;
    std::shared_ptr<Pipe> out_;
    Deadline deadline_ = Deadline::max();
    unsigned cancels_ = 0;
};

}  // namespace

std::pair<std::unique_ptr<Transport>, std::unique_ptr<Transport>> make_memory_pair(const Executor& executor,
                                                                                   MemoryOptions options)
{
    auto there = std::make_shared<Pipe>(options);
    auto back = std::make_shared<Pipe>(options);
    return {std::make_unique<MemoryEnd>(executor, back, there),
            std::make_unique<MemoryEnd>(executor, there, back)};
}

}  // namespace opsd::net
