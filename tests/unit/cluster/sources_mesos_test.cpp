#include "sources_rig.hpp"

#include "io/mesos/directory.hpp"

#include <nlohmann/json.hpp>

namespace opsd::cluster::test {
namespace {

const std::string leader_id = "54836ef5-80d6-4178-83cc-76db9ff61daf";

std::string agent(std::string_view id, std::string_view ip, std::string_view more = "")
{
    return R"({"id":")" + std::string{id} + R"(","hostname":"h-)" + std::string{id} + R"(","pid":"slave(1)@)"
           + std::string{ip} + R"(:5051")" + std::string{more} + "}";
}

/// A leader whose answers a test sets.
struct Leader {
    std::string agents;
    std::string recovered;
    std::string id = leader_id;
    int v1 = 200;
    int slaves = 200;

    HttpStub::Answer how()
    {
        return [this](const Asked& asked) {
            const auto list = R"({"id":")" + id
                              + R"(","pid":"master@10.0.0.9:5050","hostname":"m9","slaves":[)" + agents
                              + R"(],"recovered_slaves":[)" + recovered + "]}";
            if (asked.path == "/master/slaves") return answer(slaves, slaves == 200 ? list : "");
            if (asked.path == "/master/state") return answer(200, list);
            EXPECT_EQ(asked.path, "/master/api/v1");
            const auto master = R"({"get_master":{"master_info":{"id":")" + id
                                + R"(","pid":"master@10.0.0.9:5050","hostname":"m9"}}})";
            return answer(v1, v1 == 200 ? master : "Master has not finished recovery");
        };
    }
};

class MesosSources : public Sources {
protected:
    MesosSources() { options.mesos.timeout = 5s; }
    void follow(Leader& leader)
    {
        master = &stub(leader.how());
        options.mesos.masters.items = {master->url()};
        start();
        until([this] { return heard.rounds("mesos") > 0; });
    }
    HttpStub* master = nullptr;
};

TEST_F(MesosSources, TheLeaderNamesItsAgentsAndItself)
{
    Leader leader;
    leader.agents = agent("S0", "10.0.0.1") + ","
                    + agent("S1", "10.0.0.2", R"(,"attributes":{"public_ip":"true"})") + ","
                    + agent("S2", "10.0.0.3", R"(,"active":false)");
    follow(leader);
    EXPECT_EQ(heard.hosts("mesos"), "10.0.0.9 10.0.0.1 10.0.0.2 10.0.0.3")
        << "a disconnected agent is a member";
    const auto& list = heard.lists["mesos"];
    EXPECT_EQ(list[0], (FoundMember{"10.0.0.9", 0, "master", "", "m9", true}));
    EXPECT_EQ(list[1], (FoundMember{"10.0.0.1", 0, "agent", "S0", "h-s0", false}));
    EXPECT_EQ(list[2].role, "agent_public");
    EXPECT_EQ(heard.ids, std::vector<std::string>{leader_id});
    EXPECT_TRUE(heard.doubts.empty());
    const auto page = metrics.render();
    EXPECT_NE(page.find(R"(opsd_cluster_source_rounds_total{source="mesos",outcome="ok"} 1)"),
              std::string::npos)
        << page;
    EXPECT_NE(page.find(R"(opsd_cluster_source_members{source="mesos"} 4)"), std::string::npos);
}

TEST_F(MesosSources, ANewLeaderIsANewIdToldOnce)
{
    Leader leader;
    follow(leader);
    again("mesos", 20s);
    EXPECT_EQ(heard.ids.size(), 1U);
    leader.id = "other";
    again("mesos", 20s);
    EXPECT_EQ(heard.ids, (std::vector<std::string>{leader_id, "other"}));
}

TEST_F(MesosSources, AFailureOfAnyKindKeepsTheList)
{
    Leader leader;
    leader.agents = agent("S0", "10.0.0.1");
    options.mesos.max_body = config::Bytes{1U << 20U};
    options.mesos.timeout = 150ms;
    follow(leader);
    const auto before = heard.hosts("mesos");
    const std::string head = "HTTP/1.1 200 OK\r\n";
    const std::vector<Reply> faults{
        {"", Reply::Then::hang},
        {"", Reply::Then::reset},
        {"garbage\r\n\r\n"},
        {head + "Content-Length: 9\r\n\r\n{"},
        {answer(200, R"({"slaves":[]})").text, Reply::Then::drip},
        {head + "Content-Length: 1073741824\r\n\r\n"},
        {head + "\r\n" + std::string(65'536, ' '), Reply::Then::endless},
        redirect("/master/api/v1"),
        redirect("//127.0.0.1:1/master/api/v1"),
        redirect("//127.0.0.1:1/elsewhere"),
        answer(503, "No leader elected"),
        answer(401, ""),
        answer(200, "{}"),
    };
    for (const auto& fault : faults) {
        master->how = [fault](const Asked&) { return fault; };
        const auto failures = heard.failed_calls["mesos"];
        const auto lists = heard.found_calls["mesos"];
        again("mesos", 70s);
        EXPECT_GT(heard.failed_calls["mesos"], failures) << fault.text.substr(0, 99);
        EXPECT_EQ(heard.found_calls["mesos"], lists) << fault.text.substr(0, 99);
        EXPECT_EQ(heard.hosts("mesos"), before);
    }
    master->how = leader.how();
    again("mesos", 70s);
    EXPECT_GT(heard.found_calls["mesos"], 1);
    EXPECT_TRUE(heard.doubts.empty());
    EXPECT_EQ(lines->lines.back(), "cluster: mesos names 2 members");
}

TEST_F(MesosSources, ALeaderThatHasNotReadItsRegistryRemovesNobody)
{
    Leader leader;
    leader.agents = agent("S0", "10.0.0.1");
    follow(leader);
    leader.agents.clear();
    leader.v1 = 503;
    again("mesos", 20s);
    EXPECT_EQ(heard.hosts("mesos"), "10.0.0.9 10.0.0.1");
    EXPECT_NE(heard.doubts["mesos"].find("Master has not finished recovery"), std::string::npos);
}

TEST_F(MesosSources, AgentsThatHaveNotComeBackKeepTheirAddress)
{
    Leader leader;
    leader.agents =
        agent("S0", "10.0.0.1") + "," + agent("S1", "10.0.0.2", R"(,"attributes":{"public_ip":"true"})");
    follow(leader);
    leader.agents = agent("S0", "10.0.0.1");
    leader.recovered = R"({"id":"S1","hostname":"h-S1"},{"id":"S2","hostname":"h-s2"})";
    again("mesos", 20s);
    EXPECT_EQ(heard.hosts("mesos"), "10.0.0.9 10.0.0.1 10.0.0.2 h-s2");
    EXPECT_EQ(heard.lists["mesos"][2].role, "agent_public");
    leader.recovered.clear();
    again("mesos", 20s);
    EXPECT_EQ(heard.hosts("mesos"), "10.0.0.9 10.0.0.1") << "gone by the leader's word";
}

/// The answer of a real master to /slaves, with two agents at one address: S1 and S0, which registered first.
struct Captured {
    nlohmann::json s1;
    nlohmann::json s0;
    Captured()
    {
        auto list = nlohmann::json::parse(fixture("master/slaves.json"))["slaves"];
        s1 = std::move(list[0]);
        s0 = std::move(list[1]);
    }
    /// As in recovered_slaves: what the registry has.
    static nlohmann::json recovered(nlohmann::json agent)
    {
        for (const auto* name : {"pid", "active", "deactivated", "registered_time", "version"})
            agent.erase(name);
        return agent;
    }
};

TEST_F(MesosSources, OfTwoIdsAtOneAddressTheActiveAgentWins)
{
    const Captured real;
    const auto s0 = real.s0.at("id").get<std::string>();
    const auto s1 = real.s1.at("id").get<std::string>();
    const auto inactive = [](nlohmann::json agent) {
        agent["active"] = false;
        agent["reregistered_time"] = 1795999999.5;
        return agent;
    };
    auto later = real.s0;
    later["registered_time"] = 1795365663.5;
    auto back = real.s0;
    back["reregistered_time"] = 1795365663.5;
    struct Row {
        std::string_view what;
        std::vector<nlohmann::json> agents;
        std::vector<nlohmann::json> recovered;
        std::string id;
    };
    const Row rows[] = {
        {"as it was: both active, S1 registered later", {real.s1, real.s0}, {}, s1},
        {"the other order", {real.s0, real.s1}, {}, s1},
        {"S1 has gone, the same agent is S0 now", {inactive(real.s1), real.s0}, {}, s0},
        {"S1 is in the registry only", {real.s0}, {Captured::recovered(real.s1)}, s0},
        {"an inactive one is more than a recovered one",
         {inactive(real.s0)},
         {Captured::recovered(real.s1)},
         s0},
        {"S0 registered later", {real.s1, later}, {}, s0},
        {"S0 registered again later", {real.s1, back}, {}, s0},
    };
    Leader leader;
    follow(leader);
    const auto joined = [](const std::vector<nlohmann::json>& agents) {
        std::string text;
        for (const auto& agent : agents)
            text += (text.empty() ? "" : ",") + agent.dump();
        return text;
    };
    for (const auto& row : rows) {
        leader.agents = joined(row.agents);
        leader.recovered = joined(row.recovered);
        again("mesos", 20s);
        const auto& list = heard.lists["mesos"];
        ASSERT_EQ(list.size(), 2U) << row.what;
        EXPECT_EQ(list[1].mesos_id, row.id) << row.what;
        EXPECT_EQ(list[1].host, "127.0.0.1") << row.what;
    }
}

TEST_F(MesosSources, AnAgentThatIsBackUnderANewIdIsNotNamedByItsNameToo)
{
    Leader leader;
    leader.agents = R"({"id":"S7","hostname":"h","pid":"slave(1)@10.0.0.1:5051","active":true})";
    leader.recovered = R"({"id":"S2","hostname":"h"})";
    follow(leader);
    EXPECT_EQ(heard.hosts("mesos"), "10.0.0.9 10.0.0.1");
}

TEST_F(MesosSources, AnOldMasterIsReadByItsState)
{
    Leader leader;
    leader.agents = agent("S0", "10.0.0.1");
    leader.v1 = 404;
    leader.slaves = 404;
    follow(leader);
    EXPECT_EQ(heard.hosts("mesos"), "10.0.0.9 10.0.0.1");
    EXPECT_EQ(heard.ids, std::vector<std::string>{leader_id});
    EXPECT_TRUE(heard.doubts.empty()) << heard.doubts["mesos"];
}

TEST_F(MesosSources, AgentsWithoutAnIdAreBetterThanNone)
{
    Leader leader;
    leader.agents = agent("S0", "10.0.0.1");
    leader.v1 = 403;
    follow(leader);
    EXPECT_EQ(heard.hosts("mesos"), "10.0.0.1");
    EXPECT_NE(heard.doubts["mesos"].find("/master/api/v1 answered 403"), std::string::npos)
        << heard.doubts["mesos"];
    EXPECT_TRUE(heard.ids.empty());
}

TEST_F(MesosSources, AfterAFailureItAsksBeforeItsIntervalIsOver)
{
    Leader leader;
    leader.v1 = 503;
    follow(leader);
    again("mesos", 1'101ms);
    again("mesos", 2'301ms);
    EXPECT_EQ(heard.failed_calls["mesos"], 3);
    leader.v1 = 200;
    again("mesos", 4'501ms);
    EXPECT_EQ(heard.found_calls["mesos"], 1);
    pass(12s);
    EXPECT_EQ(heard.rounds("mesos"), 4) << "and then keeps to it";
    const auto warnings = std::ranges::count_if(
        lines->lines, [](const std::string& line) { return line.contains("has not finished recovery"); });
    EXPECT_EQ(warnings, 1) << "the same failure is logged once";
}

class ZooKeeperSources : public MesosSources {
protected:
    ZooKeeperSources()
    {
        nodes = std::make_unique<FakeNodes>(io.get_executor());
        zookeeper = nodes.get();
        options.zookeeper.address.text = "zk://127.0.0.1:2181/mesos";
    }
    static mesos::ZooKeeperNode node(int number, std::string_view id, std::uint16_t port = 5050)
    {
        return {"json.info_000000000" + std::to_string(number),
                R"({"id":")" + std::string{id} + R"(","hostname":"host-)" + std::string{id}
                    + R"(","address":{"ip":"127.0.0.1","port":)" + std::to_string(port) + "}}"};
    }
    FakeNodes* zookeeper = nullptr;
};

TEST_F(ZooKeeperSources, TheMastersAndTheirLeader)
{
    zookeeper->nodes = {{node(8, "b"), {"json.info_0000000007", fixture("master/zk-json.info.json")}}};
    start();
    until([this] { return heard.rounds("zookeeper") > 0; });
    ASSERT_EQ(heard.lists["zookeeper"].size(), 2U);
    EXPECT_EQ(heard.lists["zookeeper"][0], (FoundMember{"127.0.0.1", 0, "master", "", "", true}));
    EXPECT_EQ(heard.lists["zookeeper"][1], (FoundMember{"127.0.0.1", 0, "master", "", "host-b", false}));
    EXPECT_EQ(heard.ids.front(), "6786e45c-8853-42f7-b3b6-fee298fdf70a");
}

TEST_F(ZooKeeperSources, OtherModulesAreToldOfTheSettingsAndOfWhomZooKeeperNames)
{
    zookeeper->nodes = {{node(7, "a"), node(8, "b")}};
    options.mesos.scheme = "https";
    options.mesos.masters.items = {"https://127.0.0.1:1"};
    options.mesos.max_redirects = 2;
    start();
    until([this] { return heard.rounds("zookeeper") > 0; });
    const auto known = mesos::MasterDirectory::of(io.get_executor()).masters().get();
    ASSERT_TRUE(known);
    EXPECT_TRUE(known->value.configured());
    EXPECT_EQ(known->value.how->urls, options.mesos.masters.items);
    EXPECT_EQ(known->value.how->max_hops, 2);
    EXPECT_EQ(known->value.scheme, "https");
    ASSERT_EQ(known->value.named.size(), 2U);
    EXPECT_EQ(known->value.named[0].id, "a");
}

TEST_F(ZooKeeperSources, AChangeIsSeenAtOnceAndAtMostOnceASecond)
{
    zookeeper->nodes = {{node(7, "a"), node(8, "b")}};
    start();
    pass(5s);
    EXPECT_EQ(zookeeper->reads, 1);
    zookeeper->change({{node(8, "b")}});
    io.poll();
    EXPECT_EQ(zookeeper->reads, 2);
    EXPECT_EQ(heard.hosts("zookeeper"), "127.0.0.1");
    EXPECT_EQ(heard.ids.back(), "b");
    for (int i = 0; i < 100; ++i) {
        zookeeper->change({{node(8, "b")}});
        io.poll();
    }
    EXPECT_EQ(zookeeper->reads, 2);
    pass(1s);
    zookeeper->change({{node(8, "b")}});
    io.poll();
    EXPECT_EQ(zookeeper->reads, 3);
}

TEST_F(ZooKeeperSources, NothingThereOrNothingReadableKeepsTheList)
{
    zookeeper->nodes = {{node(7, "a")}};
    start();
    until([this] { return heard.found_calls["zookeeper"] == 1; });
    const std::vector<Result<std::vector<mesos::ZooKeeperNode>>> faults{
        std::vector<mesos::ZooKeeperNode>{}, std::vector<mesos::ZooKeeperNode>{{"json.info_0000000001", "{"}},
        fail(Errc::unavailable, "cannot read / at ZooKeeper: the connection was lost")};
    for (const auto& fault : faults) {
        zookeeper->nodes = fault;
        again("zookeeper", 70s);
        EXPECT_EQ(heard.found_calls["zookeeper"], 1);
        EXPECT_TRUE(heard.doubts.contains("zookeeper"));
        EXPECT_EQ(heard.hosts("zookeeper"), "127.0.0.1");
    }
}

TEST_F(ZooKeeperSources, TheMastersFoundAreAskedForTheAgents)
{
    Leader leader;
    leader.agents = agent("S0", "10.0.0.1");
    zookeeper->nodes = std::vector<mesos::ZooKeeperNode>{};
    start();
    EXPECT_EQ(sources->names(), (std::vector<std::string>{"zookeeper", "mesos"}));
    until([this] { return heard.rounds("mesos") > 0; });
    EXPECT_NE(heard.doubts["mesos"].find("ZooKeeper has named none yet"), std::string::npos);
    auto& web = stub(leader.how());
    pass(1s);
    zookeeper->change({{node(7, "a", web.port())}});
    pass(5s);  // two failed rounds at most were before
    until([this] { return heard.found_calls["mesos"] > 0; });
    EXPECT_EQ(heard.hosts("mesos"), "10.0.0.9 10.0.0.1");
}

class ExhibitorSources : public Sources {
protected:
    void follow(HttpStub::Answer how)
    {
        exhibitor = &stub(std::move(how));
        options.exhibitor.url.text = exhibitor->url() + "/exhibitor/v1/cluster/status";
        start();
        until([this] { return heard.rounds("exhibitor") > 0; });
    }
    HttpStub* exhibitor = nullptr;
};

const std::string two_servers =
    R"([{"code":3,"description":"serving","hostname":"10.0.0.1","isLeader":true},)"
    R"({"code":1,"description":"down","hostname":"m2.example","isLeader":false}])";

TEST_F(ExhibitorSources, ItsServersAreTheMasters)
{
    follow([](const Asked& asked) {
        EXPECT_EQ(asked.path, "/exhibitor/v1/cluster/status");
        return answer(200, two_servers);
    });
    EXPECT_EQ(heard.lists["exhibitor"][0], (FoundMember{"10.0.0.1", 0, "master", "", "", false}))
        << "who leads ZooKeeper says nothing of who leads Mesos";
    EXPECT_EQ(heard.lists["exhibitor"][1], (FoundMember{"m2.example", 0, "master", "", "m2.example", false}))
        << "one that is down is a member";
    EXPECT_TRUE(heard.ids.empty());
}

TEST_F(ExhibitorSources, AFailureOfAnyKindKeepsTheList)
{
    options.exhibitor.timeout = 150ms;
    follow([](const Asked&) { return answer(200, two_servers); });
    const std::vector<Reply> faults{
        {"", Reply::Then::hang},
        {"", Reply::Then::reset},
        answer(200, "<html>"),
        answer(200, "[]"),
        answer(500, two_servers),
        redirect("http://127.0.0.1:1/"),
        {"HTTP/1.1 200 OK\r\n\r\n" + std::string(65'536, ' '), Reply::Then::endless},
    };
    for (const auto& fault : faults) {
        exhibitor->how = [fault](const Asked&) { return fault; };
        again("exhibitor", 70s);
        EXPECT_EQ(heard.found_calls["exhibitor"], 1) << fault.text.substr(0, 99);
        EXPECT_TRUE(heard.doubts.contains("exhibitor"));
        EXPECT_EQ(heard.hosts("exhibitor"), "10.0.0.1 m2.example");
    }
}

}  // namespace
}  // namespace opsd::cluster::test
