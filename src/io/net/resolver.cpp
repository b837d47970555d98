#include "io/net/resolver.hpp"

#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <system_error>

namespace opsd::net {
namespace {

using Found = Result<std::vector<Endpoint>>;

constexpr std::size_t most_threads = 8;     // hanging names at a time that nobody else notices
constexpr std::size_t most_asked = 1'024;   // names at a time
constexpr std::size_t most_addresses = 16;  // of a name

struct FreeAddresses {
    void operator()(addrinfo* all) const noexcept { ::freeaddrinfo(all); }
};

Found by_getaddrinfo(const std::string& host)
{
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* first = nullptr;
    const int status = ::getaddrinfo(host.c_str(), nullptr, &hints, &first);
    const std::unique_ptr<addrinfo, FreeAddresses> owner{first};
    if (status != 0) {
        const auto reason = status == EAI_SYSTEM ? std::generic_category().message(errno)
                                                 : std::string{::gai_strerror(status)};
        return fail(Errc::unavailable, "cannot look up " + host + ": " + reason);
    }
    std::vector<Endpoint> all;
    for (const auto* one = first; one != nullptr && all.size() < most_addresses; one = one->ai_next) {
        sockaddr_storage raw{};
        std::memcpy(&raw, one->ai_addr, std::min<std::size_t>(one->ai_addrlen, sizeof raw));
        all.push_back(describe_endpoint(raw, one->ai_addrlen));
    }
    return all;
}

Endpoint with_port(const Endpoint& endpoint, std::uint16_t port)
{
    static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
    auto raw = endpoint.address;
    const auto in_order = htons(port);
    std::memcpy(reinterpret_cast<char*>(&raw) + offsetof(sockaddr_in, sin_port), &in_order, sizeof in_order);
    return describe_endpoint(raw, endpoint.length);
}

}  // namespace

/// A name that is asked for or waits for a thread.
struct Resolver::Lookup {
    std::string host;
    std::list<asio::steady_timer> waiting;  // of all who want to know, each to its deadline
    std::optional<Found> outcome;
    bool running = false;
};

/// The threads see `ask` and a lookup's host only.
struct Resolver::State : std::enable_shared_from_this<State> {
    using Shared = std::shared_ptr<Lookup>;

    Shared want(const std::string& host)
    {
        auto& place = asked[host];
        if (!place) {
            place = std::make_shared<Lookup>();
            place->host = host;
            queue.push_back(place);
        }
        return place;
    }

    /// Those who wait for a thread get one.
    void start(const Executor& home)
    {
        if (!threads) threads.emplace(most_running);
        while (running < most_running && !queue.empty()) {
            auto lookup = std::move(queue.front());
            queue.pop_front();
            lookup->running = true;
            ++running;
            auto job = [state = shared_from_this(), lookup = std::move(lookup), home]() mutable {
                ::pthread_setname_np(::pthread_self(), "opsd-names");
                auto outcome = state->ask(lookup->host);
                // The loop must release the last references: the timers belong to it.
                auto hand_over = [state = std::move(state), lookup = std::move(lookup), home,
                                  outcome = std::move(outcome)]() mutable {
                    state->finish(lookup, std::move(outcome), home);
                };
                asio::post(home, std::move(hand_over));
            };
            asio::post(*threads, std::move(job));
        }
    }

    void finish(const Shared& lookup, Found outcome, const Executor& home)
    {
        --running;
        asked.erase(lookup->host);
        lookup->outcome = std::move(outcome);
        for (auto& one : lookup->waiting)
            one.cancel();
        if (!queue.empty()) start(home);
    }

    /// Unless it is with a thread, or was.
    void drop_unwanted(const Shared& lookup)
    {
        if (!lookup->waiting.empty() || lookup->running) return;
        std::erase(queue, lookup);
        asked.erase(lookup->host);
    }

    void stop()
    {
        if (threads) {
            threads->stop();
            threads->join();
            threads.reset();
        }
        queue.clear();
        asked.clear();
    }

    Ask ask;
    std::size_t most_running = 1;
    std::optional<asio::thread_pool> threads;  // begun with the first name
    std::map<std::string, Shared, std::less<>> asked;
    std::deque<Shared> queue;
    std::size_t running = 0;
};

/// One who wants to know, however he leaves.
struct Resolver::Waiting {
    Waiting(State& of, std::shared_ptr<Lookup> for_what, const Executor& executor, Deadline deadline)
      : state{of}
      , lookup{std::move(for_what)}
      , timer{lookup->waiting.emplace(lookup->waiting.end(), executor, deadline)}
    {}
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting()
    {
        lookup->waiting.erase(timer);
        state.drop_unwanted(lookup);
    }
    State& state;
    std::shared_ptr<Lookup> lookup;
    std::list<asio::steady_timer>::iterator timer;
};

Resolver::Resolver(Ask ask, std::size_t threads) : state_{std::make_shared<State>()}
{
    state_->ask = std::move(ask);
    state_->most_running = threads;
}

Resolver::~Resolver() { state_->stop(); }

namespace {

/// Lives as long as the loop's context; its threads are joined while that still takes what they hand over.
class LoopsResolver final : public asio::execution_context::service {
public:
    using key_type = LoopsResolver;
    static asio::execution_context::id id;

    explicit LoopsResolver(asio::execution_context& context) : service{context} {}
    [[nodiscard]] Resolver& get() noexcept { return *resolver_; }

private:
    void shutdown() noexcept override { resolver_.reset(); }

    std::optional<Resolver> resolver_{std::in_place, by_getaddrinfo, most_threads};
};

asio::execution_context::id LoopsResolver::id;

}  // namespace

Resolver& Resolver::of(const Executor& executor)
{
    return asio::use_service<LoopsResolver>(executor.context()).get();
}

Task<Result<std::vector<Endpoint>>> Resolver::resolve(std::string host, std::uint16_t port, Deadline deadline)
{
    auto literal = ip_endpoint(host, port);
    if (literal) co_return std::vector<Endpoint>(1, *literal);
    const auto state = state_;
    if (state->asked.size() >= most_asked && !state->asked.contains(host)) {
        co_return fail(Errc::unavailable,
                       "cannot look up " + host + ": too many lookups wait for the name servers");
    }
    const auto executor = co_await asio::this_coro::executor;
    const auto lookup = state->want(host);
    const Waiting waiting{*state, lookup, executor, deadline};
    state->start(executor);
    auto [ec] = co_await waiting.timer->async_wait(tuple);
    if (!lookup->outcome) {
        if (ec) co_return fail(Errc::cancelled, "cannot look up " + host + ": it was cancelled here");
        co_return fail(Errc::timeout, "cannot look up " + host + ": the name servers did not answer in time");
    }
    const auto& outcome = *lookup->outcome;
    if (!outcome) co_return fail(outcome.error());
    std::vector<Endpoint> found;
    for (const auto& endpoint : *outcome)
        found.push_back(with_port(endpoint, port));
    co_return found;
}

}  // namespace opsd::net
