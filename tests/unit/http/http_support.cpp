#include "http_support.hpp"

namespace opsd::test {
namespace {

Task<http::Response> data(const http::Request&)
{
    static const auto content = http::make_content("{\"units\":[" + std::string(2000, '1') + "]}\n");
    co_return http::Response::shared(content);
}

Task<> read_all(net::Transport& transport, std::string& into)
{
    std::array<char, 4096> chunk;
    for (;;) {
        auto count = co_await transport.read_some(chunk);
        if (!count || *count == 0) co_return;
        into.append(chunk.data(), *count);
    }
}

Task<> converse(Conversation& all, std::string_view input, std::string& answer)
{
    const auto executor = co_await asio::this_coro::executor;
    auto& around = all.around;
    http::Service service{executor,       all.limits, around.authenticator, around.audit, around.clock,
                          around.metrics, around.log};
    service.body_room = all.body_room;
    service.table = std::make_shared<http::Table>(all.router, around.metrics);
    auto [client, server] = net::make_memory_pair(executor, {.step = all.step, .capacity = all.capacity});
    TaskGroup group{executor,
                    [](std::string_view, std::exception_ptr e) { ADD_FAILURE() << describe(e).what; }};
    http::Credentials peer;
    peer.address = "127.0.0.1";
    peer.loopback = true;
    peer.certificate_subject = all.certificate;
    {
        http::Session session{*server, service, peer};
        group.spawn("session", session.run());
        client->expires_after(5s);
        [[maybe_unused]] auto written = co_await client->write_all(input);
        if (!all.hold_open) client->close();
        co_await read_all(*client, answer);
        client.reset();
        co_await group.join();
    }
    EXPECT_EQ(service.body_bytes, 0U);
    EXPECT_EQ(service.streams, 0U);
    EXPECT_TRUE(service.sessions.empty());
    all.metrics = around.metrics.render();
}

}  // namespace

std::vector<http::Route> basic_routes()
{
    using http::Access;
    using http::Method;
    return {
        {Method::get, "/echo", Access::open, "Echo", echo},
        {Method::post, "/echo", Access::open, "Echo", echo},
        {Method::get, "/echo/{name}", Access::open, "Echo a name", echo},
        {Method::get, "/read", Access::read, "Needs a viewer", echo},
        {Method::post, "/admin", Access::admin, "Needs an admin", echo, {}, true},
        {Method::get, "/local", Access::local, "Needs loopback", echo},
        {Method::get, "/data", Access::open, "Shared JSON", data},
    };
}

std::string Conversation::say(std::string_view input)
{
    std::string answer;
    run([this, input, &answer]() -> Task<> { co_await converse(*this, input, answer); });
    return answer;
}

}  // namespace opsd::test
