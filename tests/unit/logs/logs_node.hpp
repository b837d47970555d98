#pragma once
// The whole module against a journal in memory and a hand-moved clock; requests go through the real parser of
// targets and the real route table.

#include "http/router.hpp"
#include "http/target.hpp"
#include "modules/logs/module.hpp"
#include "opsd/task_group.hpp"

#include "fake_journal.hpp"
#include "support.hpp"

#include <nlohmann/json.hpp>

#include <list>

namespace opsd::logs::test {

using namespace std::chrono_literals;
using Headers = std::vector<std::pair<std::string, std::string>>;

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

/// A client who collects what a stream writes.
class Client final : public http::StreamWriter {
public:
    explicit Client(const Executor& executor) : event_{executor, never} {}
    Task<Result<>> write(std::string_view chunk) override
    {
        while (blocked && !gone)
            co_await wait_event(event_);
        if (gone) co_return fail(Errc::unavailable, "cannot write: the client is gone");
        text += chunk;
        ++writes;
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
    /// How often the word stands in what it got.
    [[nodiscard]] int count(std::string_view word) const
    {
        int number = 0;
        for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
            ++number;
        return number;
    }
    std::string text;
    bool gone = false;
    bool blocked = false;
    bool whole = true;
    bool ended = false;
    int writes = 0;

private:
    asio::steady_timer event_;
};

class LogsNode : public ::testing::Test {
protected:
    ~LogsNode() override
    {
        for (auto& client : clients_)
            client.leave();
        settle();
        stop();
        answers_.clear();
        settle();
    }

    void start()
    {
        services.emplace(Services{io.get_executor(), clock, board, feeds, store, metrics, paths, status,
                                  Log{log, "logs"}});
        auto outside = journal.outside();
        outside.elsewhere = elsewhere;
        module = std::make_unique<LogsModule>(options, *services, std::move(outside));
        auto built = http::Router::build(module->routes());
        ASSERT_TRUE(built) << built.error().message;
        router = std::move(*built);
        group = std::make_unique<TaskGroup>(io.get_executor(), failed);
        group->spawn("module", module->run());
        settle();
        journal.ranges.clear();
    }
    void stop()
    {
        if (!group) return;
        group->cancel();
        settle();
        EXPECT_EQ(group->size(), 0U);
        bool joined = false;
        asio::co_spawn(io, group->join(), [&](std::exception_ptr) { joined = true; });
        settle();
        EXPECT_TRUE(joined);
        group.reset();
        module.reset();
    }

    /// Runs everything that can run without time passing.
    void settle()
    {
        io.restart();
        while (io.poll() > 0) {
        }
    }
    void advance(std::chrono::milliseconds time)
    {
        clock.advance(time, [this] { settle(); });
        settle();
    }

    static void failed(std::string_view task, const std::exception_ptr& e)
    {
        ADD_FAILURE() << task << ": " << describe(e).what;
    }

    http::Response ask(const std::string& target, const Headers& headers = {},
                       http::Role role = http::Role::admin)
    {
        if (!router) start();
        auto& asked = asked_.emplace_back(io.get_executor());
        auto parsed = http::parse_target(http::Head{.method = "GET", .target = target});
        EXPECT_TRUE(parsed) << target;
        if (!parsed) return {};
        asked.request.path = parsed->path;
        asked.request.query = std::move(parsed->query);
        asked.request.caller.role = role;
        asked.request.caller.via = via;
        asked.request.caller.foreign = true;
        for (const auto& [name, value] : headers)
            asked.request.headers.add(name, value);
        auto match = router->find(http::Method::get, asked.request.path);
        EXPECT_NE(match.route, nullptr) << target;
        if (match.route == nullptr) return {};
        EXPECT_TRUE(match.route->audited);
        EXPECT_EQ(match.route->access, http::Access::read);
        asked.request.path_params = std::move(match.params);
        asked.task.spawn(target, answer_of(match.route->handler, asked));
        for (int i = 0; i < 5'000 && !asked.response; ++i)
            io.restart(), io.run_one_for(1ms);
        EXPECT_TRUE(asked.response) << target;
        return asked.response ? std::move(*asked.response) : http::Response{};
    }

    /// The whole body, of a stream too.
    std::string get(const std::string& target, const Headers& headers = {},
                    http::Role role = http::Role::admin)
    {
        auto response = ask(target, headers, role);
        EXPECT_EQ(response.status, 200U) << target << ": " << response.body;
        if (!response.producer) return response.body;
        auto& client = open(std::move(response));
        for (int i = 0; i < 5'000 && !client.ended; ++i)
            io.restart(), io.run_one_for(1ms);
        EXPECT_TRUE(client.ended && client.whole) << target;
        return client.text;
    }

    /// Begins to read a stream.
    Client& open(http::Response response)
    {
        EXPECT_TRUE(response.producer);
        auto& client = clients_.emplace_back(io.get_executor());
        auto& answer = answers_.emplace_back(std::move(response));
        asio::co_spawn(io, answer.producer(client), [&client](std::exception_ptr e) {
            client.ended = true;
            if (e) failed("a stream", e);
        });
        settle();
        return client;
    }
    Client& listen(const std::string& target, const Headers& headers = {},
                   http::Role role = http::Role::admin)
    {
        return open(ask(target, headers, role));
    }

    [[nodiscard]] static std::string header(const http::Response& response, std::string_view name)
    {
        for (const auto& [key, value] : response.headers)
            if (key == name) return value;
        return "(none)";
    }
    [[nodiscard]] double metric(const std::string& name) const
    {
        const auto page = metrics.render();
        const auto at = page.find("\n" + name + " ");
        return at == std::string::npos ? -1 : std::stod(page.substr(at + name.size() + 2));
    }
    /// "1,2,3" of "message 1\nmessage 2...".
    [[nodiscard]] static std::string numbers(std::string_view text)
    {
        std::string all;
        constexpr std::string_view word = "message ";
        for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
            const auto from = at + word.size();
            const auto end = std::min(text.find_first_not_of("0123456789", from), text.size());
            all.append(all.empty() ? "" : ",").append(text.substr(from, end - from));
        }
        return all;
    }

    asio::io_context io{1};
    ManualClock clock{WallTime{1'000'000s}};
    FakeJournal journal{io.get_executor()};
    telemetry::Registry metrics;
    Board board{io.get_executor()};
    Feeds feeds{io.get_executor()};
    Paths paths;
    Status status;
    NoStore store;
    std::shared_ptr<Lines> log = std::make_shared<Lines>();
    LogsOptions options;
    Elsewhere elsewhere = nowhere();
    std::string via = "token";
    std::optional<Services> services;
    std::unique_ptr<LogsModule> module;
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

protected:
    [[nodiscard]] const http::Request& last_request() const { return asked_.back().request; }

private:
    std::list<Asked> asked_;
    std::list<Client> clients_;
    std::list<http::Response> answers_;
};

}  // namespace opsd::logs::test
