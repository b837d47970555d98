// Questions that another node answers.

#include "modules/logs/caller.hpp"

#include "other_nodes.hpp"

namespace opsd::logs {
namespace {

using namespace test;

class LogsRelay : public LogsCluster {};

const std::string at_agent = "/system/v1/agent/a-S2/logs/v2/component";

TEST_F(LogsRelay, AnAgentsAnswerIsPassedOnAsItIs)
{
    auto there = script("10.0.0.2");
    there->headers = {{"content-type", "text/plain"},
                      {"content-length", "9"},
                      {"x-journal-lost", "7"},
                      {"server", "secret"},
                      {"content-disposition", "attachment"},
                      {"cache-control", "no-cache"}};
    there->pieces = {"message", " 1"};
    const auto response = ask(at_agent + "?skip=-60&filter=a:b%26c",
                              {{"accept", "application/json"}, {"user-agent", "dcos-cli/1"}});
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.type, "text/plain");
    EXPECT_EQ(response.body, "message 1");
    EXPECT_EQ(header(response, "X-Journal-Lost"), "7");
    EXPECT_EQ(header(response, "Content-Disposition"), "attachment");
    EXPECT_EQ(header(response, "server"), "(none)");
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(asked[0].address, "10.0.0.2");
    EXPECT_EQ(asked[0].request.url, "/system/v1/logs/v2/component?skip=-60&filter=a%3Ab%26c");
    EXPECT_EQ(asked[0].request.timeout, 5s) << "logs.nodes.answer_timeout";
    EXPECT_EQ(asked[0].header("Accept"), "application/json");
    EXPECT_EQ(asked[0].header("User-Agent"), "dcos-cli/1");
    EXPECT_EQ(asked[0].header("dcos-forwarded"), "true");
    EXPECT_EQ(last_request().object.get("node"), "10.0.0.2");
    EXPECT_EQ(metric("opsd_logs_passed_on_total"), 1);
    EXPECT_EQ(metric("opsd_logs_node_streams"), 0);
}

TEST_F(LogsRelay, NestedFilesOfATaskFindTheirWay)
{
    script("10.0.0.2")->status = 303;
    (void)ask("/system/v1/agent/a-S2/logs/v2/task/frameworks/f/executors/e/runs/c/logs/a%20b/x.txt/download");
    EXPECT_EQ(asked.at(0).request.url,
              "/system/v1/logs/v2/task/frameworks/f/executors/e/runs/c/logs/a%20b/x.txt/download");
}

TEST_F(LogsRelay, AStreamComesAsFastAsItIsTaken)
{
    auto there = script("10.0.0.2");
    there->ends = false;
    auto& client = listen(at_agent, {{"accept", "text/event-stream"}, {"last-event-id", "s=1"}});
    EXPECT_EQ(asked.at(0).header("Last-Event-ID"), "s=1");
    there->say("one ");
    settle();
    EXPECT_EQ(client.text, "one ");
    EXPECT_FALSE(client.whole);
    EXPECT_EQ(metric("opsd_logs_node_streams"), 1);
    client.blocked = true;
    for (int i = 0; i < 10; ++i)
        there->say("more ");
    settle();
    EXPECT_EQ(there->taken, 2) << "what the client does not take is not read";
    client.unblock();
    settle();
    EXPECT_EQ(there->taken, 11);
    there->ends = true;
    there->wake();
    settle();
    EXPECT_TRUE(client.ended);
    EXPECT_TRUE(client.whole) << "it ended there";
    EXPECT_EQ(metric("opsd_logs_node_streams"), 0);
}

TEST_F(LogsRelay, AStreamThatIsTornThereIsTornHere)
{
    auto there = script("10.0.0.2");
    there->pieces = {"one "};
    there->breaks = Error{Errc::unavailable, "cannot read the answer: the connection was closed"};
    auto& client = listen(at_agent);
    settle();
    EXPECT_EQ(client.text, "one ");
    EXPECT_TRUE(client.ended);
    EXPECT_FALSE(client.whole);
    EXPECT_EQ(metric("opsd_logs_unreached_total"), 1);
}

TEST_F(LogsRelay, AClientThatLeavesAndAModuleThatEndsEndTheStream)
{
    auto there = script("10.0.0.2");
    there->ends = false;
    auto& first = listen(at_agent);
    first.leave();
    settle();
    EXPECT_TRUE(first.ended);
    EXPECT_TRUE(there->waiting.empty()) << "the other node is let go";
    auto again = script("10.0.0.2");
    again->ends = false;
    auto& second = listen(at_agent);
    stop();
    EXPECT_TRUE(second.ended);
    EXPECT_FALSE(second.whole);
}

TEST_F(LogsRelay, ANodeThatStopsInTheMiddleHoldsNobodyForEver)
{
    const auto until_torn = [this](const std::string& target, const std::string& type) {
        auto there = script("10.0.0.2");
        there->headers = {{"content-type", type}};
        there->pieces = {"one "};
        there->ends = false;
        auto& client = listen(target);
        int seconds = 0;
        for (; !client.ended && seconds < 600; seconds += 5) {
            if (seconds == 30) there->say("more");
            advance(5s);
        }
        EXPECT_TRUE(!client.ended || !client.whole);
        client.leave();
        settle();
        return seconds - 30;
    };
    const std::string there = "/system/v1/agent/a-S2/logs/";
    EXPECT_EQ(until_torn(at_agent, "text/plain"), 120);
    EXPECT_EQ(until_torn(at_agent, "text/event-stream"), 45) << "three pings";
    EXPECT_EQ(until_torn(there + "v1/stream/", "text/plain"), 570) << "which may be silent for ever";
    EXPECT_EQ(until_torn("/api/v1/logs?node=10.0.0.2&follow&format=text", "text/plain"), 570);
    EXPECT_EQ(until_torn("/api/v1/logs?node=10.0.0.2&follow=false&format=text", "text/plain"), 120);
    EXPECT_EQ(metric("opsd_logs_node_streams"), 0);
    EXPECT_EQ(metric("opsd_logs_unreached_total"), 3);
}

TEST_F(LogsRelay, UnknownAgentsAreSaidAsDcosSaysThem)
{
    auto response = ask("/system/v1/agent/nobody-S9/logs/v2/component");
    EXPECT_EQ(response.status, 404U);
    EXPECT_EQ(response.body, "404 Not Found: agent `nobody-S9` unknown.");
    response = ask("/system/v1/agent/m-id/logs/v2/component");
    EXPECT_EQ(response.status, 404U) << "the id of the masters is no agent's";
    incomplete = "mesos has not named any member yet";
    publish();
    response = ask("/system/v1/agent/nobody-S9/logs/v2/component");
    EXPECT_EQ(response.status, 503U);
    EXPECT_EQ(response.body, "503 Service Unavailable: cache state is invalid");
    EXPECT_TRUE(asked.empty());
}

TEST_F(LogsRelay, ANodeThatDoesNotAnswerIsNamedInTime)
{
    script("10.0.0.2")->refuses = Error{Errc::unavailable, "cannot connect"};
    auto response = ask(at_agent);
    EXPECT_EQ(response.status, 503U);
    EXPECT_NE(response.body.find("10.0.0.2"), std::string::npos) << response.body;
    script("10.0.0.2")->refuses = Error{Errc::timeout, "cannot hear it"};
    EXPECT_EQ(ask(at_agent).status, 504U);
    script("10.0.0.2")->refuses = Error{Errc::denied, "cannot trust its certificate"};
    EXPECT_EQ(ask(at_agent).status, 503U) << "nothing that the caller may or may not do";
    script("10.0.0.2")->status = 401;
    response = ask(at_agent);
    EXPECT_EQ(response.status, 502U) << "our credentials, not the caller's";
    EXPECT_NE(response.body.find("cluster.token"), std::string::npos) << response.body;
    EXPECT_EQ(metric("opsd_logs_unreached_total"), 3);
}

TEST_F(LogsRelay, TheLeaderIsThisNodeOrAnother)
{
    journal.add_messages(3);
    EXPECT_EQ(numbers(get("/system/v1/leader/mesos/logs/v2/component?skip=-2")), "2,3") << "here, at once";
    EXPECT_EQ(ask("/system/v1/leader/mesos/logs/v9/nothing").status, 404U);
    EXPECT_TRUE(asked.empty());
    auto leader = *member("10.0.0.9", "master", "m-id");
    leader.leader = true;
    members = {member("10.0.0.1", "master", "m-id", true), std::make_shared<const Member>(leader)};
    publish();
    script("10.0.0.9")->status = 204;
    EXPECT_EQ(ask("/system/v1/leader/mesos/logs/v2/component/ssh.service").status, 204U);
    EXPECT_EQ(asked.at(0).request.url, "/system/v1/logs/v2/component/ssh.service");
    members.pop_back();
    publish();
    EXPECT_EQ(ask("/system/v1/leader/mesos/logs/v2/component").status, 503U) << "nobody is known to lead";
}

TEST_F(LogsRelay, AQuestionThatWasPassedOnIsNotPassedOnAgain)
{
    const auto response = ask(at_agent, {{"dcos-forwarded", "true"}});
    EXPECT_EQ(response.status, 503U);
    EXPECT_TRUE(asked.empty());
    journal.add_messages(1);
    EXPECT_EQ(ask("/system/v1/leader/mesos/logs/v2/component", {{"dcos-forwarded", "true"}}).status, 200U)
        << "what is here is answered";
}

Task<Result<std::string>> leads(std::string who, int& asked)
{
    ++asked;
    if (who.empty()) co_return fail(Errc::unavailable, "cannot ask who leads Marathon");
    co_return who;
}

TEST_F(LogsRelay, MarathonsLeaderIsAskedForAndKept)
{
    int questions = 0;
    std::string who = "10.0.0.3:8080";
    elsewhere.marathon_leader = [&] { return leads(who, questions); };
    const std::string target = "/system/v1/leader/marathon/logs/v2/component/dcos-marathon.service";
    script("10.0.0.3")->status = 204;
    EXPECT_EQ(ask(target).status, 204U);
    EXPECT_EQ(asked.at(0).address, "10.0.0.3");
    script("10.0.0.3")->status = 204;
    EXPECT_EQ(ask(target).status, 204U);
    EXPECT_EQ(questions, 1);
    advance(25s);
    who = "host-10.0.0.2:8080";
    script("10.0.0.2")->status = 204;
    EXPECT_EQ(ask(target).status, 204U);
    EXPECT_EQ(questions, 2);
    EXPECT_EQ(asked.back().address, "10.0.0.2") << "by its name";
    advance(25s);
    who = "10.0.0.77:8080";
    EXPECT_EQ(ask(target).status, 503U) << "no node of the cluster";
    advance(25s);
    who.clear();
    EXPECT_EQ(ask(target).status, 503U);
}

TEST_F(LogsRelay, NoMoreThanTheLimitAreUnderWay)
{
    options.nodes.streams = 1;
    auto there = script("10.0.0.2");
    there->ends = false;
    auto& client = listen(at_agent);
    EXPECT_EQ(ask(at_agent).status, 503U);
    EXPECT_EQ(metric("opsd_logs_node_streams_refused_total"), 1);
    client.leave();
    settle();
    script("10.0.0.2")->status = 204;
    EXPECT_EQ(ask(at_agent).status, 204U);
}

TEST_F(LogsRelay, OneNodeOfOurOwnRouteIsAskedForAllItsFormats)
{
    script("10.0.0.3")->headers = {{"content-type", "application/vnd.fdo.journal"}, {"content-length", "0"}};
    const auto response = ask("/api/v1/logs?node=host-10.0.0.3&format=export&unit=ssh");
    EXPECT_EQ(response.type, "application/vnd.fdo.journal");
    EXPECT_EQ(asked.at(0).request.url, "/api/v1/logs?format=export&unit=ssh");
    journal.add_messages(1);
    EXPECT_EQ(numbers(get("/api/v1/logs?node=10.0.0.1&format=text")), "1") << "itself";
    EXPECT_EQ(numbers(get("/api/v1/logs?node=leader&format=text")), "1");
    EXPECT_EQ(ask("/api/v1/logs?node=none").status, 404U);
    EXPECT_EQ(asked.size(), 1U);
}

// --- whose question it is

http::Request request_with(Headers headers, http::Role role = http::Role::operator_)
{
    http::Request request;
    request.caller.role = role;
    for (auto& [name, value] : headers)
        request.headers.add(name, value);
    return request;
}

TEST(LogsCaller, APassedOnRoleCanOnlyTakeAway)
{
    using http::Role;
    EXPECT_EQ(role_of(request_with({})), Role::operator_);
    EXPECT_EQ(role_of(request_with({{"x-opsd-role", "viewer"}})), Role::viewer);
    EXPECT_EQ(role_of(request_with({{"x-opsd-role", "admin"}})), Role::operator_);
    EXPECT_EQ(role_of(request_with({{"x-opsd-role", "emperor"}})), Role::none);
    const auto next = forwarded(request_with({{"x-opsd-role", "viewer"}}), "/x");
    const AskedNode asked{"", next};
    EXPECT_EQ(asked.header("x-opsd-role"), "viewer");
    EXPECT_EQ(asked.header("User-Agent"), "dcos-cli/unnamed") << "as the DC/OS command line that follows";
}

TEST(LogsCaller, MesosIsShownTheCallersOwnAuthorization)
{
    EXPECT_EQ(authorization_for_mesos(request_with({{"authorization", "token=abc"}})), "token=abc");
    EXPECT_EQ(authorization_for_mesos(request_with({{"authorization", "Bearer opsd_1_2"}})), "")
        << "a token of opsd is nothing to Mesos";
    EXPECT_EQ(authorization_for_mesos(request_with(
                  {{"authorization", "Bearer opsd_1_2"}, {"x-opsd-mesos-authorization", "Basic abc"}})),
              "Basic abc")
        << "who needs both shows both";
    EXPECT_EQ(authorization_for_mesos(request_with({{"authorization", "Bearer opsd-of-the-cluster"},
                                                    {"dcos-forwarded", "true"},
                                                    {"x-opsd-mesos-authorization", "token=abc"}})),
              "token=abc");
    EXPECT_EQ(authorization_for_mesos(
                  request_with({{"authorization", "Bearer of-the-node"}, {"dcos-forwarded", "true"}})),
              "");
    const AskedNode asked{"", forwarded(request_with({{"authorization", "token=abc"}}), "/x")};
    EXPECT_EQ(asked.header("x-opsd-mesos-authorization"), "token=abc");
    EXPECT_EQ(asked.header("Authorization"), "(none)") << "that is this node's to add";
}

TEST_F(LogsRelay, ARoleThatAnotherNodePassesOnCannotReadMore)
{
    options.allow = {{.role = "viewer", .units = {"a.service"}}};
    journal.add_messages(1, "a.service");
    journal.add_messages(1, "b.service");
    EXPECT_EQ(numbers(get("/api/v1/logs?format=text")), "1,2");
    EXPECT_EQ(numbers(get("/api/v1/logs?format=text", {{"x-opsd-role", "viewer"}})), "1");
}

}  // namespace
}  // namespace opsd::logs
