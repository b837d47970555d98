// From a real journald that rotates and vacuums to a strict _bulk server over HTTP, with kills between.

#include "core/gzip.hpp"
#include "io/systemd/journal_readers.hpp"
#include "modules/forward/output.hpp"
#include "opsd/task_group.hpp"

#include "node.hpp"
#include "support.hpp"
#include "unit/mesos/stub.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <sstream>

using namespace opsd;
using namespace opsd::forward;
using namespace std::chrono_literals;
using nlohmann::json;
using opsd::test::HttpStub;
using opsd::test::Node;
using opsd::test::Reply;

namespace {

/// An index behind _bulk. Whatever is malformed fails the test. Misbehaves when it is told to.
class Index {
public:
    Reply answer(const test::Asked& asked)
    {
        EXPECT_EQ(asked.method, "POST");
        EXPECT_EQ(asked.path, "/es/_bulk?filter_path=errors,items.*.status,items.*.error");
        EXPECT_TRUE(asked.has("Content-Type: application/x-ndjson")) << asked.head;
        EXPECT_TRUE(asked.has("Authorization: Basic bWU6c2VjcmV0")) << asked.head;
        if (chance(busy)) return test::answer(503, "<html>busy</html>", close);
        const bool packed = asked.has("Content-Encoding: gzip");
        auto body = packed ? gunzip(asked.body, 64U << 20U) : Result<std::string>{asked.body};
        EXPECT_TRUE(body) << body.error().message;
        const auto before = taken_;
        auto [items, errors] = take(body.value_or(""));
        auto reply = test::answer(200, fmt::format(R"({{"errors":{},"items":[{}]}})", errors, items), close);
        if (chance(torn)) {
            untold += taken_ - before;
            reply.text.resize(reply.text.size() / 2);
            reply.then = Reply::Then::reset;
        }
        return reply;
    }

    [[nodiscard]] std::int64_t repeated() const
    {
        std::int64_t all = 0;
        for (const auto& [number, count] : copies)
            all += count - 1;
        return all;
    }

    std::map<int, int> copies;  ///< of each number
    std::int64_t untold = 0;    ///< taken in requests whose answer broke off
    int requests = 0;
    double busy = 0;      ///< of requests: 503
    double torn = 0;      ///< of requests: taken, and the answer breaks off
    double item_429 = 0;  ///< of items

private:
    static constexpr const char* close = "Connection: close\r\n";

    bool chance(double probability) { return std::uniform_real_distribution<>{0, 1}(random_) < probability; }

    std::pair<std::string, bool> take(const std::string& body)
    {
        ++requests;
        EXPECT_TRUE(body.ends_with('\n'));
        std::istringstream lines{body};
        std::string items;
        bool errors = false;
        for (std::string action, document; std::getline(lines, action) && std::getline(lines, document);) {
            const auto a = json::parse(action, nullptr, false);
            const auto d = json::parse(document, nullptr, false);
            EXPECT_TRUE(a.is_object() && d.is_object()) << action << "\n" << document;
            const auto id = a["create"]["_id"].get<std::string>();
            const auto number = std::stoi(d["message"].get<std::string>());
            EXPECT_TRUE(ids_.try_emplace(number, id).first->second == id) << "one entry, one id";
            const bool later = chance(item_429);
            const int status = later ? 429 : copies[number] > 0 ? 409 : 201;
            if (!later) ++copies[number];
            taken_ += later ? 0 : 1;
            errors = errors || status != 201;
            items += fmt::format(R"({}{{"create":{{"status":{}}}}})", items.empty() ? "" : ",", status);
        }
        return {items, errors};
    }

    std::mt19937_64 random_{7};
    std::int64_t taken_ = 0;
    std::map<int, std::string> ids_;
};

class Forward : public ::testing::Test {
public:
    static void SetUpTestSuite()
    {
        reason = test::no_nodes_because();
        if (!reason.empty()) return;
        node = std::make_unique<Node>("forward", "--journald RateLimitIntervalSec=0");
    }
    static void TearDownTestSuite() { node.reset(); }
    void SetUp() override
    {
        if (!reason.empty()) GTEST_SKIP() << reason;
        tag = ::testing::UnitTest::GetInstance()->current_test_info()->name();
        state = std::filesystem::temp_directory_path() / fmt::format("opsd-forward-{}-{}", tag, ::getpid());
        std::filesystem::remove_all(state);
        std::filesystem::create_directories(state);
        std::ofstream{state / "secret"} << "secret\n";
        options.name = "elk";
        options.type = "elasticsearch";
        options.start = "beginning";
        options.user = "me";
        options.password = {config::Secret::From::file, state / "secret"};
        options.filter.matches = {"SYSLOG_IDENTIFIER=" + tag};
        options.batch.records = 100;
        options.batch.age = 20ms;
    }
    void TearDown() override { std::filesystem::remove_all(state); }

    void say(int first, int last) const
    {
        const auto said = node->exec(
            fmt::format("sh -c 'seq {} {} | systemd-cat -t {} && journalctl --sync'", first, last, tag));
        ASSERT_EQ(said.exit_code, 0) << said.output;
    }

    OutputOptions options;
    std::string tag;
    std::filesystem::path state;
    static inline std::unique_ptr<Node> node;
    static inline std::string reason;
};

struct Quiet final : LogSink {
    void write(Level, std::string_view) override {}
    [[nodiscard]] bool wants(Level) const noexcept override { return false; }
    void set_level(Level) override {}
};

class NoStore final : public Store {
public:
    Task<Result<>> migrate(std::string, std::vector<std::string>) override { co_return none(); }
    Task<Result<std::vector<Row>>> read(Statement, std::size_t) override { co_return none(); }
    Task<Result<Written>> write(std::vector<Statement>) override { co_return none(); }

private:
    static std::unexpected<Error> none() { return fail(Errc::unavailable, "cannot store: there is none"); }
};

struct Reporter final : ModuleReporter {
    void running() override {}
    void degraded(std::string) override {}
    void failed(std::string) override {}
};

/// One life of an output, on the loop of the test; killed or stopped.
class Life {
public:
    Life(const Executor& executor, const OutputOptions& options, const std::string& directory,
         std::filesystem::path state)
      : services_{executor, clock_,    board_,
                  feeds_,   store_,    metrics_,
                  paths_,   reporter_, Log{quiet_, "forward"}}
      , board_{executor}
      , feeds_{executor}
      , readers_{directory, 1}
      , follower_{directory, {}}
      , group_{executor, [](std::string_view task, const std::exception_ptr& e) {
                   ADD_FAILURE() << task << ": " << describe(e).what;
               }}
    {
        journal_.read = [this](systemd::JournalRange range, std::unique_ptr<systemd::EntryWriter> writer) {
            return [this, reading = systemd::JournalReaders::open(std::move(range), std::move(writer))](
                       systemd::SliceLimits limits) { return readers_.next(reading, limits); };
        };
        journal_.follow = [this](systemd::FollowKey key, systemd::JournalFollower::MakeWriter make,
                                 std::string position) {
            return follower_.join(std::move(key), std::move(make), std::move(position));
        };
        auto make_sink = [this](const OutputOptions& wanted) {
            const SinkServices sink{services_.executor, clock_, disk_, disk_, ""};
            return find_kind(wanted.type)->sink(wanted, sink);
        };
        around_ = std::make_unique<Surroundings>(Surroundings{services_, journal_, tasks_, world_, make_sink,
                                                              [] { return pipeline::Labels{}; }, disk_, state,
                                                              "", 1});
        output = std::make_unique<Output>(options, *around_);
        group_.spawn("follower", follower_.run());
        group_.spawn("output", output->run());
    }
    Task<> kill()
    {
        group_.cancel();
        co_await group_.join();
    }
    Task<> stop()
    {
        output->stop();
        while (output->running())
            co_await test::sleep(5ms);
        co_await kill();
    }

private:
    SystemClock clock_;
    NoStore store_;
    telemetry::Registry metrics_;
    Paths paths_;
    Reporter reporter_;
    std::shared_ptr<Quiet> quiet_ = std::make_shared<Quiet>();
    Services services_;
    Board board_;
    Feeds feeds_;
    systemd::JournalReaders readers_;
    systemd::JournalFollower follower_;
    Journal journal_;
    TaskOptions tasks_;
    TaskWorld world_;
    WorkerThread disk_{"disk"};
    std::unique_ptr<Surroundings> around_;
    TaskGroup group_;

public:
    std::unique_ptr<Output> output;
};

std::string missing(const Index& index, int last)
{
    std::string all;
    for (int n = 1; n <= last && all.size() < 200; ++n)
        if (!index.copies.contains(n)) all += std::to_string(n) + " ";
    return all;
}

}  // namespace

TEST_F(Forward, EverythingArrivesOnceAndIdleIsSilent)
{
    say(1, 1'000);
    test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Index index;
            HttpStub server{executor, [&](const test::Asked& asked) { return index.answer(asked); }};
            options.urls = {server.url() + "/es/"};
            Life life{executor, options, node->root() + "/var/log/journal", state};
            while (index.copies.size() < 1'000)
                co_await test::sleep(10ms);
            say(1'001, 1'010);
            while (index.copies.size() < 1'010)
                co_await test::sleep(10ms);
            co_await test::sleep(1'500ms);
            const auto status = life.output->status();
            EXPECT_EQ(status.delivery.counters.in, 1'010U);
            EXPECT_EQ(status.delivery.counters.acknowledged, 1'010U);
            EXPECT_TRUE(status.at_end);
            const auto requests = index.requests;
            const auto written = std::filesystem::last_write_time(state / "elk.position.a");
            co_await test::sleep(2s);
            EXPECT_EQ(index.requests, requests);
            EXPECT_EQ(std::filesystem::last_write_time(state / "elk.position.a"), written);
            co_await life.stop();
            for (const auto& [number, copies] : index.copies)
                EXPECT_EQ(copies, 1) << number;
            co_await server.stop();
        },
        60s);
}

TEST_F(Forward, NothingIsLostWhileItIsKilledAndTheFarSideMisbehavesAndTheJournalRotates)
{
    constexpr int last = 4'000;
    constexpr int kills = 12;
    const auto script =
        fmt::format("sh -c 'i=1; while [ $i -le {0} ]; do seq $i $((i+199)) | systemd-cat -t {1}; "
                    "journalctl --rotate; i=$((i+200)); sleep 0.2; done'",
                    last, tag);
    test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Index index;
            index.busy = 0.1;
            index.torn = 0.1;
            index.item_429 = 0.02;
            HttpStub server{executor, [&](const test::Asked& asked) { return index.answer(asked); }};
            options.urls = {server.url() + "/es"};
            FILE* writer = ::popen(node->command(script).c_str(), "re");
            std::mt19937 random{11};
            for (int i = 0; i < kills; ++i) {
                Life life{executor, options, node->root() + "/var/log/journal", state};
                co_await test::sleep(std::chrono::milliseconds{100 + random() % 500});
                const auto counters = life.output->status().delivery.counters;
                EXPECT_EQ(counters.in,
                          counters.acknowledged + counters.pending + counters.dead_lettered + counters.lost);
                co_await life.kill();
            }
            Life life{executor, options, node->root() + "/var/log/journal", state};
            for (int i = 0; i < 6'000 && index.copies.size() < last; ++i)
                co_await test::sleep(10ms);
            EXPECT_EQ(missing(index, last), "");
            EXPECT_LE(index.repeated(), kills * options.batch.records + index.untold)
                << "a batch for each kill, and what the far side took without saying so";
            EXPECT_EQ(life.output->status().delivery.counters.lost, 0U);
            ::pclose(writer);
            co_await life.stop();
            co_await server.stop();
        },
        110s);
}

TEST_F(Forward, WhatIsVacuumedWhileItIsAwayIsCounted)
{
    say(1, 10);
    test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Index index;
            HttpStub server{executor, [&](const test::Asked& asked) { return index.answer(asked); }};
            options.urls = {server.url() + "/es"};
            {
                Life life{executor, options, node->root() + "/var/log/journal", state};
                while (index.copies.size() < 10)
                    co_await test::sleep(10ms);
                co_await life.stop();
            }
            say(11, 500);
            const auto done = node->exec("journalctl --rotate --vacuum-files=1");
            EXPECT_EQ(done.exit_code, 0) << done.output;
            say(501, 503);
            Life life{executor, options, node->root() + "/var/log/journal", state};
            while (!index.copies.contains(503))
                co_await test::sleep(10ms);
            const auto counters = life.output->status().delivery.counters;
            EXPECT_GE(counters.lost, 490U);
            EXPECT_EQ(counters.unknown_losses, 0U);
            EXPECT_EQ(index.copies.size(), 13U);
            EXPECT_EQ(counters.in,
                      counters.acknowledged + counters.pending + counters.dead_lettered + counters.lost);
            co_await life.stop();
            co_await server.stop();
        },
        60s);
}
