// What clients ask, understood.

#include "http/target.hpp"
#include "modules/logs/query.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace opsd::logs {
namespace {

using namespace std::chrono_literals;
using systemd::From;

constexpr WallTime now{1'700'000'000s};
const std::string id(32, 'a');
const std::string cursor = "s=" + id + ";i=1f;b=" + id + ";m=1;t=2;x=cc";
const QueryContext context{.now = now, .boot_id = "0123456789abcdef0123456789abcdef", .max_entry = 1 << 20};

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// The target goes through the real parser, so that what it makes of ";" and "%" counts.
http::Request request_of(const std::string& query, const Pairs& headers = {}, const Pairs& path = {})
{
    http::Request request;
    auto target = http::parse_target(http::Head{.method = "GET", .target = "/x?" + query});
    EXPECT_TRUE(target) << query;
    if (target) request.query = std::move(target->query);
    for (const auto& [name, value] : headers)
        request.headers.add(name, value);
    for (const auto& [name, value] : path)
        request.path_params.add(name, value);
    return request;
}

LogQuery v2(const std::string& query, const Pairs& headers = {}, const Pairs& path = {})
{
    auto parsed = v2_query(request_of(query, headers, path), context);
    EXPECT_TRUE(parsed) << query << ": " << (parsed ? "" : parsed.error().message);
    return parsed ? std::move(*parsed) : LogQuery{};
}

LogQuery v1(const std::string& query, bool stream = false, const Pairs& headers = {})
{
    auto parsed = v1_query(request_of(query, headers), stream, false, context);
    EXPECT_TRUE(parsed) << query << ": " << (parsed ? "" : parsed.error().message);
    return parsed ? std::move(*parsed) : LogQuery{};
}

LogQuery own(const std::string& query, const Pairs& headers = {})
{
    auto parsed = own_query(request_of(query, headers), context);
    EXPECT_TRUE(parsed) << query << ": " << (parsed ? "" : parsed.error().message);
    return parsed ? std::move(*parsed) : LogQuery{};
}

template <class T>
std::string why(const Result<T>& result)
{
    if (result) return "(accepted)";
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
    return result.error().message;
}
std::string v2_refused(const std::string& query, const Pairs& headers = {})
{
    return why(v2_query(request_of(query, headers), context));
}
std::string own_refused(const std::string& query, const Pairs& headers = {})
{
    return why(own_query(request_of(query, headers), context));
}

Pairs accept(const std::string& types) { return {{"accept", types}}; }

TEST(LogsV2Query, ReadsFromTheHeadWithoutParameters)
{
    const auto query = v2("");
    EXPECT_EQ(query.range.from, From::head);
    EXPECT_EQ(query.range.skip, 0);
    EXPECT_FALSE(query.range.limit);
    EXPECT_TRUE(query.range.matches.empty());
    EXPECT_EQ(query.format, Format::dcos_text);
    EXPECT_FALSE(query.follow);
}

TEST(LogsV2Query, ANegativeSkipGoesBackFromTheTail)
{
    EXPECT_EQ(v2("skip=-60").range.from, From::tail);
    EXPECT_EQ(v2("skip=-60").range.skip, -60);
    EXPECT_EQ(v2("skip=3&limit=1").range.from, From::head);
    EXPECT_EQ(v2("skip=3&limit=1").range.skip, 3);
    EXPECT_EQ(v2("skip=3&limit=1").range.limit, 1U);
    EXPECT_EQ(v2("skip=0").range.from, From::head);
    EXPECT_FALSE(v2("limit=0").range.limit);
}

TEST(LogsV2Query, BegAndEndArePlaces)
{
    EXPECT_EQ(v2("cursor=BEG").range.from, From::head);
    EXPECT_EQ(v2("cursor=BEG&skip=-5").range.skip, 0);
    EXPECT_EQ(v2("cursor=END").range.from, From::tail);
    EXPECT_EQ(v2("cursor=END&skip=-5").range.skip, -5);
}

TEST(LogsV2Query, ACursorMayHoldRawSemicolonsAndBeEncodedOnceOrTwice)
{
    const auto encoded = [](std::string_view text, std::string_view percent) {
        std::string out;
        for (const char c : text)
            out += c == ';'   ? std::string{percent} + "3B"
                   : c == '=' ? std::string{percent} + "3D"
                              : std::string{c};
        return out;
    };
    for (const auto& text : {cursor, encoded(cursor, "%"), encoded(cursor, "%25")}) {
        const auto query = v2("cursor=" + text + "&skip=-2");
        EXPECT_EQ(query.range.from, From::cursor) << text;
        EXPECT_EQ(query.range.cursor, cursor) << text;
        EXPECT_EQ(query.range.skip, -2) << text;
    }
}

TEST(LogsV2Query, ACursorThatIsNoneIsRefused)
{
    for (const auto* text : {"cursor=12", "cursor=s%3Dzz", "cursor=end", "cursor=%25", "cursor=%2541"})
        EXPECT_NE(v2_refused(text).find("cursor"), std::string::npos) << text;
    EXPECT_NE(v2_refused("", {{"last-event-id", "7"}}).find("Last-Event-ID"), std::string::npos);
}

TEST(LogsV2Query, AClientThatComesAgainSkipsNothing)
{
    const auto query =
        v2("skip=-10&cursor=END", {{"last-event-id", cursor}, {"accept", "text/event-stream"}});
    EXPECT_EQ(query.range.from, From::cursor);
    EXPECT_EQ(query.range.cursor, cursor);
    EXPECT_EQ(query.range.skip, 0);
    EXPECT_TRUE(query.follow);
}

TEST(LogsV2Query, AComponentAndItsFiltersMustAllMatch)
{
    const auto query =
        v2("filter=priority:3&filter=PRIORITY:4&filter=SYSLOG_IDENTIFIER:x", {}, {{"unit", "a.service"}});
    const systemd::MatchGroups expected{
        {"UNIT=a.service", "_SYSTEMD_UNIT=a.service"}, {"PRIORITY=3", "PRIORITY=4"}, {"SYSLOG_IDENTIFIER=x"}};
    EXPECT_EQ(query.range.matches, expected);
    EXPECT_EQ(query.units, std::vector<std::string>{"a.service"});
}

TEST(LogsV2Query, AFilterIsSplitAtItsFirstColon)
{
    const systemd::MatchGroups expected{{"MESSAGE=http://a:80/"}, {"A="}};
    EXPECT_EQ(v2("filter=MESSAGE:http://a:80/&filter=a:").range.matches, expected);
}

TEST(LogsV2Query, BadNumbersAndFiltersAreRefusedWithAReason)
{
    EXPECT_NE(v2_refused("limit=-1").find("limit \"-1\""), std::string::npos);
    EXPECT_NE(v2_refused("limit=5x").find("limit"), std::string::npos);
    EXPECT_NE(v2_refused("skip=five").find("skip \"five\""), std::string::npos);
    EXPECT_NE(v2_refused("skip=99999999999999999999").find("skip"), std::string::npos);
    EXPECT_NE(v2_refused("filter=MESSAGE").find("FIELD:value"), std::string::npos);
    EXPECT_NE(v2_refused("filter=:x").find("FIELD:value"), std::string::npos);
    EXPECT_NE(v2_refused("filter=a%20b:x").find("FIELD:value"), std::string::npos);
    EXPECT_NE(v2_refused("filter=__CURSOR:x").find("FIELD:value"), std::string::npos);
}

TEST(LogsV2Query, FiltersAndSkipsAreBounded)
{
    std::string many = "filter=A:1";
    for (int i = 0; i < 64; ++i)
        many += "&filter=A:" + std::to_string(i);
    EXPECT_NE(v2_refused(many).find("64"), std::string::npos);
    const auto least = v2("skip=" + std::to_string(std::numeric_limits<std::int64_t>::min())).range.skip;
    EXPECT_EQ(least, -farthest_skip);
}

TEST(LogsV2Query, AcceptIsNegotiated)
{
    const std::pair<const char*, Format> table[] = {
        {"", Format::dcos_text},
        {"*/*", Format::dcos_text},
        {"text/html", Format::dcos_text},
        {"application/json", Format::dcos_json},
        {"application/json, text/plain", Format::dcos_json},
        {"text/plain, application/json", Format::dcos_text},
        {"text/plain;q=0.5, application/json", Format::dcos_json},
        {"application/json;q=0.1, text/event-stream ; q=0.9", Format::dcos_sse},
        {"text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", Format::dcos_text},
        {"Application/JSON; charset=utf-8", Format::dcos_json},
        {"application/*", Format::dcos_json},
        {"application/json;q=0, text/plain", Format::dcos_text},
        {"application/json;q=nonsense, */*;q=0.1", Format::dcos_text},
        {"text/event-stream", Format::dcos_sse},
        {",;,=,", Format::dcos_text},
    };
    for (const auto& [header, format] : table)
        EXPECT_EQ(v2("", accept(header)).format, format) << header;
}

TEST(LogsV2Query, TheDcosCommandLineGetsShortEntries)
{
    EXPECT_EQ(v2("", accept("text/event-stream")).max_entry, dcos_cli_entry);
    EXPECT_EQ(v2("", {{"accept", "application/json"}, {"user-agent", "dcos-cli/1.2"}}).max_entry,
              dcos_cli_entry);
    EXPECT_EQ(v2("", {{"accept", "text/event-stream"}, {"user-agent", "curl/8"}}).max_entry,
              context.max_entry);
    EXPECT_EQ(v2("", accept("application/json")).max_entry, context.max_entry);
    EXPECT_EQ(v2("max_entry=100000", accept("text/event-stream")).max_entry, 100'000U);
    EXPECT_NE(v2_refused("max_entry=9").find("max_entry"), std::string::npos);
    EXPECT_NE(v2_refused("max_entry=2000000").find("logs.max_entry"), std::string::npos);
}

TEST(LogsV1Query, HasItsOwnSkips)
{
    EXPECT_EQ(v1("skip_next=3").range.from, From::head);
    EXPECT_EQ(v1("skip_next=3").range.skip, 3);
    EXPECT_EQ(v1("skip_prev=3").range.from, From::tail);
    EXPECT_EQ(v1("skip_prev=3").range.skip, -3);
    const auto both = v1("cursor=" + cursor + "&skip_next=5&skip_prev=2");
    EXPECT_EQ(both.range.from, From::cursor);
    EXPECT_EQ(both.range.skip, 3);
    EXPECT_LT(v1("skip_prev=18446744073709551615").range.skip, -1'000'000);
}

TEST(LogsV1Query, AStreamHasNeitherLimitNorDirection)
{
    for (const auto* text : {"limit=5", "read_reverse=true"}) {
        EXPECT_FALSE(v1_query(request_of(text), true, false, context)) << text;
        EXPECT_TRUE(v1_query(request_of(text), false, false, context)) << text;
    }
    EXPECT_TRUE(v1("limit=0&read_reverse=false", true).follow);
    EXPECT_FALSE(v1_query(request_of("read_reverse=maybe"), false, false, context));
}

TEST(LogsV1Query, OnlyAStreamTakesTheLastEventAndOnlyItsEventsHaveIds)
{
    const Pairs last{{"last-event-id", cursor}};
    EXPECT_EQ(v1("skip_prev=9", true, last).range.from, From::cursor);
    EXPECT_EQ(v1("skip_prev=9", true, last).range.skip, 0);
    EXPECT_EQ(v1("skip_prev=9", false, last).range.from, From::tail);
    EXPECT_TRUE(v1("", true).ids);
    EXPECT_FALSE(v1("").ids);
}

TEST(LogsV1Query, ReverseBeginsAtTheTail)
{
    EXPECT_EQ(v1("read_reverse=true").range.from, From::tail);
    EXPECT_TRUE(v1("read_reverse=1").reverse);
    EXPECT_EQ(v1("read_reverse=true&cursor=" + cursor).range.from, From::cursor);
}

TEST(LogsV1Query, ATaskAndAFileHaveTheirNames)
{
    const Pairs path{{"framework", "f"}, {"executor", "e"}, {"container", "p.c"}};
    const auto query = v1_query(request_of("postfix=a/b\"c", {}, path), false, true, context);
    ASSERT_TRUE(query);
    const systemd::MatchGroups expected{{"CONTAINER_ID=p.c"}, {"FRAMEWORK_ID=f"}, {"EXECUTOR_ID=e"}};
    EXPECT_EQ(query->range.matches, expected);
    EXPECT_EQ(query->file, "task-p.c-a_b_c.log.gz");
    EXPECT_EQ(v1_query(request_of(""), false, true, context)->file, "root-range.log.gz");
}

TEST(LogsOwnQuery, GivesTheNewestHundredLinesByDefault)
{
    const auto query = own("");
    EXPECT_EQ(query.range.from, From::tail);
    EXPECT_EQ(query.range.skip, -100);
    EXPECT_EQ(query.format, Format::json);
    EXPECT_FALSE(query.follow);
    EXPECT_EQ(own("follow=1").range.skip, -10);
    EXPECT_EQ(own("lines=7").range.skip, -7);
    EXPECT_EQ(own("lines=7").range.limit, 7U);
    EXPECT_FALSE(own("lines=7&follow").range.limit);
    EXPECT_EQ(own("lines=18446744073709551615").range.from, From::head);
    EXPECT_EQ(own("lines=0&follow").range.skip, 0);
    EXPECT_EQ(own("lines=all").range.from, From::head);
}

TEST(LogsOwnQuery, TimesAreAbsoluteOrAWhileAgo)
{
    const auto at = [](std::chrono::seconds s) { return std::chrono::microseconds{s}.count(); };
    EXPECT_EQ(own("since=-1h").range.time, at(1'700'000'000s - 1h));
    EXPECT_EQ(own("since=-1h").range.from, From::time);
    EXPECT_EQ(own("since=-1h30m").range.since, at(1'700'000'000s - 90min));
    EXPECT_EQ(own("since=@1600000000").range.since, at(1'600'000'000s));
    EXPECT_EQ(own("since=2023-11-14T22:13:20Z").range.since, at(1'700'000'000s));
    EXPECT_EQ(own("until=now").range.until, at(1'700'000'000s));
    for (const auto* text : {"yesterday", "-", "-1x", "@", "@-5", "@99999999999999", "2023", ""})
        EXPECT_NE(own_refused(std::string{"since="} + text).find("since"), std::string::npos) << text;
    EXPECT_NE(own_refused("since=now&until=-1h").find("later"), std::string::npos);
}

TEST(LogsOwnQuery, LinesOfATimeAreTheNewestBeforeItsEnd)
{
    const auto query = own("until=@1600000000&lines=5");
    EXPECT_EQ(query.range.from, From::time);
    EXPECT_EQ(query.range.time, 1'600'000'000'000'001);
    EXPECT_EQ(query.range.skip, -5);
    EXPECT_EQ(query.range.until, 1'600'000'000'000'000);
    EXPECT_EQ(own("since=-1h&lines=5").range.from, From::tail);
    EXPECT_TRUE(own("since=-1h&lines=5").range.since);
}

TEST(LogsOwnQuery, AfterACursorLinesAreTheNextOnes)
{
    const auto query = own("cursor=" + cursor + "&lines=5");
    EXPECT_EQ(query.range.from, From::cursor);
    EXPECT_EQ(query.range.limit, 5U);
    EXPECT_EQ(query.range.skip, 0);
    EXPECT_FALSE(own("cursor=" + cursor).range.limit);
    const auto again = own("lines=5&follow&format=sse", {{"last-event-id", cursor}});
    EXPECT_EQ(again.range.from, From::cursor);
    EXPECT_FALSE(again.range.limit);
    EXPECT_NE(own_refused("cursor=BEG").find("cursor"), std::string::npos);
}

TEST(LogsOwnQuery, AUnitNeedsNoSuffixAndIsSeenAsSystemctlSeesIt)
{
    const auto query = own("unit=a&unit=b.socket");
    ASSERT_EQ(query.range.matches.size(), 1U);
    const std::vector<std::string> expected{
        "_SYSTEMD_UNIT=a.service", "_SYSTEMD_UNIT=b.socket",        "UNIT=a.service",
        "UNIT=b.socket",           "OBJECT_SYSTEMD_UNIT=a.service", "OBJECT_SYSTEMD_UNIT=b.socket",
        "COREDUMP_UNIT=a.service", "COREDUMP_UNIT=b.socket"};
    EXPECT_EQ(query.range.matches[0], expected);
    EXPECT_FALSE(query.filtered());
    const auto pattern = own("unit=dcos-*");
    EXPECT_TRUE(pattern.range.matches.empty());
    EXPECT_TRUE(pattern.filtered());
    EXPECT_NE(own_refused("unit=").find("unit"), std::string::npos);
}

TEST(LogsOwnQuery, APriorityIsThatAndWorseOrARange)
{
    const auto group = [](const std::string& text) { return own("priority=" + text).range.matches.at(0); };
    EXPECT_EQ(group("crit"), (std::vector<std::string>{"PRIORITY=0", "PRIORITY=1", "PRIORITY=2"}));
    EXPECT_EQ(group("1"), (std::vector<std::string>{"PRIORITY=0", "PRIORITY=1"}));
    EXPECT_EQ(group("err..warning"), (std::vector<std::string>{"PRIORITY=3", "PRIORITY=4"}));
    EXPECT_EQ(group("4..3"), group("3..4"));
    for (const auto* text : {"8", "bad", "", "err..", "..", "-1"})
        EXPECT_NE(own_refused(std::string{"priority="} + text).find("priority"), std::string::npos) << text;
}

TEST(LogsOwnQuery, ABootIsThisOneOrAnId)
{
    EXPECT_EQ(own("boot").range.matches.at(0).at(0), "_BOOT_ID=0123456789abcdef0123456789abcdef");
    EXPECT_EQ(own("boot=0").range.matches.at(0).at(0), "_BOOT_ID=0123456789abcdef0123456789abcdef");
    EXPECT_EQ(own("boot=aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee").range.matches.at(0).at(0),
              "_BOOT_ID=aaaaaaaabbbbccccddddeeeeeeeeeeee");
    EXPECT_NE(own_refused("boot=-1").find("boot"), std::string::npos);
}

TEST(LogsOwnQuery, GrepIsAnExpressionOfRe2)
{
    const auto query = own("grep=fail(ed)%3F");
    ASSERT_TRUE(query.grep);
    EXPECT_TRUE(query.grep->matches("it failed"));
    EXPECT_FALSE(query.grep->matches("fine"));
    EXPECT_NE(own_refused("grep=(").find("missing"), std::string::npos);
    EXPECT_NE(own_refused("grep=" + std::string(2'000, 'a')).find("1000"), std::string::npos);
}

TEST(LogsOwnQuery, TheFormatIsAskedForOrNegotiated)
{
    EXPECT_EQ(own("format=text").format, Format::text);
    EXPECT_EQ(own("format=export").format, Format::export_);
    EXPECT_EQ(own("", accept("text/plain")).format, Format::text);
    EXPECT_EQ(own("", accept("application/vnd.fdo.journal")).format, Format::export_);
    EXPECT_EQ(own("follow").format, Format::ndjson);
    EXPECT_EQ(own("follow", accept("application/json")).format, Format::ndjson);
    EXPECT_TRUE(own("", accept("text/event-stream")).follow);
    EXPECT_FALSE(own("follow=0", accept("text/event-stream")).follow);
    EXPECT_NE(own_refused("format=xml").find("ndjson"), std::string::npos);
    EXPECT_NE(own_refused("format=json&follow=1").find("ndjson"), std::string::npos);
    EXPECT_NE(own_refused("format=dcos-json").find("format"), std::string::npos);
}

TEST(LogsRestriction, AddsAGroupForNamesAndAFilterForPatterns)
{
    auto query = own("");
    ASSERT_TRUE(restrict_to(query, std::make_shared<const UnitSet>(std::vector<std::string>{"a.service"})));
    ASSERT_EQ(query.range.matches.size(), 1U);
    EXPECT_EQ(query.range.matches[0].size(), 4U);
    EXPECT_FALSE(query.filtered());
    ASSERT_TRUE(restrict_to(query, std::make_shared<const UnitSet>(std::vector<std::string>{"a*"})));
    EXPECT_EQ(query.range.matches.size(), 1U);
    EXPECT_TRUE(query.filtered());
    ASSERT_TRUE(restrict_to(query, nullptr));
}

TEST(LogsRestriction, RefusesAUnitThatIsNotAllowed)
{
    const auto allowed = std::make_shared<const UnitSet>(std::vector<std::string>{"a*", "b.service"});
    auto good = own("unit=a1&unit=b");
    EXPECT_TRUE(restrict_to(good, allowed));
    EXPECT_EQ(good.range.matches.size(), 1U);
    EXPECT_FALSE(good.filtered());
    auto bad = own("unit=a1&unit=c");
    const auto refused = restrict_to(bad, allowed);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::denied);
    EXPECT_NE(refused.error().message.find("c.service"), std::string::npos);
    auto pattern = own("unit=*");
    ASSERT_TRUE(restrict_to(pattern, allowed));
    EXPECT_EQ(pattern.owners.size(), 2U);
}

}  // namespace
}  // namespace opsd::logs
