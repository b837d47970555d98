// Bytes of a server into a whole ZooKeeper session: the first byte chooses the read size and whether there is
// a login, the rest is what the server says on each of two connections; after that none can be had. Whatever
// comes, every request gets an answer or an error, and everything ends.

#include "io/net/memory.hpp"
#include "io/zookeeper/client.hpp"
#include "opsd/task_group.hpp"

#include <boost/asio/io_context.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>

using namespace opsd;
using namespace opsd::zookeeper;

namespace {

void must(bool condition)
{
    if (!condition) std::abort();
}

class NoLog final : public LogSink {
public:
    void write(Level, std::string_view line) override { must(line.find("s3cret") == std::string_view::npos); }
    [[nodiscard]] bool wants(Level) const noexcept override { return true; }
    void set_level(Level) override {}
};

class TwoConnections final : public Dialer {
public:
    TwoConnections(const Executor& executor, TaskGroup& group, std::string_view input, std::size_t step)
      : executor_{executor}
      , group_{group}
      , input_{input}
      , step_{step}
    {}
    Task<Result<std::unique_ptr<net::Transport>>> dial(Server, std::chrono::milliseconds) override
    {
        if (++dialed_ > 2) co_return fail(Errc::unavailable, "cannot connect: nobody is there");
        auto [ours, theirs] = net::make_memory_pair(executor_, {.step = step_});
        group_.spawn("server", serve(std::move(theirs), input_));
        co_return std::move(ours);
    }

private:
    static Task<> serve(std::unique_ptr<net::Transport> client, std::string_view input)
    {
        std::array<char, 4096> chunk;
        [[maybe_unused]] auto written = co_await client->write_all(input);
        for (;;) {
            auto count = co_await client->read_some(chunk);
            if (!count || *count == 0) co_return;
        }
    }

    Executor executor_;
    TaskGroup& group_;
    std::string_view input_;
    std::size_t step_;
    int dialed_ = 0;
};

template <class T>
Task<> ask(Task<Result<T>> request, std::size_t& answers)
{
    auto answer = co_await std::move(request);
    must(answer.has_value() || answer.error().message.starts_with("cannot ")
         || answer.error().code == Errc::protocol);
    ++answers;
}

Task<> listen(std::shared_ptr<Inbox> inbox)
{
    for (;;) {
        auto event = co_await inbox->next();
        if (!event) co_return;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const std::string_view input{reinterpret_cast<const char*>(data) + 1, size - 1};
    const std::size_t step = data[0] < 2 ? 64 * 1024 : data[0] / 2;
    asio::io_context io{1};
    ManualClock clock{WallTime{}};
    TaskGroup servers{io.get_executor(), [](std::string_view, const std::exception_ptr&) { std::abort(); }};
    TaskGroup group{io.get_executor(), [](std::string_view, const std::exception_ptr&) { std::abort(); }};
    TwoConnections dialer{io.get_executor(), servers, input, step};
    ClientOptions options;
    options.address = *parse_address(data[0] % 2 == 1 ? "zk://ada:s3cret@h1,h2/top" : "h1,h2/top");
    options.max_packet = 64 * 1024;
    options.window = 3;
    std::size_t answers = 0;
    {
        Client client{io.get_executor(), clock, dialer, options, Log{std::make_shared<NoLog>(), "zookeeper"}};
        const auto inbox = client.inbox(2);
        group.spawn("client", client.run());
        group.spawn("inbox", listen(inbox));
        group.spawn("get", ask(client.get("/a", inbox), answers));
        group.spawn("children", ask(client.children("/", inbox), answers));
        group.spawn("exists", ask(client.exists("/m", inbox), answers));
        group.spawn("sync", ask(client.sync("/a"), answers));
        group.spawn("get", ask(client.get("/b"), answers));
        clock.advance(std::chrono::seconds{60}, [&io] { io.poll(); });
        must(answers == 5);
        must(client.session().in_flight() <= options.window && client.session().waiting() == 0);
        group.spawn("close", client.close());
        clock.advance(std::chrono::seconds{2}, [&io] { io.poll(); });
        must(group.size() == 0);
    }
    servers.cancel();
    io.poll();
    must(servers.size() == 0);
    return 0;
}
