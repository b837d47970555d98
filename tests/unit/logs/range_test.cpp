// What clients get who do not follow.

#include "core/gzip.hpp"

#include "logs_node.hpp"

namespace opsd::logs {
namespace {

using namespace test;
using nlohmann::json;

const Headers as_json{{"accept", "application/json"}};
const std::string range_v1 = "/system/v1/logs/v1";
const std::string range_component = "/system/v1/logs/v2/component";

class LogsRange : public LogsNode {};

TEST_F(LogsRange, TheLastEntriesAreOneBody)
{
    journal.add_messages(10);
    const auto response = ask(range_component + "?skip=-3", as_json);
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.type, "application/json");
    EXPECT_FALSE(response.producer);
    EXPECT_EQ(numbers(response.body), "8,9,10");
    EXPECT_EQ(header(response, "Cache-Control"), "no-cache");
    EXPECT_EQ(header(response, "Access-Control-Allow-Origin"), "*");
    EXPECT_EQ(header(response, "X-Journal-Lost"), "(none)");
    EXPECT_EQ(header(response, "X-Journal-Skip-Next"), "(none)");
    EXPECT_EQ(metric("opsd_logs_entries_total"), 3);
    EXPECT_EQ(metric("opsd_logs_readings"), 0);
}

TEST_F(LogsRange, NoEntryIsNoContent)
{
    EXPECT_EQ(ask(range_component).status, 204U);
    journal.add_messages(2);
    EXPECT_EQ(ask(range_component + "/b.service").status, 204U);
    EXPECT_EQ(ask(range_component + "?cursor=END").status, 204U);
    EXPECT_EQ(ask(range_v1 + "/range/?filter=A:b").status, 204U);
    EXPECT_EQ(ask("/api/v1/logs?format=text&unit=b").status, 204U);
}

TEST_F(LogsRange, EntriesWithoutAMessageAreAnEmptyText)
{
    journal.add({{"OTHER", "x"}});
    const auto response = ask(range_component);
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.body, "");
}

TEST_F(LogsRange, ManySlicesAreAStreamThatEndsWhole)
{
    journal.slice_entries = 7;
    journal.add_messages(50);
    auto response = ask(range_component, as_json);
    ASSERT_TRUE(response.producer);
    EXPECT_EQ(metric("opsd_logs_readings"), 1);
    auto& client = open(std::move(response));
    EXPECT_TRUE(client.ended);
    EXPECT_TRUE(client.whole);
    EXPECT_EQ(client.count("\"MESSAGE\""), 50);
    EXPECT_EQ(metric("opsd_logs_entries_total"), 50);
}

TEST_F(LogsRange, AComponentIsItsUnitAndWhatPid1SaysOfIt)
{
    journal.add({{"MESSAGE", "message 1"}, {"_SYSTEMD_UNIT", "a.service"}, {"PRIORITY", "3"}});
    journal.add({{"MESSAGE", "message 2"}, {"UNIT", "a.service"}, {"PRIORITY", "6"}});
    journal.add({{"MESSAGE", "message 3"}, {"_SYSTEMD_UNIT", "b.service"}, {"PRIORITY", "3"}});
    EXPECT_EQ(numbers(get(range_component + "/a.service")), "1,2");
    EXPECT_EQ(numbers(get(range_component + "/a.service?filter=PRIORITY:3")), "1");
    EXPECT_EQ(numbers(get(range_component + "?filter=PRIORITY:3&filter=PRIORITY:6")), "1,2,3");
}

TEST_F(LogsRange, SkipLeavesOutExactlySoMany)
{
    journal.add_messages(9);
    EXPECT_EQ(numbers(get(range_component + "?skip=2&limit=2")), "3,4");
    EXPECT_EQ(numbers(get(range_component + "?cursor=" + cursor_at(4) + "&skip=1&limit=2")), "6,7");
    EXPECT_EQ(numbers(get(range_component + "?cursor=" + cursor_at(4) + "&skip=-2&limit=3")), "3,4,5");
}

TEST_F(LogsRange, V1SaysHowFarItSkipped)
{
    journal.add_messages(5);
    auto response = ask(range_v1 + "/range/?skip_prev=3", as_json);
    EXPECT_EQ(numbers(response.body), "3,4,5");
    EXPECT_EQ(header(response, "X-Journal-Skip-Prev"), "3");
    EXPECT_EQ(header(response, "X-Journal-Skip-Next"), "0");
    response = ask(range_v1 + "/range?skip_prev=100");
    EXPECT_EQ(header(response, "X-Journal-Skip-Prev"), "5");
    response = ask(range_v1 + "/range?cursor=" + cursor_at(3) + "&skip_next=100");
    EXPECT_EQ(response.status, 204U);
    EXPECT_EQ(header(response, "X-Journal-Skip-Next"), "2");
}

TEST_F(LogsRange, V1ReadsATaskAndEventsOfARangeHaveNoIds)
{
    journal.add(
        {{"MESSAGE", "message 1"}, {"FRAMEWORK_ID", "f"}, {"EXECUTOR_ID", "e"}, {"CONTAINER_ID", "c.d"}});
    journal.add(
        {{"MESSAGE", "message 2"}, {"FRAMEWORK_ID", "f"}, {"EXECUTOR_ID", "e"}, {"CONTAINER_ID", "x"}});
    const auto text =
        get(range_v1 + "/range/framework/f/executor/e/container/c.d", {{"accept", "text/event-stream"}});
    EXPECT_EQ(numbers(text), "1");
    EXPECT_TRUE(text.starts_with("data: {"));
}

TEST_F(LogsRange, ReverseIsTheSameFromTheEnd)
{
    journal.slice_entries = 60;
    journal.add_messages(450);
    const auto forward = numbers(get(range_v1 + "/range/"));
    std::string expected;
    for (int i = 450; i > 0; --i)
        expected += (expected.empty() ? "" : ",") + std::to_string(i);
    EXPECT_EQ(numbers(get(range_v1 + "/range/?read_reverse=true")), expected);
    EXPECT_EQ(numbers(get(range_v1 + "/range/?read_reverse=true&limit=3")), "450,449,448");
    EXPECT_EQ(numbers(get(range_v1 + "/range/?read_reverse=true&limit=2&skip_prev=5")), "445,444");
    EXPECT_EQ(numbers(get(range_v1 + "/range/?read_reverse=true&cursor=" + cursor_at(3))), "2,1");
    EXPECT_EQ(numbers(get(range_v1 + "/range/?read_reverse=true&skip_prev=2&limit=1&cursor=" + cursor_at(9))),
              "6");
    EXPECT_EQ(numbers(get(range_v1 + "/range/?read_reverse=true&skip_prev=2&cursor=" + cursor_at(5))), "2,1");
    EXPECT_EQ(numbers(get(range_v1 + "/range/?read_reverse=true&skip_prev=448")), "2,1");
    EXPECT_EQ(ask(range_v1 + "/range/?read_reverse=true&skip_prev=450").status, 204U);
    EXPECT_EQ(std::ranges::count(forward, ','), 449);
}

TEST_F(LogsRange, ALongSkipThatTakesSlicesLeadsToTheSamePlace)
{
    journal.add_messages(450);
    journal.skips_in_slices = true;
    const auto response = ask(range_v1 + "/range/?skip_prev=3&cursor=" + cursor_at(448));
    EXPECT_EQ(numbers(response.body), "446,447,448,449,450");
    EXPECT_EQ(header(response, "X-Journal-Skip-Prev"), "3");
    EXPECT_EQ(numbers(get(range_v1 + "/range/?read_reverse=true&limit=3")), "450,449,448");
    EXPECT_EQ(numbers(get(range_v1 + "/range/?read_reverse=true&skip_prev=2&limit=1&cursor=" + cursor_at(9))),
              "6");
    EXPECT_EQ(numbers(get(range_v1 + "/range/?read_reverse=true&skip_prev=448")), "2,1");
    EXPECT_EQ(ask(range_v1 + "/range/?read_reverse=true&skip_prev=450").status, 204U);
    const auto stream = ask(range_v1 + "/stream/?skip_prev=5", {{"accept", "text/event-stream"}});
    EXPECT_EQ(header(stream, "X-Journal-Skip-Prev"), "5");
}

TEST_F(LogsRange, ADownloadIsAGzipFileInPieces)
{
    journal.slice_entries = 10;
    journal.add_messages(35);
    auto response = ask(range_v1 + "/range/download?postfix=x");
    EXPECT_EQ(response.type, "application/gzip");
    EXPECT_EQ(header(response, "Content-Disposition"), "attachment; filename=root-range-x.log.gz");
    ASSERT_TRUE(response.producer);
    auto& client = open(std::move(response));
    for (int i = 0; i < 5'000 && !client.ended; ++i)
        io.restart(), io.run_one_for(1ms);
    EXPECT_TRUE(client.whole);
    EXPECT_EQ(client.writes, 4);
    journal.slice_entries = 100;
    const auto small = ask(range_v1 + "/range/download");
    const auto plain = gunzip(small.body, 1 << 20);
    ASSERT_TRUE(plain);
    EXPECT_EQ(std::ranges::count(*plain, '\n'), 35);
    EXPECT_EQ(ask(range_v1 + "/range/framework/f/executor/e/container/c/download").status, 204U);
}

TEST_F(LogsRange, FieldsThatAreListedHaveTheirValues)
{
    journal.add({{"STREAM", "stdout"}, {"_UID", "0"}});
    journal.add({{"STREAM", "a\"b"}});
    EXPECT_EQ(get(range_v1 + "/fields/STREAM"), R"(["a\"b","stdout"])");
    EXPECT_EQ(ask(range_v1 + "/fields/AGENT_ID").status, 204U);
    EXPECT_EQ(ask(range_v1 + "/fields/_UID").status, 400U);
    options.fields = {"*"};
    router.reset();
    stop();
    EXPECT_EQ(get(range_v1 + "/fields/_UID"), R"(["0"])");
    for (const auto* wrong : {"a", "__CURSOR", "A%3DB"}) {
        const auto response = ask(range_v1 + "/fields/" + wrong);
        EXPECT_EQ(response.status, 400U) << wrong;
        EXPECT_TRUE(response.body.contains("no name of a field")) << response.body;
    }
}

TEST_F(LogsRange, BadQuestionsAre400InTheClientsManner)
{
    const auto dcos = ask(range_component + "?skip=x");
    EXPECT_EQ(dcos.status, 400U);
    EXPECT_TRUE(dcos.type.starts_with("text/plain"));
    EXPECT_EQ(dcos.body, "cannot use skip \"x\": it is not a whole number\n");
    const auto ours = ask("/api/v1/logs?since=x");
    EXPECT_EQ(ours.status, 400U);
    EXPECT_EQ(ours.type, "application/problem+json");
    EXPECT_EQ(ask(range_component + "?cursor=s=1;i").status, 400U);
}

TEST_F(LogsRange, ARawCursorContinuesAfterItsEntry)
{
    journal.add_messages(5);
    EXPECT_EQ(numbers(get(range_component + "?cursor=" + cursor_at(3))), "4,5");
}

TEST_F(LogsRange, WhatWasDeletedIsToldInTheHead)
{
    journal.add_messages(10);
    journal.vacuum(6);
    const auto response = ask(range_component + "?cursor=" + cursor_at(2));
    EXPECT_EQ(numbers(response.body), "7,8,9,10");
    EXPECT_EQ(header(response, "X-Journal-Lost"), "4");
    EXPECT_EQ(metric("opsd_logs_lost_entries_total"), 4);
    EXPECT_EQ(metric("opsd_logs_gaps_total"), 1);
}

TEST_F(LogsRange, WhatIsDeletedWhileItIsReadIsToldWithin)
{
    journal.slice_entries = 4;
    const std::pair<const char*, const char*> table[] = {
        {"json", ",\n{\"lost\":6},\n"},
        {"ndjson", "\n{\"lost\":6}\n"},
        {"text", "\n-- 6 entries were deleted before they could be read --\n"}};
    for (const auto& [format, words] : table) {
        journal.entries.clear();
        journal.add_messages(20);
        auto response = ask(std::string{"/api/v1/logs?lines=all&format="} + format);
        journal.vacuum(10);
        const auto& client = open(std::move(response));
        EXPECT_EQ(client.count(words), 1) << client.text;
        EXPECT_TRUE(client.ended && client.whole) << format;
        if (std::string_view{format} == "json")
            EXPECT_EQ(json::parse(client.text)["entries"].size(), 4U + 1 + 10);
    }
}

TEST_F(LogsRange, AHoleThatAFormatCannotTellIsNotGivenAsIfWhole)
{
    journal.slice_entries = 4;
    const std::pair<std::string, Headers> table[] = {{range_component, {}},
                                                     {range_component, {{"accept", "application/json"}}},
                                                     {range_v1 + "/range/download", {}},
                                                     {"/api/v1/logs?lines=all&format=export", {}}};
    for (const auto& [target, headers] : table) {
        journal.entries.clear();
        journal.add_messages(20);
        auto response = ask(target, headers);
        journal.vacuum(10);
        const auto& client = open(std::move(response));
        for (int i = 0; i < 5'000 && !client.ended; ++i)
            io.restart(), io.run_one_for(1ms);
        EXPECT_TRUE(client.ended) << target;
        EXPECT_FALSE(client.whole) << target;
    }
}

TEST_F(LogsRange, AJournalThatCannotBeReadIs503AndTheModuleSaysWhy)
{
    start();
    EXPECT_EQ(status.condition, "running");
    journal.broken = Error{Errc::denied, "cannot read the journal: not in group systemd-journal"};
    const auto response = ask(range_component);
    EXPECT_EQ(response.status, 503U);
    EXPECT_NE(response.body.find("systemd-journal"), std::string::npos);
    EXPECT_EQ(status.condition, "degraded");
    journal.broken.reset();
    (void)ask(range_component);
    EXPECT_EQ(status.condition, "running");
    EXPECT_EQ(metric("opsd_logs_failed_readings_total"), 1);
}

TEST_F(LogsRange, TheModuleLooksAtTheJournalAtItsStart)
{
    journal.broken = Error{Errc::not_found, "cannot read the journal: there is none"};
    start();
    EXPECT_EQ(status.condition, "degraded");
    EXPECT_NE(status.reason.find("there is none"), std::string::npos);
}

TEST_F(LogsRange, ReadingsAreBounded)
{
    options.readings = 1;
    journal.slice_entries = 2;
    journal.add_messages(20);
    auto first = ask(range_component);
    ASSERT_TRUE(first.producer);
    auto second = ask(range_component);
    EXPECT_EQ(second.status, 503U);
    EXPECT_EQ(header(second, "Retry-After").empty(), false);
    EXPECT_EQ(metric("opsd_logs_readings_refused_total"), 1);
    open(std::move(first));
    EXPECT_EQ(metric("opsd_logs_readings"), 1) << "the stream's producer is still held by its connection";
}

TEST_F(LogsRange, AnAnswerThatIsTooLongIsCutOffTorn)
{
    options.max_answer = config::Bytes{1'000};
    journal.slice_entries = 5;
    journal.add_messages(100);
    auto& client = listen(range_component);
    EXPECT_TRUE(client.ended);
    EXPECT_FALSE(client.whole);
    EXPECT_LE(client.text.size(), 1'000U);
    EXPECT_GT(client.text.size(), 500U);
    EXPECT_EQ(metric("opsd_logs_cut_answers_total"), 1);
}

TEST_F(LogsRange, AReadingThatFailsMidwayEndsTorn)
{
    journal.slice_entries = 5;
    journal.add_messages(50);
    auto response = ask(range_component);
    journal.broken = Error{Errc::unavailable, "cannot read the journal: no memory"};
    auto& client = open(std::move(response));
    EXPECT_TRUE(client.ended);
    EXPECT_FALSE(client.whole);
}

TEST_F(LogsRange, ADocumentShowsThatItsEntriesAreStillLookedFor)
{
    journal.slice_entries = 1;
    for (const auto* message : {"message 1", "-", "-", "-", "-", "-", "message 7"})
        journal.add({{"MESSAGE", message}});
    for (const auto& [format, signs] : {std::pair{"json", 2}, std::pair{"ndjson", 0}}) {
        journal.before_slice = nullptr;
        auto response = ask(std::string{"/api/v1/logs?lines=all&grep=message&format="} + format);
        journal.before_slice = [this] { return clock.sleep_for(1s); };
        const auto& client = open(std::move(response));
        const auto writes = client.writes;
        for (int i = 0; i < 5; ++i)
            advance(1s);
        EXPECT_EQ(client.writes - writes, signs) << client.text;
        for (int i = 0; i < 3; ++i)
            advance(1s);
        EXPECT_TRUE(client.ended && client.whole);
        EXPECT_EQ(numbers(client.text), "1,7");
        if (signs > 0) EXPECT_EQ(json::parse(client.text)["entries"].size(), 2U) << client.text;
    }
}

TEST_F(LogsRange, OurJsonIsOneDocument)
{
    journal.slice_entries = 4;
    journal.add_messages(10);
    const auto all = json::parse(get("/api/v1/logs?lines=all"));
    ASSERT_EQ(all["entries"].size(), 10U);
    EXPECT_EQ(all["entries"][9]["fields"]["MESSAGE"], "message 10");
    EXPECT_EQ(all["cursor"], cursor_at(10));
    const auto two = json::parse(get("/api/v1/logs?lines=2"));
    ASSERT_EQ(two["entries"].size(), 2U);
    const auto none = json::parse(get("/api/v1/logs?unit=none"));
    EXPECT_EQ(none["entries"], json::array());
    const auto response = ask("/api/v1/logs?lines=2");
    EXPECT_EQ(header(response, "Cache-Control"), "no-store");
    EXPECT_EQ(header(response, "Access-Control-Allow-Origin"), "(none)");
}

TEST_F(LogsRange, TimesAndPrioritiesSelect)
{
    for (int i = 1; i <= 9; ++i)
        journal.add({{"MESSAGE", "message " + std::to_string(i)}, {"PRIORITY", std::to_string(i % 8)}});
    EXPECT_EQ(numbers(get("/api/v1/logs?since=@3&until=@6&format=text")), "3,4,5,6");
    EXPECT_EQ(numbers(get("/api/v1/logs?until=@6&lines=2&format=text")), "5,6");
    EXPECT_EQ(numbers(get("/api/v1/logs?since=@3&lines=2&format=text")), "8,9");
    EXPECT_EQ(numbers(get("/api/v1/logs?priority=2&format=text")), "1,2,8,9");
}

TEST_F(LogsRange, TheNewestLinesOfAPatternAreFoundFarBack)
{
    journal.slice_entries = 300;
    for (int i = 1; i <= 9'000; ++i)
        journal.add({{"MESSAGE", i % 1'000 == 0 ? "message " + std::to_string(i) : "noise"}});
    EXPECT_EQ(numbers(get("/api/v1/logs?grep=message&lines=3&format=text")), "7000,8000,9000");
    EXPECT_EQ(numbers(get("/api/v1/logs?grep=message&lines=100&format=text")),
              "1000,2000,3000,4000,5000,6000,7000,8000,9000");
    EXPECT_EQ(ask("/api/v1/logs?grep=nothing&format=text").status, 204U);
    EXPECT_EQ(numbers(get("/api/v1/logs?grep=message&since=@7500&format=text")), "8000,9000");
}

TEST_F(LogsRange, APageMayNotReadLogsByRunningOnThisNode)
{
    journal.add_messages(1);
    via = "loopback";
    EXPECT_EQ(header(ask(range_component), "Access-Control-Allow-Origin"), "(none)");
}

TEST_F(LogsRange, AViewerWithAListReadsNothingElse)
{
    options.allow = {{"viewer", {"a.service"}}};
    journal.add_messages(2, "a.service");
    journal.add_messages(2, "b.service");
    journal.add({{"MESSAGE", "message 5"}, {"UNIT", "a.service"}, {"_SYSTEMD_UNIT", "init.scope"}});
    journal.add({{"MESSAGE", "message 6"}, {"_TRANSPORT", "kernel"}});
    const auto viewer = http::Role::viewer;
    for (const auto* path : {"/system/v1/logs/v2/component", "/system/v1/logs/v1/range/",
                             "/api/v1/logs?format=text", "/api/v1/logs?format=text&unit=a"})
        EXPECT_EQ(numbers(get(path, {}, viewer)), "1,2,5") << path;
    EXPECT_EQ(numbers(get("/system/v1/logs/v1/range/?read_reverse=1", {}, viewer)), "5,2,1");
    EXPECT_EQ(ask(range_component + "/b.service", {}, viewer).status, 403U);
    EXPECT_EQ(ask("/api/v1/logs?unit=b", {}, viewer).status, 403U);
    EXPECT_EQ(ask(range_v1 + "/fields/STREAM", {}, viewer).status, 403U);
    EXPECT_EQ(numbers(get(range_component, {}, http::Role::operator_)), "1,2,3,4,5,6");
    EXPECT_EQ(metric("opsd_logs_forbidden_total"), 3);
}

TEST_F(LogsRange, AViewerWithAPatternReadsNothingElse)
{
    options.allow = {{"viewer", {"dcos-*"}}};
    journal.add_messages(3, "dcos-net.service");
    journal.add_messages(3, "secret.service");
    journal.add_messages(1, "dcos-log.service");
    const auto viewer = http::Role::viewer;
    EXPECT_EQ(numbers(get(range_component, {}, viewer)), "1,2,3,7");
    EXPECT_EQ(numbers(get(range_component + "?skip=-2", {}, viewer)), "3,7");
    EXPECT_EQ(numbers(get(range_component + "/dcos-net.service?skip=-2", {}, viewer)), "2,3");
    EXPECT_EQ(numbers(get(range_v1 + "/range/?read_reverse=1&limit=2", {}, viewer)), "7,3");
    EXPECT_EQ(numbers(get("/api/v1/logs?unit=*&format=text", {}, viewer)), "1,2,3,7");
    EXPECT_EQ(numbers(get(range_component + "?skip=-20000", {}, viewer)), "1,2,3,7");
}

TEST_F(LogsRange, TheAuditSeesWhatWasAskedFor)
{
    journal.add_messages(1);
    (void)ask("/api/v1/logs?unit=a&grep=x&format=text");
    EXPECT_EQ(last_request().object.get("unit"), "a");
    EXPECT_EQ(last_request().object.get("grep"), "x");
}

}  // namespace
}  // namespace opsd::logs
