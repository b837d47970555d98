#include "dcos_node.hpp"

#include <fstream>

namespace opsd::dcos::test {
namespace {

const std::string agents_bytes{"\x08\x0a", 2};
const Headers protobuf{{"content-type", "application/x-protobuf"}, {"accept", "application/x-protobuf"}};

HttpStub::Answer always(Reply reply)
{
    return [reply](const Asked&) { return reply; };
}

mesos::Credentials basic(const std::string& file)
{
    mesos::Credentials credentials;
    credentials.user = "ops";
    credentials.secret = {.from = config::Secret::From::file, .name = file};
    return credentials;
}

TEST(DcosMesos, WithoutMesosItIsQuietAndSaysWhatToSet)
{
    run([]() -> Task<> {
        DcosNode node{co_await asio::this_coro::executor};
        co_await node.settle();
        for (const auto* path : {"/mesos/master/state", "/mesos/state-summary", "/agent/S0/files/debug",
                                 "/mesos_dns/v1/hosts/leader.mesos", "/mesos_dns/v1/hosts/master.mesos",
                                 "/service/marathon/v2/leader"}) {
            const auto said = co_await node.get(path);
            EXPECT_EQ(said.status, 503U) << path;
            EXPECT_TRUE(detail(said).contains("set cluster.sources.mesos.masters or")) << detail(said);
        }
        EXPECT_EQ(node.status.condition, "running");
        EXPECT_EQ(node.metric("opsd_dcos_mesos_reachable"), -1);
        co_await node.stop();
    });
}

TEST(DcosMesos, StateAndSummariesAreTheLeadersAlsoThroughAStandby)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub leader{executor, leader_with_agents(1)};
        HttpStub standby{executor,
                         [&](const Asked& asked) { return redirect("//" + leader.authority + asked.path); }};
        DcosNode node{executor};
        node.know({standby.url()});
        co_await node.settle();
        const auto state = co_await node.get("/mesos/master/state");
        EXPECT_EQ(state.status, 200U) << state.body;
        EXPECT_EQ(state.type, "application/json");
        const auto document = co_await node.body(state);
        EXPECT_EQ(json::parse(document)["cluster"], "testbed");
        for (const auto* path : {"/mesos/state-summary", "/mesos/master/state-summary"}) {
            const auto summary = co_await node.get(path);
            EXPECT_EQ(json::parse(summary.body)["cluster"], "testbed") << path;
            EXPECT_EQ(leader.asked.back().path, "/master/state-summary");
        }
        EXPECT_EQ(node.metric("opsd_dcos_questions_total{to=\"mesos\"}"), 3);
        EXPECT_EQ(node.metric("opsd_dcos_mesos_reachable"), 1);
        co_await node.stop();
        co_await leader.stop();
        co_await standby.stop();
    });
}

TEST(DcosMesos, OfTheCallersHeadersNothingLeaves)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub leader{executor, leader_with_agents(1)};
        DcosNode node{executor};
        node.know({leader.url()});
        co_await node.settle();
        const Headers headers{{"authorization", "token=of-the-caller"},
                              {"cookie", "dcos-acs-auth-cookie=x"},
                              {"host", "evil.example"},
                              {"x-forwarded-for", "1.2.3.4"}};
        [[maybe_unused]] const auto state = co_await node.get("/mesos/master/state", headers);
        const auto& asked = leader.asked.back();
        EXPECT_TRUE(asked.has("Host: " + leader.authority)) << asked.head;
        for (const auto* word : {"of-the-caller", "cookie", "Cookie", "evil", "1.2.3.4", "Authorization"})
            EXPECT_FALSE(asked.head.contains(word)) << asked.head;
        co_await node.stop();
        co_await leader.stop();
    });
}

TEST(DcosMesos, TheCallersAuthorizationGoesOnlyToMastersOfThisClusterAndTheirAgents)
{
    DcosOptions options;
    options.mesos.authorization = "caller";
    run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub agent{executor, always(answer(200, "{}"))};
        HttpStub leader{executor, leader_with_agents(agent.port())};
        HttpStub standby{executor,
                         [&](const Asked& asked) { return redirect("//" + leader.authority + asked.path); }};
        DcosNode node{executor, options};
        const Headers headers{{"authorization", "token=of-the-caller"}};
        const std::string shown = "Authorization: token=of-the-caller";

        node.know({leader.url()});
        co_await node.settle();
        [[maybe_unused]] auto state = co_await node.get("/mesos/master/state", headers);
        EXPECT_TRUE(leader.asked.back().has(shown)) << leader.asked.back().head;
        [[maybe_unused]] auto files = co_await node.get("/agent/" + agent_id + "/files/debug", headers);
        EXPECT_TRUE(agent.asked.back().has(shown)) << agent.asked.back().head;
        node.caller.foreign = false;
        state = co_await node.get("/mesos/master/state", {{"authorization", "token="}});
        node.caller.foreign = true;
        EXPECT_FALSE(leader.asked.back().head.contains("Authorization")) << "the empty token is none";

        node.know({standby.url()});
        co_await sleep(100ms);
        state = co_await node.get("/mesos/master/state", headers);
        EXPECT_TRUE(standby.asked.back().has(shown));
        EXPECT_FALSE(leader.asked.back().head.contains("of-the-caller")) << "only a redirect named it";
        files = co_await node.get("/agent/" + agent_id + "/files/debug", headers);
        EXPECT_FALSE(agent.asked.back().head.contains("of-the-caller"))
            << "named by one that a redirect named";
        co_await node.stop();
        for (auto* stub : {&agent, &leader, &standby})
            co_await stub->stop();
    });
}

TEST(DcosMesos, OurOwnCredentialsServeWhereTheSettingSaysSo)
{
    const TempDir dir;
    std::ofstream{dir / "password"} << "s3cret";
    for (const std::string who : {"own", "none"}) {
        DcosOptions options;
        options.mesos.authorization = who;
        run([&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            HttpStub agent{executor, always(answer(200, "{}"))};
            HttpStub leader{executor, leader_with_agents(agent.port())};
            DcosNode node{executor, options};
            node.know({leader.url()}, basic(dir / "password"));
            co_await node.settle();
            const Headers headers{{"authorization", "Bearer of-the-caller"}};
            [[maybe_unused]] auto state = co_await node.get("/mesos/master/state", headers);
            const bool shown = leader.asked.back().has("Authorization: Basic b3BzOnMzY3JldA==");
            EXPECT_EQ(shown, who == "own") << leader.asked.back().head;
            [[maybe_unused]] auto files = co_await node.get("/slave/" + agent_id + "/files/debug", headers);
            EXPECT_EQ(agent.asked.back().has("Authorization: Basic b3BzOnMzY3JldA=="), who == "own");
            EXPECT_FALSE(agent.asked.back().head.contains("of-the-caller"));
            co_await node.stop();
            co_await agent.stop();
            co_await leader.stop();
        });
    }
}

TEST(DcosMesos, ARefusalIsTheCallersOnlyWhenHisCredentialsWereShown)
{
    for (const std::string who : {"own", "caller"}) {
        DcosOptions options;
        options.mesos.authorization = who;
        run([&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            HttpStub leader{executor, [](const Asked& asked) {
                                if (asked.path == "/master/api/v1")
                                    return answer(200, fixture("operator-v1/master-get_master.json"));
                                return answer(401, "no", "WWW-Authenticate: Basic realm=\"mesos\"\r\n");
                            }};
            DcosNode node{executor, options};
            node.know({leader.url()});
            co_await node.settle();
            const auto said = co_await node.get("/mesos/master/state", {{"authorization", "Bearer x"}});
            EXPECT_EQ(said.status, who == "caller" ? 401U : 502U);
            if (who == "caller")
                EXPECT_EQ(header(said, "WWW-Authenticate"), "Basic realm=\"mesos\"");
            else
                EXPECT_TRUE(detail(said).contains("set cluster.sources.mesos.user")) << said.body;
            co_await node.stop();
            co_await leader.stop();
        });
    }
}

TEST(DcosMesos, PasswordsInAddressesDoNotLeaveWithTheState)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub leader{executor, [](const Asked& asked) {
                            if (asked.path == "/master/api/v1")
                                return answer(200, fixture("operator-v1/master-get_master.json"));
                            return answer(200, R"({"flags":{"zk":"zk://ops:s3cret@10.0.0.1:2181/mesos"}})");
                        }};
        DcosNode node{executor};
        node.know({leader.url()});
        co_await node.settle();
        const auto state = co_await node.get("/mesos/master/state");
        EXPECT_EQ(state.body, R"({"flags":{"zk":"zk://[redacted]@10.0.0.1:2181/mesos"}})");
        EXPECT_EQ(node.metric("opsd_dcos_secrets_total"), 1);
        co_await node.stop();
        co_await leader.stop();
    });
}

TEST(DcosMesos, ADeadOrLeaderlessMesosIs503AndDegradesTheModuleUntilItIsBack)
{
    DcosOptions options;
    options.mesos.probe_interval = 50ms;
    options.mesos.timeout = 500ms;
    run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub master{executor, always(answer(503, "No leader elected"))};
        DcosNode node{executor, options};
        node.know({master.url()});
        co_await node.settle("degraded");
        EXPECT_TRUE(node.status.reason.starts_with("cannot ask the Mesos master")) << node.status.reason;
        const auto said = co_await node.get("/mesos/master/state");
        EXPECT_EQ(said.status, 503U) << "the command line has a sentence of its own for it";
        EXPECT_TRUE(detail(said).contains("no leader")) << said.body;
        EXPECT_EQ(node.metric("opsd_dcos_mesos_reachable"), 0);
        EXPECT_EQ(node.metric("opsd_dcos_unanswered_total"), 1);
        master.how = always({"", Reply::Then::hang});
        const auto late = co_await node.get("/mesos/master/state");
        EXPECT_EQ(late.status, 504U) << late.body;
        master.how = leader_with_agents(1);
        co_await node.settle("running");
        const auto back = co_await node.get("/mesos/master/state");
        EXPECT_EQ(back.status, 200U);
        co_await node.stop();
        co_await master.stop();
    });
}

TEST(DcosMesos, AnAgentAsksNobodyForItsOwnPeaceOfMind)
{
    DcosOptions options;
    options.mesos.probe_interval = 10ms;
    run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub leader{executor, leader_with_agents(1)};
        DcosNode node{executor, options};
        node.board.identity.publish({.role = "agent_public"}, node.clock.now());
        node.know({leader.url()});
        co_await sleep(100ms);
        EXPECT_TRUE(leader.asked.empty());
        const auto state = co_await node.get("/mesos/master/state");
        EXPECT_EQ(state.status, 200U);
        co_await node.stop();
        co_await leader.stop();
    });
}

TEST(DcosMesos, ReadingCallsPassBothWaysByteForByte)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub leader{executor, leader_with_agents(1)};
        HttpStub standby{executor,
                         [&](const Asked& asked) { return redirect("//" + leader.authority + asked.path); }};
        DcosNode node{executor};
        node.know({standby.url()});
        co_await node.settle();
        const auto agents = co_await node.ask("POST", "/mesos/api/v1", protobuf, agents_bytes);
        EXPECT_EQ(agents.status, 200U) << agents.body;
        EXPECT_EQ(agents.type, "application/x-protobuf");
        EXPECT_EQ(agents.body, (std::string{"\x08\x09\x52\x00", 4}));
        const auto& asked = leader.asked.back();
        EXPECT_EQ(asked.body, agents_bytes);
        EXPECT_TRUE(asked.has("Content-Type: application/x-protobuf")) << asked.head;
        EXPECT_TRUE(asked.has("Accept: application/x-protobuf")) << asked.head;
        const auto frameworks = co_await node.ask(
            "POST", "/mesos/api/v1", {{"content-type", "application/json"}}, R"({"type":"GET_FRAMEWORKS"})");
        EXPECT_EQ(json::parse(frameworks.body)["type"], "GET_FRAMEWORKS");
        co_await node.stop();
        co_await leader.stop();
        co_await standby.stop();
    });
}

TEST(DcosMesos, OtherCallsAre403WithASentenceAndNeverReachMesos)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub leader{executor, leader_with_agents(1)};
        DcosNode node{executor};
        node.know({leader.url()});
        co_await node.settle();
        const auto before = leader.asked.size();
        const auto teardown = co_await node.ask("POST", "/mesos/api/v1", protobuf, {"\x08\x1f", 2});
        EXPECT_EQ(teardown.status, 403U);
        EXPECT_TRUE(detail(teardown).starts_with("cannot hand the call number 31 on to Mesos"))
            << teardown.body;
        const auto gone = co_await node.ask("POST", "/mesos/api/v1", {{"content-type", "application/json"}},
                                            R"({"type":"MARK_AGENT_GONE"})");
        EXPECT_EQ(gone.status, 403U);
        const auto twice = co_await node.ask("POST", "/mesos/api/v1", protobuf, {"\x08\x0a\x08\x1f", 4});
        EXPECT_EQ(twice.status, 400U);
        const auto text =
            co_await node.ask("POST", "/mesos/api/v1", {{"content-type", "text/plain"}}, agents_bytes);
        EXPECT_EQ(text.status, 415U);
        EXPECT_EQ(leader.asked.size(), before);
        EXPECT_EQ(node.metric("opsd_dcos_forbidden_calls_total"), 2);
        co_await node.stop();
        co_await leader.stop();
    });
}

TEST(DcosMesos, FilesAreAskedOfTheAgentByItsPid)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub agent{executor, [](const Asked& asked) {
                           if (asked.path == "/files/debug")
                               return answer(200, fixture("agent/files-debug.json"));
                           if (asked.path.starts_with("/files/browse"))
                               return answer(200, fixture("agent/files-browse-sandbox.json"));
                           if (asked.path.starts_with("/files/read"))
                               return answer(200, fixture("agent/files-read-stdout.json"));
                           return answer(200, "bytes",
                                         "Content-Disposition: attachment; filename=stdout\r\n");
                       }};
        HttpStub leader{executor, leader_with_agents(agent.port())};
        DcosNode node{executor};
        node.know({leader.url()});
        co_await node.settle();
        for (const std::string prefix : {"/agent/", "/slave/"}) {
            const auto base = prefix + agent_id + "/files/";
            const auto debug = co_await node.get(base + "debug");
            EXPECT_TRUE(json::parse(debug.body).contains("/slave/log"));
            const auto browse = co_await node.get(base + "browse?path=/var/lib/mesos/a%20b/+x");
            EXPECT_EQ(json::parse(browse.body).size(), 2U);
            EXPECT_EQ(agent.asked.back().path, "/files/browse?path=/var/lib/mesos/a%20b/%20x");
            const auto read = co_await node.get(base + "read?path=/x&offset=-1&evil=1");
            EXPECT_EQ(json::parse(read.body)["data"].get<std::string>().size(), 300U);
            EXPECT_EQ(agent.asked.back().path, "/files/read?path=/x&offset=-1");
            const auto download = co_await node.get(base + "download?path=/x%26y");
            EXPECT_EQ(download.body, "bytes");
            EXPECT_EQ(header(download, "Content-Disposition"), "attachment; filename=stdout");
            EXPECT_EQ(agent.asked.back().path, "/files/download?path=/x%26y");
        }
        EXPECT_EQ(node.metric("opsd_dcos_questions_total{to=\"agent\"}"), 8);
        agent.how = always(answer(404, ""));
        const auto missing = co_await node.get("/agent/" + agent_id + "/files/browse?path=/x");
        EXPECT_EQ(missing.status, 404U);
        co_await node.stop();
        co_await agent.stop();
        co_await leader.stop();
    });
}

TEST(DcosMesos, FilesOfTasksAreKeptFromWhomTheLogsAreKept)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub agent{executor, always(answer(200, "{}"))};
        HttpStub leader{executor, leader_with_agents(agent.port())};
        DcosNode node{executor};
        node.know({leader.url()});
        co_await node.settle();
        node.board.log_access.restricted = {
            {http::Role::viewer, [](std::string_view) { return true; }, false}};
        node.caller.role = http::Role::viewer;
        for (const auto* verb : {"debug", "browse?path=/x", "read?path=/x&offset=0", "download?path=/x"}) {
            const auto refused = co_await node.get("/agent/" + agent_id + "/files/" + verb);
            EXPECT_EQ(refused.status, 403U) << verb;
            EXPECT_TRUE(refused.body.contains("logs.allow")) << refused.body;
        }
        EXPECT_TRUE(agent.asked.empty());
        node.caller.role = http::Role::operator_;
        const auto read = co_await node.get("/agent/" + agent_id + "/files/read?path=/x&offset=0");
        EXPECT_EQ(read.status, 200U);
        co_await node.stop();
        co_await agent.stop();
        co_await leader.stop();
    });
}

TEST(DcosMesos, OpsdsOwnTokensAreShownToNobody)
{
    DcosOptions options;
    options.mesos.authorization = "caller";
    run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub leader{executor, leader_with_agents(1)};
        DcosNode node{executor, options};
        node.caller.foreign = false;
        node.know({leader.url()});
        co_await node.settle();
        for (const auto* own : {"token=opsd_1_2", "bearer opsd_1_2", "token=a.login.of-ours"}) {
            const auto state = co_await node.get("/mesos/master/state", {{"authorization", own}});
            EXPECT_EQ(state.status, 200U);
            EXPECT_FALSE(leader.asked.back().head.contains("Authorization")) << own;
        }
        co_await node.stop();
        co_await leader.stop();
    });
}

TEST(DcosMesos, AnUnknownAgentIsLookedForOnceMoreAndThen404)
{
    DcosOptions options;
    run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub agent{executor, always(answer(200, "{}"))};
        HttpStub leader{executor, leader_with_agents(agent.port())};
        DcosNode node{executor, options};
        node.know({leader.url()});
        co_await node.settle();
        const auto lists = [&leader] {
            return std::ranges::count(leader.asked, std::string{"/master/slaves"}, &Asked::path);
        };
        const auto unknown = co_await node.get("/agent/S77/files/debug");
        EXPECT_EQ(unknown.status, 404U);
        EXPECT_EQ(unknown.body, "404 Not Found: agent `S77` unknown.\n");
        EXPECT_EQ(lists(), 1) << "the list was new";
        const auto known = co_await node.get("/agent/" + agent_id + "/files/debug");
        EXPECT_EQ(known.status, 200U);
        EXPECT_EQ(lists(), 1) << "and is kept";
        co_await sleep(1'100ms);
        const auto again = co_await node.get("/agent/S77/files/debug");
        EXPECT_EQ(again.status, 404U);
        EXPECT_EQ(lists(), 2);
        for (const auto* odd : {"a%20b", "%C3%A4", "a;b", "a:1"}) {
            const auto refused = co_await node.get("/agent/" + std::string{odd} + "/files/debug");
            EXPECT_EQ(refused.status, 400U) << odd;
        }
        co_await node.stop();
        co_await agent.stop();
        co_await leader.stop();
    });
}

TEST(DcosMesos, ManyWhoAskForAgentsAtOnceCostOneList)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub agent{executor, always(answer(200, "{}"))};
        HttpStub leader{executor, leader_with_agents(agent.port())};
        DcosNode node{executor};
        node.know({leader.url()});
        co_await node.settle();
        int answered = 0;
        const auto one = [](DcosNode& whom, int& count) -> Task<> {
            const auto debug = co_await whom.get("/agent/" + agent_id + "/files/debug");
            count += debug.status == 200 ? 1 : 0;
        };
        for (int i = 0; i < 10; ++i)
            node.group.spawn("ask", one(node, answered));
        for (int i = 0; i < 500 && answered < 10; ++i)
            co_await sleep(10ms);
        EXPECT_EQ(answered, 10);
        EXPECT_EQ(std::ranges::count(leader.asked, std::string{"/master/slaves"}, &Asked::path), 1);
        co_await node.stop();
        co_await agent.stop();
        co_await leader.stop();
    });
}

TEST(DcosMesos, ALargeStateIsPassedOnAsItComesWhole)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        std::string large = "{\"x\":\"";
        for (int i = 0; large.size() < 5'000'000; ++i)
            large += std::to_string(i) + (i % 9 == 0 ? ":" : "/");
        large += "\"}";
        HttpStub leader{executor, [&](const Asked& asked) {
                            if (asked.path == "/master/state") return answer(200, large);
                            return answer(200, fixture("operator-v1/master-get_master.json"));
                        }};
        DcosNode node{executor};
        node.know({leader.url()});
        co_await node.settle();
        const auto state = co_await node.get("/mesos/master/state");
        EXPECT_TRUE(state.producer);
        EXPECT_EQ(state.status, 200U);
        const auto body = co_await node.body(state);
        EXPECT_TRUE(body == large);
        EXPECT_EQ(node.metric("opsd_dcos_bytes_total"), static_cast<double>(large.size()));
        co_await node.stop();
        co_await leader.stop();
    });
}

/// Reads a stream until the client has enough.
Task<> take(const http::Response& response, Client& client) { co_await response.producer(client); }

TEST(DcosMesos, ASlowClientHoldsUpThePeerAndNoMemoryFills)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const std::string head =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900000000\r\n\r\n";
        HttpStub leader{executor, [&](const Asked& asked) {
                            if (asked.path != "/master/state")
                                return answer(200, fixture("operator-v1/master-get_master.json"));
                            return Reply{head + std::string(100'000, 'x'), Reply::Then::endless};
                        }};
        DcosNode node{executor};
        node.know({leader.url()});
        co_await node.settle();
        const auto state = co_await node.get("/mesos/master/state");
        EXPECT_TRUE(state.producer);
        Client client{executor};
        client.blocked = true;
        node.group.spawn("client", take(state, client));
        co_await sleep(200ms);
        const auto held = node.core->counters.bytes;
        EXPECT_LT(held, 1'000'000U);
        EXPECT_EQ(node.metric("opsd_dcos_answering"), 1);
        co_await sleep(100ms);
        EXPECT_EQ(node.core->counters.bytes, held) << "nothing is read for who does not take it";
        client.unblock();
        for (int i = 0; i < 500 && client.text.size() < 10'000'000; ++i)
            co_await sleep(10ms);
        EXPECT_GE(client.text.size(), 10'000'000U);
        client.leave();
        co_await sleep(100ms);
        EXPECT_FALSE(client.whole) << "what it has is not all there is";
        co_await node.stop();
        co_await leader.stop();
    });
}

TEST(DcosMesos, AnAnswerThatBreaksOffIsTornAndOneThatIsTooLargeIsSaidSo)
{
    DcosOptions options;
    options.mesos.max_answer = config::Bytes{2'000'000};
    options.mesos.idle_timeout = 200ms;
    run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const auto headed = [](std::size_t length) {
            return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
        };
        Reply reply;
        HttpStub leader{executor, [&](const Asked& asked) {
                            if (asked.path == "/master/state") return reply;
                            return answer(200, fixture("operator-v1/master-get_master.json"));
                        }};
        DcosNode node{executor, options};
        node.know({leader.url()});
        co_await node.settle();
        const auto torn_after = [&](Reply how) -> Task<std::size_t> {
            reply = std::move(how);
            const auto state = co_await node.get("/mesos/master/state");
            EXPECT_TRUE(state.producer);
            if (!state.producer) co_return 0;
            Client client{executor};
            co_await state.producer(client);
            EXPECT_FALSE(client.whole);
            co_return client.text.size();
        };
        const auto closed = co_await torn_after({headed(1'000'000) + std::string(500'000, 'x')});
        EXPECT_EQ(closed, 500'000U);
        const auto silent =
            co_await torn_after({headed(1'000'000) + std::string(500'000, 'x'), Reply::Then::hang});
        EXPECT_EQ(silent, 500'000U) << "a silence is an end, too";
        const auto endless =
            co_await torn_after({"HTTP/1.1 200 OK\r\n\r\n" + std::string(50'000, 'x'), Reply::Then::endless});
        EXPECT_LE(endless, 2'000'000U);
        EXPECT_EQ(node.metric("opsd_dcos_torn_answers_total"), 3);

        reply = {headed(2'000'001)};
        const auto large = co_await node.get("/mesos/master/state");
        EXPECT_EQ(large.status, 502U);
        EXPECT_TRUE(detail(large).contains("dcos.mesos.max_answer is 2000000")) << large.body;
        reply = {headed(100) + "short"};
        const auto small = co_await node.get("/mesos/master/state");
        EXPECT_EQ(small.status, 503U) << "a small one is not begun";
        reply = redirect("http://127.0.0.1:1/elsewhere");
        const auto away = co_await node.get("/mesos/master/state");
        EXPECT_EQ(away.status, 502U) << away.body;
        co_await node.stop();
        co_await leader.stop();
    });
}

TEST(DcosMesos, MoreThanTheSettingAreRefusedAtOnce)
{
    DcosOptions options;
    options.mesos.concurrent = 1;
    options.mesos.timeout = 2s;
    run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub leader{executor, [](const Asked& asked) {
                            if (asked.path == "/master/state") return Reply{"", Reply::Then::hang};
                            return answer(200, fixture("operator-v1/master-get_master.json"));
                        }};
        DcosNode node{executor, options};
        node.know({leader.url()});
        co_await node.settle();
        const auto wait = [](DcosNode& whom) -> Task<> {
            [[maybe_unused]] const auto state = co_await whom.get("/mesos/master/state");
        };
        node.group.spawn("first", wait(node));
        co_await sleep(50ms);
        for (const auto* path :
             {"/mesos/master/state", "/agent/S0/files/debug", "/service/marathon/v2/apps"}) {
            const auto refused = co_await node.get(path);
            EXPECT_EQ(refused.status, 503U);
            EXPECT_TRUE(detail(refused).contains("dcos.mesos.concurrent")) << refused.body;
        }
        EXPECT_EQ(node.metric("opsd_dcos_refused_total"), 3);
        co_await node.stop();
        EXPECT_EQ(node.core->places, 0) << "who is cancelled gives his place back";
        co_await leader.stop();
    });
}

TEST(DcosMesos, OtherMastersAreAskedAsSoonAsTheyAreKnown)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub first{executor, leader_with_agents(1)};
        HttpStub second{executor, leader_with_agents(1)};
        DcosNode node{executor};
        node.know({});
        co_await sleep(20ms);
        EXPECT_EQ(node.status.condition, "running");
        node.know({first.url()});
        co_await node.settle();
        node.know({second.url()});
        co_await sleep(50ms);
        const auto before = first.asked.size();
        const auto state = co_await node.get("/mesos/master/state");
        EXPECT_EQ(state.status, 200U);
        EXPECT_EQ(second.asked.back().path, "/master/state");
        EXPECT_EQ(first.asked.size(), before);
        mesos::Master named;
        named.address = "127.0.0.1";
        named.port = first.port();
        mesos::MasterDirectory::of(executor).configure({}, "http", true, node.clock.now());
        mesos::MasterDirectory::of(executor).name({named}, node.clock.now());
        co_await sleep(50ms);
        const auto by_zookeeper = co_await node.get("/mesos/master/state");
        EXPECT_EQ(by_zookeeper.status, 200U);
        EXPECT_EQ(first.asked.back().path, "/master/state");
        co_await node.stop();
        co_await first.stop();
        co_await second.stop();
    });
}

}  // namespace
}  // namespace opsd::dcos::test
