#include "io/mesos/documents.hpp"
#include "io/mesos/json_walk.hpp"

#include "unit/mesos/stub.hpp"

namespace opsd::mesos {
namespace {

using test::fixture;

/// A list with one agent of these fields, besides its id.
std::string one_agent(std::string_view fields)
{
    return R"({"slaves":[{"id":"a-S0")" + std::string{fields} + "}]}";
}

std::string why(const auto& result)
{
    EXPECT_FALSE(result.has_value());
    if (result) return {};
    EXPECT_EQ(result.error().code, Errc::protocol);
    EXPECT_TRUE(result.error().message.starts_with("cannot read ")) << result.error().message;
    return result.error().message;
}

TEST(JsonWalk, TellsEverythingWithItsPath)
{
    std::string seen;
    const auto done =
        walk_json(R"({"a":[1,{"b":"x","c.d":null}],"e":{},"":true})", "it",
                  [&seen](const JsonEvent& event) -> Result<> {
                      seen += std::to_string(static_cast<int>(event.kind)) + std::string{event.path} + " ";
                      return {};
                  });
    EXPECT_TRUE(done.has_value());
    EXPECT_EQ(seen, "0 2a 5a[] 0a[] 4a[].b 7a[].? 1a[] 3a 0e 1e 6? 1 ");
}

TEST(JsonWalk, SaysWhatIsWrong)
{
    const auto say = [](std::string_view text) {
        return why(walk_json(text, "it", [](const JsonEvent&) -> Result<> { return {}; }));
    };
    EXPECT_EQ(say(""), "cannot read it: it is empty");
    EXPECT_EQ(say(" \r\n"), "cannot read it: it is empty");
    EXPECT_EQ(say("{\"a\":1"), "cannot read it: it ends in the middle");
    EXPECT_EQ(say("{\"a\":\"x"), "cannot read it: it ends in the middle");
    EXPECT_EQ(say("<html>"), "cannot read it: it is not JSON (byte 1 of 6)");
    EXPECT_EQ(say("{} x"), "cannot read it: it is not JSON (byte 4 of 4)");
    EXPECT_EQ(say("{\"a\":\"\xff\"}").substr(0, 31), "cannot read it: it is not JSON ");
    EXPECT_EQ(say(std::string(65, '[')), "cannot read it: it nests deeper than 64 levels");
    EXPECT_EQ(say(std::string(1'000'000, '[')), "cannot read it: it nests deeper than 64 levels");
    EXPECT_EQ(say("1e999").substr(0, 31), "cannot read it: it is not JSON ");
}

TEST(MesosDocuments, SlavesOfARealMaster)
{
    const auto list = parse_slaves(fixture("master/slaves.json")).value();
    ASSERT_EQ(list.agents.size(), 2U);
    EXPECT_EQ(list.agents[0].id, "54836ef5-80d6-4178-83cc-76db9ff61daf-S1");
    EXPECT_EQ(list.agents[0].address, "127.0.0.1");
    EXPECT_EQ(list.agents[0].port, 5051);
    EXPECT_EQ(list.agents[0].hostname, "127.0.0.1");
    EXPECT_TRUE(list.agents[0].active);
    EXPECT_DOUBLE_EQ(list.agents[0].registered, 1795365662.395939);
    EXPECT_FALSE(list.agents[0].public_ip);
    EXPECT_EQ(list.agents[1].port, 5052);
    EXPECT_TRUE(list.recovered.empty());
    EXPECT_EQ(parse_slaves(fixture("master/slaves-agent-unreachable.json"))->agents.size(), 1U);
}

TEST(MesosDocuments, StateOfARealMaster)
{
    const auto state = parse_state(fixture("master/state.json")).value();
    EXPECT_EQ(state.id, "54836ef5-80d6-4178-83cc-76db9ff61daf");
    EXPECT_EQ(state.cluster, "testbed");
    EXPECT_EQ(state.leader.address, "127.0.0.1");
    EXPECT_EQ(state.leader.port, 5050);
    EXPECT_TRUE(state.leader.leader);
    EXPECT_EQ(state.agents.agents.size(), 2U);
}

TEST(MesosDocuments, MasterInfoByTwoWays)
{
    const auto asked = parse_get_master(fixture("operator-v1/master-get_master.json")).value();
    EXPECT_EQ(asked.id, "54836ef5-80d6-4178-83cc-76db9ff61daf");
    EXPECT_EQ(asked.address, "127.0.0.1");
    EXPECT_EQ(asked.port, 5050);
    EXPECT_TRUE(asked.leader);
    const auto node = parse_master_info(fixture("master/zk-json.info.json")).value();
    EXPECT_EQ(node.id, "6786e45c-8853-42f7-b3b6-fee298fdf70a");
    EXPECT_EQ(node.address, "127.0.0.1");
    EXPECT_EQ(node.port, 5050);
    EXPECT_FALSE(node.leader) << "the document does not say";
    const auto old =
        parse_master_info(R"({"id":"m","pid":"master@[fd00::5]:5055","hostname":"M5.example"})").value();
    EXPECT_EQ(old.address, "fd00::5");
    EXPECT_EQ(old.port, 5055);
    EXPECT_EQ(old.hostname, "m5.example");
}

TEST(MesosDocuments, AMasterWithoutIdOrAddressIsNone)
{
    EXPECT_EQ(why(parse_master_info(R"({"hostname":"a"})")),
              "cannot read the master's entry in ZooKeeper: the master has no usable id");
    EXPECT_EQ(why(parse_master_info(R"({"id":"m","hostname":"a b","address":{"ip":"x"},"pid":"y"})")),
              "cannot read the master's entry in ZooKeeper: the master has neither a usable address nor a "
              "hostname");
    EXPECT_EQ(why(parse_get_master(R"({"type":"GET_MASTER","get_master":{}})")),
              "cannot read the answer to GET_MASTER: the master has no usable id");
    why(parse_get_master("[]"));
    why(parse_master_info("\"m\""));
}

TEST(MesosDocuments, PublicAgentsAreThoseWithTheAttributeOfDcos)
{
    const auto is_public = [](std::string_view attributes) {
        return parse_slaves(one_agent(R"(,"hostname":"a","attributes":)" + std::string{attributes}))
            .value()
            .agents[0]
            .public_ip;
    };
    for (const auto* yes : {R"({"public_ip":"true"})", R"({"public_ip":"TRUE"})", R"({"public_ip":"yes"})",
                            R"({"public_ip":1.0})", R"({"public_ip":true})", R"({"x":"y","public_ip":"1"})"})
        EXPECT_TRUE(is_public(yes)) << yes;
    for (const auto* no : {"{}", R"({"public_ip":"false"})", R"({"public_ip":"0"})", R"({"public_ip":""})",
                           R"({"public_ip":0})", R"({"public_ip":null})", R"({"x.public_ip":"true"})",
                           R"({"public_ip":{"a":"true"}})", R"({"public_ip":"truely and more"})", "[]", "7"})
        EXPECT_FALSE(is_public(no)) << no;
}

TEST(MesosDocuments, AnAgentIsFoundByItsPidOrElseItsHostname)
{
    const auto agent = [](std::string_view fields) {
        return parse_slaves(one_agent(fields)).value().agents[0];
    };
    EXPECT_EQ(agent(R"(,"pid":"slave(1)@[fd00::7]:5051","hostname":"n7")").address, "fd00::7");
    EXPECT_EQ(agent(R"(,"pid":"slave(1)@[fd00::7]:5051","hostname":"n7")").hostname, "n7");
    EXPECT_EQ(agent(R"(,"pid":"nonsense","hostname":"n7","port":5052)").address, "");
    EXPECT_EQ(agent(R"(,"pid":"nonsense","hostname":"n7","port":5052)").port, 5052);
    EXPECT_EQ(agent(R"(,"pid":"slave(1)@10.0.0.1:5051","hostname":"a/../b")").hostname, "")
        << "what is no host must not get into a URL";
    EXPECT_EQ(why(parse_slaves(one_agent(""))),
              "cannot read the answer to /slaves: slaves[0] (a-S0) has neither a usable pid nor a hostname");
    EXPECT_FALSE(agent(R"(,"hostname":"n7","active":false)").active) << "disconnected, still a member";
}

TEST(MesosDocuments, RecoveredAgentsAreTold)
{
    const auto list = parse_slaves(
        R"({"slaves":[],"recovered_slaves":[{"id":"a-S0","hostname":"n1","port":5051,"attributes":{"public_ip":"true"}}]})");
    ASSERT_EQ(list->recovered.size(), 1U);
    EXPECT_EQ(list->recovered[0].hostname, "n1");
    EXPECT_TRUE(list->recovered[0].public_ip);
}

TEST(MesosDocuments, HalfAListIsNoList)
{
    EXPECT_EQ(why(parse_slaves("{}")),
              "cannot read the answer to /slaves: it has no list of slaves; is this a Mesos master?");
    EXPECT_EQ(why(parse_slaves("[]")),
              "cannot read the answer to /slaves: it has no list of slaves; is this a Mesos master?");
    EXPECT_EQ(why(parse_slaves(R"({"slaves":{}})")), "cannot read the answer to /slaves: slaves is no list");
    EXPECT_EQ(why(parse_slaves(R"({"slaves":null})")),
              "cannot read the answer to /slaves: slaves is no list");
    EXPECT_EQ(why(parse_slaves(R"({"slaves":[],"slaves":[]})")),
              "cannot read the answer to /slaves: it has slaves twice");
    EXPECT_EQ(why(parse_slaves(R"({"slaves":[7]})")),
              "cannot read the answer to /slaves: slaves[0] is no object");
    EXPECT_EQ(why(parse_slaves(R"({"slaves":[[]]})")),
              "cannot read the answer to /slaves: slaves[0] is no object");
    EXPECT_EQ(why(parse_slaves(R"({"slaves":[{"hostname":"a"}]})")),
              "cannot read the answer to /slaves: slaves[0] has no usable id");
    EXPECT_EQ(why(parse_slaves(R"({"slaves":[{"id":"a b","hostname":"a"}]})")),
              "cannot read the answer to /slaves: slaves[0] has no usable id");
    const auto whole = fixture("master/slaves.json");
    for (std::size_t size = 0; size + 1 < whole.size(); size += 37)
        why(parse_slaves(whole.substr(0, size)));
}

TEST(MesosDocuments, MoreAgentsThanAllowedAreAnErrorNotAShorterList)
{
    const auto two =
        R"({"slaves":[{"id":"a","hostname":"a"}],"recovered_slaves":[{"id":"b","hostname":"b"}]})";
    EXPECT_TRUE(parse_slaves(two, 2).has_value());
    EXPECT_EQ(why(parse_slaves(two, 1)),
              "cannot read the answer to /slaves: it lists more agents than max_agents allows");
}

TEST(MesosDocuments, TheLowestNumberInZooKeeperLeads)
{
    const auto info = [](std::string_view id) {
        return R"({"id":")" + std::string{id} + R"(","hostname":"h"})";
    };
    const std::vector<ZooKeeperNode> nodes{
        {"json.info_0000000012", info("c")}, {"json.info_0000000009", info("b")},
        {"log_replicas", "not read"},        {"info_0000000001", "\x0a\x04 the old binary form"},
        {"json.info_", "not read"},          {"json.info_x", "not read"}};
    const auto masters = parse_master_nodes(nodes).value();
    ASSERT_EQ(masters.size(), 2U);
    EXPECT_EQ(masters[0].id, "b");
    EXPECT_TRUE(masters[0].leader);
    EXPECT_FALSE(masters[1].leader);
    EXPECT_TRUE(parse_master_nodes({})->empty());
    const std::vector<ZooKeeperNode> broken{{"json.info_0000000001", "{"}};
    EXPECT_EQ(why(parse_master_nodes(broken)),
              "cannot read the ZooKeeper node json.info_0000000001: it ends in the middle");
    const std::vector<ZooKeeperNode> many(most_masters + 1, {"json.info_0000000001", info("a")});
    why(parse_master_nodes(many));
}

TEST(MesosDocuments, ExhibitorSaysWhoServesAndWhoLeads)
{
    const auto servers =
        parse_exhibitor(
            R"([{"code":3,"description":"serving","hostname":"10.0.0.1","isLeader":true},)"
            R"({"code":1,"description":"down","hostname":"10.0.0.2","isLeader":false,"more":[{}]}])")
            .value();
    ASSERT_EQ(servers.size(), 2U);
    EXPECT_EQ(servers[0].hostname, "10.0.0.1");
    EXPECT_EQ(servers[0].code, 3);
    EXPECT_TRUE(servers[0].leader);
    EXPECT_EQ(servers[1].description, "down");
    EXPECT_FALSE(servers[1].leader);
    EXPECT_TRUE(parse_exhibitor("[]")->empty());
    for (const auto* bad : {"{}", "null", "[1]", "[[]]", "[{}]", R"([{"hostname":"a b"}])",
                            R"([{"hostname":7}])", R"([{"hostname":"a"})", "<html>"})
        why(parse_exhibitor(bad));
    std::string many = "[";
    for (std::size_t i = 0; i <= most_masters; ++i)
        many += (i == 0 ? "" : ",") + std::string{R"({"hostname":"a"})"};
    EXPECT_EQ(why(parse_exhibitor(many + "]")),
              "cannot read Exhibitor's cluster status: it lists more than 100 servers");
}

}  // namespace
}  // namespace opsd::mesos
