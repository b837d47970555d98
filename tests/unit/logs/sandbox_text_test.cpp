#include "modules/logs/sandbox_text.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <vector>

namespace opsd::logs {
namespace {

const SandboxLabels labels{
    .agent_id = "a-S0", .container_id = "c1", .executor_id = "e1", .file = "stdout", .framework_id = "f1"};
const WallTime noon = *parse_rfc3339("2026-11-27T12:00:00Z");

struct Event {
    std::uint64_t id = 0;
    std::string message;
    std::size_t size = 0;
};

/// What a reader of one data line an event sees; it has the limits of the dcos CLI.
std::vector<Event> events_of(std::string_view text)
{
    std::vector<Event> events;
    while (!text.empty()) {
        const auto end = text.find("\n\n");
        EXPECT_NE(end, std::string_view::npos) << text.substr(0, 200);
        if (end == std::string_view::npos) break;
        const auto event = text.substr(0, end);
        EXPECT_TRUE(event.starts_with("id: "));
        const auto line = event.find("\ndata: ");
        EXPECT_NE(line, std::string_view::npos);
        const auto data = event.substr(line + 7);
        EXPECT_EQ(data.find('\n'), std::string_view::npos);
        const auto json = nlohmann::json::parse(data);
        events.push_back({std::stoull(std::string{event.substr(4, line - 4)}),
                          json["fields"]["MESSAGE"].get<std::string>(), end + 2});
        text.remove_prefix(end + 2);
    }
    return events;
}

TEST(SandboxText, ALineIsALine)
{
    std::string out;
    append_text(out, {.text = "one"});
    append_text(out, {.text = "lo", .continues = true});
    append_text(out, {.text = "ng", .continued = true});
    append_text(out, {.text = "prompt ", .continues = true});
    append_text(out, {.text = "", .continued = true});
    EXPECT_EQ(out, "one\nlong\nprompt \n") << "pieces of a line are one line again";
}

TEST(SandboxText, AnEventHasAllFieldsAndWhereToGoOn)
{
    std::string out;
    append_event(out, {.text = "x \"y\" <z>\r", .offset = 10, .after = 21}, labels, noon);
    EXPECT_EQ(out, "id: 21\n"
                   R"(data: {"fields":{"AGENT_ID":"a-S0","CONTAINER_ID":"c1","EXECUTOR_ID":"e1",)"
                   R"("FILE":"stdout","FRAMEWORK_ID":"f1",)"
                   R"("MESSAGE":"x \"y\" \u003cz\u003e\r"},"realtime_timestamp":1795780800000000})"
                   "\n\n");
}

TEST(SandboxText, NoEventIsTooLongForTheCliAndNothingIsLeftOut)
{
    const std::string quotes(30'000, '"');
    const std::string controls(20'000, '\x01');
    const std::string letters(200'000, 'x');
    std::string accents;
    for (int i = 0; i < 50'000; ++i)
        accents += "ä";
    for (const auto& line : {quotes, controls, letters, accents, std::string(63'000, 'y')}) {
        std::string out;
        append_event(out, {.text = line, .offset = 5, .after = 5 + line.size() + 1}, labels, noon);
        const auto events = events_of(out);
        std::string all;
        std::uint64_t at = 5;
        for (const auto& event : events) {
            EXPECT_LE(event.size, most_event);
            auto part = event.message;
            if (&event != &events.back()) {
                EXPECT_TRUE(part.ends_with(goes_on));
                part.resize(part.size() - goes_on.size());
            }
            at += part.size();
            EXPECT_EQ(event.id, &event == &events.back() ? at + 1 : at) << "goes on inside the line";
            all += part;
        }
        EXPECT_EQ(all == line, true);
        EXPECT_LE(events.size(), 1 + line.size() * 6 / 50'000);
    }
}

TEST(SandboxText, AReaderMayWantLongerEvents)
{
    std::string out;
    append_event(out, {.text = std::string(200'000, 'x'), .after = 200'001}, labels, noon, 1U << 20U);
    EXPECT_EQ(events_of(out).size(), 1U);
}

TEST(SandboxText, APieceThatGoesOnIsMarked)
{
    std::string out;
    append_event(out, {.text = "begin", .offset = 0, .after = 5, .continues = true}, labels, noon);
    append_event(out, {.text = "", .offset = 5, .after = 6, .continued = true}, labels, noon);
    const auto events = events_of(out);
    ASSERT_EQ(events.size(), 1U) << "an empty end is none";
    EXPECT_EQ(events[0].message, "begin" + std::string{goes_on});
    EXPECT_EQ(events[0].id, 5U);
}

TEST(SandboxText, BytesThatAreNoTextDoNotBreakTheEvent)
{
    std::string out;
    append_event(out, {.text = std::string_view{"a\xff\x00z", 4}, .after = 5}, labels, noon);
    EXPECT_EQ(events_of(out)[0].message, (std::string{"a\xef\xbf\xbd\x00z", 6}));
}

TEST(SandboxText, AnExchangedFileIsAnEventWithTheIdOfItsBeginning)
{
    std::string out;
    append_rotated(out, labels, noon);
    EXPECT_TRUE(out.starts_with("event: rotated\nid: 0\ndata: {\"fields\":{"));
    EXPECT_TRUE(out.ends_with("\n\n"));
    EXPECT_EQ(comment("cannot\r\nread"), ": cannot  read\n\n");
}

}  // namespace
}  // namespace opsd::logs
