#include "core/timeline.hpp"

#include <gtest/gtest.h>

namespace opsd {
namespace {

using namespace std::chrono_literals;

constexpr WallTime noon{std::chrono::microseconds{1'795'000'000'000'000}};

Health of(const std::string& state)
{
    if (state == "running") return Health::healthy;
    return state == "failed" ? Health::unhealthy : Health::unknown;
}

Transition row(std::int64_t id, WallTime at, const std::string& from, const std::string& to)
{
    Transition t;
    t.id = id;
    t.unit = "a.service";
    t.at = t.last_at = at;
    t.from = from;
    t.to = to;
    t.from_health = of(from);
    t.to_health = of(to);
    t.reason = "went to " + to;
    return t;
}

Transition folded(std::int64_t id, WallTime at, WallTime last, const std::string& from, const std::string& to,
                  std::uint32_t count)
{
    auto t = row(id, at, from, to);
    t.last_at = last;
    t.count = count;
    return t;
}

StateThen at(WallTime time, const std::vector<Transition>& rows, const std::vector<StateNow>& now = {})
{
    std::optional<WallTime> begins;
    for (const auto& one : rows)
        begins = std::min(begins.value_or(one.last_at), one.last_at);
    const auto all = states_at(time, rows, now, begins);
    return all.size() == 1 ? all.front() : StateThen{.state = "(" + std::to_string(all.size()) + " units)"};
}

const StateNow running_since_noon{
    .unit = "a.service", .health = Health::healthy, .state = "running", .reason = "it runs", .since = noon};

}  // namespace

TEST(Timeline, TheNewestRowBeforeTheTimeSaysTheState)
{
    const std::vector rows{row(1, noon, "running", "failed"), row(2, noon + 10s, "failed", "running")};
    EXPECT_EQ(at(noon, rows).state, "failed") << "the very moment counts";
    const auto then = at(noon + 9s, rows);
    EXPECT_EQ(then.state, "failed");
    EXPECT_EQ(then.health, Health::unhealthy);
    EXPECT_EQ(then.since, noon);
    EXPECT_EQ(then.reason, "went to failed");
    EXPECT_TRUE(then.exact);
    EXPECT_EQ(at(noon + 1h, rows).state, "running");
}

TEST(Timeline, BeforeTheFirstKeptRowItIsUnknownAndSaysSo)
{
    const std::vector rows{row(1, noon, "running", "failed")};
    const auto then = at(noon - 1s, rows);
    EXPECT_EQ(then.state, "unknown");
    EXPECT_EQ(then.health, Health::unknown);
    EXPECT_FALSE(then.exact);
    EXPECT_NE(then.reason.find(rfc3339(noon)), std::string::npos) << then.reason;
}

TEST(Timeline, TheFirstLaterRowSaysWhatWasBeforeWhereTheHistoryReachesThatFar)
{
    auto other = row(1, noon - 1h, "running", "failed");
    other.unit = "b.service";
    const std::vector rows{other, row(2, noon, "running", "failed")};
    const auto all = states_at(noon - 1s, rows, {}, noon - 1h);
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].unit, "a.service");
    EXPECT_EQ(all[0].state, "running");
    EXPECT_TRUE(all[0].exact);
    EXPECT_FALSE(all[0].since) << "when it began is not kept";
}

TEST(Timeline, AStateThatLastsUntilNowNeedsNoRow)
{
    EXPECT_EQ(at(noon + 5s, {}, {running_since_noon}).state, "running");
    EXPECT_TRUE(at(noon + 5s, {}, {running_since_noon}).exact);
    EXPECT_EQ(at(noon - 5s, {}, {running_since_noon}).state, "unknown") << "it began later";
}

TEST(Timeline, AUnitThatIsNotThereNowIsUnknownFromItsLastRowOn)
{
    auto gone = row(1, noon, "running", "failed");
    gone.unit = "gone.service";
    auto last = row(2, noon + 1h, "failed", "failed");
    last.unit = "gone.service";
    const auto then = [&](WallTime time, std::span<const StateNow> now) {
        return states_at(time, std::vector{gone, last}, now, noon).back();
    };
    const std::vector present{running_since_noon};
    EXPECT_EQ(then(noon + 30min, present).state, "failed") << "it was there later";
    EXPECT_TRUE(then(noon + 30min, present).exact);
    const auto after = then(noon + 2h, present);
    EXPECT_EQ(after.health, Health::unknown);
    EXPECT_FALSE(after.exact);
    EXPECT_NE(after.reason.find("it was failed since " + rfc3339(noon + 1h)), std::string::npos)
        << after.reason;
    EXPECT_EQ(then(noon + 2h, {}).state, "failed") << "what is there now is not known";
}

TEST(Timeline, AUnitThatWasGoneIsLeftOutUntilItComesAgain)
{
    const std::vector gone{row(1, noon, "running", "failed"), row(2, noon + 1h, "failed", "gone")};
    EXPECT_EQ(at(noon + 59min, gone).state, "failed");
    EXPECT_TRUE(states_at(noon + 2h, gone, {}, noon).empty());
    const auto back = [&](WallTime time, const std::vector<Transition>& rows) {
        auto now = running_since_noon;
        now.since = noon + 3h;
        return states_at(time, rows, std::vector{now}, noon);
    };
    auto rows = gone;
    rows.push_back(row(3, noon + 3h, "gone", "running"));
    EXPECT_TRUE(back(noon + 2h, rows).empty());
    EXPECT_EQ(back(noon + 4h, rows).at(0).state, "running");
    EXPECT_TRUE(back(noon + 2h, gone).empty()) << "it may come again without a row";
    EXPECT_EQ(back(noon + 4h, gone).at(0).state, "running");
}

TEST(Timeline, WithinAFoldedRowTheWorseOfItsStatesIsToldAsNotExact)
{
    const std::vector rows{folded(7, noon, noon + 60s, "running", "failed", 5),
                           folded(8, noon + 1s, noon + 61s, "failed", "running", 5)};
    const auto then = at(noon + 30s, rows);
    EXPECT_EQ(then.state, "failed");
    EXPECT_EQ(then.health, Health::unhealthy);
    EXPECT_FALSE(then.exact);
    EXPECT_NE(then.reason.find("5 times"), std::string::npos) << then.reason;
    EXPECT_EQ(at(noon + 2min, rows).state, "running");
    EXPECT_TRUE(at(noon + 2min, rows).exact);
}

TEST(Timeline, OfAFoldedRowTheNewestVersionCounts)
{
    const std::vector rows{folded(5, noon, noon + 10s, "running", "failed", 2),
                           folded(9, noon, noon + 60s, "running", "failed", 6)};
    const auto then = at(noon + 30s, rows);
    EXPECT_FALSE(then.exact);
    EXPECT_NE(then.reason.find("6 times"), std::string::npos) << then.reason;
}

TEST(Timeline, AMissingRowInBetweenIsSeenAndNeverToldAsHealthy)
{
    const std::vector rows{row(1, noon, "failed", "running"), row(5, noon + 1h, "failed", "running")};
    const auto then = at(noon + 30min, rows);
    EXPECT_EQ(then.health, Health::unhealthy);
    EXPECT_FALSE(then.exact);
    EXPECT_NE(then.reason.find("not kept"), std::string::npos) << then.reason;
}

TEST(Timeline, ANodeThatDidNotAnswerIsUnknownInTheReportWhateverItLastSaid)
{
    NodeThen node{
        .address = "10.0.0.2", .hostname = "agent", .answered = false, .why = "no answer", .units = {}};
    node.units.push_back({.unit = "a.service", .health = Health::healthy, .state = "running", .exact = true});
    NodeThen well{.address = "10.0.0.3", .hostname = "other", .why = "", .units = node.units};
    const std::vector nodes{node, well};
    EXPECT_EQ(nodes[0].health(), Health::unknown);
    EXPECT_EQ(nodes[1].health(), Health::healthy);
    const auto report = report_json(noon, nodes, false);
    EXPECT_NE(report.find(R"("health":3,"nodes":{"healthy":1,"unhealthy":0,"unknown":1})"), std::string::npos)
        << report;
    EXPECT_NE(report.find(R"("reason":"no answer")"), std::string::npos);
    EXPECT_EQ(report.find(R"("hostname":"other","health":0,"reason":"","history_begins":null,"units":[{)"),
              std::string::npos)
        << "healthy units only with full";
    EXPECT_NE(
        report_json(noon, nodes, true).find(R"("history_begins":null,"units":[{"id":"a.service","health":0)"),
        std::string::npos);
}

TEST(Timeline, NoNodesAtAllAreNotHealthy)
{
    EXPECT_NE(report_json(noon, {}, false).find(R"("health":3)"), std::string::npos);
    EXPECT_EQ(NodeThen{}.health(), Health::unknown) << "nor is a node without units";
}

}  // namespace opsd
