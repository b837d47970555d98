// Bytes of a client into a whole session: the first byte chooses the read size. Whatever comes, the session
// ends, answers begin with a status line, and no handler sees a path that the contract excludes.

#include "http/service.hpp"
#include "http/session.hpp"
#include "io/net/memory.hpp"
#include "opsd/task_group.hpp"

#include <boost/asio/io_context.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>

using namespace opsd;

namespace {

class Anybody final : public http::Authenticator {
public:
    Result<http::Caller> identify(const http::Credentials& credentials) override
    {
        if (credentials.authorization == "Bearer bad") return fail(Errc::denied, "cannot accept the token");
        http::Caller caller;
        caller.role = credentials.authorization.empty() ? http::Role::local : http::Role::admin;
        caller.via = credentials.authorization.empty() ? "" : "token";
        return caller;
    }
};
class NoAudit final : public http::AuditSink {
public:
    void record(const http::Request&, unsigned, std::string_view) override {}
};
class NoLog final : public LogSink {
public:
    void write(Level, std::string_view) override {}
    [[nodiscard]] bool wants(Level) const noexcept override { return false; }
    void set_level(Level) override {}
};

void must(bool condition)
{
    if (!condition) std::abort();
}

Task<http::Response> look(const http::Request& request)
{
    must(request.path.starts_with('/'));
    must(request.path.find("//") == std::string::npos && request.path.find('\0') == std::string::npos);
    must((request.path + "/").find("/../") == std::string::npos);
    must(request.body.size() <= 64 * 1024);
    co_return http::Response::json("{\"path\":\"x\",\"size\":" + std::to_string(request.body.size()) + "}\n");
}

Task<> two_chunks(http::StreamWriter& out)
{
    auto first = co_await out.write("one");
    if (first) [[maybe_unused]]
        auto second = co_await out.write("two");
}
Task<http::Response> follow(const http::Request&)
{
    co_return http::Response::stream("text/event-stream", two_chunks);
}

std::shared_ptr<const http::Router> routes()
{
    using http::Access;
    using http::Method;
    return *http::Router::build({{Method::get, "/a/{b}", Access::open, "One", look},
                                 {Method::post, "/a", Access::open, "Two", look},
                                 {Method::put, "/a/{b}/{c}", Access::admin, "Three", look, {}, true},
                                 {Method::get, "/follow", Access::local, "Four", follow}});
}

Task<> talk(net::Transport& client, std::string_view input)
{
    std::array<char, 4096> chunk;
    std::string answer;
    [[maybe_unused]] auto written = co_await client.write_all(input);
    client.close();
    for (;;) {
        auto count = co_await client.read_some(chunk);
        if (!count || *count == 0) break;
        answer.append(chunk.data(), *count);
    }
    must(answer.empty() || answer.starts_with("HTTP/1.1 "));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    static const auto router = routes();
    static const SystemClock clock;
    const std::string_view input{reinterpret_cast<const char*>(data) + 1, size - 1};
    asio::io_context io{1};
    Anybody anybody;
    NoAudit audit;
    telemetry::Registry metrics;
    http::Limits limits;
    limits.body = config::Bytes{64 * 1024};
    http::Service service{
        io.get_executor(), limits, anybody, audit, clock, metrics, Log{std::make_shared<NoLog>(), "http"}};
    service.table = std::make_shared<http::Table>(router, metrics);
    const std::size_t step = data[0] == 0 ? 64 * 1024 : data[0];
    auto [client, server] = net::make_memory_pair(io.get_executor(), {.step = step});
    TaskGroup group{io.get_executor(), [](std::string_view, const std::exception_ptr&) { std::abort(); }};
    {
        http::Session session{*server, service, {}};
        group.spawn("session", session.run());
        group.spawn("client", talk(*client, input));
        io.run_for(std::chrono::seconds{20});
        must(group.size() == 0);
    }
    return 0;
}
