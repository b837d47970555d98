#pragma once
// The whole module on a real loop; requests go through the real parser of targets and the real route table,
// and out to strict stubs of Mesos and Marathon.

#include "http/router.hpp"
#include "http/target.hpp"
#include "io/mesos/directory.hpp"
#include "modules/dcos/module.hpp"
#include "opsd/task_group.hpp"

#include "support.hpp"
#include "temp_dir.hpp"
#include "unit/mesos/stub.hpp"

#include <nlohmann/json.hpp>

namespace opsd::dcos::test {

using nlohmann::json;
using opsd::test::answer;
using opsd::test::Asked;
using opsd::test::fixture;
using opsd::test::HttpStub;
using opsd::test::redirect;
using opsd::test::Reply;
using opsd::test::run;
using opsd::test::sleep;
using opsd::test::TempDir;
using std::chrono::milliseconds;
using namespace std::chrono_literals;
using Headers = std::vector<std::pair<std::string, std::string>>;

class NoStore final : public Store {
public:
    Task<Result<>> migrate(std::string, std::vector<std::string>) override { co_return Result<>{}; }
    Task<Result<std::vector<Row>>> read(Statement, std::size_t) override { co_return std::vector<Row>{}; }
    Task<Result<Written>> write(std::vector<Statement>) override { co_return Written{}; }
};

class Lines final : public LogSink {
public:
    void write(Level, std::string_view line) override { lines.emplace_back(line); }
    [[nodiscard]] bool wants(Level) const noexcept override { return true; }
    void set_level(Level) override {}
    std::vector<std::string> lines;
};

class Status final : public ModuleReporter {
public:
    void running() override { condition = "running", reason.clear(); }
    void degraded(std::string why) override { condition = "degraded", reason = std::move(why); }
    void failed(std::string why) override { condition = "failed", reason = std::move(why); }
    std::string condition;
    std::string reason;
};

/// A client who takes what a stream writes, or does not.
class Client final : public http::StreamWriter {
public:
    explicit Client(const Executor& executor) : event_{executor, never} {}
    Task<Result<>> write(std::string_view chunk) override
    {
        while (blocked && !gone)
            co_await wait_event(event_);
        if (gone) co_return fail(Errc::unavailable, "cannot write: the client is gone");
        text += chunk;
        co_return Result<>{};
    }
    Task<> closed() override
    {
        while (!gone)
            co_await wait_event(event_);
    }
    void set_whole(bool is) override { whole = is; }
    void leave()
    {
        gone = true;
        event_.cancel();
    }
    void unblock()
    {
        blocked = false;
        event_.cancel();
    }
    std::string text;
    bool gone = false;
    bool blocked = false;
    bool whole = true;

private:
    asio::steady_timer event_;
};

inline Outside this_machine()
{
    Outside outside;
    outside.cluster_id_file = "/nonexistent/cluster-id";
    outside.node_id = "0123456789abcdef0123456789abcdef";
    return outside;
}

struct DcosNode {
    explicit DcosNode(const Executor& on, DcosOptions options = {}, Outside outside = this_machine())
      : executor{on}
      , board{on}
      , feeds{on}
      , services{on, clock, board, feeds, store, metrics, paths, status, Log{log, "dcos"}}
      , group{on, [](std::string_view task, const std::exception_ptr& e) {
                  ADD_FAILURE() << task << ": " << describe(e).what;
              }}
    {
        core = std::make_shared<Core>(std::move(options), services, std::move(outside));
        module = std::make_unique<DcosModule>(core);
        auto built = http::Router::build(module->routes());
        EXPECT_TRUE(built) << built.error().message;
        if (built) router = std::move(*built);
        group.spawn("module", module->run());
    }

    /// As module cluster does; the module takes it over at once.
    void know(std::vector<std::string> urls, mesos::Credentials credentials = {})
    {
        mesos::MastersOptions how;
        how.urls = std::move(urls);
        how.credentials = std::move(credentials);
        mesos::MasterDirectory::of(executor).configure(std::move(how), "http", false, clock.now());
    }
    /// Until the module has looked.
    Task<> settle(std::string condition = "running")
    {
        for (int i = 0; i < 1'000; ++i) {
            const auto& told = mesos::MasterDirectory::of(executor).masters();
            const bool taken = told.version() == 0 || core->reachable || !told.get()->value.configured();
            if (taken && status.condition == condition) co_return;
            co_await sleep(5ms);
        }
        ADD_FAILURE() << "the module is " << status.condition << ": " << status.reason;
    }
    Task<> stop()
    {
        group.cancel();
        co_await group.join();
    }

    Task<http::Response> ask(std::string method, std::string target, Headers headers = {},
                             std::string body = {})
    {
        auto parsed = http::parse_target(http::Head{.method = method, .target = target});
        EXPECT_TRUE(parsed) << target;
        if (!parsed) co_return http::Response{};
        http::Request request;
        request.method = method == "POST"     ? http::Method::post
                         : method == "PUT"    ? http::Method::put
                         : method == "DELETE" ? http::Method::del
                                              : http::Method::get;
        request.path = parsed->path;
        request.query = std::move(parsed->query);
        request.body = std::move(body);
        for (auto& [name, value] : headers)
            request.headers.add(name, value);
        auto match = router->find(request.method, request.path);
        EXPECT_NE(match.route, nullptr) << target;
        if (match.route == nullptr) co_return http::Response{};
        request.path_params = std::move(match.params);
        request.caller = caller;
        route = match.route;
        auto response = co_await match.route->handler(request);
        co_return response;
    }
    Task<http::Response> get(std::string target, Headers headers = {})
    {
        return ask("GET", std::move(target), std::move(headers));
    }
    /// The whole body, of a stream, too.
    Task<std::string> body(const http::Response& response)
    {
        if (!response.producer) co_return response.body;
        Client client{executor};
        co_await response.producer(client);
        EXPECT_TRUE(client.whole);
        co_return client.text;
    }
    [[nodiscard]] double metric(const std::string& name) const
    {
        const auto page = metrics.render();
        const auto at = page.find("\n" + name + " ");
        return at == std::string::npos ? -1 : std::stod(page.substr(at + name.size() + 2));
    }

    Executor executor;
    SystemClock clock;
    telemetry::Registry metrics;
    Board board;
    Feeds feeds;
    Paths paths;
    Status status;
    NoStore store;
    std::shared_ptr<Lines> log = std::make_shared<Lines>();
    Services services;
    std::shared_ptr<Core> core;
    std::unique_ptr<DcosModule> module;
    std::shared_ptr<const http::Router> router;
    const http::Route* route = nullptr;
    /// Whose credentials may be worth something to Mesos, too.
    http::Caller caller{.role = http::Role::admin, .foreign = true};
    TaskGroup group;
};

inline std::string header(const http::Response& response, std::string_view name)
{
    for (const auto& [key, value] : response.headers)
        if (key == name) return value;
    return "(none)";
}

/// "cannot ...", of a problem.
inline std::string detail(const http::Response& response)
{
    const auto body = json::parse(response.body, nullptr, false);
    return body.is_object() && body.contains("detail") ? body["detail"].get<std::string>() : response.body;
}

/// A leader with two agents on the port given; answers like the captured one.
inline HttpStub::Answer leader_with_agents(std::uint16_t agent_port)
{
    return [agent_port](const Asked& asked) {
        if (asked.path == "/master/state") return answer(200, fixture("master/state.json"));
        if (asked.path == "/master/state-summary") return answer(200, fixture("master/state-summary.json"));
        if (asked.path == "/master/slaves") {
            auto slaves = json::parse(fixture("master/slaves.json"));
            for (auto& slave : slaves["slaves"])
                slave["pid"] = "slave(1)@127.0.0.1:" + std::to_string(agent_port);
            return answer(200, slaves.dump());
        }
        if (asked.path == "/master/api/v1" && asked.body == R"({"type":"GET_MASTER"})")
            return answer(200, fixture("operator-v1/master-get_master.json"));
        if (asked.path == "/master/api/v1" && asked.body == R"({"type":"GET_FRAMEWORKS"})")
            return answer(200, fixture("operator-v1/master-get_frameworks.json"));
        if (asked.path == "/master/api/v1" && asked.has("Content-Type: application/x-protobuf"))
            return Reply{
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 4\r\n\r\n"
                + std::string{"\x08\x09\x52\x00", 4}};
        ADD_FAILURE() << asked.method << " " << asked.path << " " << asked.body;
        return answer(404, "");
    };
}

/// Of the fixtures.
inline const std::string agent_id = "54836ef5-80d6-4178-83cc-76db9ff61daf-S0";

}  // namespace opsd::dcos::test
