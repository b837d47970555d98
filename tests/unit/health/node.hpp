#pragma once
// The whole module against a scripted systemd, a hand-moved clock and a store in memory.

#include "io/store/sqlite_store.hpp"
#include "io/systemd/fake_manager.hpp"
#include "modules/health/module.hpp"
#include "opsd/task_group.hpp"

#include "facts.hpp"
#include "support.hpp"

#include <nlohmann/json.hpp>

#include <list>
#include <stdexcept>

namespace opsd::health::test {

/// Counts calls in flight, so that a test knows when nothing is going on; fails on demand; keeps answers
/// back.
class WatchedStore final : public Store {
public:
    WatchedStore(std::unique_ptr<Store> inner, const Executor& executor)
      : inner_{std::move(inner)}
      , released_{executor, never}
    {}

    Task<Result<>> migrate(std::string owner, std::vector<std::string> steps) override
    {
        const Busy busy{in_flight};
        if (broken) co_return fail(*broken);
        auto done = co_await inner_->migrate(std::move(owner), std::move(steps));
        co_return done;
    }
    Task<Result<std::vector<Row>>> read(Statement query, std::size_t max_rows) override
    {
        ++reads;
        auto rows = co_await read_now(std::move(query), max_rows);
        co_await answer();
        co_return rows;
    }
    Task<Result<Written>> write(std::vector<Statement> statements) override
    {
        auto written = co_await write_now(std::move(statements));
        co_await answer();
        co_return written;
    }
    void release()
    {
        held = false;
        released_.cancel();
    }

    int in_flight = 0;
    int reads = 0;
    int writes = 0;
    bool held = false;  ///< it does what it is asked, but the answers do not come before release()
    std::optional<Error> broken;
    std::optional<Error> full;  ///< it can be read, not written

private:
    struct Busy {
        explicit Busy(int& count) : n{count} { ++n; }
        Busy(const Busy&) = delete;
        Busy& operator=(const Busy&) = delete;
        ~Busy() { --n; }
        int& n;
    };
    Task<Result<std::vector<Row>>> read_now(Statement query, std::size_t max_rows)
    {
        const Busy busy{in_flight};
        if (broken) co_return fail(*broken);
        auto rows = co_await inner_->read(std::move(query), max_rows);
        co_return rows;
    }
    Task<Result<Written>> write_now(std::vector<Statement> statements)
    {
        const Busy busy{in_flight};
        if (broken) co_return fail(*broken);
        if (full) co_return fail(*full);
        ++writes;
        auto written = co_await inner_->write(std::move(statements));
        co_return written;
    }
    Task<> answer()
    {
        while (held)
            co_await wait_event(released_);
    }
    std::unique_ptr<Store> inner_;
    asio::steady_timer released_;
};

class Silent final : public LogSink {
public:
    void write(Level, std::string_view line) override { lines.emplace_back(line); }
    [[nodiscard]] bool wants(Level level) const noexcept override { return level != Level::debug; }
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

/// Collects what a stream writes.
class Reader final : public http::StreamWriter {
public:
    explicit Reader(const Executor& executor) : gone_{executor, never} {}
    Task<Result<>> write(std::string_view chunk) override
    {
        if (gone) co_return fail(Errc::unavailable, "cannot write: the client is gone");
        while (blocked)
            co_await wait_event(gone_);
        text += chunk;
        co_return Result<>{};
    }
    Task<> closed() override
    {
        while (!gone)
            co_await wait_event(gone_);
    }
    void leave()
    {
        gone = true;
        gone_.cancel();
    }
    void unblock()
    {
        blocked = false;
        gone_.cancel();
    }
    /// The ids of the events so far.
    [[nodiscard]] std::vector<std::int64_t> ids() const
    {
        std::vector<std::int64_t> all;
        for (auto at = text.find("id: "); at != std::string::npos; at = text.find("id: ", at + 1))
            if (at == 0 || text[at - 1] == '\n') all.push_back(std::stoll(text.substr(at + 4)));
        return all;
    }
    std::string text;
    bool gone = false;
    bool blocked = false;

private:
    asio::steady_timer gone_;
};

class Node : public ::testing::Test {
protected:
    Node()
    {
        asio::co_spawn(io, open(), [](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
        });
        while (!store)
            io.run_one_for(10ms);
    }
    ~Node() override
    {
        for (auto& one : asked_)
            one.task.cancel();
        stop();
        settle();
        store.reset();
        io.restart();
        io.poll();
    }

    void start()
    {
        Outside outside;
        outside.connect = connect;
        outside.read_wants = [this] {
            if (wants_broken) throw std::runtime_error{"the directory is on fire"};
            return Wants{wants, wants_problem};
        };
        outside.read_journal = [this](systemd::JournalQuery query) { return read_journal(std::move(query)); };
        outside.boot_id = boot;
        services.emplace(Services{io.get_executor(), clock, board, feeds, *store, metrics, paths, status,
                                  Log{log, "health"}});
        module = std::make_unique<HealthModule>(options, *services, std::move(outside));
        for (auto& route : module->routes())
            routes.push_back(std::move(route));
        group =
            std::make_unique<TaskGroup>(io.get_executor(), [this](std::string_view, std::exception_ptr e) {
                crashed = describe(e).what;
            });
        group->spawn("module", module->run());
        settle();
    }
    void stop()
    {
        if (!group) return;
        group->cancel();
        bool joined = false;
        asio::co_spawn(io, group->join(), [&](std::exception_ptr) { joined = true; });
        until([&] { return joined; });
        EXPECT_EQ(crashed, "");
        group.reset();
        routes.clear();
        module.reset();
    }

    /// Runs everything that can run without time passing.
    void settle()
    {
        io.restart();
        while (io.poll() > 0 || store->in_flight > 0)
            io.run_one_for(1ms);
    }
    void advance(std::chrono::milliseconds time)
    {
        clock.advance(time, [this] { settle(); });
        settle();
    }
    template <class Condition>
    void until(Condition holds)
    {
        const auto end = std::chrono::steady_clock::now() + 10s;
        io.restart();
        while (!holds()) {
            ASSERT_LT(std::chrono::steady_clock::now(), end) << "it did not happen within 10 s";
            io.run_one_for(1ms);
        }
    }

    [[nodiscard]] const NodeHealth& node() const { return board.health.get()->value; }
    [[nodiscard]] std::shared_ptr<const UnitState> state(std::string_view id) const
    {
        if (!board.health.get()) return nullptr;
        for (const auto& unit : node().units)
            if (unit->id == id) return unit;
        return nullptr;
    }
    [[nodiscard]] std::string word(std::string_view id) const
    {
        const auto unit = state(id);
        return unit ? unit->state : "(not there)";
    }

    http::Response ask(http::Method method, const std::string& path, http::Role role = http::Role::admin,
                       std::string body = {},
                       const std::vector<std::pair<std::string, std::string>>& headers = {})
    {
        auto& asked = begin(method, path, role, std::move(body), headers);
        until([&] { return asked.response.has_value(); });
        return std::move(*asked.response);
    }

    /// A request under way.
    struct Asked {
        explicit Asked(const Executor& executor) : task{executor, failed} {}
        static void failed(std::string_view, const std::exception_ptr& e)
        {
            ADD_FAILURE() << describe(e).what;
        }
        http::Request request;
        std::optional<http::Response> response;
        TaskGroup task;  ///< cancel() cuts it, as the server does when it takes too long
    };
    Asked& begin(http::Method method, const std::string& path, http::Role role = http::Role::admin,
                 std::string body = {}, const std::vector<std::pair<std::string, std::string>>& headers = {})
    {
        auto& asked = asked_.emplace_back(io.get_executor());
        auto& request = asked.request;
        request.method = method;
        const auto question = path.find('?');
        request.path = path.substr(0, question);
        request.body = std::move(body);
        request.caller.role = role;
        request.caller.name = "ann";
        for (const auto& [name, value] : headers)
            request.headers.add(name, value);
        if (question != std::string::npos) add_query(request, path.substr(question + 1));
        for (const auto& route : routes)
            if (route.method == method && match(route.pattern, request)) {
                asked.task.spawn(path, answer(route.handler, asked));
                return asked;
            }
        ADD_FAILURE() << "no route for " << path;
        asked.response.emplace();
        return asked;
    }
    nlohmann::ordered_json get(const std::string& path, http::Role role = http::Role::admin)
    {
        const auto response = ask(http::Method::get, path, role);
        EXPECT_EQ(response.status, 200U) << path << ": " << body_of(response);
        return nlohmann::ordered_json::parse(body_of(response));
    }
    static const std::string& body_of(const http::Response& response)
    {
        return response.content ? response.content->body : response.body;
    }
    [[nodiscard]] std::string metric(const std::string& name) const
    {
        const auto page = metrics.render();
        const auto at = page.find("\n" + name + " ");
        if (at == std::string::npos) return {};
        const auto from = at + name.size() + 2;
        return page.substr(from, page.find('\n', from) - from);
    }

    /// A running service that systemd has loaded; times are those of the clock.
    void add(UnitFacts facts) { systemd.add_unit(std::move(facts)); }
    void fail_unit(const std::string& id)
    {
        systemd.change(id, [this](UnitFacts& f) {
            f.active_state = f.sub_state = "failed";
            f.result = "signal";
            f.main_code = 2;
            f.main_status = 9;
            f.state_change_at = clock.monotonic();
            f.state_change_time = clock.now();
        });
    }
    void run_unit(const std::string& id)
    {
        systemd.change(id, [this](UnitFacts& f) {
            f.active_state = "active";
            f.sub_state = "running";
            f.result = "success";
            f.main_code = f.main_status = 0;
            f.state_change_at = clock.monotonic();
            f.state_change_time = clock.now();
        });
    }

    asio::io_context io{1};
    ManualClock clock{today, boot_age};
    systemd::FakeManager systemd{io.get_executor()};
    Source::Connect connect = [this] { return systemd.connect(); };
    std::vector<WantsEntry> wants;
    std::string wants_problem;
    std::string boot = "boot-1";
    bool wants_broken = false;
    std::map<std::string, std::vector<systemd::JournalLine>> journal;
    std::vector<systemd::JournalQuery> journal_queries;
    std::optional<Error> journal_broken;
    bool journal_hangs = false;
    asio::steady_timer journal_answers{io, never};
    telemetry::Registry metrics;
    Board board{io.get_executor()};
    Feeds feeds{io.get_executor()};
    Paths paths;
    Status status;
    std::shared_ptr<Silent> log = std::make_shared<Silent>();
    std::unique_ptr<WatchedStore> store;
    HealthOptions options;
    std::optional<Services> services;
    std::unique_ptr<HealthModule> module;
    std::vector<http::Route> routes;
    std::unique_ptr<TaskGroup> group;
    std::string crashed;

private:
    Task<> open()
    {
        auto opened = co_await open_memory_store(metrics);
        if (opened) store = std::make_unique<WatchedStore>(std::move(opened->store), io.get_executor());
    }
    Task<Result<std::vector<systemd::JournalLine>>> read_journal(systemd::JournalQuery query)
    {
        journal_queries.push_back(query);
        while (journal_hangs)
            co_await wait_event(journal_answers);
        if (journal_broken) co_return fail(*journal_broken);
        co_return journal[query.unit];
    }
    static void add_query(http::Request& request, std::string_view text)
    {
        while (!text.empty()) {
            const auto end = std::min(text.find('&'), text.size());
            const auto pair = text.substr(0, end);
            const auto equals = pair.find('=');
            request.query.add(std::string{pair.substr(0, equals)}, std::string{pair.substr(equals + 1)});
            text.remove_prefix(std::min(end + 1, text.size()));
        }
    }
    static bool match(const std::string& pattern, http::Request& request)
    {
        const auto open = pattern.find('{');
        if (open == std::string::npos) return pattern == request.path;
        const auto rest = pattern.substr(pattern.find('}') + 1);
        if (!request.path.starts_with(pattern.substr(0, open)) || !request.path.ends_with(rest)) return false;
        const auto value = request.path.substr(open, request.path.size() - open - rest.size());
        if (value.empty() || value.find('/') != std::string::npos) return false;
        request.path_params.add("unit", value);
        return true;
    }
    static Task<> answer(http::Handler handler, Asked& asked)
    {
        auto made = co_await handler(asked.request);
        asked.response = std::move(made);
    }
    std::list<Asked> asked_;  // all of this test: a task outlives its answer by a moment
};

}  // namespace opsd::health::test
