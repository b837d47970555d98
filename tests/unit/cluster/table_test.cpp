#include "modules/cluster/table.hpp"

#include "noon.hpp"

#include <gtest/gtest.h>

#include <random>

namespace opsd::cluster {
namespace {

using namespace std::chrono_literals;
using test::noon;

constexpr std::uint16_t port = 1050;

struct Cast {
    Table table{TableOptions{.max_members = 100, .forget_after = 24h}};
    WallTime now = noon;

    NodeDocument document(std::string instance, std::vector<std::pair<std::string, Health>> units,
                          std::string hostname = "h")
    {
        NodeDocument d;
        d.instance = std::move(instance);
        d.node_id = "machine of " + d.instance;
        d.version = 1;
        d.identity.hostname = std::move(hostname);
        d.systemd_readable = true;
        d.health = Health::healthy;
        for (auto& [id, health] : units) {
            MemberUnit unit;
            unit.label = table.pool().label({id, id, "about " + id});
            unit.verdict =
                table.pool().verdict({health, health == Health::healthy ? "running" : "failed", "why"});
            d.units.push_back(std::move(unit));
            d.health = worse(d.health, health);
        }
        return d;
    }
    TableChanges names(std::vector<std::string> hosts, const std::string& source = "static")
    {
        std::vector<FoundMember> found;
        for (auto& host : hosts)
            found.push_back({.host = std::move(host)});
        return table.named(source, found, port, now);
    }
    TableChanges answers(const std::string& address, NodeDocument d)
    {
        auto changes = table.answered(address, std::move(d), now, 0ms);
        EXPECT_TRUE(changes) << changes.error().message;
        return changes ? std::move(*changes) : TableChanges{};
    }
    [[nodiscard]] const Member& member(const std::string& address) const { return *table.find(address); }
    [[nodiscard]] HealthCounts unit(const std::string& id) const
    {
        for (const auto& roll : table.cluster(true).units)
            if (roll.label->id == id) return roll.nodes;
        return {};
    }
};

std::vector<std::string> shown(const Table& table)
{
    std::vector<std::string> all;
    for (const auto& member : table.cluster(true).members)
        all.push_back(member->address);
    return all;
}

/// Counted anew from the members: what the incremental roll-up must equal.
void expect_consistent(const Table& table)
{
    const auto cluster = table.cluster(true);
    HealthCounts nodes;
    std::map<std::string, HealthCounts> units;
    for (const auto& member : cluster.members) {
        nodes.add(member->health);
        for (const auto& unit : member->units)
            units[unit.label->id].add(member->current(unit));
    }
    EXPECT_EQ(nodes, cluster.nodes);
    ASSERT_EQ(units.size(), cluster.units.size());
    for (const auto& roll : cluster.units)
        EXPECT_EQ(roll.nodes, units[roll.label->id]) << roll.label->id;
}

TEST(Address, SortsByValueThenPortThenName)
{
    std::set<std::string, AddressLess> all{"zeta",     "10.0.0.10", "10.0.0.9:1051",
                                           "10.0.0.9", "alpha",     "fd00::1"};
    EXPECT_EQ(
        (std::vector<std::string>{all.begin(), all.end()}),
        (std::vector<std::string>{"10.0.0.9", "10.0.0.9:1051", "10.0.0.10", "alpha", "fd00::1", "zeta"}));
    EXPECT_EQ(member_address("10.0.0.1", 0, port), "10.0.0.1");
    EXPECT_EQ(member_address("10.0.0.1", 1050, port), "10.0.0.1");
    EXPECT_EQ(member_address("10.0.0.1", 1051, port), "10.0.0.1:1051");
    EXPECT_EQ(member_address("fd00::1", 1051, port), "[fd00::1]:1051");
}

TEST(Table, AMemberThatNeverAnsweredIsUnknownAndListed)
{
    Cast cast;
    const auto changes = cast.names({"10.0.0.2", "10.0.0.1"});
    EXPECT_EQ(changes.follow, (Addresses{"10.0.0.1", "10.0.0.2"}));
    EXPECT_EQ(shown(cast.table), (std::vector<std::string>{"10.0.0.1", "10.0.0.2"}));
    EXPECT_EQ(cast.member("10.0.0.1").freshness, Freshness::unanswered);
    EXPECT_EQ(cast.member("10.0.0.1").health, Health::unknown);
    EXPECT_EQ(cast.table.cluster(true).nodes, (HealthCounts{0, 0, 2}));
    EXPECT_TRUE(cast.names({"10.0.0.2", "10.0.0.1"}).follow.empty()) << "named again is no news";
}

TEST(Table, AMemberThatNeverAnsweredHasTheIpOfItsAddress)
{
    Table table{TableOptions{}};
    table.named("static",
                {{.host = "10.0.0.2", .port = 1051}, {.host = "fd00::2"}, {.host = "fd00::3", .port = 1051}},
                1050, noon);
    EXPECT_EQ(table.find("10.0.0.2:1051")->identity.ip, "10.0.0.2");
    EXPECT_EQ(table.find("fd00::2")->identity.ip, "fd00::2");
    EXPECT_EQ(table.find("[fd00::3]:1051")->identity.ip, "fd00::3");
}

TEST(Table, RollsUpUnitsAndNodes)
{
    Cast cast;
    cast.names({"10.0.0.1", "10.0.0.2", "10.0.0.3"});
    cast.answers("10.0.0.1",
                 cast.document("a", {{"x.service", Health::healthy}, {"y.service", Health::unhealthy}}));
    cast.answers("10.0.0.2", cast.document("b", {{"x.service", Health::healthy}}));
    EXPECT_EQ(cast.unit("x.service"), (HealthCounts{2, 0, 0}));
    EXPECT_EQ(cast.unit("y.service").rolled_up(), Health::unhealthy);
    EXPECT_EQ(cast.table.cluster(true).nodes, (HealthCounts{1, 1, 1}));
    expect_consistent(cast.table);
}

TEST(Table, ADeadNodeKeepsItsUnitsAndCountsAsUnknownWithoutHidingARealFailure)
{
    Cast cast;
    cast.names({"10.0.0.1", "10.0.0.2"});
    cast.answers("10.0.0.1", cast.document("a", {{"x.service", Health::unhealthy}}));
    cast.answers("10.0.0.2", cast.document("b", {{"x.service", Health::unhealthy}}));
    const auto changes = cast.table.failed("10.0.0.1", "cannot connect to 10.0.0.1: timed out", noon + 5s);
    ASSERT_EQ(changes.events.size(), 1U);
    EXPECT_EQ(changes.events[0].transition.to, "stale");
    const auto& dead = cast.member("10.0.0.1");
    EXPECT_EQ(dead.freshness, Freshness::stale);
    EXPECT_EQ(dead.health, Health::unknown);
    EXPECT_EQ(dead.reason, "cannot connect to 10.0.0.1: timed out");
    EXPECT_EQ(dead.answered_at, noon);
    ASSERT_EQ(dead.units.size(), 1U);
    EXPECT_EQ(dead.current(dead.units[0]), Health::unknown);
    EXPECT_EQ(cast.unit("x.service"), (HealthCounts{0, 1, 1}));
    EXPECT_EQ(cast.unit("x.service").rolled_up(), Health::unhealthy);
    EXPECT_TRUE(
        cast.table.failed("10.0.0.1", "cannot connect to 10.0.0.1: timed out", noon + 6s).events.empty());
    const auto back = cast.answers("10.0.0.1", cast.document("a", {{"x.service", Health::healthy}}));
    EXPECT_EQ(back.events.at(0).transition.to, "fresh");
    EXPECT_EQ(cast.unit("x.service"), (HealthCounts{1, 1, 0}));
    expect_consistent(cast.table);
}

TEST(Table, ANodeThatCannotReadSystemdCountsAsUnknown)
{
    Cast cast;
    cast.names({"10.0.0.1"});
    auto document = cast.document("a", {{"x.service", Health::healthy}});
    document.systemd_readable = false;
    document.health = Health::unknown;
    cast.answers("10.0.0.1", std::move(document));
    EXPECT_EQ(cast.unit("x.service"), (HealthCounts{0, 0, 1}));
}

TEST(Table, ANodeThatCannotListItsUnitsKeepsTheLastOnesAsUnknown)
{
    Cast cast;
    cast.names({"10.0.0.1"});
    cast.answers("10.0.0.1", cast.document("", {{"x.service", Health::healthy}}));
    auto nothing = cast.document("", {});
    nothing.systemd_readable = false;
    nothing.health = Health::unknown;
    cast.answers("10.0.0.1", std::move(nothing));
    EXPECT_EQ(cast.unit("x.service"), (HealthCounts{0, 0, 1}));
    cast.answers("10.0.0.1", cast.document("", {{"y.service", Health::healthy}}));
    EXPECT_EQ(cast.unit("x.service").total(), 0U) << "listed again, and without it";
    expect_consistent(cast.table);
}

TEST(Table, WhatAMemberSaysOfItselfHidesNobody)
{
    Cast cast;
    cast.names({"10.0.0.1", "10.0.0.2"});
    auto victim = cast.document("v", {{"x.service", Health::unhealthy}});
    victim.identity.ip = "10.0.0.2";
    cast.answers("10.0.0.2", victim);
    auto liar = cast.document("v", {{"x.service", Health::healthy}});
    liar.identity.ip = "10.0.0.1";
    cast.answers("10.0.0.1", liar);
    EXPECT_EQ(shown(cast.table).size(), 2U) << "each answers at the address it calls its own";
    liar.identity.ip = "";
    liar.node_id = "another machine";
    liar.version = 2;
    cast.answers("10.0.0.1", liar);
    EXPECT_EQ(cast.unit("x.service").unhealthy, 1U);
    expect_consistent(cast.table);
}

TEST(Table, SaysSinceWhenNobodyWasHeardOf)
{
    Cast cast;
    cast.names({"10.0.0.1", "10.0.0.2", "10.0.0.3"});
    EXPECT_EQ(cast.table.cluster(true).confirmed_at, WallTime{});
    cast.answers("10.0.0.1", cast.document("a", {}));
    cast.now += 10s;
    cast.answers("10.0.0.2", cast.document("b", {}));
    EXPECT_EQ(cast.table.cluster(true).confirmed_at, noon);
    (void)cast.table.failed("10.0.0.1", "cannot connect", cast.now);
    EXPECT_EQ(cast.table.cluster(true).confirmed_at, noon + 10s);
}

TEST(Table, SourcesThatFallSilentRemoveNobody)
{
    Cast cast;
    cast.names({"10.0.0.1"}, "mesos");
    cast.names({"10.0.0.1", "10.0.0.2"}, "dns");
    cast.names({}, "mesos");
    EXPECT_EQ(shown(cast.table).size(), 2U);
    const auto& sources = cast.member("10.0.0.1").sources;
    ASSERT_EQ(sources.size(), 2U);
    EXPECT_EQ(sources[0].name, "dns");
    EXPECT_TRUE(sources[0].current);
    EXPECT_FALSE(sources[1].current);
}

TEST(Table, ForgetsWhomNoSourceNamesAndWhoDoesNotAnswer)
{
    Cast cast;
    cast.names({"10.0.0.1", "10.0.0.2", "10.0.0.3"});
    cast.answers("10.0.0.2", cast.document("b", {}));
    cast.answers("10.0.0.3", cast.document("c", {{"x.service", Health::healthy}}));
    cast.names({});
    (void)cast.table.failed("10.0.0.3", "cannot connect", noon + 1s);
    EXPECT_FALSE(cast.table.tick(noon + 23h).any());
    const auto changes = cast.table.tick(noon + 25h);
    EXPECT_EQ(changes.gone, (Addresses{"10.0.0.1", "10.0.0.3"})) << "10.0.0.2 still answers";
    EXPECT_EQ(changes.unfollow, changes.gone);
    EXPECT_EQ(changes.events.size(), 2U);
    EXPECT_EQ(cast.unit("x.service").total(), 0U);
    expect_consistent(cast.table);
}

TEST(Table, AnOperatorForgetsOnlyWhomNoSourceNames)
{
    Cast cast;
    cast.names({"10.0.0.1"}, "mesos");
    const auto refused = cast.table.forget("10.0.0.1", noon);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    EXPECT_NE(refused.error().message.find("still named by mesos"), std::string::npos);
    cast.names({}, "mesos");
    const auto gone = cast.table.forget("10.0.0.1", noon);
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->gone, (Addresses{"10.0.0.1"}));
    EXPECT_EQ(cast.table.forget("10.0.0.1", noon).error().code, Errc::not_found);
}

TEST(Table, AnAgentUnderANewMesosIdIsTheSameMember)
{
    Cast cast;
    cast.table.named("mesos", {{.host = "10.0.0.1", .role = "agent_public", .mesos_id = "S1"}}, port, noon);
    auto first = cast.document("a", {});
    first.identity.mesos_id = "S1";
    cast.answers("10.0.0.1", first);
    EXPECT_EQ(cast.member("10.0.0.1").identity.role, "agent_public") << "the node says no role, Mesos does";
    auto second = cast.document("a", {});
    second.identity.mesos_id = "S7";
    second.version = 2;
    cast.answers("10.0.0.1", second);
    EXPECT_EQ(cast.member("10.0.0.1").identity.mesos_id, "S7");
    EXPECT_EQ(shown(cast.table).size(), 1U);
    EXPECT_EQ(cast.member("10.0.0.1").previous_node_id, "");
}

TEST(Table, WhatOnlyASourceKnowsFollowsTheSource)
{
    Cast cast;
    cast.table.named("mesos", {{.host = "10.0.0.1", .role = "agent", .mesos_id = "S1"}}, port, noon);
    cast.answers("10.0.0.1", cast.document("a", {}));
    EXPECT_EQ(cast.member("10.0.0.1").identity.mesos_id, "S1") << "the node itself does not know it";
    const auto named = FoundMember{.host = "10.0.0.1", .role = "agent_public", .mesos_id = "S7"};
    cast.table.named("mesos", {named}, port, noon);
    EXPECT_EQ(cast.member("10.0.0.1").identity.mesos_id, "S7") << "though the node has not answered since";
    EXPECT_EQ(cast.member("10.0.0.1").identity.role, "agent_public");
}

TEST(Table, AnotherMachineAtTheSameAddressIsSaid)
{
    Cast cast;
    cast.names({"10.0.0.1"});
    cast.answers("10.0.0.1", cast.document("a", {{"old.service", Health::unhealthy}}));
    cast.now += 1h;
    const auto changes = cast.answers("10.0.0.1", cast.document("b", {{"new.service", Health::healthy}}));
    ASSERT_EQ(changes.events.size(), 1U);
    EXPECT_EQ(changes.events[0].transition.to, "replaced");
    EXPECT_EQ(cast.member("10.0.0.1").previous_node_id, "machine of a");
    EXPECT_EQ(cast.member("10.0.0.1").replaced_at, noon + 1h);
    EXPECT_EQ(cast.unit("old.service").total(), 0U);
    expect_consistent(cast.table);
}

TEST(Table, TwoNodesWithOneNameAreTwoNodes)
{
    Cast cast;
    cast.names({"10.0.0.1", "10.0.0.2"});
    cast.answers("10.0.0.1", cast.document("a", {}, "same"));
    cast.answers("10.0.0.2", cast.document("b", {}, "same"));
    const auto cluster = cast.table.cluster(true);
    EXPECT_EQ(cluster.members.size(), 2U);
    EXPECT_EQ(look_up(cluster, "same").member, nullptr);
    EXPECT_EQ(look_up(cluster, "same").candidates, (std::vector<std::string>{"10.0.0.1", "10.0.0.2"}));
    EXPECT_EQ(look_up(cluster, "10.0.0.2").member->address, "10.0.0.2");
    EXPECT_EQ(look_up(cluster, "machine of b").member->address, "10.0.0.2");
    EXPECT_TRUE(look_up(cluster, "nobody").candidates.empty());
    EXPECT_TRUE(look_up(cluster, "").candidates.empty());
}

TEST(Table, OneProcessWithTwoAddressesCountsOnce)
{
    Cast cast;
    cast.names({"10.0.0.1", "192.168.0.1"});
    auto document = cast.document("a", {{"x.service", Health::healthy}});
    document.identity.ip = "192.168.0.1";
    cast.answers("10.0.0.1", document);
    cast.answers("192.168.0.1", document);
    EXPECT_EQ(shown(cast.table), (std::vector<std::string>{"192.168.0.1"})) << "the one it calls its own";
    EXPECT_EQ(cast.table.aliases(), 1U);
    EXPECT_EQ(cast.unit("x.service").total(), 1U);
    (void)cast.table.failed("192.168.0.1", "cannot connect", noon);
    EXPECT_EQ(shown(cast.table), (std::vector<std::string>{"10.0.0.1"})) << "the one that answers";
    EXPECT_EQ(cast.unit("x.service"), (HealthCounts{1, 0, 0}));
    cast.answers("192.168.0.1", cast.document("b", {{"x.service", Health::healthy}}));
    EXPECT_EQ(shown(cast.table).size(), 2U) << "another process now";
    expect_consistent(cast.table);
}

TEST(Table, AMemberIsFoundByItsIpHoweverItsAddressIsWritten)
{
    Cast cast;
    cast.names({"10.0.0.1:1051", "node.example", "10.0.0.3", "10.0.0.3:1051", "10.0.0.4:1051",
                "10.0.0.4:1052", "[fd00::5]:1051", "192.168.0.1"});
    auto document = cast.document("a", {});
    document.identity.ip = "10.0.0.2";
    cast.answers("node.example", document);
    cast.answers("192.168.0.1", document);
    auto inside = cast.document("b", {});
    inside.identity.ip = "172.16.0.1";
    cast.answers("10.0.0.1:1051", inside);
    const auto cluster = cast.table.cluster(true);
    const auto address = [&cluster](std::string_view name) {
        const auto found = look_up(cluster, name);
        return found.member ? found.member->address : std::string{};
    };
    EXPECT_EQ(address("10.0.0.1"), "10.0.0.1:1051") << "without its port";
    EXPECT_EQ(address("172.16.0.1"), "10.0.0.1:1051") << "as it calls itself";
    EXPECT_EQ(address("10.0.0.1:1051"), "10.0.0.1:1051");
    EXPECT_EQ(address("fd00::5"), "[fd00::5]:1051");
    EXPECT_EQ(address("10.0.0.3"), "10.0.0.3") << "just so";
    EXPECT_EQ(cast.table.aliases(), 1U);
    EXPECT_EQ(address("10.0.0.2"), "192.168.0.1") << "by its own word";
    EXPECT_EQ(address("node.example"), "192.168.0.1") << "the same process, hidden";
    EXPECT_EQ(look_up(cluster, "10.0.0.4").member, nullptr);
    EXPECT_EQ(look_up(cluster, "10.0.0.4").candidates,
              (std::vector<std::string>{"10.0.0.4:1051", "10.0.0.4:1052"}));
    EXPECT_TRUE(look_up(cluster, "0.0.1").candidates.empty());
}

TEST(Table, ThisNodeIsReadFromTheBoardAndNeverAsked)
{
    Cast cast;
    cast.names({"10.0.0.1"});
    const auto changes =
        cast.table.self("10.0.0.1", cast.document("me", {{"x.service", Health::healthy}}), noon);
    EXPECT_EQ(changes.unfollow, (Addresses{"10.0.0.1"}));
    EXPECT_TRUE(cast.member("10.0.0.1").self);
    EXPECT_TRUE(cast.names({"10.0.0.1"}).follow.empty());
    EXPECT_FALSE(cast.table.failed("10.0.0.1", "no", noon).any());
    EXPECT_FALSE(cast.table.forget("10.0.0.1", noon));
    // A source that names another address of ours finds us there.
    cast.names({"10.0.0.1", "127.0.0.1"});
    cast.answers("127.0.0.1", cast.document("me", {{"x.service", Health::healthy}}));
    EXPECT_EQ(shown(cast.table), (std::vector<std::string>{"10.0.0.1"}));
    // Our own address becomes known later.
    cast.table.self("10.9.9.9", cast.document("me", {{"x.service", Health::healthy}}), noon);
    EXPECT_EQ(shown(cast.table), (std::vector<std::string>{"10.9.9.9"}));
    expect_consistent(cast.table);
}

TEST(Table, AMemberThatCannotReadItsSystemdTellsItAsItsOwnTransition)
{
    Cast cast;
    cast.names({"10.0.0.1"});
    cast.answers("10.0.0.1", cast.document("a", {{"x.service", Health::healthy}}));
    auto blind = cast.document("a", {{"x.service", Health::healthy}});
    blind.systemd_readable = false;
    blind.reason = "systemd does not answer";
    const auto lost = cast.answers("10.0.0.1", blind).events;
    ASSERT_EQ(lost.size(), 1U);
    EXPECT_EQ(lost[0].transition.from, "fresh");
    EXPECT_EQ(lost[0].transition.to, "unreadable");
    EXPECT_EQ(lost[0].transition.reason, "systemd does not answer");
    EXPECT_TRUE(cast.answers("10.0.0.1", blind).events.empty()) << "told once";
    EXPECT_EQ(cast.table.failed("10.0.0.1", "no", noon).events.at(0).transition.from, "unreadable");
    EXPECT_EQ(cast.answers("10.0.0.1", blind).events.at(0).transition.to, "unreadable");
    const auto back = cast.answers("10.0.0.1", cast.document("a", {{"x.service", Health::healthy}})).events;
    ASSERT_EQ(back.size(), 1U);
    EXPECT_EQ(back[0].transition.from, "unreadable");
    EXPECT_EQ(back[0].transition.to, "fresh");
    auto other = cast.document("b", {});
    other.systemd_readable = false;
    const auto replaced = cast.answers("10.0.0.1", other).events;
    ASSERT_EQ(replaced.size(), 2U);
    EXPECT_EQ(replaced[0].transition.to, "replaced");
    EXPECT_EQ(replaced[1].transition.to, "unreadable");
}

TEST(Table, PartialDocumentsBuildOnWhatIsHeld)
{
    Cast cast;
    cast.names({"10.0.0.1"});
    EXPECT_EQ(cast.table.held("10.0.0.1"), "");
    cast.answers(
        "10.0.0.1",
        cast.document("a", {{"a", Health::healthy}, {"c", Health::healthy}, {"d", Health::healthy}}));
    EXPECT_EQ(cast.table.held("10.0.0.1"), "\"a.1\"");
    auto part =
        cast.document("a", {{"b", Health::unhealthy}, {"d", Health::unhealthy}, {"e", Health::healthy}});
    part.base = 1;
    part.version = 2;
    part.removed = {"c"};
    cast.answers("10.0.0.1", part);
    std::vector<std::string> ids;
    for (const auto& unit : cast.member("10.0.0.1").units)
        ids.push_back(unit.label->id);
    EXPECT_EQ(ids, (std::vector<std::string>{"a", "b", "d", "e"}));
    EXPECT_EQ(cast.unit("d"), (HealthCounts{0, 1, 0}));
    expect_consistent(cast.table);
    const auto refused = cast.table.answered("10.0.0.1", part, noon, 0ms);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::protocol);
    EXPECT_EQ(cast.table.held("10.0.0.1"), "") << "the next request asks for all";
}

TEST(Table, AfterAFailureTheWholePictureIsAskedFor)
{
    Cast cast;
    cast.names({"10.0.0.1"});
    cast.answers("10.0.0.1", cast.document("a", {}));
    (void)cast.table.failed("10.0.0.1", "cannot connect", noon);
    EXPECT_EQ(cast.table.held("10.0.0.1"), "");
    EXPECT_TRUE(cast.table.unchanged("10.0.0.1", noon).touched);
    EXPECT_EQ(cast.member("10.0.0.1").freshness, Freshness::stale);
}

TEST(Table, UnchangedMovesOnlyTheTime)
{
    Cast cast;
    cast.names({"10.0.0.1"});
    cast.answers("10.0.0.1", cast.document("a", {{"x", Health::healthy}}));
    const auto changes = cast.table.unchanged("10.0.0.1", noon + 1min);
    EXPECT_TRUE(changes.touched);
    EXPECT_FALSE(changes.any());
    EXPECT_EQ(cast.member("10.0.0.1").answered_at, noon + 1min);
    EXPECT_EQ(cast.member("10.0.0.1").changed_at, noon);
}

TEST(Table, ARestartKeepsEverybodyAsStale)
{
    Cast cast;
    cast.names({"10.0.0.1", "10.0.0.2"});
    cast.answers("10.0.0.1", cast.document("a", {{"x", Health::unhealthy}}));
    Cast next;
    const auto changes = next.table.restore({cast.member("10.0.0.1"), cast.member("10.0.0.2")}, noon + 1min);
    EXPECT_EQ(changes.follow.size(), 2U);
    EXPECT_EQ(next.member("10.0.0.1").freshness, Freshness::stale);
    EXPECT_EQ(next.member("10.0.0.1").units.size(), 1U);
    EXPECT_EQ(next.member("10.0.0.2").freshness, Freshness::unanswered);
    EXPECT_FALSE(next.member("10.0.0.1").sources.at(0).current);
    EXPECT_EQ(next.unit("x"), (HealthCounts{0, 0, 1}));
    next.names({"10.0.0.1"});
    EXPECT_TRUE(next.member("10.0.0.1").sources.at(0).current);
    expect_consistent(next.table);
}

TEST(Table, WhatIsReadLateIsKnownOfThoseWhoHaveNotAnswered)
{
    Cast cast;
    const auto ack =
        std::make_shared<const Acknowledgement>(Acknowledgement{"kim", "new disk", noon, noon + 24h});
    cast.names({"10.0.0.1", "10.0.0.2", "10.0.0.3"}, "mesos");
    for (const auto* address : {"10.0.0.1", "10.0.0.2"}) {
        cast.answers(address, cast.document(address, {{"x", Health::unhealthy}}, "before"));
        ASSERT_TRUE(cast.table.acknowledge(address, ack, noon));
    }
    std::vector<Member> kept;
    for (const auto* address : {"10.0.0.1", "10.0.0.2", "10.0.0.3"})
        kept.push_back(cast.member(address));
    Cast next;
    next.now = noon + 1h;
    next.table.expect({"dns", "mesos"});
    next.names({"10.0.0.1", "10.0.0.2"}, "dns");
    next.names({"10.0.0.1"}, "mesos");
    (void)next.table.failed("10.0.0.1", "cannot connect", next.now);
    next.answers("10.0.0.2", next.document("10.0.0.2", {{"x", Health::healthy}}, "since"));
    const auto changes = next.table.restore(std::move(kept), next.now + 1h);
    EXPECT_EQ(changes.changed, (Addresses{"10.0.0.1", "10.0.0.2"})) << "to be kept as they are now";
    EXPECT_EQ(changes.follow, (Addresses{"10.0.0.3"}));
    const auto& dead = next.member("10.0.0.1");
    EXPECT_EQ(dead.freshness, Freshness::stale);
    EXPECT_EQ(dead.answered_at, noon);
    EXPECT_EQ(dead.identity.hostname, "before");
    ASSERT_EQ(dead.units.size(), 1U);
    ASSERT_EQ(dead.sources.size(), 2U);
    EXPECT_TRUE(dead.sources[0].current && dead.sources[1].current);
    EXPECT_EQ(dead.sources[0].first, noon + 1h) << "dns";
    EXPECT_EQ(dead.sources[1].first, noon) << "mesos";
    EXPECT_EQ(dead.sources[1].last, noon + 1h);
    const auto& alive = next.member("10.0.0.2");
    EXPECT_EQ(alive.freshness, Freshness::fresh);
    EXPECT_EQ(alive.identity.hostname, "since");
    EXPECT_EQ(alive.sources[1].first, noon);
    EXPECT_FALSE(alive.sources[1].current) << "mesos has given its list without it";
    EXPECT_EQ(dead.acknowledged, ack);
    EXPECT_EQ(alive.acknowledged, ack);
    EXPECT_EQ(next.unit("x"), (HealthCounts{1, 0, 1}));
    EXPECT_EQ(next.table.held("10.0.0.1"), "") << "it is asked for all";
    expect_consistent(next.table);
}

TEST(Table, WhomASourceNamedBeforeARestartItNamesUntilItIsHeard)
{
    Cast cast;
    cast.names({"10.0.0.1", "10.0.0.2"}, "mesos");
    cast.names({"10.0.0.1"}, "mesos");
    cast.names({"10.0.0.3"}, "dns");
    Cast next;
    next.now = noon + 24h * 8;
    next.table.expect({"mesos", "static", "zookeeper"});
    EXPECT_EQ(next.table.unheard().size(), 3U);
    (void)next.table.restore({cast.member("10.0.0.1"), cast.member("10.0.0.2"), cast.member("10.0.0.3")},
                             next.now);
    EXPECT_TRUE(next.member("10.0.0.1").sources.at(0).current);
    EXPECT_FALSE(next.member("10.0.0.2").sources.at(0).current) << "it was not in the last list";
    EXPECT_FALSE(next.member("10.0.0.3").sources.at(0).current) << "dns is not asked any more";
    EXPECT_EQ(next.table.unheard(), (std::vector<std::string>{"static", "zookeeper"}))
        << "its members are known";
    next.names({}, "static");
    EXPECT_EQ(next.table.unheard(), (std::vector<std::string>{"zookeeper"}));
    EXPECT_TRUE(next.member("10.0.0.1").sources.at(0).current) << "another source says nothing of it";
    EXPECT_FALSE(next.table.tick(next.now + 23h).any()) << "however old the times are that were kept";
    EXPECT_EQ(next.table.tick(next.now + 25h).gone, (Addresses{"10.0.0.2", "10.0.0.3"}));
    next.names({}, "mesos");
    EXPECT_EQ(next.table.tick(next.now + 25h).gone, (Addresses{"10.0.0.1"}));
    expect_consistent(next.table);
}

TEST(Table, PlannedWorkOnANodeIsShownAndEnds)
{
    Cast cast;
    cast.names({"10.0.0.1"});
    auto ack = std::make_shared<const Acknowledgement>(Acknowledgement{"kim", "new disk", noon, noon + 2h});
    ASSERT_TRUE(cast.table.acknowledge("10.0.0.1", ack, noon));
    EXPECT_EQ(cast.member("10.0.0.1").acknowledged, ack);
    EXPECT_FALSE(cast.table.tick(noon + 1h).any());
    EXPECT_TRUE(cast.table.tick(noon + 2h).any());
    EXPECT_EQ(cast.member("10.0.0.1").acknowledged, nullptr);
    EXPECT_FALSE(cast.table.acknowledge("10.0.0.9", ack, noon));
}

TEST(Table, IsBounded)
{
    Cast cast;
    std::vector<std::string> many;
    for (int i = 1; i <= 150; ++i)
        many.push_back("10.0.1." + std::to_string(i));
    cast.names(many);
    EXPECT_EQ(cast.table.size(), 100U);
    EXPECT_EQ(cast.table.refused(), 50U);
    cast.table.self("10.0.0.1", cast.document("me", {}), noon);
    EXPECT_NE(cast.table.find("10.0.0.1"), nullptr) << "this node always has a place";
}

TEST(Table, TheLabelOfMostMembersNamesAUnit)
{
    Cast cast;
    cast.names({"10.0.0.1", "10.0.0.2", "10.0.0.3"});
    for (const auto* address : {"10.0.0.1", "10.0.0.2", "10.0.0.3"}) {
        auto document = cast.document(address, {{"x", Health::healthy}});
        document.units[0].label =
            cast.table.pool().label({"x", address == std::string{"10.0.0.1"} ? "A" : "B", "d"});
        cast.answers(address, document);
    }
    EXPECT_EQ(cast.table.cluster(true).units.at(0).label->name, "B");
}

TEST(Table, TheRollUpStaysRightUnderChurn)
{
    Cast cast;
    std::minstd_rand random{7};
    const auto pick = [&](unsigned below) { return static_cast<unsigned>(random() % below); };
    std::vector<std::string> hosts;
    for (int i = 1; i <= 20; ++i)
        hosts.push_back("10.0.0." + std::to_string(i));
    cast.names(hosts);
    for (int round = 0; round < 3'000; ++round) {
        cast.now += 1s;
        const auto& host = hosts.at(pick(20));
        if (pick(4) == 0) {
            (void)cast.table.failed(host, "cannot connect", cast.now);
        } else if (cast.table.find(host) != nullptr) {
            std::vector<std::pair<std::string, Health>> units;
            for (char id = 'a'; id < 'h'; ++id)
                if (pick(3) > 0)
                    units.emplace_back(std::string{id}, pick(2) == 0 ? Health::healthy : Health::unhealthy);
            cast.answers(host, cast.document(std::to_string(pick(25)), std::move(units)));
        }
        if (pick(50) == 0) {
            cast.names({});
            (void)cast.table.forget(host, cast.now);
            cast.names(hosts);
        }
        if (round % 100 == 0) expect_consistent(cast.table);
    }
    expect_consistent(cast.table);
}

}  // namespace
}  // namespace opsd::cluster
