#pragma once
// A client over memory with a clock in the test's hand; the test itself is the server, byte by byte.

#include "io/net/memory.hpp"
#include "io/zookeeper/client.hpp"
#include "opsd/task_group.hpp"

#include "zookeeper_wire.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <set>

namespace opsd::test {

using namespace std::chrono_literals;

/// The server's end of a connection.
struct Peer {
    std::string server;
    std::unique_ptr<net::Transport> transport;
    std::string received;
    bool gone = false;  ///< the client closed it
};

class FakeDialer final : public zookeeper::Dialer {
public:
    FakeDialer(const Executor& executor, TaskGroup& group) : executor_{executor}, group_{group} {}

    Task<Result<std::unique_ptr<net::Transport>>> dial(zookeeper::Server server,
                                                       std::chrono::milliseconds) override
    {
        dialed.push_back(server.text());
        if (hanging) {
            asio::steady_timer timer{executor_, never};
            co_await wait_event(timer);
        }
        if (denying) co_return fail(Errc::denied, "cannot accept the certificate of the peer: self-signed");
        if (down)
            co_return fail(Errc::unavailable, "cannot connect to " + server.text() + ": Connection refused");
        auto [ours, theirs] = net::make_memory_pair(executor_, options);
        auto peer = std::make_shared<Peer>();
        peer->server = server.text();
        peer->transport = std::move(theirs);
        peers.push_back(peer);
        group_.spawn("peer", collect(peer));
        co_return std::move(ours);
    }

    bool down = false;
    bool hanging = false;
    bool denying = false;
    net::MemoryOptions options;
    std::vector<std::string> dialed;
    std::vector<std::shared_ptr<Peer>> peers;

private:
    static Task<> collect(std::shared_ptr<Peer> peer)
    {
        std::array<char, 4096> chunk;
        for (;;) {
            auto count = co_await peer->transport->read_some(chunk);
            peer->gone = !count || *count == 0;
            if (peer->gone) co_return;
            peer->received.append(chunk.data(), *count);
        }
    }

    Executor executor_;
    TaskGroup& group_;
};

class LinesSink final : public LogSink {
public:
    void write(Level level, std::string_view line) override
    {
        text += std::string{line} + "\n";
        if (level == Level::warning) ++warnings;
    }
    [[nodiscard]] bool wants(Level) const noexcept override { return true; }
    void set_level(Level) override {}
    std::string text;
    int warnings = 0;
};

/// What a request came to; nothing while it waits.
template <class T>
using Answer = std::shared_ptr<std::optional<Result<T>>>;

template <class T>
Task<> keep(Task<Result<T>> task, Answer<T> answer)
{
    answer->emplace(co_await std::move(task));
}

class Rig {
public:
    explicit Rig(const std::string& address = "h1:2181", const zookeeper::ClientOptions& options = {})
      : client{io.get_executor(), clock, dialer, with(options, address), Log{lines, "zookeeper"}}
    {
        group.spawn("client", client.run());
        poll();
    }
    ~Rig()
    {
        requests.cancel();
        group.cancel();
        poll();
        EXPECT_EQ(requests.size() + group.size(), 0U) << "something did not end";
    }
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;

    void poll()
    {
        io.restart();
        io.poll();
    }
    void advance(std::chrono::milliseconds time)
    {
        clock.advance(time, [this] { poll(); });
        poll();
    }
    Peer& peer()
    {
        EXPECT_FALSE(dialer.peers.empty()) << "no connection yet";
        if (dialer.peers.empty()) throw std::runtime_error{"no connection"};
        return *dialer.peers.back();
    }
    /// Takes what the client wrote since the last time.
    std::string heard()
    {
        poll();
        return std::exchange(peer().received, {});
    }
    void say(const std::string& bytes)
    {
        group.spawn("say", write(dialer.peers.back(), bytes));
        poll();
    }
    void hang_up()
    {
        peer().transport->close();
        poll();
    }
    /// Accepts the connection, and forgets the bytes of the handshake.
    void accept(std::int64_t session = 0x77, std::int32_t timeout_ms = 9'000)
    {
        heard();
        say(wire::session(session, timeout_ms));
    }
    template <class T>
    Answer<T> ask(Task<Result<T>> task)
    {
        auto answer = std::make_shared<std::optional<Result<T>>>();
        requests.spawn("request", keep(std::move(task), answer));
        poll();
        return answer;
    }
    zookeeper::SessionState state() { return client.state().get()->value; }
    /// The next event of an inbox that has one.
    std::optional<zookeeper::WatchEvent> next(zookeeper::Inbox& inbox)
    {
        std::optional<zookeeper::WatchEvent> event;
        if (inbox.empty()) return event;
        requests.spawn("next", take(inbox, event));
        poll();
        return event;
    }

    asio::io_context io{1};
    ManualClock clock{WallTime{1h * 24 * 365 * 50}};
    TaskGroup group{io.get_executor(), fail_test};
    TaskGroup requests{io.get_executor(), fail_test};
    FakeDialer dialer{io.get_executor(), group};
    std::shared_ptr<LinesSink> lines = std::make_shared<LinesSink>();
    zookeeper::Client client;

private:
    static void fail_test(std::string_view task, const std::exception_ptr& e)
    {
        ADD_FAILURE() << task << " threw: " << describe(e).what;
    }
    static zookeeper::ClientOptions with(zookeeper::ClientOptions options, const std::string& address)
    {
        options.address = zookeeper::parse_address(address).value();
        return options;
    }
    static Task<> write(std::shared_ptr<Peer> peer, std::string bytes)
    {
        [[maybe_unused]] auto written = co_await peer->transport->write_all(bytes);
    }
    static Task<> take(zookeeper::Inbox& inbox, std::optional<zookeeper::WatchEvent>& to)
    {
        to = co_await inbox.next();
    }
};

inline bool contains(const std::string& text, std::string_view part)
{
    return text.find(part) != std::string::npos;
}

}  // namespace opsd::test
