// Answers of several nodes that are followed.

#include "modules/logs/node_lines.hpp"

#include "many_nodes.hpp"

namespace opsd::logs {
namespace {

using namespace test;
using nlohmann::json;

class LogsManyFollow : public LogsMany {};

TEST_F(LogsManyFollow, FollowingGoesOnWhereThePastEnded)
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

TEST_F(LogsManyFollow, TheIdCarriesThePlaceOfEveryNode)
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

TEST_F(LogsManyFollow, AnIdIsGoodThoughTheGroupGrowsOrShrinks)
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

TEST_F(LogsManyFollow, NoMoreAreFollowedThanAnIdHasRoomFor)
{
    options.nodes.most = 1'000;
    members.clear();
    for (int i = 0; i < 200; ++i)
        members.push_back(member(fmt::format("10.0.{}.1", i)));
    publish();
    const auto response = ask(all + "&follow&format=sse");
    EXPECT_EQ(response.status, 400U);
    EXPECT_TRUE(response.body.contains("cannot follow 200 nodes at once")) << response.body;
    const auto fit = std::stoul(response.body.substr(response.body.find("; follow ") + 9));
    EXPECT_GT(fit, 80U);
    EXPECT_TRUE(asked.empty());
    EXPECT_EQ(ask(all).status, 502U) << "a range is asked of all";
    EXPECT_EQ(asked.size(), 200U);
    members.resize(fit);
    publish();
    Places places;
    for (const auto& one : members)
        places[one->address] = fmt::format("s={0};i=ffffffff;b={0};m=ffffffffffff;t=ffffffffffffff;x={1}",
                                           std::string(32, 'a'), std::string(16, 'f'));
    EXPECT_LT(write_places(places).size(), 15U * 1024);
    EXPECT_EQ(ask(all + "&follow&format=sse", {{"last-event-id", write_places(places)}}).status, 502U)
        << "nobody is there, but they are asked";
}

TEST_F(LogsManyFollow, LinesThatAreFollowedSayWhereToGoOn)
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

TEST_F(LogsManyFollow, ANodeThatComesBackGoesOnWhereItLeftOff)
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

TEST_F(LogsManyFollow, WhatANodeLostIsToldWithItsName)
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

TEST_F(LogsManyFollow, ANodeThatWasAwayAtTheStartGivesItsPastWhenItComes)
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

TEST_F(LogsManyFollow, SilenceIsFilledWithPings)
{
    past("10.0.0.2", {});
    past("10.0.0.3", {});
    follow("10.0.0.2");
    follow("10.0.0.3");
    auto& client = listen("/api/v1/logs?node=agents&follow&format=sse");
    advance(16s);
    EXPECT_EQ(client.count(": ping"), 1) << client.text;
}

TEST_F(LogsManyFollow, NoMoreIsReadThanIsTaken)
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

TEST_F(LogsManyFollow, ANodeGivesARoleNoMoreThanThisOne)
{
    past("10.0.0.2", {});
    past("10.0.0.3", {});
    (void)ask("/api/v1/logs?node=agents", {}, http::Role::viewer);
    EXPECT_EQ(asked.at(0).header("x-opsd-role"), "viewer");
}

}  // namespace
}  // namespace opsd::logs
