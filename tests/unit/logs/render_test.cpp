// Entries as text.

#include "modules/logs/render.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <ctime>

namespace opsd::logs {
namespace {

using nlohmann::json;
using Fields = std::vector<systemd::JournalField>;

constexpr std::string_view rendered_cursor = "s=aa;i=1f;b=bb;m=1;t=2;x=cc";
constexpr std::int64_t at = 1'700'000'000'123'456;

std::string render(const Fields& fields, RenderSpec spec = {})
{
    std::string out = "before";
    const auto writer = make_writer(std::move(spec));
    EXPECT_TRUE(writer->write({rendered_cursor, at, 77, fields}, out));
    EXPECT_TRUE(out.starts_with("before"));
    return out.substr(6);
}

std::string render(const Fields& fields, Format format)
{
    return render(fields, RenderSpec{.format = format});
}

TEST(LogsRender, DcosJsonIsALineWithItsMembers)
{
    EXPECT_EQ(render({{"MESSAGE", "hello"}, {"_PID", "1008"}}, Format::dcos_json),
              R"({"fields":{"MESSAGE":"hello","_PID":"1008"},"cursor":"s=aa;i=1f;b=bb;m=1;t=2;x=cc",)"
              R"("monotonic_timestamp":77,"realtime_timestamp":1700000000123456})"
              "\n");
    EXPECT_EQ(json::parse(render({}, Format::dcos_json))["fields"], json::object());
}

TEST(LogsRender, TheLastOfTwoEqualFieldsWinsForDcosAndOursHasBoth)
{
    const Fields fields{{"A", "1"}, {"B", "2"}, {"A", "3"}, {"A", ""}};
    const auto dcos = json::parse(render(fields, Format::dcos_json))["fields"];
    EXPECT_EQ(dcos, (json{{"A", ""}, {"B", "2"}}));
    const auto ours = json::parse(render(fields, Format::ndjson))["fields"];
    EXPECT_EQ(ours, (json{{"A", {"1", "3", ""}}, {"B", "2"}}));
}

TEST(LogsRender, ManyFieldsKeepTheirNamesApart)
{
    std::vector<std::string> names;
    for (int i = 0; i < 300; ++i)
        names.push_back("FIELD_" + std::to_string(i));
    Fields fields;
    for (const auto& name : names)
        fields.push_back({name, name});
    EXPECT_EQ(json::parse(render(fields, Format::dcos_json))["fields"].size(), 300U);
    fields.push_back({"FIELD_7", "last"});
    const auto parsed = json::parse(render(fields, Format::dcos_json))["fields"];
    EXPECT_EQ(parsed.size(), 300U);
    EXPECT_EQ(parsed["FIELD_7"], "last");
}

TEST(LogsRender, EveryByteSurvivesOrBecomesAReplacement)
{
    for (int byte = 0; byte < 256; ++byte) {
        for (std::size_t before = 0; before < 18; ++before) {
            auto value = std::string(before, 'x') + static_cast<char>(byte) + "0123456789";
            const auto line = render({{"MESSAGE", value}}, Format::dcos_json);
            const auto parsed = json::parse(line)["fields"]["MESSAGE"].get<std::string>();
            if (byte >= 0x80) value = std::string(before, 'x') + "\xef\xbf\xbd" + "0123456789";
            EXPECT_EQ(parsed, value) << byte << " after " << before;
        }
    }
}

TEST(LogsRender, Utf8StaysAndEachBrokenByteIsReplaced)
{
    const std::string good = "Gr\xc3\xbc\xc3\x9f"
                             "e \xe2\x82\xac \xf0\x9f\x98\x80 \xe2\x80\xa8";
    EXPECT_EQ(json::parse(render({{"MESSAGE", good}}, Format::dcos_json))["fields"]["MESSAGE"], good);
    const std::string bad = "a\xf0\x9f\x98z\xc0\x80\xed\xa0\x80";  // cut, overlong, surrogate
    const auto parsed =
        json::parse(render({{"MESSAGE", bad}}, Format::dcos_json))["fields"]["MESSAGE"].get<std::string>();
    const std::string replaced = "\xef\xbf\xbd";
    EXPECT_EQ(parsed, "a" + replaced + replaced + replaced + "z" + replaced + replaced + replaced + replaced
                          + replaced);
}

TEST(LogsRender, AnEventIsItsIdAndOneLineOfData)
{
    const Fields fields{{"MESSAGE", "two\nlines\n\n"}};
    const auto event = render(fields, Format::dcos_sse);
    EXPECT_TRUE(event.starts_with("id: s=aa;i=1f;b=bb;m=1;t=2;x=cc\ndata: {\"fields\":")) << event;
    EXPECT_TRUE(event.ends_with("}\n\n"));
    EXPECT_EQ(std::ranges::count(event, '\n'), 3);
    const auto plain = render(fields, RenderSpec{.format = Format::dcos_sse, .ids = false});
    EXPECT_TRUE(plain.starts_with("data: {"));
}

TEST(LogsRender, OurJsonIsDcosAndMore)
{
    const auto parsed = json::parse(
        render({{"MESSAGE", "x"}, {"PRIORITY", "4"}, {"_SYSTEMD_UNIT", "a.service"}}, Format::ndjson));
    EXPECT_EQ(parsed["time"], "2023-11-14T22:13:20.123Z");
    EXPECT_EQ(parsed["unit"], "a.service");
    EXPECT_EQ(parsed["priority"], 4);
    EXPECT_FALSE(parsed.contains("suppressed"));
    EXPECT_EQ(parsed["fields"]["MESSAGE"], "x");
    EXPECT_EQ(parsed["cursor"], rendered_cursor);
    EXPECT_EQ(parsed["realtime_timestamp"], at);
    EXPECT_EQ(parsed["monotonic_timestamp"], 77);
    EXPECT_FALSE(json::parse(render({{"PRIORITY", "9"}}, Format::ndjson)).contains("priority"));
}

TEST(LogsRender, AUnitIsNamedByWhoMayNameIt)
{
    const auto unit = [](const Fields& fields) {
        return std::string{pick({rendered_cursor, at, 7, fields}).unit};
    };
    EXPECT_EQ(unit({{"_SYSTEMD_UNIT", "a.service"}, {"UNIT", "forged.service"}, {"_PID", "12"}}),
              "a.service");
    EXPECT_EQ(unit({{"_SYSTEMD_UNIT", "init.scope"}, {"UNIT", "b.service"}, {"_PID", "1"}}), "b.service");
    EXPECT_EQ(unit({{"_SYSTEMD_UNIT", "j.service"}, {"OBJECT_SYSTEMD_UNIT", "c.service"}, {"_UID", "0"}}),
              "c.service");
    EXPECT_EQ(unit({{"_SYSTEMD_UNIT", "j.service"}, {"OBJECT_SYSTEMD_UNIT", "c.service"}, {"_UID", "7"}}),
              "j.service");
    EXPECT_EQ(unit({{"COREDUMP_UNIT", "d.service"}, {"_UID", "0"}}), "d.service");
}

TEST(LogsRender, JournaldsOwnSuppressionIsMarkedInOurFormats)
{
    const Fields fields{{"MESSAGE", "Suppressed 41 messages from a.service"},
                        {"MESSAGE_ID", "a596d6fe7bfa4994828e72309e95d61e"},
                        {"N_DROPPED", "41"},
                        {"_TRANSPORT", "driver"}};
    EXPECT_EQ(json::parse(render(fields, Format::ndjson))["suppressed"], 41);
    EXPECT_NE(render(fields, Format::text).find("[41 messages lost by journald's rate limit] Suppressed"),
              std::string::npos);
    auto forged = fields;
    forged[3].value = "journal";
    EXPECT_FALSE(json::parse(render(forged, Format::ndjson)).contains("suppressed"));
}

TEST(LogsRender, DcosTextIsLocalTimeAndMessage)
{
    ::setenv("TZ", "Europe/Berlin", 1);
    ::tzset();
    EXPECT_EQ(render({{"MESSAGE", "hello"}}, Format::dcos_text), "2023-11-14 23:13:20: hello\n");
    EXPECT_EQ(render({{"OTHER", "hello"}}, Format::dcos_text), "");
    EXPECT_EQ(render({{"MESSAGE", "old"}, {"MESSAGE", "new"}}, Format::dcos_text),
              "2023-11-14 23:13:20: new\n");
    ::unsetenv("TZ");
    ::tzset();
}

TEST(LogsRender, MinutesAreKeptAndChange)
{
    MinuteText utc{MinuteText::Zone::utc};
    EXPECT_EQ(utc.of(0), "1970-01-01T00:00:");
    EXPECT_EQ(utc.of(59), "1970-01-01T00:00:");
    EXPECT_EQ(utc.of(60), "1970-01-01T00:01:");
    EXPECT_EQ(utc.of(-5), "1970-01-01T00:00:");
    EXPECT_EQ(utc.of(253'402'300'799), "9999-12-31T23:59:");
}

TEST(LogsRender, OurTextNamesHostUnitAndPriority)
{
    const Fields fields{{"MESSAGE", "it\tbroke\nbadly"},
                        {"_HOSTNAME", "h1"},
                        {"_SYSTEMD_UNIT", "a.service"},
                        {"_PID", "12"},
                        {"PRIORITY", "3"}};
    EXPECT_EQ(render(fields, Format::text),
              "2023-11-14T22:13:20.123Z h1 a.service[12] err: it\tbroke\n    badly\n");
    EXPECT_EQ(render({{"SYSLOG_IDENTIFIER", "kernel"}}, Format::text),
              "2023-11-14T22:13:20.123Z - kernel: (no message)\n");
}

TEST(LogsRender, NoMessageOfOursSteersATerminal)
{
    const auto line = render({{"MESSAGE", "\x1b[2Jx\x7f\xff"}, {"_HOSTNAME", "h\n1"}}, Format::text);
    EXPECT_NE(line.find("\xef\xbf\xbd[2Jx\xef\xbf\xbd\xef\xbf\xbd\n"), std::string::npos) << line;
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
    const auto c1 = render({{"MESSAGE", "a\xc2\x9b"
                                        "2Jb\xc2\x80\xc2\x9f\xc2\xa0\xc3\x9b"}},
                           Format::text);
    EXPECT_TRUE(c1.ends_with(": a\xef\xbf\xbd"
                             "2Jb\xef\xbf\xbd\xef\xbf\xbd\xc2\xa0\xc3\x9b\n"))
        << c1;
}

TEST(LogsRender, ExportIsJournaldsFormat)
{
    const std::string binary{"a\nb\0c", 5};
    const std::string length{"\5\0\0\0\0\0\0\0", 8};
    const auto text = render({{"MESSAGE", "hello"}, {"DATA", binary}, {"DATA", "x"}}, Format::export_);
    EXPECT_EQ(text, "__CURSOR=" + std::string{rendered_cursor}
                        + "\n__REALTIME_TIMESTAMP=1700000000123456\n__MONOTONIC_TIMESTAMP=77\n"
                          "MESSAGE=hello\nDATA\n"
                        + length + binary + "\nDATA=x\n\n");
    const auto odd = render({{"A", "\xff"}}, Format::export_);
    EXPECT_NE(odd.find("A\n\1"), std::string::npos);
}

TEST(LogsRender, ALongEntryIsShortenedAndSaysSo)
{
    const std::string huge(200'000, 'm');
    const Fields fields{{"OTHER", huge}, {"MESSAGE", huge}, {"_PID", "12"}};
    for (const auto format : {Format::dcos_json, Format::dcos_sse, Format::ndjson, Format::sse}) {
        const auto text = render(fields, RenderSpec{.format = format, .max_entry = 64'000});
        EXPECT_LE(text.size(), 64'000U) << to_string(format);
        EXPECT_GT(text.size(), 20'000U) << to_string(format);
        const auto data = text.substr(text.find('{'));
        const auto parsed = json::parse(data);
        const auto message = parsed["fields"]["MESSAGE"].get<std::string>();
        EXPECT_TRUE(message.starts_with("mmmm"));
        EXPECT_TRUE(message.ends_with("\xe2\x80\xa6 [cut by opsd: 200000 bytes]"));
        EXPECT_EQ(parsed["fields"]["_PID"], "12");
        EXPECT_EQ(parsed["fields"]["OPSD_CUT"], "400018");
        EXPECT_EQ(parsed["cursor"], rendered_cursor);
    }
    for (const auto format : {Format::dcos_text, Format::text, Format::export_}) {
        const auto text = render(fields, RenderSpec{.format = format, .max_entry = 64'000});
        EXPECT_LE(text.size(), 64'000U) << to_string(format);
        EXPECT_NE(text.find(format == Format::export_ ? "OPSD_CUT=2" : "[cut by opsd: 200000 bytes]"),
                  std::string::npos);
    }
}

TEST(LogsRender, WhatGrowsByEscapingIsMeasuredAsItIsSent)
{
    const std::string control(30'000, '\1');
    const auto text =
        render({{"MESSAGE", control}}, RenderSpec{.format = Format::dcos_json, .max_entry = 64'000});
    EXPECT_LE(text.size(), 64'000U);
    EXPECT_TRUE(json::parse(text)["fields"]["MESSAGE"].get<std::string>().ends_with("30000 bytes]"));
    const std::string fits(10'000, '\1');
    const auto whole =
        render({{"MESSAGE", fits}}, RenderSpec{.format = Format::dcos_json, .max_entry = 64'000});
    EXPECT_EQ(json::parse(whole)["fields"]["MESSAGE"], fits);
}

TEST(LogsRender, AnEntryOfCountlessFieldsKeepsTheMainOnes)
{
    std::vector<std::string> names;
    for (int i = 0; i < 1'000; ++i)
        names.push_back("FIELD_NUMBER_" + std::to_string(i));
    Fields fields;
    for (const auto& name : names)
        fields.push_back({name, name});
    fields.push_back({"MESSAGE", "what it is about"});
    const auto text = render(fields, RenderSpec{.format = Format::dcos_json, .max_entry = smallest_entry});
    EXPECT_LE(text.size(), smallest_entry);
    EXPECT_EQ(json::parse(text)["fields"]["MESSAGE"], "what it is about");
}

TEST(LogsRender, ACutIsBetweenCharacters)
{
    std::string message;
    while (message.size() < 100'000)
        message += "\xe2\x82\xac";
    for (std::size_t most = 3'000; most < 3'010; ++most) {
        const auto text =
            render({{"MESSAGE", message}}, RenderSpec{.format = Format::dcos_json, .max_entry = most});
        EXPECT_LE(text.size(), most);
        EXPECT_EQ(text.find("\xef\xbf\xbd"), std::string::npos) << most;
    }
}

TEST(LogsRender, AFilterLeavesOutAndDoesNotCount)
{
    RenderSpec spec{.format = Format::dcos_json, .grep = *Grep::compile("wa(s|rn)")};
    const auto writer = make_writer(spec);
    std::string out;
    EXPECT_FALSE(writer->write({rendered_cursor, at, 7, Fields{{"MESSAGE", "fine"}}}, out));
    EXPECT_FALSE(writer->write({rendered_cursor, at, 7, Fields{{"OTHER", "warn"}}}, out));
    EXPECT_EQ(out, "");
    EXPECT_TRUE(writer->write({rendered_cursor, at, 7, Fields{{"MESSAGE", "a warning"}}}, out));
    EXPECT_NE(out, "");
}

TEST(LogsRender, EqualNamesAreEqualWriters)
{
    const RenderSpec one{.format = Format::dcos_json, .grep = *Grep::compile("a")};
    auto other = one;
    EXPECT_EQ(name_of(one), name_of(other));
    other.max_entry = 64'000;
    EXPECT_NE(name_of(one), name_of(other));
    other = one;
    other.grep = *Grep::compile("b");
    EXPECT_NE(name_of(one), name_of(other));
    other = one;
    other.owners = {std::make_shared<const UnitSet>(std::vector<std::string>{"a", "b"})};
    auto third = one;
    third.owners = {std::make_shared<const UnitSet>(std::vector<std::string>{"a b"})};
    EXPECT_NE(name_of(other), name_of(third));
    EXPECT_NE(name_of(one), name_of(other));
}

TEST(LogsRender, FramesComeApartAgain)
{
    const auto framer = make_framer(RenderSpec{.format = Format::dcos_json, .grep = *Grep::compile("x\\d")});
    std::string out;
    EXPECT_TRUE(framer->write({"c1", at, 7, Fields{{"MESSAGE", "x1\n7\n"}}}, out));
    EXPECT_TRUE(framer->write({"c2", at, 7, Fields{{"MESSAGE", "no"}}}, out));
    EXPECT_TRUE(framer->write({"c3", at, 7, Fields{{"MESSAGE", "x3"}}}, out));
    std::string_view rest{out};
    const auto first = next_frame(rest);
    EXPECT_EQ(first.cursor, "c1");
    EXPECT_TRUE(json::accept(first.text));
    EXPECT_EQ(next_frame(rest).text, "");
    EXPECT_EQ(next_frame(rest).cursor, "c3");
    EXPECT_TRUE(rest.empty());
}

}  // namespace
}  // namespace opsd::logs
