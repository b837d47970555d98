#include "modules/cluster/past.hpp"

#include "noon.hpp"

#include "modules/cluster/archive_rows.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace opsd::cluster {
namespace {

using namespace std::chrono_literals;
using test::noon;

ClusterTransition change(std::int64_t id, std::string address, WallTime at, std::string from, std::string to)
{
    ClusterTransition row;
    row.id = id;
    row.address = std::move(address);
    row.hostname = "host-" + row.address;
    row.seen_at = at;
    row.transition.id = id % 10;
    row.transition.unit = "a.service";
    row.transition.at = row.transition.last_at = at;
    row.transition.from_health = from == "failed" ? Health::unhealthy : Health::healthy;
    row.transition.to_health = to == "failed" ? Health::unhealthy : Health::healthy;
    row.transition.from = std::move(from);
    row.transition.to = std::move(to);
    return row;
}

/// Of the member itself.
ClusterTransition own_change(std::int64_t id, std::string address, WallTime at, std::string from,
                             std::string to)
{
    auto row = change(id, std::move(address), at, std::move(from), std::move(to));
    row.transition.id = 0;
    row.transition.unit.clear();
    row.transition.reason = "because";
    return row;
}

/// As the store has it.
Row row_of(const ClusterTransition& transition)
{
    std::vector<Statement> statements;
    append_statements(statements, transition, "m");
    for (auto& statement : statements)
        if (statement.sql.starts_with("INSERT OR REPLACE INTO cluster_transitions")) return statement.values;
    return {};
}

ClusterSnapshot cluster_of(std::vector<Member> members)
{
    Snapshot<Cluster> snapshot{.version = 1, .at = noon, .value = {}};
    for (auto& member : members)
        snapshot.value.members.push_back(std::make_shared<const Member>(std::move(member)));
    return std::make_shared<const Snapshot<Cluster>>(std::move(snapshot));
}

Member member(std::string address, std::chrono::milliseconds clock_offset = {})
{
    Member one;
    one.address = std::move(address);
    one.identity.hostname = "now-" + one.address;
    one.freshness = Freshness::fresh;
    one.systemd_readable = true;
    one.clock_offset = clock_offset;
    one.sources.push_back({.name = "static", .first = noon - 24h});
    MemberUnit unit;
    unit.label = std::make_shared<const UnitLabel>(UnitLabel{"a.service", "A", "About"});
    unit.verdict = std::make_shared<const UnitVerdict>(UnitVerdict{Health::healthy, "running", "it runs"});
    unit.since = noon - 3h + clock_offset;
    one.units.push_back(std::move(unit));
    return one;
}

nlohmann::json told(Past& past)
{
    auto content = past.report();
    EXPECT_TRUE(content) << content.error().message;
    return content ? nlohmann::json::parse((*content)->body) : nlohmann::json{};
}

}  // namespace

TEST(Past, TellsOfMembersWithRowsInTheStoreInTheQueueAndWithNone)
{
    Past past{{.time = noon - 90min, .full = true},
              cluster_of({member("10.0.0.10"), member("10.0.0.9"), member("10.0.0.2")}),
              {change(21, "10.0.0.10", noon - 2h, "running", "failed")}};
    Archive::Around page;
    page.rows = {row_of(change(11, "10.0.0.9", noon - 2h, "running", "failed")),
                 row_of(change(12, "10.0.0.9", noon - 1h, "failed", "running")),
                 row_of(change(13, "10.0.0.1", noon - 2h, "failed", "running"))};
    page.begins = {{std::string{"10.0.0.9"}, std::int64_t{(noon - 5h).time_since_epoch().count()}}};
    past.take(page);
    const auto all = told(past)["members"];
    ASSERT_EQ(all.size(), 4U);
    EXPECT_EQ(all[0]["hostname"], "host-10.0.0.1") << "one that is gone";
    EXPECT_EQ(all[1]["address"], "10.0.0.2");
    EXPECT_EQ(all[1]["units"][0]["state"], "running") << "it lasts until now";
    EXPECT_EQ(all[2]["address"], "10.0.0.9") << "sorted by value";
    EXPECT_EQ(all[2]["hostname"], "now-10.0.0.9");
    EXPECT_EQ(all[2]["units"][0]["state"], "failed");
    EXPECT_EQ(all[2]["history_begins"], rfc3339(noon - 5h));
    EXPECT_EQ(all[3]["units"][0]["state"], "failed") << "not written yet";
}

TEST(Past, ReadsTheTimesOfAMemberByOurClock)
{
    auto row = change(11, "10.0.0.9", noon - 2h + 10min, "running", "failed");
    row.clock_offset = 10min;
    auto before = row;
    before.id = 10;
    before.transition.at = before.transition.last_at = noon - 150min;
    before.clock_offset = {};  // its clock was right then
    std::swap(before.transition.from, before.transition.to);
    std::swap(before.transition.from_health, before.transition.to_health);
    const auto state = [&](WallTime time) {
        Past past{{.time = time, .full = true}, cluster_of({member("10.0.0.9", 10min)}), {}};
        past.take({.rows = {row_of(row), row_of(before)}, .begins = {}});
        return told(past)["members"][0];
    };
    EXPECT_EQ(state(noon - 119min)["units"][0]["state"], "failed");
    EXPECT_EQ(state(noon - 119min)["units"][0]["since"], rfc3339(noon - 2h));
    EXPECT_EQ(state(noon - 121min)["units"][0]["state"], "running");
    EXPECT_EQ(state(noon - 121min)["history_begins"], rfc3339(noon - 150min));
    Past quiet{{.time = noon - 175min, .full = true}, cluster_of({member("10.0.0.9", 10min)}), {}};
    EXPECT_EQ(told(quiet)["members"][0]["units"][0]["since"], rfc3339(noon - 3h))
        << "of the present state, too";
}

TEST(Past, AFoldedRowThatWaitsReplacesItsVersionInTheStore)
{
    auto old = change(11, "10.0.0.9", noon - 2h, "running", "failed");
    auto newer = old;
    newer.id = 12;
    newer.transition.count = 3;
    newer.transition.last_at = noon - 1h;
    newer.clock_offset = 2s;  // measured anew since
    Past past{{.time = noon - 90min, .full = true}, nullptr, {newer}};
    past.take({.rows = {row_of(old)}, .begins = {}});
    const auto unit = told(past)["members"][0]["units"][0];
    EXPECT_EQ(unit["exact"], false);
    EXPECT_NE(unit["reason"].get<std::string>().find("3 times"), std::string::npos) << unit;
}

TEST(Past, WhatThisNodeDidAtAnEarlierAddressIsToldOfItAtTheOneItHas)
{
    auto self = member("10.0.0.9");
    self.self = true;
    self.sources.clear();
    auto own = change(11, "127.0.0.1", noon - 2h, "running", "failed");
    auto queued = change(12, "127.0.0.1", noon - 1h, "failed", "running");
    auto unnamed = change(13, "", noon - 1min, "running", "running");
    auto taken_over = change(14, "10.0.0.2", noon - 3h, "failed", "running");
    for (auto* row : {&own, &queued, &unnamed, &taken_over})
        row->transition.id = 0;
    const auto moved = own_change(15, "127.0.0.1", noon - 30min, "fresh", "gone");
    const auto blind = own_change(10, "127.0.0.1", noon - 4h, "unreadable", "fresh");
    Past past{
        {.time = noon - 90min, .full = true}, cluster_of({self, member("10.0.0.2")}), {queued, moved, blind}};
    past.take({.rows = {row_of(own), row_of(unnamed), row_of(taken_over)}, .begins = {}});
    const auto all = told(past)["members"];
    ASSERT_EQ(all.size(), 2U) << all;
    EXPECT_EQ(all[0]["address"], "10.0.0.2");
    EXPECT_EQ(all[0]["units"][0]["since"], rfc3339(noon - 3h)) << "its own, not ours";
    EXPECT_TRUE(all[0]["history_begins"].is_null());
    EXPECT_EQ(all[1]["address"], "10.0.0.9");
    EXPECT_EQ(all[1]["units"][0]["state"], "failed");
    EXPECT_EQ(all[1]["history_begins"], rfc3339(noon - 3h));
}

TEST(Past, ANodeThatWasForgottenIsLeftOutUntilItIsNamedAgain)
{
    const std::vector rows{change(11, "10.0.0.9", noon - 4h, "running", "failed"),
                           own_change(12, "10.0.0.9", noon - 3h, "stale", "gone")};
    auto again = member("10.0.0.9");
    again.sources[0].first = noon - 1h;
    again.freshness = Freshness::unanswered;
    const auto told_at = [&](WallTime time) {
        Past past{{.time = time, .full = true}, cluster_of({again}), rows};
        return told(past)["members"];
    };
    EXPECT_EQ(told_at(noon - 210min).size(), 1U);
    EXPECT_TRUE(told_at(noon - 2h).empty());
    const auto back = told_at(noon - 30min);
    ASSERT_EQ(back.size(), 1U);
    EXPECT_EQ(back[0]["health"], 3);
    EXPECT_EQ(back[0]["reason"], "it did not answer");
    Past one{{.time = noon - 2h, .node = "10.0.0.9"}, nullptr, rows};
    const auto report = one.report();
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, Errc::not_found);
}

TEST(Past, ANodeWhoseSystemdCouldNotBeReadWasUnknown)
{
    auto self = member("10.0.0.1");
    self.self = true;
    std::vector<ClusterTransition> rows;
    for (const auto* address : {"10.0.0.1", "10.0.0.9"}) {
        rows.push_back(own_change(11, address, noon - 2h, "fresh", "unreadable"));
        rows.push_back(own_change(12, address, noon - 1h, "unreadable", "fresh"));
    }
    const auto told_at = [&](WallTime time) {
        Past past{{.time = time, .full = true}, cluster_of({self, member("10.0.0.9")}), rows};
        return told(past);
    };
    EXPECT_EQ(told_at(noon - 90min)["nodes"]["unknown"], 2);
    EXPECT_EQ(told_at(noon - 90min)["members"][0]["reason"], "it was unreadable: because");
    EXPECT_EQ(told_at(noon - 30min)["nodes"]["healthy"], 2);
    rows = {own_change(11, "10.0.0.1", noon - 2h, "fresh", "unreadable")};
    rows.push_back(change(12, "10.0.0.1", noon - 1h, "failed", "running"));
    rows.back().transition.id = 0;
    EXPECT_EQ(told_at(noon - 90min)["members"][0]["health"], 3);
    EXPECT_EQ(told_at(noon - 30min)["members"][0]["health"], 0) << "opsd ended before it was told";
}

TEST(Past, WhatAMemberShowsNowCountsAsUnknownWhileItCannotReadItsSystemd)
{
    auto blind = member("10.0.0.9");
    blind.systemd_readable = false;
    Past past{{.time = noon - 1min, .full = true}, cluster_of({blind}), {}};
    EXPECT_EQ(told(past)["members"][0]["units"][0]["health"], 3);
}

TEST(Past, BeforeWhatIsKeptOfAMemberNobodyKnowsWhetherItAnswered)
{
    const auto health = [](WallTime time, WallTime kept_since, std::vector<ClusterTransition> rows) {
        auto stale = member("10.0.0.8");
        stale.freshness = Freshness::stale;
        stale.answered_at = noon - 10min;
        Past past{{.time = time, .kept_since = kept_since},
                  cluster_of({stale, member("10.0.0.9")}),
                  std::move(rows)};
        const auto all = told(past)["members"];
        EXPECT_EQ(all.size(), 2U);
        return std::pair{all[0]["health"].get<int>(), all[1]["health"].get<int>()};
    };
    EXPECT_EQ(health(noon - 2h, noon - 3h, {}), (std::pair{0, 0}));
    EXPECT_EQ(health(noon - 2h, noon - 1h, {}), (std::pair{3, 3}));
    EXPECT_EQ(health(noon - 5min, noon - 3h, {}), (std::pair{3, 0})) << "it answered last before";
    const std::vector rows{change(11, "10.0.0.9", noon - 1h, "running", "running")};
    EXPECT_EQ(health(noon - 2h, noon - 3h, rows), (std::pair{0, 3})) << "its older rows made room";
}

TEST(Past, WhileThisNodeDidNotWatchNobodyKnowsWhetherMembersAnswered)
{
    Past past{{.time = noon - 30min, .unwatched = Unwatched{noon - 1h, noon - 10min}},
              cluster_of({member("10.0.0.9")}),
              {}};
    const auto told_of = told(past)["members"][0];
    EXPECT_EQ(told_of["health"], 3);
    EXPECT_NE(told_of["reason"].get<std::string>().find("opsd was not running on this node from"),
              std::string::npos)
        << told_of;
}

TEST(Past, WhenItIsNotKeptWhetherThisNodeWatchedThatIsSaid)
{
    Past past{{.time = noon - 30min, .unwatched = Unwatched{std::nullopt, noon - 10min}},
              cluster_of({member("10.0.0.9")}),
              {}};
    const auto told_of = told(past)["members"][0];
    EXPECT_EQ(told_of["health"], 3);
    EXPECT_EQ(told_of["reason"], "whether it answered is kept since " + rfc3339(noon - 10min) + " only");
}

TEST(Past, WhatAnotherMachineDidAtTheAddressIsToldOfItsTimeOnly)
{
    auto lost = change(11, "10.0.0.9", noon - 4h, "running", "failed");
    lost.transition.unit = "b.service";
    auto since = change(13, "10.0.0.9", noon - 2h, "failed", "running");
    since.transition.unit = "c.service";
    const std::vector rows{lost, own_change(12, "10.0.0.9", noon - 3h, "stale", "replaced"), since};
    const auto units = [&](WallTime time, Member now) {
        Past past{{.time = time, .full = true}, cluster_of({std::move(now)}), rows};
        std::vector<std::string> ids;
        for (const auto& unit : told(past)["members"][0]["units"])
            ids.push_back(unit["id"].get<std::string>());
        return ids;
    };
    const std::vector<std::string> all{"a.service", "b.service", "c.service"};
    EXPECT_EQ(units(noon - 200min, member("10.0.0.9")), all);
    const std::vector<std::string> of_this{"a.service", "c.service"};
    EXPECT_EQ(units(noon - 90min, member("10.0.0.9")), of_this);
    auto twice = member("10.0.0.9");
    twice.replaced_at = noon - 1h;  // its transition is not next to the time
    EXPECT_EQ(units(noon - 30min, twice), (std::vector<std::string>{"a.service"}));
}

TEST(Past, ANodeThatWasNotThereIsNotFound)
{
    Past past{{.time = noon - 90min, .node = "10.0.0.7"},
              cluster_of({member("10.0.0.9")}),
              {change(11, "10.0.0.9", noon - 2h, "running", "failed")}};
    const auto report = past.report();
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, Errc::not_found);
}

}  // namespace opsd::cluster
