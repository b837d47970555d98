// Answers of several nodes: merged by time, followed, and honest about who is missing.

#include "modules/logs/node_lines.hpp"
#include "modules/logs/nodes.hpp"

#include "many_nodes.hpp"

namespace opsd::logs {
namespace {

using namespace test;
using nlohmann::json;

TEST_F(LogsMany, AllNodesAreAskedAndTheirEntriesMergedByTime)
{
    journal.add_messages(6);  // at 1 to 6 s, here
    past("10.0.0.2", {2, 4});
    past("10.0.0.3", {3, 5, 9});
    const auto response = ask(all + "&format=ndjson&unit=a&since=@0");
    EXPECT_EQ(response.type, "application/x-ndjson");
    EXPECT_EQ(header(response, "X-Opsd-Missing"), "(none)");
    const auto& client = open(http::Response{response});
    EXPECT_EQ(numbers(client.text), "1,2,2,3,3,4,4,5,5,6,9");
    EXPECT_TRUE(client.ended && client.whole);
    const auto first = json::parse(client.text.substr(0, client.text.find('\n')));
    EXPECT_EQ(first["node"], "10.0.0.1");
    EXPECT_EQ(asked_of("10.0.0.2"), "/api/v1/logs?unit=a&since=%400&format=json");
    EXPECT_EQ(asked[0].header("dcos-forwarded"), "true");
    EXPECT_EQ(metric("opsd_logs_node_streams"), 0);
}

TEST_F(LogsMany, TheNewestLinesAreThoseOfAllTogether)
{
    journal.add_messages(6);
    past("10.0.0.2", {2, 4});
    past("10.0.0.3", {3, 5, 9});
    const auto text = get(all + "&format=json&lines=3");
    EXPECT_EQ(numbers(text), "5,6,9");
    const auto answer = json::parse(text);
    EXPECT_EQ(answer["entries"].size(), 3U);
    EXPECT_EQ(answer["missing"].size(), 0U);
    EXPECT_TRUE(answer["cursor"].get<std::string>().starts_with("@10.0.0.1~s="));
    EXPECT_EQ(asked_of("10.0.0.3"), "/api/v1/logs?lines=3&format=json");
    EXPECT_EQ(ask(all + "&lines=10001").status, 400U);
    EXPECT_EQ(ask(all + "&format=export").status, 400U);
}

TEST_F(LogsMany, TextIsAsOneNodeWritesIt)
{
    past("10.0.0.2", {2});
    past("10.0.0.3", {});
    EXPECT_EQ(get("/api/v1/logs?node=10.0.0.2,10.0.0.3&format=text"),
              "1970-01-01T00:00:02.000Z h - info: message 2\n");
}

TEST_F(LogsMany, ANodeThatDoesNotAnswerIsNamedAndDelaysTheOthersByItsDeadlineAtMost)
{
    journal.add_messages(1);
    past("10.0.0.2", {2});
    script("10.0.0.3")->refuses = Error{Errc::timeout, "cannot hear it"};
    auto response = ask(all + "&format=ndjson");
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(header(response, "X-Opsd-Missing"), "10.0.0.3");
    auto& client = open(std::move(response));
    EXPECT_EQ(numbers(client.text), "1,2");
    EXPECT_TRUE(client.text.contains("{\"missing\":{\"node\":\"10.0.0.3\",\"reason\":\"cannot hear it\"}}\n"))
        << client.text;
    EXPECT_TRUE(client.ended && client.whole);

    past("10.0.0.2", {2});
    script("10.0.0.3")->status = 403;
    const auto answer = json::parse(get(all + "&format=json"));
    EXPECT_EQ(answer["entries"].size(), 2U);
    EXPECT_EQ(answer["missing"][0]["node"], "10.0.0.3");
    EXPECT_EQ(answer["missing"][0]["reason"], "cannot read its log: it answered 403");

    past("10.0.0.2", {2});
    past("10.0.0.3", {3});
    incomplete = "mesos has not named any member yet";
    publish();
    response = ask(all + "&format=text");
    EXPECT_EQ(header(response, "X-Opsd-Missing"), "others");
    EXPECT_TRUE(open(std::move(response)).text.contains("-- others is missing: mesos has not"));
}

TEST_F(LogsMany, WhenNobodyAnswersThatIsSaid)
{
    const auto response = ask("/api/v1/logs?node=10.0.0.2,10.0.0.3");
    EXPECT_EQ(response.status, 502U);
    EXPECT_NE(response.body.find("10.0.0.2: cannot connect"), std::string::npos) << response.body;
}

TEST_F(LogsMany, ANodeThatIsTornOrStopsIsNamedAndTheOthersGoOn)
{
    journal.add_messages(4);
    auto torn = script("10.0.0.2");
    torn->pieces = {"{\"entries\":[\n" + line(2) + ",\n" + line(3) + ",\n{\"fie"};
    torn->breaks = Error{Errc::unavailable, "cannot read on: torn"};
    auto stuck = follow("10.0.0.3");
    stuck->pieces = {"{\"entries\":[\n" + line(1) + ",\n"};
    auto response = ask(all + "&format=ndjson&since=@0");
    auto& client = open(std::move(response));
    EXPECT_FALSE(client.ended);
    advance(5s);
    EXPECT_TRUE(client.ended && client.whole);
    EXPECT_EQ(numbers(client.text), "1,1,2,2,3,3,4") << client.text;
    EXPECT_EQ(client.count("\"missing\""), 2);
    EXPECT_EQ(client.count("nothing came for 5000 ms"), 1);
    EXPECT_EQ(metric("opsd_logs_unreached_total"), 3) << "it was asked again";
}

TEST_F(LogsMany, ANodeThatIsCutOffWhileItWaitsIsAskedAgainFromItsPlace)
{
    const auto torn = Error{Errc::unavailable, "cannot read on: torn"};
    auto first = script("10.0.0.2");
    first->pieces = {"{\"entries\":[\n" + line(2) + ",\n" + line(3) + ",\n{\"fie"};
    first->breaks = torn;
    auto second = script("10.0.0.2");
    second->pieces = {"{\"entries\":[\n" + line(5) + "\n"};
    second->breaks = torn;
    auto third = past("10.0.0.2", {8});
    third->headers.emplace_back("x-journal-lost", "2");
    past("10.0.0.3", {1, 4, 6});
    const auto& client = listen("/api/v1/logs?node=agents&format=ndjson&since=@0");
    EXPECT_TRUE(client.ended && client.whole);
    EXPECT_EQ(numbers(client.text), "1,2,3,4,5,6,8") << client.text;
    EXPECT_EQ(client.count("missing"), 0);
    EXPECT_EQ(client.count("\"lost\":2"), 1);
    EXPECT_TRUE(asked_of("10.0.0.2", 1).starts_with("/api/v1/logs?format=json&cursor=s%3Da"))
        << asked_of("10.0.0.2", 1);
    EXPECT_TRUE(asked_of("10.0.0.2", 1).contains("%3Bi%3D3%3B"));
    EXPECT_TRUE(asked_of("10.0.0.2", 2).contains("%3Bi%3D5%3B"));

    // Without getting on it is asked once more only.
    for (int i = 0; i < 3; ++i)
        script("10.0.0.2")->breaks = torn;
    past("10.0.0.3", {1});
    const auto& again = listen("/api/v1/logs?node=agents&format=ndjson&since=@0");
    EXPECT_TRUE(again.ended && again.whole);
    EXPECT_EQ(again.count("\"missing\":{\"node\":\"10.0.0.2\",\"reason\":\"cannot read on: torn\"}"), 1);
    EXPECT_EQ(scripts["10.0.0.2"].size(), 1U);
}

TEST_F(LogsMany, ANodeThatShowsThatItLooksForEntriesIsWaitedFor)
{
    auto slow = follow("10.0.0.2");
    slow->pieces = {"{\"entries\":[\n" + line(2)};
    past("10.0.0.3", {3});
    const auto& client = listen("/api/v1/logs?node=agents&format=ndjson&since=@0");
    for (int i = 0; i < 5; ++i) {
        advance(4s);
        slow->say("\n");
        settle();
        EXPECT_EQ(numbers(client.text), "2") << "as soon as its line ends";
    }
    slow->ends = true;
    slow->say(",\n" + line(4) + "\n],\"cursor\":\"" + cursor_at(4) + "\"}\n");
    settle();
    EXPECT_EQ(numbers(client.text), "2,3,4");
    EXPECT_TRUE(client.ended && client.whole);
    EXPECT_EQ(client.count("missing"), 0);
}

TEST_F(LogsMany, WhatIsNoAnswerOfOpsdIsNotTakenForOne)
{
    for (const auto* text : {"<html>\n", "{\"a\":1}\n", "[]\n", "{}\n",
                             "{\"fields\":{},\"cursor\":\"a,b\",\"realtime_timestamp\":1}\n",
                             "{\"fields\":{},\"cursor\":\"s=1\",\"realtime_timestamp\":\"x\"}\n"}) {
        std::deque<NodeLine> lines;
        NodeLineCutter cutter;
        EXPECT_FALSE(cutter.feed(text, {}, lines)) << text;
        EXPECT_TRUE(lines.empty());
    }
    std::deque<NodeLine> lines;
    NodeLineCutter cutter;
    const std::string endless(longest_line, 'x');
    EXPECT_TRUE(cutter.feed(endless, {}, lines));
    EXPECT_FALSE(cutter.feed("x", {}, lines)) << "no line is that long";
}

TEST(LogsNodeLines, AreCutFromAnyPieces)
{
    const auto text = document({1, 2, 3});
    for (std::size_t size = 1; size < 40; size += 6) {
        std::deque<NodeLine> lines;
        NodeLineCutter cutter;
        for (std::size_t at = 0; at < text.size(); at += size)
            EXPECT_TRUE(cutter.feed(std::string_view{text}.substr(at, size), {}, lines));
        ASSERT_EQ(lines.size(), 3U) << size;
        EXPECT_EQ(lines[1].json, line(2));
        EXPECT_EQ(lines[1].time, 2'000'000);
        EXPECT_EQ(lines[2].cursor, cursor_at(3));
        EXPECT_TRUE(cutter.complete());
        EXPECT_EQ(cutter.position(), cursor_at(77));
    }
}

TEST(LogsNodeLines, PlacesComeBackAsTheyWent)
{
    const Places places{{"10.0.0.2", cursor_at(7)}, {"[fd00::1]:1051", cursor_at(9)}};
    const auto text = write_places(places);
    EXPECT_EQ(parse_places("cursor", text, 2).value_or(Places{}), places);
    EXPECT_EQ(newest_of(places), 9'000'000);
    EXPECT_FALSE(parse_places("cursor", text, 1)) << "more than may be asked";
    for (const auto* wrong : {"", "@a", "@~x", "@a~x", "s=1", "@10.0.0.2~", "@,"})
        EXPECT_FALSE(parse_places("cursor", wrong, 9)) << wrong;
    EXPECT_EQ(newest_of({}), std::nullopt);
}

// --- who is meant

TEST(LogsNodes, AreChosenByWhatNamesThem)
{
    Cluster cluster;
    auto leader = *member("10.0.0.9", "master", "m");
    leader.leader = true;
    cluster.members = {member("10.0.0.1", "master", "m", true), member("10.0.0.2", "agent", "S2"),
                       member("10.0.0.3", "agent_public", "S3"), std::make_shared<const Member>(leader)};
    cluster.incomplete = "mesos has not named any member yet";
    const auto chosen = [&](const std::vector<std::string_view>& names, std::size_t most = 9) {
        const auto found = choose_nodes(&cluster, names, most);
        if (!found) return found.error().message;
        std::string addresses;
        for (const auto& node : found->nodes)
            addresses += node->address.substr(7) + (node->self ? "!" : " ");
        return addresses + found->incomplete.substr(0, 5);
    };
    EXPECT_EQ(chosen({"all"}), "1!2 3 9 mesos");
    EXPECT_EQ(chosen({"agents"}), "2 3 mesos");
    EXPECT_EQ(chosen({"masters"}), "1!9 mesos");
    EXPECT_EQ(chosen({"leader"}), "9 ");
    EXPECT_EQ(chosen({"10.0.0.3", "host-10.0.0.2,S3"}), "2 3 ") << "each once";
    EXPECT_TRUE(chosen({"nobody"}).starts_with("cannot find the node \"nobody\""));
    EXPECT_TRUE(chosen({"all"}, 3).starts_with("cannot ask 4 nodes at once: at most 3 (logs.nodes.most)"));
    EXPECT_TRUE(chosen({""}).starts_with("cannot ask nodes: node= names none"));
    EXPECT_FALSE(choose_nodes(nullptr, {"all"}, 3));
    EXPECT_EQ(agent_of(cluster, "S3")->address, "10.0.0.3");
    EXPECT_EQ(agent_of(cluster, "m"), nullptr) << "every master has it";
    EXPECT_EQ(agent_of(cluster, ""), nullptr);
}

}  // namespace
}  // namespace opsd::logs
