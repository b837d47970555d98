#include "sources_rig.hpp"

namespace opsd::cluster::test {
namespace {

class NameSources : public Sources {};

TEST_F(NameSources, WithoutSettingsNobodyIsAsked)
{
    start();
    EXPECT_TRUE(sources->names().empty());
    EXPECT_EQ(group.size(), 0U);
}

TEST_F(NameSources, StaticNodesAreAddressesNamesAndRoles)
{
    options.fixed.hosts.items = {"10.0.0.1", "Node2:1051", "[fd00::3]:1052"};
    options.fixed.masters.items = {"10.0.0.9"};
    options.fixed.agents.items = {"10.0.0.1", "10.0.0.10"};
    options.fixed.public_agents.items = {"edge"};
    dns = {{"node2", {"10.0.0.2", "10.0.1.2"}}, {"edge", {"10.0.0.11"}}};
    start();
    EXPECT_EQ(heard.hosts("static"), "10.0.0.1 10.0.0.2:1051 fd00::3:1052 10.0.0.9 10.0.0.10 10.0.0.11");
    const auto& list = heard.lists["static"];
    EXPECT_EQ(list[1].hostname, "node2");
    EXPECT_EQ(list[0].role, "");
    EXPECT_EQ(list[3].role, "master");
    EXPECT_EQ(list[4].role, "agent");
    EXPECT_EQ(list[5].role, "agent_public");
    EXPECT_EQ(heard.failed_calls["static"], 0);
    EXPECT_EQ(look_ups, 2) << "addresses are not looked up";
    EXPECT_EQ(sources->names(), std::vector<std::string>{"static"});
}

TEST_F(NameSources, AStaticNameIsFollowedWhenItsAddressChanges)
{
    options.fixed.hosts.items = {"node1"};
    dns["node1"] = {"10.0.0.1", "10.0.0.2"};
    start();
    EXPECT_EQ(heard.hosts("static"), "10.0.0.1");
    dns["node1"] = {"10.0.0.2", "10.0.0.1"};
    again("static", 70s);
    EXPECT_EQ(heard.hosts("static"), "10.0.0.1") << "round robin is no change";
    dns["node1"] = {"10.0.0.3"};
    again("static", 70s);
    EXPECT_EQ(heard.hosts("static"), "10.0.0.3");
}

TEST_F(NameSources, AStaticNameWithoutAnAnswerKeepsItsAddressAndSaysSo)
{
    options.fixed.hosts.items = {"node1", "node2"};
    dns = {{"node1", {"10.0.0.1"}}, {"node2", {"10.0.0.2"}}};
    start();
    dns.erase("node1");
    dns["node2"] = {"10.0.0.22"};
    again("static", 70s);
    EXPECT_EQ(heard.hosts("static"), "10.0.0.1 10.0.0.22");
    EXPECT_EQ(heard.doubts["static"], "cannot look up node1: Host not found");
    EXPECT_TRUE(heard.calls.ends_with("static+ static- ")) << "the list first, then what is wrong with it";
    dns["node1"] = {"10.0.0.1"};
    again("static", 70s);
    EXPECT_FALSE(heard.doubts.contains("static"));
}

TEST_F(NameSources, AStaticNameThatNeverHadAnAddressIsAMemberByName)
{
    options.fixed.hosts.items = {"a", "b", "c", "d", "e"};
    start();
    EXPECT_EQ(heard.hosts("static"), "a b c d e") << "a node that was written down is never left out";
    EXPECT_TRUE(heard.doubts["static"].ends_with("cannot look up c: Host not found; and 2 more names"))
        << heard.doubts["static"];
    dns["a"] = {"10.0.0.1"};
    again("static", 2s);
    EXPECT_EQ(heard.hosts("static"), "10.0.0.1 b c d e");
}

TEST_F(NameSources, EachAddressOfADnsNameIsAMember)
{
    options.dns.names.items = {"master.mesos", "more.mesos:1051"};
    options.dns.role = "master";
    dns = {{"master.mesos", {"10.0.0.1", "fd00::1", "10.0.0.2"}}, {"more.mesos", {"fd00::3"}}};
    start();
    EXPECT_EQ(heard.hosts("dns"), "10.0.0.1 10.0.0.2 fd00::3:1051") << "IPv4 where there is any";
    EXPECT_EQ(heard.lists["dns"][0].role, "master");
    dns["master.mesos"] = {"10.0.0.2"};
    again("dns", 40s);
    EXPECT_EQ(heard.hosts("dns"), "10.0.0.2 fd00::3:1051");
}

TEST_F(NameSources, TheFamilyIsAMatterOfSettings)
{
    dns["m"] = {"10.0.0.1", "fd00::1"};
    options.dns.names.items = {"m"};
    options.dns.family = "ipv6_first";
    start();
    EXPECT_EQ(heard.hosts("dns"), "fd00::1");
    group.cancel();
    until([this] { return group.size() == 0; });
    TaskGroup second{io.get_executor(), [](std::string_view, std::exception_ptr) {}};
    options.dns.family = "both";
    SourceServices services{.executor = io.get_executor(),
                            .clock = clock,
                            .metrics = metrics,
                            .log = Log{lines, "cluster"},
                            .look_up = look_up};
    MemberSources both{options, std::move(services), heard};
    both.start(second);
    until([this] { return heard.hosts("dns") == "10.0.0.1 fd00::1"; });
    second.cancel();
    until([&second] { return second.size() == 0; });
}

TEST_F(NameSources, ADnsNameThatFailsRemovesNobody)
{
    options.dns.names.items = {"master.mesos", "other.mesos"};
    dns = {{"master.mesos", {"10.0.0.1", "10.0.0.2"}}, {"other.mesos", {"10.0.0.3"}}};
    start();
    dns.erase("master.mesos");
    dns["other.mesos"] = {};
    again("dns", 40s);
    EXPECT_EQ(heard.hosts("dns"), "10.0.0.1 10.0.0.2 10.0.0.3");
    EXPECT_EQ(heard.doubts["dns"],
              "cannot look up master.mesos: Host not found; cannot look up other.mesos: it has no address");
}

TEST_F(NameSources, DnsThatNeverAnsweredGivesNoList)
{
    options.dns.names.items = {"master.mesos"};
    start();
    EXPECT_EQ(heard.hosts("dns"), "(none)");
    EXPECT_EQ(heard.doubts["dns"], "cannot look up master.mesos: Host not found");
}

TEST_F(NameSources, DnsThatHangsCostsItsTimeoutAndNobodyElse)
{
    options.dns.names.items = {"hangs", "good"};
    options.dns.timeout = 50ms;
    options.fixed.hosts.items = {"10.0.0.1"};
    dns["good"] = {"10.0.0.2"};
    hanging = {"hangs"};
    start();
    EXPECT_EQ(heard.hosts("static"), "10.0.0.1");
    until([this] { return heard.rounds("dns") > 0; });
    EXPECT_EQ(heard.hosts("dns"), "10.0.0.2");
    EXPECT_EQ(heard.doubts["dns"], "cannot look up hangs: the name servers did not answer in time");
}

TEST_F(NameSources, ANameThatHangsDelaysNoOther)
{
    options.dns.names.items = {"hangs", "good"};
    options.fixed.hosts.items = {"hangs", "node1"};
    options.dns.timeout = options.fixed.timeout = 50ms;
    dns = {{"good", {"10.0.0.2"}}, {"node1", {"10.0.0.1"}}};
    hanging = {"hangs"};
    start();
    until([this] { return heard.rounds("dns") > 0 && heard.rounds("static") > 0; });
    EXPECT_EQ(heard.hosts("dns"), "10.0.0.2");
    EXPECT_EQ(heard.hosts("static"), "hangs 10.0.0.1");
    EXPECT_EQ(look_ups, 4);
}

TEST_F(NameSources, SomeNamesOutOfManyAreAskedForAtATimeAndThoseThatFailTakeTurns)
{
    for (int i = 0; i < 100; ++i) {
        const auto name = "hangs" + std::to_string(i);
        options.dns.names.items.push_back(name);
        hanging.insert(name);
    }
    options.dns.names.items.emplace_back("good");
    options.dns.timeout = 20ms;
    dns["good"] = {"10.0.0.2"};
    start();
    EXPECT_EQ(look_ups, 64);
    for (int round = 0; round < 20 && heard.hosts("dns") != "10.0.0.2"; ++round)
        again("dns", 70s);
    EXPECT_EQ(heard.hosts("dns"), "10.0.0.2");
}

TEST_F(NameSources, StoppingEndsTheLookUpsUnderWay)
{
    options.dns.names.items = {"hangs", "hangs2", "hangs3"};
    options.dns.timeout = 60s;
    hanging = {"hangs", "hangs2", "hangs3"};
    start();
    group.cancel();
    until([this] { return group.size() == 0; });
    EXPECT_EQ(heard.rounds("dns"), 0);
}

TEST(SystemLookUp, KnowsAddressesAndGivesUpInTime)
{
    run([]() -> Task<> {
        const auto look_up = system_look_up();
        auto literal = co_await look_up("10.0.0.1", 1s);
        EXPECT_EQ(*literal, std::vector<std::string>{"10.0.0.1"});
        literal = co_await look_up("fd00::1", 1s);
        EXPECT_EQ(*literal, std::vector<std::string>{"fd00::1"});
        auto local = co_await look_up("localhost", 5s);
        EXPECT_TRUE(local.has_value() && !local->empty());
        const auto name = std::string(70, 'a') + ".invalid";  // no label is that long: nobody is asked
        auto nobody = co_await look_up(name, 5s);
        EXPECT_EQ(nobody.error().code, Errc::unavailable);
    });
}

TEST(Pace, ItsIntervalOrABackOffWithATenthOfChance)
{
    Pace pace{15s, 1};
    for (int i = 0; i < 100; ++i) {
        const auto pause = pace.after(true);
        EXPECT_GE(pause, 13'500ms);
        EXPECT_LE(pause, 16'500ms);
    }
    std::set<milliseconds> different;
    for (const milliseconds base : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s, 60s}) {
        const auto pause = pace.after(false);
        EXPECT_GE(pause, base * 9 / 10);
        EXPECT_LE(pause, base * 11 / 10);
        different.insert(pause);
    }
    EXPECT_GT(different.size(), 6U) << "nothing but chance keeps masters from asking in step";
    EXPECT_GE(pace.after(true), 13'500ms) << "and back to normal at once";
    EXPECT_LE(pace.after(false), 1'100ms);
    Pace slow{10min, 1};
    for (int i = 0; i < 100; ++i)
        EXPECT_LE(slow.after(false), 11min);
    EXPECT_GE(slow.after(false), 9min);
}

}  // namespace
}  // namespace opsd::cluster::test
