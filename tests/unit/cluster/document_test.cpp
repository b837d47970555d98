#include "modules/cluster/document.hpp"

#include "noon.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace opsd::cluster {
namespace {

using namespace std::chrono_literals;
using test::noon;

std::shared_ptr<const UnitState> unit(std::string id, Health health = Health::healthy,
                                      std::string reason = "running")
{
    UnitState state;
    state.id = state.name = std::move(id);
    state.description = "Serves";
    state.health = health;
    state.state = health == Health::healthy ? "running" : "failed";
    state.reason = std::move(reason);
    state.since = noon;
    state.journal = health == Health::healthy ? "" : "line of the journal\n";
    state.facts = std::make_shared<UnitFacts>();
    return std::make_shared<const UnitState>(std::move(state));
}

NodeHealth node(std::vector<std::shared_ptr<const UnitState>> units)
{
    NodeHealth health;
    health.systemd_readable = true;
    health.health = Health::healthy;
    for (const auto& one : units)
        health.health = worse(health.health, one->health);
    health.reason = health.health == Health::healthy ? "" : "some unit";
    health.units = std::move(units);
    return health;
}

const NodeIdentity agent{
    .hostname = "agent1", .ip = "10.0.0.2", .role = "agent", .mesos_id = "S1", .dcos_version = "1.11"};

struct Pair {
    DocumentWriter writer{"machine-1", "run-1", "0.1.0"};
    TextPool pool;

    NodeDocument read(std::uint64_t base = 0, bool with_journal = true)
    {
        auto document = read_document(writer.render(base, with_journal, noon, 7), pool);
        EXPECT_TRUE(document) << document.error().message;
        return document ? std::move(*document) : NodeDocument{};
    }
};

std::string refused(std::string_view json, DocumentLimits limits = {})
{
    TextPool pool;
    const auto document = read_document(json, pool, limits);
    return document ? "accepted" : document.error().message;
}

std::vector<std::string> ids(const NodeDocument& document)
{
    std::vector<std::string> all;
    for (const auto& one : document.units)
        all.push_back(one.label->id);
    return all;
}

TEST(NodeDocument, SaysWhatTheBoardHas)
{
    Pair pair;
    EXPECT_TRUE(
        pair.writer.update(node({unit("a.service"), unit("b.service", Health::unhealthy, "broke")}), agent));
    const auto document = pair.read();
    EXPECT_EQ(document.identity, agent);
    EXPECT_EQ(document.node_id, "machine-1");
    EXPECT_EQ(document.instance, "run-1");
    EXPECT_EQ(document.version, 1U);
    EXPECT_EQ(document.base, 0U);
    EXPECT_EQ(document.opsd_version, "0.1.0");
    EXPECT_EQ(document.health, Health::unhealthy);
    EXPECT_TRUE(document.systemd_readable);
    EXPECT_EQ(document.time, noon);
    EXPECT_EQ(document.last_transition, 7);
    ASSERT_EQ(ids(document), (std::vector<std::string>{"a.service", "b.service"}));
    EXPECT_EQ(document.units[0].output, nullptr);
    EXPECT_EQ(*document.units[1].output, "broke\nline of the journal\n");
    EXPECT_EQ(document.units[1].verdict->state, "failed");
    EXPECT_EQ(document.units[1].since, noon);
}

TEST(NodeDocument, KeepsJournalLinesFromThoseWhoMayNotReadThem)
{
    Pair pair;
    pair.writer.update(node({unit("b.service", Health::unhealthy, "broke")}), agent);
    EXPECT_EQ(*pair.read(0, false).units[0].output, "broke\n");
}

TEST(NodeDocument, SendsOnlyWhatChangedSinceTheBase)
{
    Pair pair;
    const auto a = unit("a.service");
    pair.writer.update(node({a, unit("b.service"), unit("c.service")}), agent);
    EXPECT_FALSE(pair.writer.update(node({unit("a.service"), unit("b.service"), unit("c.service")}), agent));
    pair.writer.update(node({a, unit("b.service", Health::unhealthy, "broke")}), agent);
    const auto part = pair.read(1);
    EXPECT_EQ(part.version, 2U);
    EXPECT_EQ(part.base, 1U);
    EXPECT_EQ(ids(part), (std::vector<std::string>{"b.service"}));
    EXPECT_EQ(part.removed, (std::vector<std::string>{"c.service"}));
    EXPECT_TRUE(ids(pair.read(2)).empty());
    EXPECT_EQ(ids(pair.read(0)).size(), 2U);
    EXPECT_TRUE(pair.read(0).removed.empty());
}

TEST(NodeDocument, AUnitThatCameBackIsNotRemoved)
{
    Pair pair;
    pair.writer.update(node({unit("a.service")}), agent);
    pair.writer.update(node({}), agent);
    pair.writer.update(node({unit("a.service")}), agent);
    const auto part = pair.read(1);
    EXPECT_EQ(ids(part), (std::vector<std::string>{"a.service"}));
    EXPECT_TRUE(part.removed.empty());
}

TEST(NodeDocument, AnEtagOfAnotherRunOrFromTheFutureGetsAll)
{
    Pair pair;
    pair.writer.update(node({unit("a.service")}), agent);
    EXPECT_EQ(pair.writer.etag(), "\"run-1.1\"");
    EXPECT_EQ(pair.writer.base_of("\"run-1.1\""), 1U);
    EXPECT_EQ(pair.writer.base_of("W/\"run-1.1\""), 1U);
    for (const auto* other :
         {"\"run-2.1\"", "\"run-1.2\"", "\"run-1.\"", "\"run-1.x\"", "\"run-11\"", "", "*", "\""})
        EXPECT_EQ(pair.writer.base_of(other), 0U) << other;
}

TEST(NodeDocument, ForgetsRemovedIdsInTimeAndThenSendsAll)
{
    Pair pair;
    for (int i = 0; i < 1'200; ++i)
        pair.writer.update(node({unit("u" + std::to_string(i) + ".service")}), agent);
    EXPECT_EQ(pair.writer.base_of("\"run-1.1\""), 0U);
    EXPECT_EQ(pair.writer.base_of("\"run-1.1000\""), 1'000U);
}

TEST(NodeDocument, WhatSystemdCannotConfirmIsUnknown)
{
    Pair pair;
    auto health = node({unit("a.service")});
    pair.writer.update(health, agent);
    health.systemd_readable = false;
    health.health = Health::unknown;
    health.reason = "systemd cannot be read: gone";
    EXPECT_TRUE(pair.writer.update(health, agent));
    const auto part = pair.read(1);
    EXPECT_FALSE(part.systemd_readable);
    EXPECT_EQ(part.health, Health::unknown);
    ASSERT_EQ(part.units.size(), 1U) << "every unit is shown otherwise now";
    EXPECT_EQ(part.units[0].verdict->health, Health::unknown);
    EXPECT_EQ(part.units[0].verdict->reason, "systemd cannot be read: gone (last known: running, running)");
}

TEST(NodeDocument, ReadsTheProgramOfDcosAndJudgesItByItsUnits)
{
    TextPool pool;
    const auto document = read_document(
        R"({"units":[{"id":"dcos-log.socket","health":0,"output":"","description":"socket","help":"","name":"Log"},
            {"id":"dcos-net.service","health":1,"output":"bad\n","description":"net","help":"","name":"Net"}],
            "hostname":"dda1","ip":"10.99.0.2","dcos_version":"2.1.1","node_role":"agent","mesos_id":"f7-S0",
            "dcos_diagnostics_version":"0.4.0"})",
        pool);
    ASSERT_TRUE(document) << document.error().message;
    EXPECT_EQ(document->instance, "");
    EXPECT_EQ(document->health, Health::unhealthy);
    EXPECT_EQ(document->reason, "1 of 2 units unhealthy");
    EXPECT_TRUE(document->systemd_readable);
    EXPECT_EQ(document->identity.hostname, "dda1");
}

TEST(NodeDocument, NoUnitsIsUnknownNeverHealthy)
{
    TextPool pool;
    for (const auto* units : {"null", "[]"}) {
        const auto document = read_document(std::string{R"({"units":)"} + units + "}", pool);
        ASSERT_TRUE(document);
        EXPECT_EQ(document->health, Health::unknown) << units;
        EXPECT_FALSE(document->reason.empty());
    }
}

TEST(NodeDocument, ANewerNodeMayHaveFieldsWeDoNotKnow)
{
    TextPool pool;
    const auto document = read_document(
        R"({"units":[{"id":"a.service","health":2,"colour":"red","since":17,"acknowledged":"yes"}],"future":{},
            "node":{"id":"m","instance":"i","version":3,"base":0,"health":0,"systemd_readable":true,"next":[1]}})",
        pool);
    ASSERT_TRUE(document) << document.error().message;
    EXPECT_EQ(document->units[0].verdict->health, Health::unknown) << "2 is no health that we know";
    EXPECT_EQ(document->units[0].acknowledged, nullptr);
}

TEST(NodeDocument, GarbageIsRefusedWithAReason)
{
    EXPECT_EQ(refused("<html>"), "cannot read the node's answer: it is no JSON");
    EXPECT_EQ(refused(R"({"units":[{"id":"a)"), "cannot read the node's answer: it is no JSON");
    EXPECT_EQ(refused("[]"), "cannot read the node's answer: it is no JSON object");
    EXPECT_EQ(refused("{}"), "cannot read the node's answer: it has no field \"units\"");
    EXPECT_EQ(refused(R"({"units":7})"), "cannot read the node's answer: \"units\" is no list");
    EXPECT_EQ(refused(R"({"units":[7]})"), "cannot read the node's answer: units[0] is no object");
    EXPECT_EQ(refused(R"({"units":[{"id":""}]})"), "cannot read the node's answer: units[0] has no id");
    EXPECT_EQ(refused(R"({"units":[{"id":"a"},{"id":"a"}]})"),
              "cannot read the node's answer: it has the unit a twice");
    EXPECT_EQ(refused(R"({"units":[{"id":"a"},{"id":"b"}]})", {.units = 1}),
              "cannot read the node's answer: it has 2 units, at most 1 are read");
    EXPECT_EQ(refused(R"({"units":[],"node":{"instance":"i"}})"),
              "cannot read the node's answer: \"node\" has no instance or no version");
    EXPECT_EQ(refused(R"({"units":[],"node":{"instance":"i","version":1,"removed":[7]}})"),
              "cannot read the node's answer: \"removed\" has something that is no id");
    EXPECT_NE(refused(R"({"units":[{"id":")" + std::string(600, 'a') + R"("}]})"), "accepted");
}

TEST(NodeDocument, CutsWhatIsTooLongAndSaysSo)
{
    TextPool pool;
    const auto document =
        read_document(R"({"units":[{"id":"a","health":1,"output":"ééééé","name":"nnnnnn"}]})", pool,
                      {.units = 10, .output_bytes = 5, .text_bytes = 4});
    ASSERT_TRUE(document);
    EXPECT_EQ(*document->units[0].output, "éé\n[cut here: the node sent more]\n");
    EXPECT_EQ(document->units[0].label->name, "nnnn");
}

TEST(TextPool, KeepsOneCopyAndForgetsWhatNobodyUses)
{
    TextPool pool;
    const auto one = pool.label({"a", "A", "x"});
    EXPECT_EQ(one, pool.label({"a", "A", "x"}));
    EXPECT_NE(one, pool.label({"a", "A", "y"}));
    for (int i = 0; i < 5'000; ++i)
        (void)pool.verdict({Health::unhealthy, "failed", std::to_string(i)});
    EXPECT_LT(pool.size(), 1'100U);
    EXPECT_EQ(one, pool.label({"a", "A", "x"}));
}

}  // namespace
}  // namespace opsd::cluster
