#include "modules/dcos/marathon.hpp"

#include "dcos_node.hpp"

namespace opsd::dcos::test {
namespace {

std::shared_ptr<Member> member(std::string address, std::string hostname, std::string role)
{
    auto one = std::make_shared<Member>();
    one->address = address;
    one->identity.ip = std::move(address);
    one->identity.hostname = std::move(hostname);
    one->identity.role = std::move(role);
    return one;
}

json addresses(const http::Response& response)
{
    EXPECT_EQ(response.status, 200U) << response.body;
    auto all = json::array();
    for (const auto& item : json::parse(response.body)) {
        EXPECT_EQ(item.size(), 2U);
        EXPECT_TRUE(item["host"].get<std::string>().ends_with(".mesos.")) << response.body;
        all.push_back(item["ip"]);
    }
    return all;
}

TEST(DcosNames, TheLeaderIsExactlyOneAndTheOthersAreWhoeverIsKnown)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub leader{executor, leader_with_agents(1)};
        DcosNode node{executor};
        node.know({leader.url()});
        co_await node.settle();
        Cluster cluster;
        cluster.members = {member("10.0.0.1", "m1.example", "master"), member("10.0.0.2", "m2", "master"),
                           member("10.0.0.9", "a1", "agent")};
        node.board.cluster.publish(std::move(cluster), node.clock.now());
        const auto name = [&](const char* host) {
            return node.get(std::string{"/mesos_dns/v1/hosts/"} + host);
        };
        const auto one = co_await name("leader.mesos");
        EXPECT_EQ(json::parse(one.body), (json::array({{{"host", "leader.mesos."}, {"ip", "127.0.0.1"}}})));
        const auto masters = co_await name("master.mesos");
        EXPECT_EQ(addresses(masters), (json{"127.0.0.1", "10.0.0.1", "10.0.0.2"}));
        for (const auto* agents_name : {"agent.mesos", "slave.mesos"}) {
            const auto agents = co_await name(agents_name);
            EXPECT_EQ(addresses(agents), (json::array({"127.0.0.1"})));
        }
        for (const auto* host : {"m1.mesos", "M1.mesos", "m1.mesos.", "m1.example.mesos"}) {
            const auto node_of = co_await name(host);
            EXPECT_EQ(addresses(node_of), (json::array({"10.0.0.1"}))) << host;
        }
        for (const auto* host : {"nobody.mesos", "leader", "example.com", ".mesos", "mesos"}) {
            const auto none = co_await name(host);
            EXPECT_EQ(none.status, 404U) << host;
            EXPECT_TRUE(detail(none).starts_with("cannot look up ")) << none.body;
        }
        co_await node.stop();
        co_await leader.stop();
    });
}

TEST(DcosNames, MastersThatTheClusterKnowsAreToldAlsoWhileMesosIsDown)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        DcosNode node{executor};
        node.know({"http://127.0.0.1:1"});
        co_await node.settle("degraded");
        Cluster cluster;
        cluster.members = {member("10.0.0.1", "m1", "master")};
        node.board.cluster.publish(std::move(cluster), node.clock.now());
        const auto masters = co_await node.get("/mesos_dns/v1/hosts/master.mesos");
        EXPECT_EQ(addresses(masters), (json::array({"10.0.0.1"})));
        const auto leader = co_await node.get("/mesos_dns/v1/hosts/leader.mesos");
        EXPECT_EQ(leader.status, 503U);
        co_await node.stop();
    });
}

TEST(DcosNames, PublicAddressesAreAnErrorSoThatTheCommandLineStaysHere)
{
    run([]() -> Task<> {
        DcosNode node{co_await asio::this_coro::executor};
        const auto nodes = co_await node.get("/net/v1/nodes");
        EXPECT_EQ(nodes.status, 501U);
        EXPECT_TRUE(detail(nodes).starts_with("cannot list the public addresses")) << nodes.body;
        co_await node.stop();
    });
}

// --- Marathon

std::string frameworks(const std::string& name, const std::string& webui, bool active = true)
{
    auto body = json::parse(fixture("operator-v1/master-get_frameworks.json"));
    auto& list = body["get_frameworks"]["frameworks"];
    auto one = list.at(0);
    one["framework_info"]["name"] = name;
    one["framework_info"]["webui_url"] = webui;
    one["active"] = active;
    list.push_back(one);
    return body.dump();
}

TEST(DcosMarathon, IsWhereItsActiveFrameworkSays)
{
    EXPECT_EQ(webui_of(frameworks("marathon", "http://10.0.0.1:8080/"), "marathon").value(),
              "http://10.0.0.1:8080");
    EXPECT_EQ(webui_of(frameworks("marathon", "https://m.example/x?y"), "marathon").value(),
              "https://m.example/x");
    const std::pair<std::string, const char*> none[]{
        {fixture("operator-v1/master-get_frameworks.json"), "no active framework \"marathon\""},
        {frameworks("marathon", "http://h:1", false), "no active framework"},
        {frameworks("marathon", ""), "does not say its webui_url"},
        {frameworks("marathon", "javascript:alert(1)"), "which is no address"},
        {frameworks("marathon", "http://u:p@h:1"), "which is no address"},
    };
    for (const auto& [body, part] : none) {
        const auto url = webui_of(body, "marathon");
        EXPECT_FALSE(url.has_value()) << part;
        if (url) continue;
        EXPECT_EQ(url.error().code, Errc::unavailable);
        EXPECT_TRUE(url.error().message.contains(part)) << url.error().message;
        EXPECT_TRUE(url.error().message.contains("set dcos.marathon.url")) << url.error().message;
    }
    EXPECT_EQ(webui_of("{}", "marathon").error().code, Errc::protocol);
    EXPECT_EQ(webui_of("<html>", "marathon").error().code, Errc::protocol);
}

TEST(DcosMarathon, ItsLeaderAndApplicationsAreItsOwnAnswersWithoutTheCallersCredentials)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub marathon{executor, [](const Asked& asked) {
                              if (asked.path == "/v2/leader")
                                  return answer(200, R"({"leader":"10.0.0.1:8080"})");
                              if (asked.path == "/v2/apps/nobody")
                                  return answer(404, R"({"message":"no app"})");
                              return answer(200, json{{"path", asked.path}}.dump());
                          }};
        HttpStub leader{executor, [&](const Asked& asked) {
                            if (asked.body == R"({"type":"GET_FRAMEWORKS"})")
                                return answer(200, frameworks("marathon", marathon.url()));
                            return answer(200, fixture("operator-v1/master-get_master.json"));
                        }};
        DcosNode node{executor};
        node.know({leader.url()});
        co_await node.settle();
        const auto who =
            co_await node.get("/service/marathon/v2/leader", {{"authorization", "token=secret"}});
        EXPECT_EQ(json::parse(who.body), (json{{"leader", "10.0.0.1:8080"}}));
        EXPECT_FALSE(marathon.asked.back().head.contains("secret"));
        const std::pair<const char*, const char*> paths[]{
            {"/v2/apps", "/v2/apps"},
            {"/v2/apps/hdfs", "/v2/apps/hdfs"},
            {"/v2/apps/group/sub/hdfs?embed=app.tasks&x=a b",
             "/v2/apps/group/sub/hdfs?embed=app.tasks&x=a%20b"},
            {"/v2/apps/a/b/c/d/e/f", "/v2/apps/a/b/c/d/e/f"},
        };
        for (const auto& [asked, passed] : paths) {
            const auto app = co_await node.get(std::string{"/service/marathon"} + asked);
            EXPECT_EQ(json::parse(app.body)["path"], passed);
        }
        const auto nobody = co_await node.get("/service/marathon/v2/apps/nobody");
        EXPECT_EQ(nobody.status, 404U);
        const auto name = co_await node.get("/mesos_dns/v1/hosts/marathon.mesos");
        EXPECT_EQ(addresses(name), (json::array({"127.0.0.1"})));
        EXPECT_EQ(std::ranges::count(leader.asked, std::string{R"({"type":"GET_FRAMEWORKS"})"}, &Asked::body),
                  1)
            << "where it is, is kept for a while";
        marathon.die();
        const auto dead = co_await node.get("/service/marathon/v2/leader");
        EXPECT_EQ(dead.status, 503U);
        EXPECT_FALSE(node.core->marathon) << "and looked for anew when it does not answer";
        co_await node.stop();
        co_await marathon.stop();
        co_await leader.stop();
    });
}

TEST(DcosMarathon, TheSettingsUrlNeedsNoMesosAndGetsCredentialsOnlyIfToldSo)
{
    for (const bool pass : {false, true}) {
        run([&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            HttpStub marathon{executor, [](const Asked&) { return answer(200, "{}"); }};
            DcosOptions options;
            options.marathon.url = marathon.url() + "/";
            options.marathon.pass_authorization = pass;
            DcosNode node{executor, options};
            const auto apps = co_await node.get("/service/marathon/v2/apps", {{"authorization", "token=t"}});
            EXPECT_EQ(apps.status, 200U) << apps.body;
            EXPECT_EQ(marathon.asked.back().has("Authorization: token=t"), pass);
            co_await node.stop();
            co_await marathon.stop();
        });
    }
}

}  // namespace
}  // namespace opsd::dcos::test
