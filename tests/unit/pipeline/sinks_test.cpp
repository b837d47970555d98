// What far sides are sent, byte by byte, and what their answers mean.

#include "pipeline/sinks/elasticsearch.hpp"
#include "pipeline/sinks/export_format.hpp"
#include "pipeline/sinks/kafka_record.hpp"
#include "pipeline/sinks/lumberjack.hpp"
#include "pipeline/sinks/splunk_hec.hpp"
#include "pipeline/sinks/syslog5424.hpp"
#include "pipeline_support.hpp"

#include <nlohmann/json.hpp>

using namespace opsd;
using namespace opsd::test;
using namespace std::chrono_literals;
using namespace std::string_literals;
using nlohmann::json;

namespace {

struct Entry {
    Entry()
    {
        entry.cursor = "s=6e1c;i=3f2;b=0a1b;m=1f4;t=62a0;x=a1b2";
        entry.realtime = 1'795'369'145'123'456;  // 2026-11-22T17:39:05.123456Z
        entry.monotonic = 500;
    }
    std::string as(systemd::EntryWriter& writer)
    {
        entry.fields = fields;
        std::string out;
        EXPECT_TRUE(writer.write(entry, out));
        return out;
    }
    std::vector<systemd::JournalField> fields{
        {"_HOSTNAME", "agent-1"},     {"PRIORITY", "4"},
        {"SYSLOG_FACILITY", "3"},     {"SYSLOG_IDENTIFIER", "mesos-agent"},
        {"MESSAGE", "disk \"full\""}, {"_PID", "812"},
        {"_COMM", "mesos"},           {"_SYSTEMD_UNIT", "dcos-mesos-slave.service"}};
    systemd::JournalEntry entry;
};

const std::string document =
    R"({"@timestamp":"2026-11-22T17:39:05.123456Z","message":"disk \"full\"","host":{"name":"agent-1"},)"
    R"("log":{"level":"warning","syslog":{"severity":{"code":4},"facility":{"code":3},)"
    R"("appname":"mesos-agent"}},)"
    R"("process":{"pid":812,"name":"mesos"},"service":{"name":"dcos-mesos-slave.service"},)"
    R"("event":{"sequence":1010}})";

Verdict bulk(const std::string& body, std::size_t sent) { return read_bulk_reply(200, body, sent); }

using Kind = Verdict::Kind;

}  // namespace

TEST(Ecs, MapsAnEntryToTheCommonSchema)
{
    Entry entry;
    EcsWriter writer{EcsOptions{}};
    EXPECT_EQ(entry.as(writer), document);
}

TEST(Ecs, AnEntryWithNothingInItIsStillADocument)
{
    Entry entry;
    entry.fields.clear();
    entry.entry.cursor = "odd";
    EcsWriter writer{EcsOptions{}};
    EXPECT_EQ(entry.as(writer), R"({"@timestamp":"2026-11-22T17:39:05.123456Z","message":""})");
}

TEST(Ecs, AnythingInAFieldIsStillJson)
{
    EcsOptions options;
    options.labels = {{"node", "a\"b"}, {"role", "agent"}};
    options.raw_fields = true;
    options.id = true;
    EcsWriter writer{options};
    for (const auto& value :
         {""s, "\"\\\n\t\0\x1f"s, "\xff\xc3("s, "007"s, "-1"s, "8"s, "99999999999999"s, "é"s}) {
        Entry entry;
        for (auto& field : entry.fields)
            field.value = value;
        entry.fields.push_back({"MESSAGE", "second"});
        const auto parsed = json::parse(entry.as(writer), nullptr, false);
        ASSERT_TRUE(parsed.is_object()) << value;
        EXPECT_EQ(parsed["labels"]["node"], "a\"b");
        EXPECT_EQ(parsed["event"]["id"], "6e1c-3f2-62a0");
        EXPECT_TRUE(parsed["journald"]["MESSAGE"].is_array()) << "a name that occurs twice is a list";
        EXPECT_TRUE(parsed["journald"]["_PID"].is_string());
    }
}

TEST(Ecs, TheTimeIsWhenItWasSentWhereThatCanBe)
{
    Entry entry;
    const auto time = [&](std::string_view sent) {
        entry.fields.assign(1, {"_SOURCE_REALTIME_TIMESTAMP", sent});
        entry.entry.fields = entry.fields;
        return parts_of(entry.entry).time;
    };
    EXPECT_EQ(time("1795369145000000"), 1'795'369'145'000'000);
    for (const auto* odd : {"", "x", "-5", "0", "9795369145000000", "99999999999999999999"})
        EXPECT_EQ(time(odd), entry.entry.realtime) << odd;
}

TEST(Ecs, WhatTheManagerSaysOfAUnitIsThatUnits)
{
    Entry entry;
    entry.fields = {{"_SYSTEMD_UNIT", "init.scope"}, {"UNIT", "x.service"}};
    entry.entry.fields = entry.fields;
    EXPECT_EQ(parts_of(entry.entry).unit, "x.service");
}

TEST(Bulk, ARecordIsAnActionAndADocument)
{
    Entry entry;
    BulkWriter plain{BulkOptions{}};
    EXPECT_EQ(entry.as(plain), "{\"create\":{\"_index\":\"logs-opsd-default\",\"_id\":\"6e1c-3f2-62a0\"}}\n"
                                   + document + "\n");
    BulkOptions options;
    options.index = "opsd-%Y.%m.%d-%";
    BulkWriter dated{options};
    EXPECT_NE(entry.as(dated).find("\"_index\":\"opsd-2026.11.22-%\""), std::string::npos);
    entry.entry.realtime += 86'400'000'000;
    EXPECT_NE(entry.as(dated).find("\"_index\":\"opsd-2026.11.23-%\""), std::string::npos);
}

TEST(Bulk, EachItemHasItsOwnFate)
{
    const auto verdict = bulk(
        R"({"took":3,"errors":true,"items":[{"create":{"_id":"a","status":201,"_shards":{"total":2}}},)"
        R"({"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"exists"}}},)"
        R"({"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"full"}}},)"
        R"({"create":{"status":503}},)"
        R"({"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse",)"
        R"("caused_by":{"type":"x","reason":"y"}}}},{"index":{"status":404,"error":"IndexMissing"}}]})",
        6);
    ASSERT_EQ(verdict.kind, Kind::records);
    EXPECT_EQ(verdict.fates, (std::vector{Fate::accepted, Fate::accepted, Fate::retry, Fate::retry,
                                          Fate::refused, Fate::refused}));
    EXPECT_EQ(verdict.reasons.at(4), "400 mapper_parsing_exception: failed to parse");
    EXPECT_EQ(verdict.reasons.at(5), "404 IndexMissing");
    EXPECT_EQ(verdict.reason, "an item was answered 429 es_rejected_execution_exception: full");
    EXPECT_FALSE(verdict.alert);
}

TEST(Bulk, BelievesTheItemsAndNotTheSummary)
{
    const auto bad = bulk(R"({"errors":false,"items":[{"create":{"status":400}}]})", 1);
    EXPECT_EQ(bad.fates, std::vector{Fate::refused});
    const auto good = bulk(R"({"errors":true,"items":[{"create":{"status":201}}]})", 1);
    EXPECT_EQ(good.kind, Kind::accepted);
    const auto forbidden = bulk(R"({"errors":true,"items":[{"create":{"status":403}}]})", 1);
    EXPECT_EQ(forbidden.fates, std::vector{Fate::retry});
    EXPECT_TRUE(forbidden.alert);
}

TEST(Bulk, AnAnswerThatDoesNotFitAcceptsNothing)
{
    const std::string one = R"({"create":{"status":201}})";
    for (const auto& body :
         {""s, "{}"s, "null"s, "<html>"s, "[" + one + "]", R"({"items":{}})"s, R"({"errors":false})"s,
          R"({"items":[)" + one + "]}", R"({"items":[)" + one + "," + one + "," + one + "]}",
          R"({"items":[)" + one + "," + one + "]", R"({"items":[)" + one + "," + one + "]} x",
          R"({"items":[)" + one + R"(],"items":[)" + one + "]}", R"({"items":[[)" + one + "]," + one + "]}",
          R"({"items":[{},)" + one + "]}", R"({"items":[201,201]})"s,
          R"({"items":[{"create":{"status":201},"index":{"status":201}},)" + one + "]}"}) {
        const auto verdict = bulk(body, 2);
        EXPECT_EQ(verdict.kind, Kind::retry) << body;
        EXPECT_NE(verdict.reason, "") << body;
    }
    const auto unknown = bulk(R"({"items":[{"create":{}},{"create":{"status":"201"}}]})", 2);
    EXPECT_EQ(unknown.fates, (std::vector{Fate::retry, Fate::retry}));
    const auto cut = R"({"errors":false,"items":[)" + one + "," + one + "]}";
    for (std::size_t kept = 0; kept < cut.size(); ++kept)
        ASSERT_EQ(bulk(cut.substr(0, kept), 2).kind, Kind::retry) << kept;
}

TEST(Bulk, TheUsualAnswerIsReadAsAnyOther)
{
    const auto usual = [](std::size_t items) {
        std::string body = R"({"errors":false,"items":[)";
        for (std::size_t i = 0; i < items; ++i)
            body += std::string{i == 0 ? "" : ","} + R"({"create":{"status":201}})";
        return body + "]}";
    };
    for (const std::size_t items : {1U, 2U, 500U}) {
        EXPECT_EQ(bulk(usual(items), items).kind, Kind::accepted);
        EXPECT_EQ(bulk(usual(items), items + 1).kind, Kind::retry);
        EXPECT_EQ(bulk(usual(items + 1), items).kind, Kind::retry);
    }
    EXPECT_EQ(bulk(usual(0), 0).kind, Kind::accepted);
    for (std::size_t at = 0; at < usual(3).size(); ++at) {
        for (const char other : {'4', '"', 'x', ','}) {
            auto body = usual(3);
            if (body[at] == other) continue;
            body[at] = other;
            const auto verdict = bulk(body, 3);
            const auto with_care = bulk(body + "\n", 3);
            ASSERT_EQ(verdict.kind, with_care.kind) << body;
            ASSERT_EQ(verdict.fates, with_care.fates) << body;
        }
    }
}

TEST(Bulk, AHugeAnswerMeansFewerRecordsAndAHugeReasonIsCut)
{
    EXPECT_EQ(bulk(std::string(largest_bulk_reply + 1, ' '), 1).kind, Kind::too_large);
    const auto verdict = bulk(R"({"items":[{"create":{"status":400,"error":{"type":"t","reason":")"
                                  + std::string(1'000'000, 'x') + R"("}}}]})",
                              1);
    EXPECT_LT(verdict.reasons.at(0).size(), 700U);
    EXPECT_EQ(bulk(std::string(100'000, '['), 1).kind, Kind::retry);
}

TEST(Bulk, TheRequestAsAWholeMayFailToo)
{
    EXPECT_EQ(read_bulk_reply(503, "", 5, 30s).after, 30s);
    EXPECT_EQ(read_bulk_reply(413, "", 5).kind, Kind::too_large);
    EXPECT_EQ(read_bulk_reply(401, "", 5).kind, Kind::keep);
    EXPECT_EQ(read_bulk_reply(400, "{}", 5).kind, Kind::refused);
}

TEST(Hec, ARecordIsAnEventInItsEnvelope)
{
    Entry entry;
    HecOptions options;
    options.index = "main";
    options.document.labels = {{"node", "a"}};
    HecWriter writer{options};
    const auto text = entry.as(writer);
    EXPECT_TRUE(
        text.starts_with(R"({"time":1795369145.123456,"host":"agent-1","source":"dcos-mesos-slave.service",)"
                         R"("sourcetype":"opsd:journal","index":"main","event":{)"))
        << text;
    EXPECT_TRUE(text.ends_with(R"("fields":{"node":"a","opsd_id":"6e1c-3f2-62a0"}})")) << text;
    EXPECT_TRUE(json::parse(text, nullptr, false).is_object());
}

TEST(Tasks, HaveTheirLabelsEverywhere)
{
    Entry entry;
    entry.entry.cursor = "c-1:2a:0:0:0badcafe";
    entry.fields = {{"MESSAGE", "hi"},    {"SYSLOG_IDENTIFIER", "web"}, {"STREAM", "stdout"},
                    {"FILE", "logs/a"},   {"AGENT_ID", "S0"},           {"FRAMEWORK_ID", "f"},
                    {"EXECUTOR_ID", "e"}, {"TASK_ID", "web.1"},         {"CONTAINER_ID", "c1"},
                    {"TASK_NAME", "web"}};
    const auto labels =
        R"("agent":"S0","framework":"f","executor":"e","container":"c1","task_id":"web.1","task_name":"web",)"
        R"("stream":"stdout"})"s;
    EcsWriter bare{EcsOptions{}};
    EXPECT_EQ(entry.as(bare), R"({"@timestamp":"2026-11-22T17:39:05.123456Z","message":"hi",)"
                              R"("log":{"file":{"path":"logs/a"},"syslog":{"appname":"web"}},)"
                              R"("process":{"name":"web"},"labels":{)"
                                  + labels + "}");
    EcsOptions ecs;
    ecs.labels = {{"node", "a"}};
    EcsWriter labelled{ecs};
    EXPECT_TRUE(entry.as(labelled).ends_with(R"("labels":{"node":"a",)" + labels + "}"))
        << entry.as(labelled);
    HecOptions hec;
    hec.document.labels = ecs.labels;
    HecWriter splunk{hec};
    const auto event = entry.as(splunk);
    EXPECT_TRUE(event.contains(R"("source":"stdout")")) << event;
    EXPECT_TRUE(event.ends_with(R"("fields":{"node":"a","opsd_id":"c-1:2a:0:0:0badcafe",)" + labels + "}"))
        << event;
    EXPECT_TRUE(json::accept(event));
    SyslogWriter syslog{SyslogOptions{}};
    EXPECT_TRUE(entry.as(syslog).ends_with(
        R"( agent="S0" framework="f" executor="e" container="c1" task_id="web.1" task_name="web" stream="stdout"] hi)"))
        << entry.as(syslog);
    KafkaWriter kafka{EcsOptions{}};
    EXPECT_EQ(split_kafka_record(entry.as(kafka)).key, "web.1");
    // Docker's own entries have a container, and are no task's.
    std::erase_if(entry.fields, [](const auto& field) { return field.name == "FRAMEWORK_ID"; });
    EXPECT_FALSE(entry.as(bare).contains("labels"));
    EXPECT_FALSE(entry.as(bare).contains("logs/a"));
}

TEST(Hec, EachCodeHasItsMeaning)
{
    const auto kind = [](int status, int code) {
        return read_hec_reply(status, R"({"text":"x","code":)" + std::to_string(code) + "}").verdict.kind;
    };
    EXPECT_EQ(kind(200, 0), Kind::accepted);
    for (const auto& [status, code] : std::vector<std::pair<int, int>>{
             {403, 1}, {401, 2}, {401, 3}, {403, 4}, {400, 7}, {400, 10}, {400, 11}, {400, 14}, {400, 16}})
        EXPECT_EQ(kind(status, code), Kind::keep) << code;
    for (const int code : {5, 6, 12, 13})
        EXPECT_EQ(kind(400, code), Kind::refused) << code;
    EXPECT_EQ(kind(500, 8), Kind::retry);
    EXPECT_EQ(kind(503, 9), Kind::retry);
    EXPECT_EQ(kind(400, 99), Kind::refused) << "by its status";
    EXPECT_EQ(read_hec_reply(413, "").verdict.kind, Kind::too_large);
    EXPECT_EQ(read_hec_reply(503, "busy", 9s).verdict.after, 9s);
}

TEST(Hec, OnlyCodeNoughtIsReceived)
{
    for (const auto* body : {"", "{}", "ok", "[0]", R"({"code":"0"})", R"({"code":0)", R"({"code":0.0})",
                             R"({"code":99})", R"({"text":"Success"})"})
        EXPECT_EQ(read_hec_reply(200, body).verdict.kind, Kind::retry) << body;
    EXPECT_EQ(read_hec_reply(200, R"({"code":0,"ackId":7})").ack_id, 7U);
    EXPECT_EQ(read_hec_reply(200, R"({"code":0,"ackId":-7})").ack_id, std::nullopt);
    EXPECT_EQ(read_hec_reply(503, R"({"code":0,"ackId":7})").verdict.kind, Kind::retry);
}

TEST(Hec, AsksForAcknowledgementsAndReadsThem)
{
    const std::vector<std::uint64_t> ids{0, 17};
    EXPECT_EQ(hec_ack_request(ids), R"({"acks":[0,17]})");
    const auto acks = read_hec_acks(200, R"({"acks":{"0":true,"17":false}})");
    ASSERT_TRUE(acks);
    EXPECT_EQ(acks->acks, (std::map<std::uint64_t, bool>{{0, true}, {17, false}}));
    EXPECT_TRUE(read_hec_acks(400, R"({"text":"ACK is disabled","code":14})")->disabled);
    for (const auto* body : {"", "{}", R"({"acks":[0]})", R"({"acks":{"x":true}})", R"({"acks":{"0":1}})",
                             R"({"acks":{"-1":true}})"})
        EXPECT_EQ(read_hec_acks(200, body).error().code, Errc::protocol) << body;
    EXPECT_EQ(read_hec_acks(503, "").error().code, Errc::unavailable);
    EXPECT_EQ(read_hec_acks(403, "").error().code, Errc::denied);
}

TEST(Lumberjack, AWindowIsACountAndNumberedDocuments)
{
    Batch batch{1};
    const auto slice = numbered(7, 2);
    for (const auto& record : slice.records)
        batch.add(record, slice.text);
    EXPECT_EQ(lumberjack_window(batch), "2W\0\0\0\2"
                                        "2J\0\0\0\1\0\0\0\2"
                                        "7;"
                                        "2J\0\0\0\2\0\0\0\2"
                                        "8;"s);
}

TEST(Lumberjack, AcknowledgementsMayBePartialAndInAnyPieces)
{
    const auto bytes = "2A\0\0\0\0"
                       "2A\0\0\0\2"
                       "2A\0\0\0\0"
                       "2A\0\0\0\5"s;
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
        LumberjackAcks acks{5};
        Result<bool> all = false;
        for (std::size_t at = 0; at < bytes.size(); at += piece)
            all = acks.feed(std::string_view{bytes}.substr(at, piece));
        ASSERT_TRUE(all && *all) << piece;
        EXPECT_EQ(acks.keep_alives(), 2U);
        EXPECT_EQ(acks.verdict("x").kind, Kind::accepted);
    }
    LumberjackAcks part{5};
    EXPECT_EQ(part.feed("2A\0\0\0\2"s), false);
    const auto verdict = part.verdict("the connection broke");
    EXPECT_EQ(verdict.kind, Kind::records);
    EXPECT_EQ(verdict.fates,
              (std::vector{Fate::accepted, Fate::accepted, Fate::retry, Fate::retry, Fate::retry}));
    EXPECT_EQ(LumberjackAcks{5}.verdict("x").kind, Kind::retry);
}

TEST(Lumberjack, AFarSideThatSpeaksOtherwiseIsNotBelieved)
{
    for (const auto& bytes : {"1A\0\0\0\1"s, "2W\0\0\0\1"s, "HTTP/1.1 400"s, "2A\0\0\0\6"s,
                              "2A\0\0\0\3"
                              "2A\0\0\0\2"s}) {
        LumberjackAcks acks{5};
        EXPECT_EQ(acks.feed(bytes).error().code, Errc::protocol) << bytes;
        EXPECT_FALSE(acks.feed("2A\0\0\0\5"s)) << "nor later";
    }
}

TEST(Syslog, AMessageIsBehindItsLength)
{
    Entry entry;
    SyslogOptions options;
    options.labels = {{"node", "a]\"\\"}};
    SyslogWriter writer{options};
    const auto message =
        R"(<28>1 2026-11-22T17:39:05.123456Z agent-1 mesos-agent 812 - )"
        R"([opsd@32473 node="a\]\"\\" id="6e1c-3f2-62a0" unit="dcos-mesos-slave.service"] disk "full")"s;
    EXPECT_EQ(entry.as(writer), std::to_string(message.size()) + " " + message);
}

TEST(Syslog, WhatIsMissingOrOddHasAPlaceToo)
{
    Entry entry;
    entry.fields = {{"SYSLOG_IDENTIFIER", "a b\n\xff"}, {"PRIORITY", "9"}, {"SYSLOG_FACILITY", "99"}};
    SyslogWriter writer{SyslogOptions{}};
    const auto text = entry.as(writer);
    EXPECT_NE(text.find("<30>1 2026-11-22T17:39:05.123456Z - a_b__ - - [opsd@32473 id="), std::string::npos)
        << text;
    EXPECT_TRUE(text.ends_with("]"));
}

TEST(Export, EveryFieldKeepsAllItsBytes)
{
    Entry entry;
    entry.fields = {{"MESSAGE", "one\ttwo"}, {"B", "a\nb"}, {"EMPTY", ""}, {"MESSAGE", "again"}};
    ExportWriter writer;
    EXPECT_EQ(entry.as(writer), "__CURSOR=s=6e1c;i=3f2;b=0a1b;m=1f4;t=62a0;x=a1b2\n"
                                "__REALTIME_TIMESTAMP=1795369145123456\n"
                                "__MONOTONIC_TIMESTAMP=500\n"
                                "MESSAGE=one\ttwo\n"
                                "B\n\3\0\0\0\0\0\0\0a\nb\n"
                                "EMPTY=\n"
                                "MESSAGE=again\n\n"s);
}

TEST(Stamp, FollowsTheTimeInBothDirections)
{
    Stamp stamp;
    const auto text = [&](std::int64_t time) {
        std::string out;
        stamp.append(out, time);
        return out;
    };
    EXPECT_EQ(text(1'795'369'145'000'001), "2026-11-22T17:39:05.000001Z");
    EXPECT_EQ(text(1'795'369'144'999'999), "2026-11-22T17:39:04.999999Z");
    EXPECT_EQ(text(-5), "1970-01-01T00:00:00.000000Z");
    EXPECT_EQ(text(INT64_MAX), "9999-12-31T23:59:59.000000Z");
    EXPECT_EQ(stamp.day(1'795'369'145'000'001), "2026-11-22");
}
