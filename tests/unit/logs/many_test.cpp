// Answers of several nodes: merged by time, followed, and honest about who is missing.

#include "modules/logs/node_lines.hpp"
#include "modules/logs/nodes.hpp"

#include "other_nodes.hpp"

namespace opsd::logs {
namespace {

using namespace test;
using nlohmann::json;

const std::string all = "/api/v1/logs?node=all";

/// A line as the node writes it; `at` in seconds.
std::string line(int at, const std::string& cursor = {})
{
    const auto number = std::to_string(at);
    return R"({"fields":{"MESSAGE":"message )" + number + R"(","_HOSTNAME":"h","PRIORITY":"6"},"cursor":")"
           + (cursor.empty() ? cursor_at(static_cast<std::uint64_t>(at)) : cursor)
           + R"(","monotonic_timestamp":1,"realtime_timestamp":)" + number + "000000}";
}

std::string document(const std::vector<int>& times, const std::string& cursor = cursor_at(77))
{
    std::string text = "{\"entries\":[";
    for (const auto at : times)
        text += (text.ends_with('[') ? "\n" : ",\n") + line(at);
    return text + "\n],\"cursor\":\"" + cursor + "\"}\n";
}

class LogsMany : public LogsCluster {
protected:
    /// The next answer of the node is a document with these.
    std::shared_ptr<Script> past(const std::string& address, const std::vector<int>& times)
    {
        auto one = script(address);
        one->pieces = {document(times)};
        return one;
    }
    std::shared_ptr<Script> follow(const std::string& address)
    {
        auto one = script(address);
        one->ends = false;
        return one;
    }
    [[nodiscard]] std::string asked_of(const std::string& address, std::size_t which = 0) const
    {
        for (const auto& one : asked)
            if (one.address == address && which-- == 0) return one.request.url;
        return "(nothing)";
    }
    /// The last id of what a client got.
    static std::string last_id(const std::string& text)
    {
        const auto at = text.rfind("id: ") + 4;
        return text.substr(at, text.find('\n', at) - at);
    }
};

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

// --- following

TEST_F(LogsMany, FollowingGoesOnWhereThePastEnded)
{
    journal.add_messages(3);
    past("10.0.0.2", {2});
    past("10.0.0.3", {});
    auto second = follow("10.0.0.2");
    auto third = follow("10.0.0.3");
    auto& client = listen(all + "&follow&format=sse&lines=3");
    settle();
    EXPECT_EQ(numbers(client.text), "2,2,3");
    EXPECT_EQ(asked_of("10.0.0.2", 0), "/api/v1/logs?lines=3&format=json");
    EXPECT_TRUE(asked_of("10.0.0.2", 1).starts_with("/api/v1/logs?follow=true&format=ndjson&cursor=s%3Daa"))
        << asked_of("10.0.0.2", 1);
    second->say(line(10) + "\n");
    settle();
    EXPECT_EQ(numbers(client.text), "2,2,3") << "an earlier one of another node may come";
    third->say(line(9) + "\n");
    settle();
    advance(300ms);
    EXPECT_EQ(numbers(client.text), "2,2,3,9,10");
    journal.add_messages(1);
    settle();
    advance(300ms);
    EXPECT_EQ(numbers(client.text), "2,2,3,9,10,4") << "later than logs.nodes.settle is late";
    EXPECT_FALSE(client.whole);
    client.leave();
    settle();
    EXPECT_TRUE(client.ended);
    EXPECT_TRUE(second->waiting.empty() && third->waiting.empty());
    EXPECT_EQ(journal.subscribers, 0);
}

TEST_F(LogsMany, TheIdCarriesThePlaceOfEveryNode)
{
    journal.add_messages(2);
    past("10.0.0.2", {2});
    past("10.0.0.3", {3});
    follow("10.0.0.2");
    follow("10.0.0.3");
    auto& client = listen(all + "&follow&format=sse&lines=2");
    settle();
    const auto id = last_id(client.text);
    const auto places = parse_places("id", id, 9);
    ASSERT_TRUE(places) << id;
    EXPECT_EQ(places->at("10.0.0.2"), cursor_at(2));
    EXPECT_EQ(places->at("10.0.0.3"), cursor_at(3));
    client.leave();
    settle();
    asked.clear();

    journal.add_messages(1);  // while nobody listens
    auto second = follow("10.0.0.2");
    follow("10.0.0.3");
    auto& again = listen(all + "&follow&format=sse&lines=2", {{"last-event-id", id}});
    EXPECT_TRUE(asked_of("10.0.0.3")
                    .ends_with("cursor=" + std::string{"s%3D"} + std::string(32, 'a') + "%3Bi%3D3%3Bb%3D"
                               + std::string(32, 'a') + "%3Bm%3D3%3Bt%3D2dc6c0%3Bx%3Dcc"))
        << asked_of("10.0.0.3");
    EXPECT_FALSE(asked_of("10.0.0.3").contains("lines")) << "all that was missed";
    second->say(line(5) + "\n");
    settle();
    advance(300ms);
    EXPECT_EQ(numbers(again.text), "3,5");
}

TEST_F(LogsMany, AnIdIsGoodThoughTheGroupGrowsOrShrinks)
{
    const std::string agents = "/api/v1/logs?node=agents&follow&format=sse";
    const auto both = members;
    members.pop_back();
    publish();
    past("10.0.0.2", {2});
    follow("10.0.0.2");
    auto& alone = listen(agents + "&lines=1");
    const auto id = last_id(alone.text);
    EXPECT_EQ(id, "@10.0.0.2~" + cursor_at(2)) << "a group of one";
    members = both;
    publish();
    asked.clear();
    follow("10.0.0.2");
    follow("10.0.0.3");
    listen(agents, {{"last-event-id", id}});
    ASSERT_EQ(asked.size(), 2U);
    EXPECT_TRUE(asked_of("10.0.0.2").contains("cursor=s%3Da"));
    EXPECT_TRUE(asked_of("10.0.0.3").ends_with("since=%402"));

    // Back to one, which is named even, with the id of two.
    asked.clear();
    follow("10.0.0.3");
    const auto places = write_places({{"10.0.0.2", cursor_at(7)}, {"10.0.0.3", cursor_at(5)}});
    listen("/api/v1/logs?node=10.0.0.3&follow&format=sse", {{"last-event-id", places}});
    EXPECT_TRUE(asked_of("10.0.0.3").contains("%3Bi%3D5%3B")) << asked_of("10.0.0.3");

    // And with an id that one node gave: from its time on.
    asked.clear();
    past("10.0.0.2", {8});
    past("10.0.0.3", {9});
    EXPECT_EQ(numbers(get("/api/v1/logs?node=agents&format=text&cursor=" + cursor_at(7))), "8,9");
    EXPECT_EQ(asked_of("10.0.0.3"), "/api/v1/logs?format=json&since=%407");
    EXPECT_EQ(ask("/api/v1/logs?node=agents&cursor=x").status, 400U);
}

TEST_F(LogsMany, LinesThatAreFollowedSayWhereToGoOn)
{
    past("10.0.0.2", {});
    past("10.0.0.3", {});
    auto second = follow("10.0.0.2");
    follow("10.0.0.3");
    auto& client = listen("/api/v1/logs?node=agents&follow&format=ndjson");
    second->say(line(5) + "\n");
    settle();
    advance(300ms);
    const auto entry = json::parse(client.text);
    EXPECT_EQ(entry["node"], "10.0.0.2");
    EXPECT_EQ(parse_places("resume", entry["resume"].get<std::string>(), 9)->at("10.0.0.2"), cursor_at(5));
}

TEST_F(LogsMany, ANodeThatComesBackGoesOnWhereItLeftOff)
{
    past("10.0.0.2", {});
    past("10.0.0.3", {});
    auto second = follow("10.0.0.2");
    follow("10.0.0.3");
    auto& client = listen("/api/v1/logs?node=agents&follow&format=sse");
    second->say(line(5) + "\n");
    settle();
    advance(300ms);
    second->breaks = Error{Errc::unavailable, "cannot read on: unplugged"};
    second->wake();
    settle();
    EXPECT_EQ(client.count("event: missing\ndata: {\"node\":\"10.0.0.2\",\"reason\":\"cannot read on: "
                           "unplugged\"}"),
              1)
        << client.text;
    advance(5s);
    EXPECT_EQ(client.count("event: missing"), 1) << "said once, however often it is asked";
    auto again = follow("10.0.0.2");
    advance(5s);
    EXPECT_EQ(client.count("event: back\ndata: {\"node\":\"10.0.0.2\"}"), 1) << client.text;
    EXPECT_TRUE(asked.back().request.url.contains("cursor=s%3Da")) << asked.back().request.url;
    again->say(line(6) + "\n");
    settle();
    advance(300ms);
    EXPECT_EQ(numbers(client.text), "5,6");
}

TEST_F(LogsMany, WhatANodeLostIsToldWithItsName)
{
    auto second = past("10.0.0.2", {2});
    second->headers.emplace_back("x-journal-lost", "7");
    auto third = past("10.0.0.3", {3});
    third->headers.emplace_back("x-journal-lost", "unknown");
    auto response = ask("/api/v1/logs?node=agents&format=ndjson");
    EXPECT_EQ(header(response, "X-Journal-Lost"), "7");
    const auto& client = open(std::move(response));
    EXPECT_TRUE(client.text.contains("{\"node\":\"10.0.0.2\",\"lost\":7}\n")) << client.text;
    EXPECT_TRUE(client.text.contains("{\"node\":\"10.0.0.3\",\"lost\":null}\n")) << client.text;

    // In the middle of a document, and where a follow goes on after a vacuum.
    auto torn = script("10.0.0.2");
    torn->pieces = {"{\"entries\":[\n" + line(2) + ",\n{\"lost\":4},\n" + line(9) + "\n],\"cursor\":\""
                    + cursor_at(9) + "\"}\n"};
    past("10.0.0.3", {});
    auto news = follow("10.0.0.2");
    follow("10.0.0.3");
    const auto& events = listen("/api/v1/logs?node=agents&follow&format=sse");
    news->say("{\"lost\":5}\n" + line(20) + "\n");
    settle();
    advance(300ms);
    EXPECT_EQ(events.count("event: lost\ndata: {\"node\":\"10.0.0.2\",\"lost\":4}\n\n"), 1) << events.text;
    EXPECT_EQ(events.count("event: lost\ndata: {\"node\":\"10.0.0.2\",\"lost\":5}\n\n"), 1) << events.text;
    EXPECT_EQ(numbers(events.text), "2,9,20");
}

TEST_F(LogsMany, ANodeThatWasAwayAtTheStartGivesItsPastWhenItComes)
{
    past("10.0.0.2", {});
    script("10.0.0.3")->refuses = Error{Errc::timeout, "cannot hear it"};
    follow("10.0.0.2");
    auto& client = listen("/api/v1/logs?node=agents&follow&format=sse&since=-1h");
    auto third = follow("10.0.0.3");
    advance(5s);
    EXPECT_EQ(asked.back().request.url, "/api/v1/logs?follow=true&format=ndjson&since=%40996400");
    third->say(line(5) + "\n");
    settle();
    advance(300ms);
    EXPECT_EQ(numbers(client.text), "5");
    third->breaks = Error{Errc::unavailable, "cannot read on: unplugged"};
    third->wake();
    settle();
    follow("10.0.0.3");
    advance(5s);
    EXPECT_TRUE(asked.back().request.url.contains("cursor=s%3Da")) << asked.back().request.url;
    EXPECT_FALSE(asked.back().request.url.contains("since"));
}

TEST_F(LogsMany, SilenceIsFilledWithPings)
{
    past("10.0.0.2", {});
    past("10.0.0.3", {});
    follow("10.0.0.2");
    follow("10.0.0.3");
    auto& client = listen("/api/v1/logs?node=agents&follow&format=sse");
    advance(16s);
    EXPECT_EQ(client.count(": ping"), 1) << client.text;
}

TEST_F(LogsMany, NoMoreIsReadThanIsTaken)
{
    past("10.0.0.2", {});
    past("10.0.0.3", {});
    auto second = follow("10.0.0.2");
    follow("10.0.0.3");
    auto& client = listen("/api/v1/logs?node=agents&follow&format=sse");
    client.blocked = true;
    for (int i = 1; i < 20; ++i)
        second->say(line(i) + "\n");
    settle();
    advance(1s);
    EXPECT_LE(second->taken, 3);
    client.unblock();
    for (int i = 0; i < 40; ++i)
        advance(300ms);
    EXPECT_EQ(second->taken, 19);
    EXPECT_EQ(client.count("\"MESSAGE\""), 19);
}

TEST_F(LogsMany, ANodeGivesARoleNoMoreThanThisOne)
{
    past("10.0.0.2", {});
    past("10.0.0.3", {});
    (void)ask("/api/v1/logs?node=agents", {}, http::Role::viewer);
    EXPECT_EQ(asked.at(0).header("x-opsd-role"), "viewer");
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
