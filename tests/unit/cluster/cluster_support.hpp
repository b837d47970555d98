#pragma once
// A cluster on a board and the routes that show it.

#include "http/router.hpp"
#include "modules/cluster/table.hpp"
#include "modules/cluster/views.hpp"
#include "noon.hpp"
#include "opsd/task_group.hpp"

#include "support.hpp"

#include <nlohmann/json.hpp>

#include <optional>

namespace opsd::cluster::test {

using namespace std::chrono_literals;

class NoStore final : public Store {
public:
    Task<Result<>> migrate(std::string, std::vector<std::string>) override { co_return broken(); }
    Task<Result<std::vector<Row>>> read(Statement, std::size_t) override { co_return broken(); }
    Task<Result<Written>> write(std::vector<Statement>) override { co_return broken(); }

private:
    static std::unexpected<Error> broken()
    {
        return fail(Errc::unavailable, "cannot use the store: there is none");
    }
};

class Silent final : public LogSink {
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

/// Collects a stream.
class Collector final : public http::StreamWriter {
public:
    Task<Result<>> write(std::string_view chunk) override
    {
        largest = std::max(largest, chunk.size());
        text += chunk;
        co_return Result<>{};
    }
    Task<> closed() override { co_return; }
    std::string text;
    std::size_t largest = 0;
};

class ClusterViews : public ::testing::Test {
protected:
    ClusterViews() { make({}); }

    void make(ViewOptions options)
    {
        Actions actions;
        actions.refresh = [this] { return refresh(); };
        actions.forget = [this](std::string address) { return forget(std::move(address)); };
        actions.acknowledge = [this](std::string address, std::optional<Acknowledgement> ack) {
            return acknowledge(std::move(address), std::move(ack));
        };
        actions.fetch = [this](std::shared_ptr<const Member> member, std::string path) {
            return fetch(std::move(member), std::move(path));
        };
        views = std::make_shared<Views>(options, services, std::move(actions));
        auto built = http::Router::build(view_routes(views));
        ASSERT_TRUE(built) << built.error().message;
        router = *built;
    }

    void add(const std::string& address, std::vector<std::pair<std::string, Health>> units,
             NodeIdentity who = {.role = "agent"})
    {
        table.named("static", {{.host = address}}, 1050, noon);
        if (units.empty()) return;
        NodeDocument document;
        document.instance = document.node_id = "i-" + address;
        document.version = 1;
        document.identity = std::move(who);
        document.systemd_readable = true;
        document.health = Health::healthy;
        for (auto& [id, health] : units) {
            const bool bad = health == Health::unhealthy;
            MemberUnit unit;
            unit.label = table.pool().label({id, id, "About " + id});
            unit.verdict =
                table.pool().verdict({health, bad ? "failed" : "running", bad ? "it broke" : "running"});
            if (bad) unit.output = std::make_shared<const std::string>("it broke\nsecret line\n");
            document.units.push_back(std::move(unit));
            document.health = worse(document.health, health);
        }
        const auto done = table.answered(address, std::move(document), noon, 0ms);
        EXPECT_TRUE(done);
    }
    void publish() { board.cluster.publish(table.cluster(true), clock.now()); }

    http::Response ask(const std::string& path, http::Role role = http::Role::viewer,
                       http::Method method = http::Method::get, std::string body = {})
    {
        http::Request request;
        request.method = method;
        const auto question = path.find('?');
        request.path = path.substr(0, question);
        if (question != std::string::npos) request.query.add(path.substr(question + 1), "");
        if (const auto equals = path.find('='); equals != std::string::npos) {
            request.query = {};
            request.query.add(path.substr(question + 1, equals - question - 1), path.substr(equals + 1));
        }
        request.caller.role = role;
        request.caller.name = "ann";
        request.body = std::move(body);
        const auto match = router->find(method, request.path);
        EXPECT_NE(match.route, nullptr) << path;
        if (match.route == nullptr) return {};
        request.path_params = match.params;
        return await(match.route->handler(request));
    }
    http::Response await(Task<http::Response> task)
    {
        std::optional<http::Response> answer;
        asio::co_spawn(io, std::move(task), [&](const std::exception_ptr& e, http::Response response) {
            if (e) ADD_FAILURE() << describe(e).what;
            answer = std::move(response);
        });
        const auto end = std::chrono::steady_clock::now() + 10s;
        io.restart();
        while (!answer && std::chrono::steady_clock::now() < end)
            io.run_one_for(10ms);
        EXPECT_TRUE(answer) << "no answer within 10 s";
        return answer ? std::move(*answer) : http::Response{};
    }
    static const std::string& body_of(const http::Response& response)
    {
        return response.content ? response.content->body : response.body;
    }
    std::string text(const std::string& path, http::Role role = http::Role::viewer)
    {
        const auto response = ask(path, role);
        EXPECT_EQ(response.status, 200U) << path << ": " << body_of(response);
        return body_of(response);
    }
    nlohmann::ordered_json json(const std::string& path, http::Role role = http::Role::viewer)
    {
        return nlohmann::ordered_json::parse(text(path, role));
    }
    static std::string header(const http::Response& response, std::string_view name)
    {
        for (const auto& [key, value] : response.headers)
            if (key == name) return value;
        return {};
    }

    Task<Result<>> refresh()
    {
        ++refreshes;
        if (refresh_error) co_return fail(*refresh_error);
        co_return Result<>{};
    }
    Task<Result<>> forget(std::string address)
    {
        auto done = table.forget(address, clock.now());
        if (!done) co_return fail(std::move(done).error());
        co_return Result<>{};
    }
    Task<Result<>> acknowledge(std::string address, std::optional<Acknowledgement> ack)
    {
        auto shared = ack ? std::make_shared<const Acknowledgement>(std::move(*ack)) : nullptr;
        auto done = table.acknowledge(address, std::move(shared), clock.now());
        if (!done) co_return fail(std::move(done).error());
        co_return Result<>{};
    }
    Task<http::Response> fetch(std::shared_ptr<const Member> member, std::string path)
    {
        co_return http::Response::json("{\"asked\":\"" + member->address + path + "\"}");
    }

    asio::io_context io{1};
    ManualClock clock{noon};
    Board board{io.get_executor()};
    Feeds feeds{io.get_executor()};
    NoStore store;
    telemetry::Registry metrics;
    Paths paths;
    Status status;
    std::shared_ptr<Silent> log = std::make_shared<Silent>();
    Services services{io.get_executor(),  clock, board, feeds, store, metrics, paths, status,
                      Log{log, "cluster"}};
    Table table{TableOptions{}};
    std::shared_ptr<Views> views;
    std::shared_ptr<const http::Router> router;
    int refreshes = 0;
    std::optional<Error> refresh_error;
};

}  // namespace opsd::cluster::test
