#include "core/transition_text.hpp"

#include <gtest/gtest.h>

namespace opsd {
namespace {

constexpr WallTime changed_at{std::chrono::microseconds{1'795'000'000'123'000}};

Transition sample(std::int64_t id)
{
    Transition t;
    t.id = id;
    t.unit = "a.service";
    t.at = changed_at;
    t.last_at = changed_at + std::chrono::seconds{5};
    t.count = 3;
    t.from = "running";
    t.to = "failed";
    t.from_health = Health::healthy;
    t.to_health = Health::unhealthy;
    t.result = "exit-code";
    t.main_code = 1;
    t.main_status = 7;
    t.invocation_id = "0123";
    t.reason = "it \"failed\" <now>";
    return t;
}

std::string refusal(std::string_view text, std::size_t most = 10)
{
    const auto page = read_page(text, most);
    return page ? "accepted" : page.error().message;
}

}  // namespace

TEST(TransitionPage, IsReadAsItWasWritten)
{
    const TransitionPage page{.rows = {sample(4), sample(9)}, .last_id = 9, .more = true};
    const auto read = read_page(page_json(page), 10);
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(read->rows.size(), 2U);
    const auto& row = read->rows[1];
    EXPECT_EQ(row.id, 9);
    EXPECT_EQ(row.at, changed_at);
    EXPECT_EQ(row.last_at, changed_at + std::chrono::seconds{5});
    EXPECT_EQ(row.count, 3U);
    EXPECT_EQ(row.to_health, Health::unhealthy);
    EXPECT_EQ(row.main_status, 7);
    EXPECT_EQ(row.reason, "it \"failed\" <now>");
    EXPECT_EQ(read->last_id, 9);
    EXPECT_TRUE(read->more);
}

TEST(TransitionPage, OfAnotherVersionIsReadWithDefaultsAndNothingIsHealthyByDefault)
{
    const auto read = read_page(R"({"transitions":[{"id":1,"unit":"a","new":[1]}],"odd":{}})", 10);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->rows.front().to_health, Health::unknown);
    EXPECT_EQ(read->rows.front().count, 1U);
    EXPECT_EQ(read->last_id, 1);
    EXPECT_FALSE(read->more);
}

TEST(TransitionPage, RefusesWhatIsNoneWithAReason)
{
    EXPECT_NE(refusal("").find("not a JSON object"), std::string::npos);
    EXPECT_NE(refusal("[]").find("not a JSON object"), std::string::npos);
    EXPECT_NE(refusal("{}").find("no list"), std::string::npos);
    EXPECT_NE(refusal(R"({"transitions":[1]})").find("not an object"), std::string::npos);
    EXPECT_NE(refusal(R"({"transitions":[{"id":2,"unit":"a"},{"id":2,"unit":"a"}]})").find("do not ascend"),
              std::string::npos);
    EXPECT_NE(refusal(R"({"transitions":[{"id":1},{"id":2}]})", 1).find("more than the 1"),
              std::string::npos);
}

TEST(TransitionPage, ThatNeverEndsIsNotFollowedForEver)
{
    const auto read = read_page(R"({"transitions":[],"last_id":7,"more":true})", 10);
    ASSERT_TRUE(read);
    EXPECT_FALSE(read->more) << "an empty page is the last one";
}

TEST(ClusterTransitionText, CarriesOurIdAndTheNode)
{
    ClusterTransition event;
    event.id = 77;
    event.address = "10.0.0.2";
    event.hostname = "agent";
    event.seen_at = changed_at;
    event.transition = sample(4);
    std::string text;
    append_cluster_transition(text, event);
    EXPECT_TRUE(text.starts_with(R"({"id":77,"unit":"a.service")")) << text;
    EXPECT_NE(text.find(R"("address":"10.0.0.2","hostname":"agent","seen_at":"2026)"), std::string::npos)
        << text;
}

}  // namespace opsd
