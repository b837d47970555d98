// The whole module on a node that watches: scripted members, a store in memory, a hand-moved clock.

#include "fleet.hpp"

#include "http/content.hpp"
#include "io/store/sqlite_store.hpp"
#include "modules/cluster/module.hpp"

#include <nlohmann/json.hpp>

#include <list>

namespace opsd::cluster {
namespace {

using namespace test;
using Way = Scripted::Way;

/// Counts calls in flight, so that a test knows when nothing is going on.
class CountedStore final : public Store {
public:
    explicit CountedStore(std::unique_ptr<Store> inner) : inner_{std::move(inner)} {}
    Task<Result<>> migrate(std::string owner, std::vector<std::string> steps) override
    {
        const Busy busy{in_flight};
        if (broken) co_return fail(Errc::unavailable, "cannot use the disk");
        co_return co_await inner_->migrate(std::move(owner), std::move(steps));
    }
    Task<Result<std::vector<Row>>> read(Statement query, std::size_t max_rows) override
    {
        const Busy busy{in_flight};
        if (broken) co_return fail(Errc::unavailable, "cannot use the disk");
        co_return co_await inner_->read(std::move(query), max_rows);
    }
    Task<Result<Written>> write(std::vector<Statement> statements) override
    {
        const Busy busy{in_flight};
        if (broken || full) co_return fail(Errc::unavailable, "cannot use the disk");
        co_return co_await inner_->write(std::move(statements));
    }
    int in_flight = 0;
    bool broken = false;
    bool full = false;

private:
    struct Busy {
        explicit Busy(int& count) : n{count} { ++n; }
        Busy(const Busy&) = delete;
        Busy& operator=(const Busy&) = delete;
        ~Busy() { --n; }
        int& n;
    };
    std::unique_ptr<Store> inner_;
};

class Said final : public ModuleReporter {
public:
    void running() override { reason.clear(); }
    void degraded(std::string why) override { reason = std::move(why); }
    void failed(std::string why) override { reason = std::move(why); }
    std::string reason;
};

class WatchingNode : public Fleet {
protected:
    WatchingNode()
    {
        asio::co_spawn(io, open(), [](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
        });
        while (!store)
            io.run_one_for(10ms);
        settings.sources.fixed.hosts.items = {"10.0.0.1"};
        board.identity.publish({.hostname = "me", .ip = "10.0.0.9", .role = "master"}, noon);
    }
    ~WatchingNode() override
    {
        end();
        store.reset();
        io.restart();
        io.poll();
    }
    void begin()
    {
        add("10.0.0.1");
        services.emplace(Services{io.get_executor(), clock, board, feeds, *store, metrics, paths, said,
                                  Log{std::make_shared<Quiet>(), "cluster"}});
        Outside outside;
        outside.send = [this](net::ClientRequest request) { return send(std::move(request)); };
        outside.node_id = [] { return std::string{"my machine"}; };
        outside.instance = "my run";
        outside.open = [this](net::ClientRequest request) { return opened_answer(std::move(request)); };
        core = std::make_shared<Core>(settings, *services, true, std::move(outside));
        module = std::make_unique<ClusterModule>(core, place);
        routes = module->routes();
        tasks =
            std::make_unique<TaskGroup>(io.get_executor(), [](std::string_view task, std::exception_ptr e) {
                ADD_FAILURE() << task << ": " << describe(e).what;
            });
        tasks->spawn("module", module->run());
        advance_all(500ms);
    }
    void end()
    {
        if (!tasks) return;
        tasks->cancel();
        bool joined = false;
        asio::co_spawn(io, tasks->join(), [&](std::exception_ptr) { joined = true; });
        until([&] { return joined; });
        tasks.reset();
        routes.clear();
        module.reset();
        core.reset();
    }
    void settle_all()
    {
        io.restart();
        while (io.poll() > 0 || store->in_flight > 0)
            io.run_one_for(1ms);
    }
    void advance_all(std::chrono::milliseconds time)
    {
        settle_all();
        clock.advance(time, [this] { settle_all(); });
        settle_all();
    }
    Task<Result<std::unique_ptr<net::Incoming>>> opened_answer(net::ClientRequest request)
    {
        sent_on.push_back(std::move(request));
        co_return fail(Errc::unavailable, "cannot connect");
    }
    void publish_own(Health health)
    {
        UnitState unit;
        unit.id = unit.name = "own.service";
        unit.health = health;
        unit.state = health == Health::healthy ? "running" : "failed";
        unit.since = noon - 1h;
        unit.facts = std::make_shared<UnitFacts>();
        NodeHealth node;
        node.health = health;
        node.systemd_readable = true;
        node.units.push_back(std::make_shared<const UnitState>(std::move(unit)));
        board.health.publish(std::move(node), clock.now());
    }
    [[nodiscard]] std::shared_ptr<const Member> shown(const std::string& address) const
    {
        for (const auto& member : board.cluster.get()->value.members)
            if (member->address == address) return member;
        return nullptr;
    }
    using Query = std::vector<std::pair<std::string, std::string>>;
    nlohmann::json get(const std::string& path, const Query& query = {})
    {
        const auto response = ask(path, query);
        return nlohmann::json::parse(response.content ? response.content->body : response.body);
    }
    http::Response ask(const std::string& path, const Query& query = {})
    {
        const auto answer = begin_to_ask(path, query);
        until([&] { return answer->has_value(); });
        return **answer;
    }
    std::shared_ptr<std::optional<http::Response>> begin_to_ask(const std::string& path, const Query& query)
    {
        http::Request request;
        request.path = path;
        request.caller.role = http::Role::viewer;
        for (const auto& [name, value] : query)
            request.query.add(name, value);
        for (const auto& route : routes) {
            if (route.pattern != path || route.method != http::Method::get) continue;
            auto& kept = requests.emplace_back(std::move(request));  // as long as its handler may read it
            auto response = std::make_shared<std::optional<http::Response>>();
            asio::co_spawn(io, route.handler(kept),
                           [response](std::exception_ptr, http::Response r) { *response = std::move(r); });
            return response;
        }
        ADD_FAILURE() << "no route for " << path;
        return std::make_shared<std::optional<http::Response>>(http::Response{});
    }
    void change_with_history(Scripted& member, const std::string& from, const std::string& to)
    {
        ++member.last_transition;
        const int failed = to == "failed" ? 1 : 0;
        member.history.push_back(fmt::format(
            R"({{"transitions":[{{"id":{},"unit":"a.service","at":"{}","last_at":"{}","from":"{}","to":"{}",)"
            R"("from_health":{},"to_health":{}}}],"last_id":{},"more":false}})",
            member.last_transition, rfc3339(member.now()), rfc3339(member.now()), from, to, 1 - failed,
            failed, member.last_transition));
        member.change();
        settle_all();
    }

    ClusterOptions settings;
    telemetry::Registry metrics;
    Board board{io.get_executor()};
    Feeds feeds{io.get_executor()};
    Paths paths;
    Said said;
    std::unique_ptr<CountedStore> store;
    std::optional<Services> services;
    std::shared_ptr<Core> core;
    std::shared_ptr<net::PeersPlace> place = std::make_shared<net::PeersPlace>();
    std::vector<net::ClientRequest> sent_on;
    std::unique_ptr<ClusterModule> module;
    std::vector<http::Route> routes;
    std::list<http::Request> requests;
    std::unique_ptr<TaskGroup> tasks;

private:
    Task<> open()
    {
        auto opened = co_await open_memory_store(metrics);
        if (opened) store = std::make_unique<CountedStore>(std::move(opened->store));
    }
};

}  // namespace

TEST_F(WatchingNode, ShowsItsMembersAndItself)
{
    publish_own(Health::healthy);
    begin();
    const auto& cluster = board.cluster.get()->value;
    EXPECT_TRUE(cluster.watching);
    ASSERT_EQ(cluster.members.size(), 2U);
    EXPECT_EQ(shown("10.0.0.1")->freshness, Freshness::fresh);
    EXPECT_TRUE(shown("10.0.0.9")->self);
    EXPECT_EQ(cluster.nodes.healthy, 2U);
    EXPECT_EQ(said.reason, "");
    EXPECT_EQ(members.count("http://10.0.0.9:1050"), 0U) << "it does not ask itself";
}

TEST_F(WatchingNode, OffersItsWayToTheMembersWhileItRuns)
{
    begin();
    const auto peers = place->get();
    ASSERT_TRUE(peers);
    EXPECT_FALSE(peers->mesos_state) << "no masters are configured";
    core->reach.token = "secret";
    net::ClientRequest request;
    request.url = "/api/v1/logs?lines=1";
    request.timeout = 3s;
    bool answered = false;
    asio::co_spawn(io, peers->open("10.0.0.1:1051", request),
                   [&](std::exception_ptr, Result<std::unique_ptr<net::Incoming>> answer) {
                       answered = !answer && answer.error().code == Errc::unavailable;
                   });
    settle_all();
    EXPECT_TRUE(answered);
    ASSERT_EQ(sent_on.size(), 1U);
    EXPECT_EQ(sent_on[0].url, "http://10.0.0.1:1051/api/v1/logs?lines=1");
    EXPECT_EQ(sent_on[0].timeout, 3s);
    EXPECT_EQ(sent_on[0].connect_timeout, settings.pull.connect_timeout);
    EXPECT_EQ(sent_on[0].headers.back(),
              (std::pair<std::string, std::string>{"Authorization", "Bearer secret"}));
    end();
    EXPECT_EQ(place->get(), nullptr);
}

TEST_F(WatchingNode, TheMastersThatItAsksAreOfferedToo)
{
    settings.sources.mesos.masters.items = {"http://127.0.0.1:1"};
    begin();
    const auto peers = place->get();
    ASSERT_TRUE(peers && peers->mesos_state);
    std::optional<Result<std::string>> state;
    asio::co_spawn(io, peers->mesos_state(std::chrono::steady_clock::now() + 5s, "token=kim"),
                   [&](std::exception_ptr, Result<std::string> answer) { state = std::move(answer); });
    end();
    until([&] { return state.has_value(); });
    EXPECT_EQ(state->error().code, Errc::unavailable) << "a question under way outlives the module";
}

TEST_F(WatchingNode, AChangeOnAMemberIsOnTheBoardAndInTheListOfAllNodes)
{
    auto& member = add("10.0.0.1");
    begin();
    const auto listener = feeds.cluster.subscribe(10);
    change_with_history(member, "running", "failed");
    advance_all(200ms);
    EXPECT_EQ(shown("10.0.0.1")->units.front().verdict->state, "failed");
    EXPECT_FALSE(listener->empty());
    const auto rows = get("/api/v1/health/history", {{"node", "host"}, {"unit", "a.service"}})["transitions"];
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0]["to"], "failed");
    EXPECT_EQ(rows[0]["address"], "10.0.0.1");
    EXPECT_EQ(rows[0]["hostname"], "host");
}

TEST_F(WatchingNode, ThePastOfTwoNodesWithOneNameIsAskedForByAddress)
{
    add("10.0.0.1").instance = "run-1";
    add("10.0.0.2").instance = "run-2";
    settings.sources.fixed.hosts.items = {"10.0.0.1", "10.0.0.2"};
    begin();
    const auto time = rfc3339(clock.now());
    for (const auto* path : {"/api/v1/health/history", "/api/v1/health/at"}) {
        const auto refused = ask(path, {{"time", time}, {"node", "host"}});
        EXPECT_EQ(refused.status, 409U) << path;
        EXPECT_NE(refused.body.find("10.0.0.1 and 10.0.0.2 have that name"), std::string::npos)
            << refused.body;
        EXPECT_EQ(ask(path, {{"time", time}, {"node", "10.0.0.2"}}).status, 200U) << path;
    }
}

TEST_F(WatchingNode, SaysWhichIdsAndLimitsThereAre)
{
    begin();
    const auto status = [this](const std::string& name, const std::string& value) {
        return ask("/api/v1/health/history", {{name, value}}).status;
    };
    for (const auto* value : {"0", "1001", "-1", "x", "1x", ""})
        EXPECT_EQ(status("limit", value), 400U) << value;
    for (const auto* value : {"-1", "x", "1x", "", "9223372036854775808"})
        EXPECT_EQ(status("after", value), 400U) << value;
    EXPECT_EQ(status("limit", "1000"), 200U);
    EXPECT_EQ(status("after", "0"), 200U);
}

TEST_F(WatchingNode, ItsOwnTransitionsAreInTheList)
{
    publish_own(Health::unhealthy);
    begin();
    Transition own;
    own.id = 99;
    own.unit = "own.service";
    own.at = own.last_at = clock.now();
    own.from = "running";
    own.to = "failed";
    own.to_health = Health::unhealthy;
    feeds.transitions.publish(own);
    settle_all();
    const auto rows = get("/api/v1/health/history", {{"unit", "own.service"}})["transitions"];
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0]["hostname"], "me");
    EXPECT_GT(rows[0]["id"].get<std::int64_t>(), 0);
}

TEST_F(WatchingNode, ItsFirstTransitionsWaitUntilItKnowsItsAddress)
{
    begin();
    Transition own;
    own.id = 1;
    own.unit = "own.service";
    own.at = own.last_at = clock.now();
    own.from = "unknown";
    own.to = "failed";
    own.to_health = Health::unhealthy;
    feeds.transitions.publish(own);
    settle_all();
    const Query of_it{{"unit", "own.service"}};
    EXPECT_TRUE(get("/api/v1/health/history", of_it)["transitions"].empty());
    publish_own(Health::unhealthy);
    settle_all();
    const auto rows = get("/api/v1/health/history", of_it)["transitions"];
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0]["address"], "10.0.0.9");
}

TEST_F(WatchingNode, ANewAddressOfItsOwnMakesNoGhostOfTheOldOne)
{
    board.identity.publish({.hostname = "me", .role = "master"}, noon);
    publish_own(Health::unhealthy);
    begin();
    Transition own;
    own.unit = "own.service";
    own.at = own.last_at = clock.now();
    own.from = "running";
    own.to = "failed";
    own.to_health = Health::unhealthy;
    feeds.transitions.publish(own);
    advance_all(1min);
    const auto listener = feeds.cluster.subscribe(10);
    board.identity.publish({.hostname = "me", .ip = "10.0.0.9", .role = "master"}, clock.now());
    advance_all(1min);
    EXPECT_FALSE(listener->empty()) << "who listens learns that the old one is gone";
    const auto then = get("/api/v1/health/at", {{"time", rfc3339(clock.now() - 90s)}});
    ASSERT_EQ(then["members"].size(), 2U) << then;
    EXPECT_EQ(then["members"][1]["address"], "10.0.0.9");
    EXPECT_EQ(then["members"][1]["units"][0]["state"], "failed");
}

TEST_F(WatchingNode, TellsHowItWasAtATime)
{
    auto& member = add("10.0.0.1");
    begin();
    advance_all(1min);
    change_with_history(member, "running", "failed");
    const auto broke = clock.now();
    advance_all(10min);
    change_with_history(member, "failed", "running");
    advance_all(10min);
    const auto then = get("/api/v1/health/at", {{"time", rfc3339(broke + 5min)}, {"node", "host"}});
    ASSERT_EQ(then["members"].size(), 1U) << then;
    EXPECT_EQ(then["members"][0]["units"][0]["state"], "failed");
    EXPECT_EQ(then["health"], 1);
    const auto now = get("/api/v1/health/at", {{"time", rfc3339(clock.now())}, {"node", "host"}});
    EXPECT_EQ(now["health"], 0) << now;
    const auto before = get("/api/v1/health/at", {{"time", rfc3339(broke - 30s)}, {"node", "host"}});
    EXPECT_EQ(before["health"], 3) << "unknown before the first kept transition: " << before;
}

TEST_F(WatchingNode, TellsHowItWasByItsOwnClockWhateverTheMembersClocksSay)
{
    auto& member = add("10.0.0.1");
    auto& other = add("10.0.0.2");
    settings.sources.fixed.hosts.items = {"10.0.0.1", "10.0.0.2"};
    member.instance = "run-1";
    other.instance = "run-2";
    other.clock_ahead = 10min;
    begin();
    advance_all(1min);
    change_with_history(member, "running", "failed");
    change_with_history(other, "running", "failed");
    const auto broke = clock.now();
    advance_all(5min);
    change_with_history(member, "failed", "running");
    change_with_history(other, "failed", "running");
    advance_all(20min);
    for (const auto* node : {"10.0.0.1", "10.0.0.2"}) {
        const auto state = [&](WallTime time) {
            return get("/api/v1/health/at",
                       {{"time", rfc3339(time)}, {"node", node}, {"full", ""}})["members"][0]["units"][0];
        };
        EXPECT_EQ(state(broke + 1min)["state"], "failed") << node;
        EXPECT_EQ(state(broke + 1min)["since"], rfc3339(broke)) << node << " by our clock";
        EXPECT_EQ(state(broke + 6min)["state"], "running") << node;
        const auto rows = get("/api/v1/health/history",
                              {{"node", node}, {"unit", "a.service"}, {"until", rfc3339(broke + 1min)}});
        ASSERT_EQ(rows["transitions"].size(), 1U) << node;
    }
    const auto row = get("/api/v1/health/history", {{"node", "10.0.0.2"}, {"unit", "a.service"}});
    EXPECT_EQ(row["transitions"][1]["at"], rfc3339(broke + 10min)) << "as the member recorded it";
    EXPECT_EQ(row["transitions"][1]["clock_offset_ms"], 600'000);
}

TEST_F(WatchingNode, RefusesTheFutureAndMoreReadersThanItHasPlacesFor)
{
    settings.history.concurrent = 2;
    begin();
    const Query past{{"time", rfc3339(clock.now())}};
    EXPECT_EQ(ask("/api/v1/health/at", {{"time", rfc3339(clock.now() + 1s)}}).status, 400U);
    const auto first = begin_to_ask("/api/v1/health/at", past);
    const auto second = begin_to_ask("/api/v1/health/history", {});
    const auto third = begin_to_ask("/api/v1/health/at", past);
    until([&] { return first->has_value() && second->has_value() && third->has_value(); });
    EXPECT_EQ((*first)->status, 200U);
    EXPECT_EQ((*second)->status, 200U);
    EXPECT_EQ((*third)->status, 503U);
    EXPECT_EQ(ask("/api/v1/health/at", past).status, 200U) << "the places are free again";
    EXPECT_EQ(core->readers.refused(), 1U);
}

TEST_F(WatchingNode, APastThatWasNotReadYetIsUnavailableNotEmpty)
{
    store->broken = true;
    begin();
    EXPECT_EQ(ask("/api/v1/health/history").status, 503U);
    EXPECT_EQ(ask("/api/v1/health/at", {{"time", rfc3339(clock.now())}}).status, 503U);
}

TEST_F(WatchingNode, OnlyAChangeMakesThePictureNewer)
{
    auto& member = add("10.0.0.1");
    begin();
    const auto changed = board.cluster.get()->value.changed_at;
    const auto version = board.cluster.version();
    advance_all(2min);
    EXPECT_GT(board.cluster.version(), version);
    EXPECT_EQ(board.cluster.get()->value.changed_at, changed) << "only times of answers moved";
    member.change();
    advance_all(1s);
    EXPECT_GT(board.cluster.get()->value.changed_at, changed);
}

TEST_F(WatchingNode, ItsMetricsHaveTheTotalsByHealth)
{
    publish_own(Health::unhealthy);
    begin();
    const auto page = metrics.render();
    for (const auto* line :
         {"opsd_cluster_members{freshness=\"fresh\"} 2\n", "opsd_cluster_nodes{health=\"healthy\"} 1\n",
          "opsd_cluster_nodes{health=\"unhealthy\"} 1\n", "opsd_cluster_nodes{health=\"unknown\"} 0\n",
          "opsd_cluster_rolled_up_units{health=\"healthy\"} 1\n",
          "opsd_cluster_rolled_up_units{health=\"unhealthy\"} 1\n"})
        EXPECT_NE(page.find(line), std::string::npos) << line << page;
}

TEST_F(WatchingNode, ManyWhoAskForTheNewestAtOnceAreShownOnePicture)
{
    publish_own(Health::healthy);
    begin();
    answers_later = true;  // or each round ends before the next one asks
    const auto version = board.cluster.version();
    std::vector<std::shared_ptr<std::optional<http::Response>>> answers;
    for (int i = 0; i < 20; ++i)
        answers.push_back(begin_to_ask("/system/health/v1/nodes", {{"cache", ""}}));
    until([&] { return std::ranges::all_of(answers, [](const auto& one) { return one->has_value(); }); });
    EXPECT_EQ(board.cluster.version(), version + 1) << "each version is one more report to make";
    EXPECT_EQ(ask("/system/health/v1/nodes", {{"cache", ""}}).status, 200U);
    EXPECT_EQ(board.cluster.version(), version + 2) << "who asks later is not shown what was";
}

TEST_F(WatchingNode, AChangeWhileTheClockIsSetBackIsToldToWhoeverAsksLater)
{
    auto& member = add("10.0.0.1");
    begin();
    std::string told;  // the last date
    const auto status = [&](const std::string& since) {
        http::Request request;
        request.headers.add("if-modified-since", since);
        auto answer = http::prepare(ask("/system/health/v1/units"), &request,
                                    {.date = http::http_date(clock.now()), .request_id = {}});
        const auto at = answer->head.find("Last-Modified: ");
        told = at == std::string::npos ? "" : answer->head.substr(at + 15, 29);
        return answer->status;
    };
    const auto change = [&] {
        member.change();
        advance_all(1s);
    };
    change();
    advance_all(5s);
    EXPECT_EQ(status(""), 200U);
    const auto before = told;
    EXPECT_EQ(status(before), 304U);
    clock.step_wall(-1min);
    change();
    const auto dated = board.cluster.get()->value.changed_at;
    for (int i = 0; i < 20; ++i)
        change();
    EXPECT_EQ(board.cluster.get()->value.changed_at, dated) << "it does not run ahead";
    advance_all(1min);
    EXPECT_EQ(status(before), 200U) << before << " was told before the change";
    EXPECT_EQ(status(told), 304U) << told;
    change();
    EXPECT_EQ(status(told), 200U);
    EXPECT_GT(board.cluster.get()->value.changed_at, dated);
}

TEST_F(WatchingNode, AMemberThatDidNotAnswerThenIsUnknownThen)
{
    auto& member = add("10.0.0.1");
    begin();
    change_with_history(member, "running", "failed");
    change_with_history(member, "failed", "running");
    advance_all(1min);
    member.way = Way::refused;
    member.cut(Errc::unavailable);
    advance_all(10min);
    const auto dead = clock.now();
    member.way = Way::opsd;
    advance_all(10min);
    const auto then = get("/api/v1/health/at", {{"time", rfc3339(dead - 1min)}, {"node", "host"}});
    EXPECT_EQ(then["health"], 3) << then;
    EXPECT_NE(then["members"][0]["reason"].get<std::string>().find("stale"), std::string::npos) << then;
    const auto now = get("/api/v1/health/at", {{"time", rfc3339(clock.now())}, {"node", "host"}});
    EXPECT_EQ(now["health"], 0) << now;
}

TEST_F(WatchingNode, BeforeAMembersFirstAnswerItIsUnknownWhateverItsUnitsSayOfThemselves)
{
    auto& member = add("10.0.0.1");
    member.way = Way::refused;
    begin();
    advance_all(1min);
    const auto early = clock.now();
    advance_all(1min);
    member.way = Way::opsd;  // with a unit that it says runs since long ago
    advance_all(1min);
    const auto then = get("/api/v1/health/at", {{"time", rfc3339(early)}, {"node", "host"}});
    ASSERT_EQ(then["members"].size(), 1U) << then;
    EXPECT_EQ(then["members"][0]["health"], 3) << then;
    EXPECT_NE(then["members"][0]["reason"], "") << then;
}

TEST_F(WatchingNode, AfterARestartADeadMemberIsThereWithItsLastUnitsAndItsDeathIsTold)
{
    auto& member = add("10.0.0.1");
    begin();
    end();
    member.way = Way::refused;
    begin();
    advance_all(3s);
    const auto kept = shown("10.0.0.1");
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->freshness, Freshness::stale);
    EXPECT_EQ(kept->health, Health::unknown);
    EXPECT_EQ(kept->units.front().verdict->state, "running");
    const auto rows = get("/api/v1/health/history", {{"node", "host"}})["transitions"];
    EXPECT_EQ(rows[0]["to"], "stale") << rows;
}

TEST_F(WatchingNode, AfterARestartAMemberThatAnswersHasNotChanged)
{
    begin();
    const auto before = get("/api/v1/health/history")["transitions"].size();
    end();
    begin();
    advance_all(3s);
    EXPECT_EQ(shown("10.0.0.1")->freshness, Freshness::fresh);
    EXPECT_EQ(get("/api/v1/health/history")["transitions"].size(), before);
}

TEST_F(WatchingNode, AfterARestartAMemberThatReadsItsSystemdAgainIsTold)
{
    auto& member = add("10.0.0.1");
    member.readable = false;
    begin();
    EXPECT_EQ(get("/api/v1/health/history")["transitions"][0]["to"], "unreadable");
    end();
    member.readable = true;
    ++member.version;
    begin();
    advance_all(3s);
    const auto row = get("/api/v1/health/history")["transitions"][0];
    EXPECT_EQ(row["from"], "unreadable");
    EXPECT_EQ(row["to"], "fresh");
}

TEST_F(WatchingNode, WithoutAStoreItWatchesAllTheSameAndSaysSo)
{
    store->broken = true;
    begin();
    EXPECT_EQ(shown("10.0.0.1")->freshness, Freshness::fresh);
    EXPECT_NE(said.reason.find("cannot use the disk"), std::string::npos) << said.reason;
    store->broken = false;
    advance_all(20s);
    EXPECT_EQ(said.reason, "");
}

TEST_F(WatchingNode, WhatAStoreThatOpensLateKeptIsNeitherLostNorWrittenOver)
{
    auto& member = add("10.0.0.1");
    begin();
    ASSERT_EQ(shown("10.0.0.1")->units.size(), 1U);
    end();
    member.way = Way::refused;
    store->broken = true;
    begin();
    advance_all(3s);
    EXPECT_TRUE(shown("10.0.0.1")->units.empty());
    store->broken = false;
    advance_all(15s);
    EXPECT_EQ(shown("10.0.0.1")->freshness, Freshness::stale);
    EXPECT_EQ(shown("10.0.0.1")->units.size(), 1U);
    advance_all(15s);
    EXPECT_EQ(get("/api/v1/health/history")["transitions"][0]["to"], "stale") << "its death is told";
    advance_all(10min);  // and its picture written
    end();
    begin();
    EXPECT_EQ(shown("10.0.0.1")->units.size(), 1U);
}

TEST_F(WatchingNode, OnAFullDiskItHasWhatWasKept)
{
    auto& member = add("10.0.0.1");
    begin();
    end();
    member.way = Way::refused;
    store->full = true;
    begin();
    EXPECT_EQ(shown("10.0.0.1")->units.size(), 1U);
    EXPECT_NE(said.reason.find("the cluster is not kept"), std::string::npos) << said.reason;
    store->full = false;
    advance_all(20s);
    EXPECT_EQ(said.reason, "");
}

TEST_F(WatchingNode, WhileASourceWasNeverHeardTheClusterIsUnknown)
{
    publish_own(Health::healthy);
    begin();
    EXPECT_EQ(get("/api/v1/cluster")["health"], 0);
    core->table.expect({"dns", "mesos"});
    core->found("static", {{.host = "10.0.0.1"}});
    core->publish();
    for (const auto* path : {"/api/v1/cluster", "/api/v1/nodes"}) {
        const auto answer = get(path);
        EXPECT_EQ(answer["health"], 3) << path;
        EXPECT_EQ(answer["reason"], "dns, mesos have not named any member yet") << path;
    }
    core->found("dns", {});
    advance_all(200ms);
    EXPECT_EQ(get("/api/v1/cluster")["reason"], "mesos has not named any member yet");
    core->found("mesos", {});
    advance_all(200ms);
    EXPECT_EQ(get("/api/v1/cluster")["health"], 0);
}

TEST_F(WatchingNode, MembersBeyondTheLimitMakeTheClusterUnknownUntilTheirSourceNamesFewer)
{
    settings.max_members = 2;
    publish_own(Health::healthy);
    begin();
    core->found("mesos", {{.host = "10.0.0.1"}, {.host = "10.0.0.2"}});
    core->found("static", {{.host = "10.0.0.1"}});
    advance_all(200ms);
    EXPECT_EQ(get("/api/v1/cluster")["health"], 3);
    EXPECT_NE(said.reason.find("not all members that mesos named are watched"), std::string::npos)
        << said.reason;
    core->found("mesos", {{.host = "10.0.0.1"}});
    advance_all(200ms);
    EXPECT_EQ(get("/api/v1/cluster")["health"], 0);
    EXPECT_EQ(said.reason, "");
}

TEST_F(WatchingNode, TheIdOfTheClustersLeaderIsOnTheBoard)
{
    begin();
    core->mesos_id("leader-id");
    EXPECT_EQ(board.mesos_id.get()->value, "leader-id");
}

TEST_F(WatchingNode, PlannedWorkOnANodeSurvivesARestart)
{
    publish_own(Health::healthy);
    begin();
    const Acknowledgement ack{"ann", "new disk", noon, noon + 24h};
    for (const auto* address : {"10.0.0.1", "10.0.0.9"}) {
        std::optional<Result<>> done;
        asio::co_spawn(io, core->acknowledge(address, ack),
                       [&](std::exception_ptr, Result<> r) { done = r; });
        until([&] { return done.has_value(); });
        EXPECT_TRUE(*done);
    }
    end();
    begin();
    for (const auto* address : {"10.0.0.1", "10.0.0.9"}) {
        ASSERT_TRUE(shown(address)->acknowledged) << address;
        EXPECT_EQ(shown(address)->acknowledged->reason, "new disk");
    }
}

}  // namespace opsd::cluster
