// What clients get who follow: everything, once, in order.

#include "modules/logs/answer.hpp"

#include "logs_node.hpp"

namespace opsd::logs {
namespace {

using namespace test;
using nlohmann::json;

const Headers as_events{{"accept", "text/event-stream"}};
const std::string component = "/system/v1/logs/v2/component";

class LogsFollow : public LogsNode {
protected:
    [[nodiscard]] std::string expected(int from, int to) const
    {
        std::string all;
        for (int i = from; i <= to; ++i)
            all += (all.empty() ? "" : ",") + std::to_string(i);
        return all;
    }
};

TEST_F(LogsFollow, TheLastEntriesComeFirstAndThenWhatComes)
{
    journal.add_messages(5);
    auto response = ask(component + "?skip=-2", as_events);
    EXPECT_EQ(response.type, "text/event-stream");
    auto& client = open(std::move(response));
    EXPECT_EQ(numbers(client.text), "4,5");
    EXPECT_TRUE(client.text.starts_with("id: s="));
    EXPECT_FALSE(client.whole);
    journal.add_messages(2);
    settle();
    EXPECT_EQ(numbers(client.text), "4,5,6,7");
    EXPECT_EQ(metric("opsd_logs_followers"), 1);
    EXPECT_EQ(metric("opsd_logs_entries_total"), 4);
    client.leave();
    settle();
    EXPECT_TRUE(client.ended);
    EXPECT_EQ(journal.subscribers, 0);
}

TEST_F(LogsFollow, AClientThatComesAgainMissesAndRepeatsNothing)
{
    journal.add_messages(8);
    auto& client =
        listen(component + "?skip=-2", {{"accept", "text/event-stream"}, {"last-event-id", cursor_at(3)}});
    journal.add_messages(1);
    settle();
    EXPECT_EQ(numbers(client.text), "4,5,6,7,8,9");
}

TEST_F(LogsFollow, ALongPastComesInSlicesBeforeTheNews)
{
    journal.slice_entries = 10;
    journal.add_messages(95);
    auto& client = listen(component, as_events);
    journal.add_messages(5);
    settle();
    EXPECT_EQ(numbers(client.text), expected(1, 100));
}

TEST_F(LogsFollow, ASlowClientReadsOnFromTheJournalAndLosesNothing)
{
    journal.add_messages(3);
    auto& client = listen(component, as_events);
    EXPECT_EQ(journal.subscribers, 1);
    client.blocked = true;
    journal.add_messages(2);
    settle();
    journal.add_messages(40);
    journal.cut_followers();
    settle();
    EXPECT_EQ(numbers(client.text), "1,2,3");
    client.unblock();
    settle();
    journal.add_messages(5);
    settle();
    EXPECT_EQ(numbers(client.text), expected(1, 50));
    EXPECT_EQ(metric("opsd_logs_slow_followers_total"), 1);
    EXPECT_EQ(journal.subscribers, 1);
}

TEST_F(LogsFollow, BeingCutOffAgainAndAgainLosesNothing)
{
    auto& client = listen(component, as_events);
    for (int i = 0; i < 20; ++i) {
        journal.add_messages(3);
        if (i % 2 == 0) settle();
        journal.cut_followers();
        settle();
    }
    EXPECT_EQ(numbers(client.text), expected(1, 60));
}

TEST_F(LogsFollow, TooFarFromTheEndMeansToReadOn)
{
    journal.add_messages(3);
    journal.no_follow = Error{Errc::timeout, "cannot join: too far"};
    auto& client = listen(component, as_events);
    EXPECT_EQ(numbers(client.text), "1,2,3");
    journal.add_messages(1);
    advance(1s);
    EXPECT_EQ(numbers(client.text), "1,2,3,4");
    const auto joins = journal.keys.size();
    EXPECT_LT(joins, 12U) << "it must not spin";
    journal.no_follow.reset();
    advance(1s);
    journal.add_messages(1);
    settle();
    EXPECT_EQ(numbers(client.text), "1,2,3,4,5");
    EXPECT_EQ(journal.subscribers, 1);
}

TEST_F(LogsFollow, WithoutRoomInTheFollowerNewsComeLater)
{
    journal.no_follow = Error{Errc::unavailable, "cannot follow: too many"};
    auto& client = listen(component, as_events);
    journal.add_messages(2);
    settle();
    EXPECT_EQ(client.text, "");
    advance(2s);
    EXPECT_EQ(numbers(client.text), "1,2");
    EXPECT_EQ(status.condition, "running");
}

TEST_F(LogsFollow, SilenceIsPinged)
{
    auto& client = listen(component, as_events);
    EXPECT_EQ(client.text, "");
    advance(15s);
    EXPECT_EQ(client.text, ": ping\n\n");
    advance(15s);
    EXPECT_EQ(client.count(": ping"), 2);
    journal.add_messages(1);
    settle();
    EXPECT_EQ(numbers(client.text), "1");
    auto& lines = listen("/api/v1/logs?follow=1&lines=0");
    advance(60s);
    EXPECT_EQ(lines.text, "");
}

TEST_F(LogsFollow, AStreamWithALimitStaysAndIsPinged)
{
    journal.add_messages(3);
    auto& client = listen(component + "?limit=1", as_events);
    journal.add_messages(3);
    advance(30s);
    EXPECT_EQ(numbers(client.text), "1");
    EXPECT_EQ(client.count(": ping"), 2);
    EXPECT_FALSE(client.ended);
    auto& short_one = listen(component + "?limit=8&skip=4", as_events);
    EXPECT_EQ(numbers(short_one.text), "5,6");
    journal.add_messages(9);
    advance(1s);
    EXPECT_EQ(numbers(short_one.text), expected(5, 12));
}

TEST_F(LogsFollow, WhatIsDeletedUnderASlowClientIsToldInItsFormat)
{
    const std::pair<const char*, const char*> table[] = {
        {"sse", "event: lost\ndata: {\"entries\":6}\n\n"},
        {"ndjson", "{\"lost\":6}\n"},
        {"text", "-- 6 entries were deleted before they could be read --\n"}};
    for (const auto& [format, words] : table) {
        journal.entries.clear();
        journal.add_messages(2);
        const auto begin = journal.entries.front().sequence;
        auto& client = listen(std::string{"/api/v1/logs?follow=1&format="} + format);
        client.blocked = true;
        journal.add_messages(1);
        settle();
        journal.add_messages(10);
        journal.vacuum(3 + 6);
        journal.cut_followers();
        client.unblock();
        settle();
        EXPECT_EQ(client.count(words), 1) << client.text;
        EXPECT_EQ(numbers(client.text),
                  expected(static_cast<int>(begin), static_cast<int>(begin) + 2) + ","
                      + expected(static_cast<int>(begin) + 9, static_cast<int>(begin) + 12));
        client.leave();
        settle();
    }
    EXPECT_EQ(metric("opsd_logs_lost_entries_total"), 18);
}

TEST_F(LogsFollow, TheDcosCommandLineIsToldOfAGapAsOfAnEntry)
{
    journal.add_messages(9);
    journal.vacuum(5);
    auto response = ask(component, {{"accept", "text/event-stream"}, {"last-event-id", cursor_at(2)}});
    EXPECT_EQ(header(response, "X-Journal-Lost"), "3");
    const auto& client = open(std::move(response));
    EXPECT_EQ(numbers(client.text), "6,7,8,9");
    const auto first = client.text.substr(0, client.text.find("\n\n"));
    ASSERT_TRUE(first.starts_with("data: {")) << first << ": without an id";
    const auto event = json::parse(first.substr(6));
    EXPECT_EQ(event["fields"]["MESSAGE"], "-- 3 entries were deleted before they could be read --");
    EXPECT_EQ(event["realtime_timestamp"], 1'000'000'000'000);
}

TEST_F(LogsFollow, WhoComesAgainIsToldWhatWasDeletedMeanwhile)
{
    const std::pair<const char*, const char*> table[] = {{"sse", "event: lost\ndata: {\"entries\":3}\n\n"},
                                                         {"ndjson", "{\"lost\":3}\n"}};
    journal.add_messages(9);
    journal.vacuum(5);
    for (const auto& [format, words] : table) {
        const auto& client =
            listen(std::string{"/api/v1/logs?follow=1&format="} + format, {{"last-event-id", cursor_at(2)}});
        EXPECT_TRUE(client.text.starts_with(words)) << client.text;
        EXPECT_EQ(numbers(client.text), "6,7,8,9");
    }
}

TEST_F(LogsFollow, AGapThatAFormatHasNoWordForEndsTheAnswerTorn)
{
    journal.add_messages(2);
    auto& client = listen("/api/v1/logs?follow=1&format=export");
    client.blocked = true;
    journal.add_messages(1);
    settle();
    journal.add_messages(10);
    journal.vacuum(9);
    journal.cut_followers();
    client.unblock();
    settle();
    EXPECT_TRUE(client.ended);
    EXPECT_FALSE(client.whole);
    // Who begins there is told by the head, and gets what is left.
    auto response = ask("/api/v1/logs?follow=1&format=export&cursor=" + cursor_at(3));
    EXPECT_EQ(header(response, "X-Journal-Lost"), "6");
    EXPECT_FALSE(open(std::move(response)).ended);
}

TEST_F(LogsFollow, AStreamEndsTornWithItsModule)
{
    journal.add_messages(1);
    auto& client = listen(component, as_events);
    EXPECT_FALSE(client.ended);
    stop();
    settle();
    EXPECT_TRUE(client.ended);
    EXPECT_FALSE(client.whole);
}

TEST_F(LogsFollow, FollowersAreBounded)
{
    options.follow.clients = 1;
    auto first = ask(component, as_events);
    EXPECT_EQ(first.status, 200U);
    const auto second = ask(component, as_events);
    EXPECT_EQ(second.status, 503U);
    EXPECT_TRUE(
        second.body.contains("cannot follow the journal: 1 followers are under way (logs.follow.clients)"))
        << second.body;
    EXPECT_EQ(metric("opsd_logs_followers_refused_total"), 1);
    journal.add_messages(1);
    EXPECT_EQ(ask(component).status, 200U) << "answers have places of their own";
}

TEST_F(LogsFollow, EqualQuestionsShareAndOthersDoNot)
{
    listen(component + "?filter=A:b", as_events);
    listen(component + "?filter=A:b&skip=-5", as_events);
    listen(component + "?filter=A:c", as_events);
    listen("/api/v1/logs?follow=1&filter=A:b");
    ASSERT_EQ(journal.keys.size(), 4U);
    EXPECT_EQ(journal.keys[0], journal.keys[1]);
    EXPECT_NE(journal.keys[0], journal.keys[2]);
    EXPECT_NE(journal.keys[0].format, journal.keys[3].format);
}

TEST_F(LogsFollow, AFilterOfOursFollowsToo)
{
    journal.add_messages(30);
    auto& client = listen("/api/v1/logs?follow=1&grep=message+.*[05]$&lines=2&format=text");
    EXPECT_EQ(numbers(client.text), "25,30");
    journal.add_messages(6);
    settle();
    EXPECT_EQ(numbers(client.text), "25,30,35");
}

TEST_F(LogsFollow, AViewerWithAListFollowsNothingElse)
{
    options.allow = {{"viewer", {"a*"}}};
    auto& client = listen(component, as_events, http::Role::viewer);
    auto& stream = listen("/system/v1/logs/v1/stream/", {}, http::Role::viewer);
    journal.add_messages(1, "a.service");
    journal.add_messages(1, "b.service");
    journal.add_messages(1, "a2.service");
    settle();
    EXPECT_EQ(numbers(client.text), "1,3");
    EXPECT_EQ(numbers(stream.text), "1,3");
}

TEST_F(LogsFollow, AFollowUntilATimeEndsWhole)
{
    constexpr std::int64_t now = 1'000'000;  // seconds, the clock's
    const auto at = [&](std::int64_t seconds) {
        journal.add({{"MESSAGE", fmt::format("message {}", seconds)}}, (now + seconds) * 1'000'000);
    };
    at(1);
    const std::string asked = "/api/v1/logs?follow=1&format=text&since=@1&until=@1000010";
    auto& client = listen(asked);
    at(2);
    advance(3s);
    at(9);
    advance(5s);
    EXPECT_EQ(numbers(client.text), "1,2,9") << "the end of the journal is not that of the time";
    EXPECT_FALSE(client.ended);
    at(10);
    at(11);
    advance(1s);
    EXPECT_EQ(numbers(client.text), "1,2,9,10");
    EXPECT_TRUE(client.ended && client.whole) << "a later one was seen";
}

TEST_F(LogsFollow, AFollowUntilATimeEndsWithItThoughNothingComes)
{
    journal.add_messages(2);
    auto& client = listen("/api/v1/logs?follow=1&format=text&since=@1&until=@1000010");
    advance(10s);
    EXPECT_FALSE(client.ended) << "an entry of that moment may be under way";
    advance(2s);
    EXPECT_TRUE(client.ended && client.whole);
    EXPECT_EQ(numbers(client.text), "1,2");
    const auto& past = listen("/api/v1/logs?follow=1&format=text&since=@1&until=@1");
    EXPECT_TRUE(past.ended && past.whole) << "at once";
    EXPECT_EQ(numbers(past.text), "1");
}

TEST_F(LogsFollow, AJournalThatIsAwayForAMomentIsReadOn)
{
    journal.slice_entries = 2;
    journal.add_messages(6);
    auto response = ask(component, as_events);
    journal.broken = Error{Errc::unavailable, "cannot read the journal: no descriptors"};
    auto& client = open(std::move(response));
    EXPECT_EQ(numbers(client.text), "1,2");
    journal.broken.reset();
    advance(2s);
    EXPECT_EQ(numbers(client.text), "1,2,3,4,5,6");
}

}  // namespace
}  // namespace opsd::logs
