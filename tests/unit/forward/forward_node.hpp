#pragma once
// The whole module against a journal in memory, far sides that answer as they are told, a hand-moved clock
// and real files; requests go through the real route table.

#include "http/router.hpp"
#include "modules/forward/module.hpp"
#include "opsd/task_group.hpp"

#include "unit/logs/fake_journal.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <list>

namespace opsd::forward::test {

using namespace std::chrono_literals;
using logs::test::cursor_at;
using logs::test::FakeJournal;
using nlohmann::json;
using pipeline::Verdict;

class NoStore final : public Store {
public:
    Task<Result<>> migrate(std::string, std::vector<std::string>) override { co_return none(); }
    Task<Result<std::vector<Row>>> read(Statement, std::size_t) override { co_return none(); }
    Task<Result<Written>> write(std::vector<Statement>) override { co_return none(); }

private:
    static std::unexpected<Error> none()
    {
        return fail(Errc::unavailable, "cannot store: there is no store");
    }
};

class Lines final : public LogSink {
public:
    void write(Level, std::string_view line) override { all.emplace_back(line); }
    [[nodiscard]] bool wants(Level) const noexcept override { return true; }
    void set_level(Level) override {}
    std::vector<std::string> all;
};

class Status final : public ModuleReporter {
public:
    void running() override { condition = "running", reason.clear(); }
    void degraded(std::string why) override { condition = "degraded", reason = std::move(why); }
    void failed(std::string why) override { condition = "failed", reason = std::move(why); }
    std::string condition;
    std::string reason;
};

/// What all sinks of a test send to: keeps the documents it takes, by id.
struct FarSide {
    Verdict take(const pipeline::Batch& batch)
    {
        ++requests;
        if (answer.kind != Verdict::Kind::accepted) return answer;
        Verdict verdict;
        verdict.kind = Verdict::Kind::records;
        for (const auto& record : batch.records()) {
            const bool poison = !refuses.empty() && record.bytes.contains(refuses);
            if (poison) verdict.reasons[verdict.fates.size()] = "400 mapper_parsing_exception";
            verdict.fates.push_back(poison ? pipeline::Fate::refused : pipeline::Fate::accepted);
            if (!poison) documents[std::string{record.id}].emplace_back(record.bytes);
        }
        verdict.answer = "200: taken";
        return verdict;
    }

    Verdict answer = pipeline::accepted();
    std::string refuses;                  ///< records with this in them are refused
    std::chrono::milliseconds takes{10};  ///< to answer
    std::uint64_t requests = 0;
    std::map<std::string, std::vector<std::string>> documents;
};

class ToldSink final : public pipeline::Sink {
public:
    ToldSink(FarSide& far, Clock& clock) : far_{far}, clock_{clock} {}
    Task<Verdict> send(const pipeline::Batch& batch) override
    {
        co_await clock_.sleep_for(far_.takes);
        co_return far_.take(batch);
    }
    [[nodiscard]] std::string_view acknowledged_means() const noexcept override { return "it said so"; }

private:
    FarSide& far_;
    Clock& clock_;
};

class ForwardNode : public ::testing::Test {
protected:
    ForwardNode()
    {
        std::filesystem::remove_all(paths.state);
        std::filesystem::create_directories(paths.state);
        OutputOptions elk;
        elk.name = "elk";
        elk.type = "elasticsearch";
        elk.urls = {"https://elk:9200"};
        elk.start = "beginning";
        options.outputs.push_back(elk);
        NodeIdentity identity;
        identity.hostname = "n1";
        identity.role = "master";
        board.identity.publish(identity, clock.now());
    }
    ~ForwardNode() override
    {
        stop();
        asked_.clear();
        settle();
        std::filesystem::remove_all(paths.state);
    }

    void start()
    {
        services.emplace(Services{io.get_executor(), clock, board, feeds, store, metrics, paths, status,
                                  Log{log, "forward"}});
        const auto fake_outside = fake.outside();
        Outside outside;
        outside.journal = {fake_outside.read, fake_outside.follow};
        outside.run = fake_outside.run;
        outside.tasks = world;
        outside.make_sink = [this](const OutputOptions&, const SinkServices&) {
            return std::make_unique<ToldSink>(far, clock);
        };
        outside.own_unit = "opsd.service";
        module = std::make_unique<ForwardModule>(options, *services, std::move(outside));
        auto built = http::Router::build(module->routes());
        ASSERT_TRUE(built) << built.error().message;
        router = std::move(*built);
        group = std::make_unique<TaskGroup>(io.get_executor(), failed);
        group->spawn("module", module->run());
        until([this] { return output()["state"] != "stopped" && output()["state"] != "starting"; });
    }
    /// As the daemon ends it; `seconds` of the clock pass meanwhile.
    void stop()
    {
        if (!group) return;
        group->cancel();
        const auto end = give_up_at();
        while (group->size() > 0 && std::chrono::steady_clock::now() < end)
            advance(20ms);
        EXPECT_EQ(group->size(), 0U);
        group.reset();
        router.reset();
        module.reset();
    }
    void restart()
    {
        stop();
        start();
    }

    /// What a slow machine does not reach by then is not coming.
    static std::chrono::steady_clock::time_point give_up_at()
    {
        return std::chrono::steady_clock::now() + std::chrono::minutes{1};
    }
    void settle()
    {
        io.restart();
        while (io.poll() > 0) {
        }
    }
    /// Time passes, and the threads of the workers have done what they were asked.
    void advance(std::chrono::milliseconds time)
    {
        clock.advance(time, [this] { settle(); });
        for (int i = 0; i < 3; ++i)
            io.restart(), io.run_one_for(1ms);
        settle();
    }
    /// Waits for the threads, without time passing.
    template <class Condition>
    void until(Condition condition)
    {
        const auto end = give_up_at();
        while (!condition() && std::chrono::steady_clock::now() < end)
            io.restart(), io.run_one_for(1ms);
        EXPECT_TRUE(condition());
    }
    /// Time passes until then.
    template <class Condition>
    void until_after(std::chrono::milliseconds step, Condition condition)
    {
        const auto end = give_up_at();
        while (!condition() && std::chrono::steady_clock::now() < end)
            advance(step);
        EXPECT_TRUE(condition());
    }
    void until_delivered(std::size_t documents)
    {
        until_after(100ms, [&] { return far.documents.size() >= documents; });
    }

    static void failed(std::string_view task, const std::exception_ptr& e)
    {
        const auto failure = describe(e);
        if (!failure.cancelled) ADD_FAILURE() << task << ": " << failure.what;
    }

    http::Response ask(http::Method method, const std::string& path, std::string body = "")
    {
        auto& asked = asked_.emplace_back(io.get_executor());
        asked.request.method = method;
        asked.request.path = path;
        asked.request.body = std::move(body);
        asked.request.caller.name = "root";
        asked.request.caller.role = role;
        auto match = router->find(method, path);
        EXPECT_NE(match.route, nullptr) << path;
        if (match.route == nullptr) return {};
        asked.request.path_params = std::move(match.params);
        asked.task.spawn(path, answer_of(match.route->handler, asked));
        const auto end = give_up_at();
        for (int i = 0; !asked.response && std::chrono::steady_clock::now() < end; ++i) {
            io.restart(), io.run_one_for(1ms);
            if (i % 4 == 3) advance(50ms);
        }
        EXPECT_TRUE(asked.response) << path;
        return asked.response ? std::move(*asked.response) : http::Response{};
    }
    json get(const std::string& path)
    {
        const auto response = ask(http::Method::get, path);
        EXPECT_EQ(response.status, 200U) << response.body;
        return json::parse(response.body, nullptr, false);
    }
    json post(const std::string& verb, const std::string& body = "", unsigned wanted = 200)
    {
        const auto response = ask(http::Method::post, "/api/v1/forward/elk/" + verb, body);
        EXPECT_EQ(response.status, wanted) << response.body;
        return json::parse(response.body, nullptr, false);
    }
    json output() { return get("/api/v1/forward")["outputs"][0]; }
    void expect_sum()
    {
        const auto now = output();
        const auto number = [&](const char* name) { return now[name].get<std::int64_t>(); };
        EXPECT_EQ(number("in"),
                  number("acknowledged") + number("pending") + number("dead_lettered") + number("lost"))
            << now.dump();
    }
    [[nodiscard]] double metric(const std::string& name) const
    {
        const auto page = metrics.render();
        const auto line = "\n" + name + "{output=\"elk\"} ";
        const auto at = page.find(line);
        return at == std::string::npos ? -1 : std::stod(page.substr(at + line.size()));
    }
    [[nodiscard]] std::string content(const std::string& name) const
    {
        std::ifstream in{paths.state + "/forward/" + name};
        return {std::istreambuf_iterator<char>{in}, {}};
    }
    /// The saved position, of whichever of both files.
    [[nodiscard]] bool saved(const std::string& position) const
    {
        return (content("elk.position.a") + content("elk.position.b")).contains("\n" + position + "\n");
    }

    asio::io_context io{1};
    ManualClock clock{WallTime{1'000'000s}};
    FakeJournal fake{io.get_executor()};
    FarSide far;
    http::Role role = http::Role::admin;  ///< who asks
    telemetry::Registry metrics;
    Board board{io.get_executor()};
    Feeds feeds{io.get_executor()};
    Paths paths{.state =
                    std::filesystem::temp_directory_path() / ("opsd-forward-" + std::to_string(::getpid()))};
    Status status;
    NoStore store;
    std::shared_ptr<Lines> log = std::make_shared<Lines>();
    ForwardOptions options;
    TaskWorld world;  ///< for outputs with input: tasks
    std::optional<Services> services;
    std::unique_ptr<ForwardModule> module;
    std::shared_ptr<const http::Router> router;
    std::unique_ptr<TaskGroup> group;

private:
    struct Asked {
        explicit Asked(const Executor& executor) : task{executor, failed} {}
        http::Request request;
        std::optional<http::Response> response;
        TaskGroup task;
    };
    static Task<> answer_of(http::Handler handler, Asked& asked)
    {
        auto made = co_await handler(asked.request);
        asked.response = std::move(made);
    }
    std::list<Asked> asked_;
};

}  // namespace opsd::forward::test
