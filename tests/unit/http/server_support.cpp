#include "server_support.hpp"

namespace opsd::test {
namespace {

/// At most 5 s.
Task<> until(std::function<bool()> condition, std::string_view what)
{
    for (int i = 0; i < 1000 && !condition(); ++i)
        co_await sleep(5ms);
    EXPECT_TRUE(condition()) << "it never came true: " << what;
}

}  // namespace

Task<> LiveServer::connections_become(std::size_t count)
{
    auto condition = [this, count] { return server.connections() == count; };
    co_await until(condition, "the number of connections");
}

Task<> LiveServer::metrics_say(std::string_view text)
{
    auto condition = [this, text] { return around.metrics.render().find(text) != std::string::npos; };
    co_await until(condition, text);
}

Task<> LiveServer::log_says(std::string_view text)
{
    auto condition = [this, text] { return around.lines->contains(text); };
    co_await until(condition, text);
}

Task<> becomes_true(const bool& flag)
{
    auto condition = [&flag] { return flag; };
    co_await until(condition, "a flag");
}

Task<std::unique_ptr<net::Transport>> dial(net::Endpoint endpoint)
{
    const auto executor = co_await asio::this_coro::executor;
    auto fd = co_await net::connect_socket(endpoint, std::chrono::steady_clock::now() + 5s);
    if (!fd) {
        ADD_FAILURE() << fd.error().message;
        co_return nullptr;
    }
    auto transport = net::make_socket_transport(executor, *fd);
    transport->expires_after(5s);
    co_return transport;
}

Task<std::string> read_to_end(net::Transport& transport)
{
    std::string answer;
    std::array<char, 4096> chunk;
    for (;;) {
        transport.expires_after(5s);
        auto count = co_await transport.read_some(chunk);
        if (!count || *count == 0) co_return answer;
        answer.append(chunk.data(), *count);
    }
}

Task<std::string> read_until(net::Transport& transport, std::string_view end)
{
    std::string answer;
    std::array<char, 4096> chunk;
    while (answer.find(end) == std::string::npos) {
        transport.expires_after(5s);
        auto count = co_await transport.read_some(chunk);
        if (!count || *count == 0) {
            ADD_FAILURE() << "\"" << end << "\" never came, only: " << answer;
            co_return answer;
        }
        answer.append(chunk.data(), *count);
    }
    co_return answer;
}

Task<std::string> fetch(std::uint16_t port, std::string request)
{
    auto client = co_await dial(port);
    if (!client) co_return "";
    [[maybe_unused]] auto written = co_await client->write_all(request);
    co_return co_await read_to_end(*client);
}

http::Route test_route(http::Handler handler)
{
    return {http::Method::get, "/test", http::Access::open, "Test", std::move(handler)};
}

}  // namespace opsd::test
