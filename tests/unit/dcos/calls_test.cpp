#include "modules/dcos/calls.hpp"

#include <gtest/gtest.h>

namespace opsd::dcos {
namespace {

using namespace std::string_literals;

void expect_refused(const Result<std::string>& call, Errc code, std::string_view part)
{
    ASSERT_FALSE(call.has_value());
    EXPECT_EQ(call.error().code, code) << call.error().message;
    EXPECT_TRUE(call.error().message.starts_with("cannot ")) << call.error().message;
    EXPECT_TRUE(call.error().message.contains(part)) << call.error().message;
}

TEST(DcosCalls, TheCommandLinesOwnBytesPass)
{
    EXPECT_EQ(reading_call(CallForm::protobuf, "\x08\x0a").value(), "GET_AGENTS");
    EXPECT_EQ(reading_call(CallForm::protobuf, "\x08\x0b").value(), "GET_FRAMEWORKS");
    EXPECT_EQ(reading_call(CallForm::protobuf, "\x08\x0d").value(), "GET_TASKS");
    EXPECT_EQ(reading_call(CallForm::json, R"({"type":"GET_AGENTS"})").value(), "GET_AGENTS");
    EXPECT_EQ(
        reading_call(CallForm::json, R"({"type":"GET_METRICS","get_metrics":{"timeout":{"nanoseconds":5}}})")
            .value(),
        "GET_METRICS");
    EXPECT_EQ(reading_call(CallForm::protobuf, "\x08\x04\x2a\x04\x0a\x02\x08\x05").value(), "GET_METRICS")
        << "with its parameters";
}

TEST(DcosCalls, WhatChangesOrStreamsOrShowsSecretsDoesNot)
{
    for (const int number : {2, 6, 7, 8, 16, 18, 19, 25, 29, 31, 32, 99}) {
        const std::string body{'\x08', static_cast<char>(number)};
        expect_refused(reading_call(CallForm::protobuf, body), Errc::denied, "only calls that read");
    }
    for (const auto* name : {"TEARDOWN", "MARK_AGENT_GONE", "SUBSCRIBE", "SET_LOGGING_LEVEL", "GET_FLAGS",
                             "READ_FILE", "UPDATE_QUOTA", "get_agents", "GET_AGENTS "})
        expect_refused(reading_call(CallForm::json, R"({"type":")"s + name + "\"}"), Errc::denied,
                       "ask the Mesos master itself");
}

TEST(DcosCalls, ABodyThatCouldMeanTwoThingsIsRefused)
{
    const std::pair<std::string, const char*> protobufs[]{
        {"", "does not say its type"},
        {"\x08\x0a\x08\x1f", "twice"},  // the last one counts for Mesos: TEARDOWN
        {"\x08\x1f\x08\x0a", "twice"},
        {"\x0a\x01\x0a", "no number"},      // the type as bytes
        {"\x08", "no number"},              // cut
        {"\x08\x8a", "no number"},          // cut in the number
        {"\x12\x05\x01", "no protobuf"},    // longer than the body
        {"\x0b\x08\x0a\x0c", "no number"},  // a group
        {"\x13\x14", "no protobuf"},        // a group
        {"\x00\x00"s, "no protobuf"},       // field 0
        {"hello", "no protobuf"},
    };
    for (const auto& [body, part] : protobufs)
        expect_refused(reading_call(CallForm::protobuf, body), Errc::invalid_argument, part);
    const auto padded = reading_call(CallForm::protobuf, "\x08\x8a\x80\x80\x00"s);
    EXPECT_EQ(padded.value_or("refused"), "GET_AGENTS") << "a padded number is that number for Mesos, too";
    expect_refused(reading_call(CallForm::protobuf, "\x08\x8a\x80\x80\x10"s), Errc::denied, "only calls");
    const std::pair<const char*, const char*> texts[]{
        {"", "empty"},
        {"[]", "does not say its type"},
        {"{}", "does not say its type"},
        {R"({"type":10})", "does not say its type"},
        {R"({"type":["GET_AGENTS"]})", "does not say its type"},
        {R"({"type":"GET_AGENTS","type":"TEARDOWN"})", "twice"},
        {R"({"x":{"type":"GET_AGENTS"}})", "does not say its type"},
        {R"({"type":"GET_AGENTS"} x)", "not JSON"},
        {"\x08\x0a", "not JSON"},
    };
    for (const auto& [body, part] : texts)
        expect_refused(reading_call(CallForm::json, body), Errc::invalid_argument, part);
}

TEST(DcosCalls, TheFormIsThatOfTheContentType)
{
    EXPECT_EQ(call_form("application/json"), CallForm::json);
    EXPECT_EQ(call_form("application/json; charset=utf-8"), CallForm::json);
    EXPECT_EQ(call_form("application/x-protobuf"), CallForm::protobuf);
    for (const auto* other : {"", "text/plain", "application/jsonx", "application/recordio"})
        EXPECT_FALSE(call_form(other)) << other;
}

}  // namespace
}  // namespace opsd::dcos
