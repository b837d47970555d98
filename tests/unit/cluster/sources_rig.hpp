#pragma once
// Sources with a hand-moved clock, names that a table answers, and real web servers on loopback.

#include "modules/cluster/sources.hpp"
#include "modules/cluster/sources_parts.hpp"

#include "unit/mesos/stub.hpp"

#include <map>
#include <set>

namespace opsd::cluster::test {

using namespace opsd::test;

/// Remembers what it was told.
class Heard final : public MemberSink {
public:
    void found(const std::string& source, std::vector<FoundMember> members) override
    {
        lists[source] = std::move(members);
        ++found_calls[source];
        doubts.erase(source);
        calls += source + "+ ";
    }
    void failed(const std::string& source, std::string sentence) override
    {
        EXPECT_TRUE(sentence.starts_with("cannot ")) << sentence;
        doubts[source] = std::move(sentence);
        ++failed_calls[source];
        calls += source + "- ";
    }
    void mesos_id(std::string id) override { ids.push_back(std::move(id)); }

    /// "10.0.0.1 10.0.0.2:1051" of the last list.
    [[nodiscard]] std::string hosts(const std::string& source) const
    {
        const auto list = lists.find(source);
        if (list == lists.end()) return "(none)";
        std::string all;
        for (const auto& member : list->second) {
            all += (all.empty() ? "" : " ") + member.host;
            if (member.port != 0) all += ":" + std::to_string(member.port);
        }
        return all;
    }
    [[nodiscard]] int rounds(const std::string& source) const
    {
        const auto count = [&source](const std::map<std::string, int>& of) {
            const auto at = of.find(source);
            return at == of.end() ? 0 : at->second;
        };
        return count(found_calls) + count(failed_calls);
    }

    std::map<std::string, std::vector<FoundMember>> lists;
    std::map<std::string, std::string> doubts;
    std::map<std::string, int> found_calls;
    std::map<std::string, int> failed_calls;
    std::vector<std::string> ids;
    std::string calls;
};

class Lines final : public LogSink {
public:
    void write(Level, std::string_view line) override { lines.emplace_back(line); }
    [[nodiscard]] bool wants(Level level) const noexcept override { return level != Level::debug; }
    void set_level(Level) override {}
    std::vector<std::string> lines;
};

/// A ZooKeeper of a few strings.
class FakeNodes final : public MasterNodes {
public:
    explicit FakeNodes(const Executor& executor) : changed_{executor, never} {}
    Task<> run() override
    {
        while (true)
            co_await wait_event(changed_);
    }
    Task<Result<std::vector<mesos::ZooKeeperNode>>> read() override
    {
        ++reads;
        read_ = version_;
        co_return nodes;
    }
    Task<> changed() override
    {
        while (version_ == read_)
            co_await wait_event(changed_);
    }
    void change(Result<std::vector<mesos::ZooKeeperNode>> now)
    {
        nodes = std::move(now);
        ++version_;
        changed_.cancel();
    }

    Result<std::vector<mesos::ZooKeeperNode>> nodes;
    int reads = 0;

private:
    int version_ = 0;
    int read_ = 0;
    asio::steady_timer changed_;
};

class Sources : public testing::Test {
protected:
    Sources() { look_up = names_look_up(); }
    ~Sources() override
    {
        group.cancel();
        for (auto& stub : stubs)
            stub->cancel();
        io.poll();
        until([this] { return group.size() == 0; });
        until([this] {
            return std::ranges::all_of(stubs, [](const auto& stub) { return stub->busy() == 0; });
        });
    }

    void start()
    {
        SourceServices services{.executor = io.get_executor(),
                                .clock = clock,
                                .metrics = metrics,
                                .log = Log{lines, "cluster"},
                                .credentials_directory = "",
                                .look_up = look_up,
                                .masters = std::move(nodes)};
        sources = std::make_unique<MemberSources>(options, std::move(services), heard);
        sources->start(group);
        io.poll();
    }

    /// Runs the loop until it is so; no longer than 5 s.
    template <class Condition>
    void until(Condition condition)
    {
        const auto end = std::chrono::steady_clock::now() + 5s;
        while (!condition() && std::chrono::steady_clock::now() < end) {
            if (io.stopped()) io.restart();
            io.run_one_for(10ms);
        }
        EXPECT_TRUE(condition());
    }
    /// Time passes, and the source asks at least once more.
    void again(const std::string& source, milliseconds time)
    {
        const auto before = heard.rounds(source);
        pass(time);
        until([&] { return heard.rounds(source) > before; });
    }
    void pass(milliseconds time)
    {
        clock.advance(time, [this] {
            if (io.stopped()) io.restart();
            io.poll();
        });
    }
    HttpStub& stub(HttpStub::Answer how)
    {
        stubs.push_back(std::make_unique<HttpStub>(io.get_executor(), std::move(how)));
        return *stubs.back();
    }

    /// Names by `dns`; those in `hanging` use up their time. Without time nobody answers, as in truth.
    LookUp names_look_up()
    {
        return [this](std::string host, milliseconds limit) { return look(std::move(host), limit); };
    }
    Task<Result<std::vector<std::string>>> look(std::string host, milliseconds limit)
    {
        ++look_ups;
        if (hanging.contains(host) || limit <= 0ms) {
            co_await sleep(limit);
            co_return fail(Errc::timeout,
                           "cannot look up " + host + ": the name servers did not answer in time");
        }
        const auto at = dns.find(host);
        if (at == dns.end()) co_return fail(Errc::unavailable, "cannot look up " + host + ": Host not found");
        co_return at->second;
    }

    asio::io_context io{1};
    ManualClock clock{*parse_rfc3339("2026-11-22T15:26:27Z")};
    telemetry::Registry metrics;
    std::shared_ptr<Lines> lines = std::make_shared<Lines>();
    Heard heard;
    SourcesOptions options;
    std::map<std::string, std::vector<std::string>> dns;
    std::set<std::string> hanging;
    int look_ups = 0;
    LookUp look_up;
    std::unique_ptr<FakeNodes> nodes;
    std::vector<std::unique_ptr<HttpStub>> stubs;
    std::unique_ptr<MemberSources> sources;
    TaskGroup group{io.get_executor(), [](std::string_view task, std::exception_ptr e) {
                        ADD_FAILURE() << task << ": " << describe(e).what;
                    }};
};

}  // namespace opsd::cluster::test
