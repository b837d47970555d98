#include "cluster_support.hpp"

#include "http/content.hpp"
#include "modules/cluster/view_parts.hpp"

#include <fmt/format.h>

#include <cstdlib>

namespace opsd::cluster {
namespace {

using namespace test;
using http::Method;
using http::Role;

class DcosViews : public ClusterViews {
protected:
    DcosViews()
    {
        add("10.0.0.10", {{"a.service", Health::healthy}, {"b.service", Health::unhealthy}},
            {.hostname = "h10", .role = "agent", .mesos_id = "S10"});
        add("10.0.0.9", {{"a.service", Health::healthy}, {"b.service", Health::healthy}},
            {.hostname = "h9", .role = "master", .mesos_id = "M"});
        publish();
    }
    void kill(const std::string& address)
    {
        (void)table.failed(address, "cannot connect to " + address + ": timed out", noon + 5s);
        clock.advance(7s, [] {});
        publish();
    }
};

TEST_F(DcosViews, UnitsHaveFourFieldsAndTheRollUp)
{
    EXPECT_EQ(
        text("/system/health/v1/units"),
        "{\"units\":[{\"id\":\"a.service\",\"name\":\"a.service\",\"health\":0,\"description\":\"About "
        "a.service\"},"
        "{\"id\":\"b.service\",\"name\":\"b.service\",\"health\":1,\"description\":\"About b.service\"}]}\n");
    EXPECT_EQ(
        text("/system/health/v1/units/b.service"),
        "{\"id\":\"b.service\",\"name\":\"b.service\",\"health\":1,\"description\":\"About b.service\"}\n");
}

TEST_F(DcosViews, NodesHaveThreeFieldsSortedByValue)
{
    EXPECT_EQ(text("/system/health/v1/nodes"),
              "{\"nodes\":[{\"host_ip\":\"10.0.0.9\",\"health\":0,\"role\":\"master\"},"
              "{\"host_ip\":\"10.0.0.10\",\"health\":1,\"role\":\"agent\"}]}\n");
    EXPECT_EQ(text("/system/health/v1/nodes/10.0.0.10"),
              "{\"host_ip\":\"10.0.0.10\",\"health\":1,\"role\":\"agent\"}\n");
    EXPECT_EQ(text("/system/health/v1/nodes/h10"), text("/system/health/v1/nodes/S10"));
}

TEST_F(DcosViews, TheNodesOfAUnitShowItsHealthThere)
{
    EXPECT_EQ(text("/system/health/v1/units/a.service/nodes"),
              "{\"nodes\":[{\"host_ip\":\"10.0.0.9\",\"health\":0,\"role\":\"master\"},"
              "{\"host_ip\":\"10.0.0.10\",\"health\":0,\"role\":\"agent\"}]}\n");
    make({.node_health_in_units = true});
    EXPECT_EQ(json("/system/health/v1/units/a.service/nodes")["nodes"][1]["health"], 1)
        << "as the DC/OS program";
}

TEST_F(DcosViews, AUnitOnANodeHasFiveFieldsAndSixTheOtherWay)
{
    EXPECT_EQ(
        text("/system/health/v1/units/b.service/nodes/10.0.0.10"),
        "{\"host_ip\":\"10.0.0.10\",\"health\":1,\"role\":\"agent\",\"output\":\"it broke\\nsecret line\\n\","
        "\"help\":\"on h10 (Mesos id S10): opsd explain b.service\"}\n");
    EXPECT_EQ(text("/system/health/v1/nodes/10.0.0.10/units/b.service"),
              "{\"id\":\"b.service\",\"health\":1,\"output\":\"it broke\\nsecret "
              "line\\n\",\"description\":\"About b.service\","
              "\"help\":\"on h10 (Mesos id S10): opsd explain b.service\",\"name\":\"b.service\"}\n");
    EXPECT_EQ(json("/system/health/v1/nodes/10.0.0.10/units")["units"].size(), 2U);
}

TEST_F(DcosViews, JournalLinesAreForViewersOnly)
{
    for (const auto* path : {"/system/health/v1/units/b.service/nodes/10.0.0.10",
                             "/system/health/v1/nodes/10.0.0.10/units/b.service", "/system/health/v1/report",
                             "/api/v1/nodes/h10/units"}) {
        EXPECT_NE(text(path).find("secret"), std::string::npos) << path;
        EXPECT_EQ(text(path, Role::local).find("secret"), std::string::npos) << path;
        EXPECT_NE(text(path, Role::local).find("it broke"), std::string::npos) << path;
    }
}

TEST_F(DcosViews, JournalLinesAreNotForARoleThatMayNotReadThem)
{
    board.log_access.restricted = {{Role::viewer, [](std::string_view unit) { return unit == "a.service"; }}};
    for (const auto* path : {"/system/health/v1/units/b.service/nodes/10.0.0.10",
                             "/system/health/v1/nodes/10.0.0.10/units/b.service", "/system/health/v1/report",
                             "/api/v1/nodes/h10/units", "/api/v1/nodes/h10/units/b.service"}) {
        EXPECT_EQ(text(path, Role::viewer).find("secret"), std::string::npos) << path;
        EXPECT_NE(text(path, Role::operator_).find("secret"), std::string::npos) << path;
    }
    EXPECT_EQ(ask("/api/v1/nodes/h10/units/b.service/explain", Role::viewer).status, 403U);
}

TEST_F(DcosViews, ADeadNodeStaysAndDoesNotHideARealFailure)
{
    kill("10.0.0.9");
    EXPECT_EQ(json("/system/health/v1/nodes/10.0.0.9")["health"], 3);
    EXPECT_EQ(json("/system/health/v1/units/a.service")["health"], 3);
    EXPECT_EQ(json("/system/health/v1/units/b.service")["health"], 1);
    EXPECT_EQ(json("/system/health/v1/nodes/10.0.0.9/units")["units"][0]["health"], 3);
    EXPECT_EQ(json("/api/v1/cluster/units/a.service")["counts"],
              (nlohmann::ordered_json{{"healthy", 1}, {"unhealthy", 0}, {"unknown", 1}}));
    EXPECT_EQ(header(ask("/system/health/v1/nodes/10.0.0.9"), "Age"), "7") << "of the node's last answer";
    const auto unit = json("/api/v1/nodes/10.0.0.9/units/a.service");
    EXPECT_EQ(unit["reason"], "cannot connect to 10.0.0.9: timed out (last known: running, running)");
    EXPECT_EQ(unit["last_known_health"], 0);
}

TEST_F(DcosViews, WhatIsNotThereIsSaidAsTheOldProgramSaysIt)
{
    for (const auto* path :
         {"/system/health/v1/units/x.service", "/system/health/v1/units/x.service/nodes"}) {
        const auto response = ask(path);
        EXPECT_EQ(response.status, 404U);
        EXPECT_EQ(response.body, "x.service not found\n");
    }
    EXPECT_EQ(ask("/system/health/v1/nodes/10.9.9.9").body, "10.9.9.9 not found\n");
    EXPECT_EQ(ask("/system/health/v1/nodes/10.0.0.9/units/x.service").status, 404U);
    EXPECT_EQ(ask("/system/health/v1/units/b.service/nodes/10.9.9.9").status, 404U);
}

TEST_F(DcosViews, TwoNodesWithOneNameMustBeNamedByAddress)
{
    add("10.0.0.11", {{"a.service", Health::healthy}}, {.hostname = "h10"});
    publish();
    const auto response = ask("/api/v1/nodes/h10");
    EXPECT_EQ(response.status, 409U);
    EXPECT_NE(response.body.find("10.0.0.10 and 10.0.0.11 have that name"), std::string::npos);
    EXPECT_EQ(ask("/system/health/v1/nodes/h10").status, 409U);
}

TEST_F(DcosViews, TheReportHasTheContractsKeysWithoutItsRepetition)
{
    const auto report = json("/system/health/v1/report");
    std::vector<std::string> keys;
    for (const auto& [key, value] : report.items())
        keys.push_back(key);
    EXPECT_EQ(keys, (std::vector<std::string>{"Units", "Nodes", "UpdatedTime"}));
    EXPECT_EQ(
        report["Units"]["b.service"].dump(),
        R"({"UnitName":"b.service","Nodes":[{"Leader":false,"Role":"master","IP":"10.0.0.9","Host":"h9","Health":0,)"
        R"("Output":null,"MesosID":"M"},{"Leader":false,"Role":"agent","IP":"10.0.0.10","Host":"h10","Health":1,)"
        R"("Output":null,"MesosID":"S10"}],"Health":1,"Title":"About b.service",)"
        R"("Timestamp":"2026-11-18T11:06:40.000Z","PrettyName":"b.service"})");
    EXPECT_EQ(
        report["Nodes"]["10.0.0.10"].dump(),
        R"({"Leader":false,"Role":"agent","IP":"10.0.0.10","Host":"h10","Health":1,)"
        R"("Output":{"b.service":"it broke\nsecret line\n"},)"
        R"("Units":[{"UnitName":"a.service","Health":0,"Title":"About a.service","Timestamp":"2026-11-18T11:06:40.000Z",)"
        R"("PrettyName":"a.service"},{"UnitName":"b.service","Health":1,"Title":"About b.service",)"
        R"("Timestamp":"2026-11-18T11:06:40.000Z","PrettyName":"b.service"}],"MesosID":"S10"})");
    EXPECT_EQ(header(ask("/system/health/v1/report/download"), "Content-Disposition"),
              "attachment; filename=health-report.json");
}

TEST_F(DcosViews, TheFullReportRepeatsAsTheOldOneDid)
{
    const auto report = json("/system/health/v1/report?full");
    EXPECT_EQ(report["Units"]["a.service"]["Nodes"][1]["Output"]["b.service"], "it broke\nsecret line\n");
    EXPECT_EQ(report["Units"]["a.service"]["Nodes"][1]["Output"]["a.service"], "");
    EXPECT_EQ(report["Nodes"]["10.0.0.10"]["Units"][0]["Nodes"][0]["IP"], "10.0.0.10");
}

TEST_F(DcosViews, ANodeThatNeverAnsweredIsInTheReport)
{
    add("10.0.0.12", {});
    publish();
    EXPECT_EQ(
        json("/system/health/v1/report")["Nodes"]["10.0.0.12"].dump(),
        R"({"Leader":false,"Role":"","IP":"10.0.0.12","Host":"","Health":3,"Output":null,"MesosID":""})");
}

TEST_F(DcosViews, ALargeReportIsStreamedAndTheSame)
{
    const auto kept = text("/system/health/v1/report");
    make({.answers = {.bytes = 100}});
    const auto response = ask("/system/health/v1/report");
    ASSERT_TRUE(response.producer);
    Collector collector;
    bool done = false;
    asio::co_spawn(io, response.producer(collector), [&](const std::exception_ptr&) { done = true; });
    io.restart();
    while (!done)
        io.run_one_for(10ms);
    EXPECT_EQ(collector.text, kept);
}

TEST_F(DcosViews, AReportThatSlowReadersLeaveNoRoomForIsStreamed)
{
    const auto* path = "/system/health/v1/report";
    const auto size = views->report_sizes.of(*board.cluster.get(), {.with_journal = true});
    make({.answers = {.bytes = 2 * size}});
    auto slow = ask(path);
    ASSERT_TRUE(slow.content);
    EXPECT_EQ(ask(path).content, slow.content);
    kill("10.0.0.9");
    EXPECT_TRUE(ask(path).producer);
    slow = {};
    EXPECT_TRUE(ask(path).content) << "nobody reads the old one any more";
}

TEST_F(DcosViews, AListThatHasNoRoomIsRefusedWithTheReason)
{
    make({.answers = {.bytes = 100}});
    const auto slow = ask("/system/health/v1/nodes");
    ASSERT_TRUE(slow.content);
    publish();
    const auto refused = ask("/system/health/v1/nodes");
    EXPECT_EQ(refused.status, 503U);
    EXPECT_TRUE(refused.body.starts_with("cannot make the answer: slow clients still read")) << refused.body;
    EXPECT_EQ(header(refused, "Retry-After"), "5");
    EXPECT_EQ(ask("/api/v1/cluster/units").status, 503U);
}

TEST_F(DcosViews, AnswersCarryTheirAge)
{
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    clock.advance(90s, [] {});
    const auto response = ask("/system/health/v1/units");
    EXPECT_EQ(header(response, "Age"), "90");
    EXPECT_EQ(header(response, "Last-Modified-3DT"), "Wed Nov 18 11:06:40 2026");
    ASSERT_TRUE(response.content);
    EXPECT_FALSE(response.content->etag.empty());
}

TEST_F(DcosViews, AnswersSayWhenWhatTheyShowLastChanged)
{
    auto cluster = table.cluster(true);
    cluster.changed_at = noon - 1h - 300ms;
    board.cluster.publish(std::move(cluster), noon);
    clock.advance(90s, [] {});
    for (const auto* path : {"/system/health/v1/units", "/system/health/v1/units/b.service",
                             "/system/health/v1/units/b.service/nodes",
                             "/system/health/v1/units/b.service/nodes/10.0.0.10", "/system/health/v1/nodes",
                             "/system/health/v1/nodes/10.0.0.10", "/system/health/v1/nodes/10.0.0.10/units",
                             "/system/health/v1/nodes/10.0.0.10/units/b.service", "/api/v1/cluster/units"}) {
        const auto response = ask(path);
        ASSERT_TRUE(response.content) << path;
        EXPECT_EQ(response.content->last_modified, noon - 1h) << path;
        EXPECT_EQ(header(response, "Age"), "90") << path;
        EXPECT_NE(header(response, "Last-Modified-3DT"), "") << path;
    }
    EXPECT_EQ(ask("/system/health/v1/report").content->last_modified, noon) << "it says when it was made";
    make({.answers = {.bytes = 100}});
    const auto streamed = ask("/system/health/v1/report");
    ASSERT_TRUE(streamed.producer);
    EXPECT_EQ(header(streamed, "Last-Modified"), "Wed, 18 Nov 2026 11:06:40 GMT");
}

TEST_F(DcosViews, TheNodesOfAUnitAreRenderedOnceAVersion)
{
    const auto path = "/system/health/v1/units/a.service/nodes";
    const auto first = ask(path).content;
    EXPECT_EQ(first, ask(path).content);
    EXPECT_EQ(views->answers.rendered(), 1U);
    EXPECT_NE(first, ask("/system/health/v1/units/b.service/nodes").content);
    kill("10.0.0.9");
    EXPECT_EQ(json(path)["nodes"][0]["health"], 3);
}

TEST_F(DcosViews, TheSizeOfTheReportIsEstimatedOnceAVersion)
{
    ReportSizes sizes;
    Snapshot<Cluster> snapshot{.version = 1, .at = noon, .value = table.cluster(true)};
    const auto two = sizes.of(snapshot, {});
    EXPECT_GT(sizes.of(snapshot, {.with_journal = true}), two);
    EXPECT_GT(sizes.of(snapshot, {.full = true}), two);
    snapshot.value.members.clear();
    EXPECT_EQ(sizes.of(snapshot, {}), two) << "nobody counts again what did not change";
    snapshot.version = 2;
    EXPECT_LT(sizes.of(snapshot, {}), two);
}

TEST_F(DcosViews, OneRenderingServesAllWhoAsk)
{
    const auto first = ask("/system/health/v1/nodes").content;
    EXPECT_EQ(first, ask("/system/health/v1/nodes").content);
    EXPECT_EQ(views->answers.rendered(), 1U);
    publish();
    EXPECT_EQ(first->etag, ask("/system/health/v1/nodes").content->etag)
        << "nothing changed, the tag says so";
    EXPECT_EQ(views->answers.rendered(), 2U);
}

TEST_F(DcosViews, AChangeIsNotHiddenByTheDateOfALargeAnswer)
{
    // Changes at .2 and .9 of one second; the first is asked for before or after the second, and the answer
    // is kept and given out for a second more.
    for (const auto& [first_asked, dated] : {std::pair{300ms, false}, {1'300ms, true}}) {
        make({});
        clock.step_wall(std::chrono::ceil<std::chrono::seconds>(clock.now()) - clock.now());
        const auto second = clock.now();
        std::string words = "first";
        const WantedAnswer::Render render = [&](const Cluster&) -> Task<std::string> {
            co_return words + std::string(300 * 1024, '.');
        };
        const auto get = [&](std::uint64_t version, WallTime changed, std::string if_modified_since = {}) {
            Snapshot<Cluster> newest{.version = version, .at = clock.now(), .value = {}};
            newest.value.changed_at = changed;
            const auto snapshot = std::make_shared<const Snapshot<Cluster>>(std::move(newest));
            const auto task = [&]() -> Task<http::Response> {
                WantedAnswer wanted{.key = "large",
                                    .snapshot = snapshot,
                                    .modified = changed_at(*snapshot),
                                    .render = render};
                auto answer = co_await views->answers.get(std::move(wanted));
                co_return http::Response::shared(std::move(answer->content));
            };
            http::Request request;
            request.headers.add("if-modified-since", std::move(if_modified_since));
            return http::prepare(await(task()), &request,
                                 {.date = http::http_date(clock.now()), .request_id = {}});
        };
        const auto date_in = [](const std::string& head) {
            const auto at = head.find("Last-Modified: ");
            return at == std::string::npos ? std::string{} : head.substr(at + 15, 29);
        };
        clock.advance(first_asked, [] {});
        EXPECT_EQ(get(1, second + 200ms)->status, 200U);
        words = "second";
        clock.advance(800ms, [] {});
        const auto changed_again = dated ? second + 1'500ms : second + 900ms;
        const auto kept = get(2, changed_again);
        EXPECT_TRUE(kept->body.starts_with("first"));
        const auto date = date_in(kept->head);
        EXPECT_EQ(!date.empty(), dated) << kept->head;
        clock.advance(1s, [] {});
        const auto now = get(2, changed_again, date);
        EXPECT_EQ(now->status, 200U) << date;
        EXPECT_TRUE(now->body.starts_with("second"));
        clock.advance(3s, [] {});
        const auto newest = get(3, changed_again);
        EXPECT_EQ(get(3, changed_again, date_in(newest->head))->status, 304U) << newest->head;
    }
}

TEST_F(DcosViews, CacheAsksAllNodesFirst)
{
    EXPECT_EQ(ask("/system/health/v1/units?cache").status, 200U);
    EXPECT_EQ(refreshes, 1);
    refresh_error = Error{Errc::timeout, "cannot refresh: 3 of 40 nodes have not answered within 10 s"};
    clock.advance(65s, [] {});
    const auto response = ask("/system/health/v1/report?cache");
    EXPECT_EQ(response.status, 504U);
    EXPECT_EQ(response.body,
              "cannot refresh: 3 of 40 nodes have not answered within 10 s; what is known is 1 min 5 s old "
              "and is served without ?cache\n");
    EXPECT_EQ(header(response, "Age"), "65");
}

TEST_F(DcosViews, CacheNeverShowsALargeAnswerOfBeforeItAsked)
{
    for (int i = 0; i < 1'200; ++i)
        add(fmt::format("10.1.{}.{}", i / 200, i % 200), {{"a.service", Health::healthy}});
    publish();
    ASSERT_GT(text("/system/health/v1/report").size(), 256U * 1024U);
    add("10.1.0.7", {{"a.service", Health::unhealthy}});
    publish();
    const auto health = [this](const std::string& path) {
        return json(path)["Nodes"]["10.1.0.7"]["Health"].get<int>();
    };
    EXPECT_EQ(health("/system/health/v1/report"), 0) << "made less than a second ago";
    EXPECT_EQ(health("/system/health/v1/report?cache"), 1);
    EXPECT_EQ(health("/system/health/v1/report"), 1);
}

TEST_F(DcosViews, BeforeAnythingIsKnownListsAreEmptyAndTheClusterIsUnknown)
{
    Board empty{io.get_executor()};
    Services none{io.get_executor(), clock, empty, feeds, store, metrics, paths, status, Log{log, "cluster"}};
    views = std::make_shared<Views>(ViewOptions{}, none, Actions{});
    router = *http::Router::build(view_routes(views));
    EXPECT_EQ(text("/system/health/v1/units"), "{\"units\":[]}\n");
    EXPECT_EQ(text("/system/health/v1/nodes"), "{\"nodes\":[]}\n");
    EXPECT_EQ(json("/api/v1/cluster")["health"], 3);
    EXPECT_EQ(json("/api/v1/nodes")["health"], 3);
    views.reset();
}

TEST_F(DcosViews, NodesSayWhereTheyAreKnownFromAndHowFreshTheyAre)
{
    kill("10.0.0.9");
    const auto all = json("/api/v1/nodes");
    EXPECT_EQ(all["counts"].dump(), R"({"healthy":0,"unhealthy":1,"unknown":1})");
    const auto& dead = all["nodes"][0];
    EXPECT_EQ(dead["address"], "10.0.0.9");
    EXPECT_EQ(dead["freshness"], "stale");
    EXPECT_EQ(dead["why"], "cannot connect to 10.0.0.9: timed out");
    EXPECT_EQ(dead["known_from"][0]["source"], "static");
    EXPECT_EQ(dead["units"].dump(), R"({"healthy":0,"unhealthy":0,"unknown":2})");
    EXPECT_EQ(json("/api/v1/nodes/10.0.0.9")["age_seconds"], 7.0);
    EXPECT_EQ(json("/api/v1/nodes?freshness=stale")["nodes"].size(), 1U);
    EXPECT_EQ(json("/api/v1/nodes?role=agent")["nodes"].size(), 1U);
    EXPECT_EQ(json("/api/v1/nodes?health=0,1")["nodes"].size(), 1U);
    EXPECT_EQ(ask("/api/v1/nodes?health=2").status, 400U);
    EXPECT_EQ(ask("/api/v1/nodes?freshness=old").status, 400U);
    EXPECT_EQ(ask("/api/v1/nodes/nobody").status, 404U);
}

TEST_F(DcosViews, ANodeIsForgottenOnlyWhenNoSourceNamesIt)
{
    EXPECT_EQ(ask("/api/v1/nodes/10.0.0.9", Role::operator_, Method::del).status, 409U);
    table.named("static", {}, 1050, noon);
    EXPECT_EQ(ask("/api/v1/nodes/10.0.0.9", Role::operator_, Method::del).status, 204U);
    publish();
    EXPECT_EQ(ask("/api/v1/nodes/10.0.0.9", Role::operator_, Method::del).status, 404U);
}

TEST_F(DcosViews, PlannedWorkOnANodeIsShownBesideItsState)
{
    const auto response =
        ask("/api/v1/nodes/h10/ack", Role::operator_, Method::post, R"({"for":"2h","reason":"new disk"})");
    EXPECT_EQ(response.status, 200U) << response.body;
    publish();
    const auto node = json("/api/v1/nodes/h10");
    EXPECT_EQ(node["acknowledged"]["by"], "ann");
    EXPECT_EQ(node["health"], 1);
    EXPECT_EQ(ask("/api/v1/nodes/h10/ack", Role::operator_, Method::post, R"({"for":"soon"})").status, 400U);
    EXPECT_EQ(ask("/api/v1/nodes/h10/ack", Role::operator_, Method::del).status, 204U);
    publish();
    EXPECT_TRUE(json("/api/v1/nodes/h10")["acknowledged"].is_null());
}

TEST_F(DcosViews, AnExplanationIsAskedOfTheNode)
{
    EXPECT_EQ(json("/api/v1/nodes/h10/units/b.service/explain")["asked"],
              "10.0.0.10/api/v1/units/b.service/explain");
}

TEST_F(DcosViews, TheClustersVerdictCountsNodesAndUnits)
{
    kill("10.0.0.9");
    const auto cluster = json("/api/v1/cluster");
    EXPECT_EQ(cluster["health"], 1);
    EXPECT_EQ(cluster["reason"], "1 node unhealthy, 1 node unknown of 2");
    EXPECT_EQ(cluster["units"].dump(), R"({"healthy":0,"unhealthy":1,"unknown":1})");
}

TEST_F(DcosViews, AClusterOfWhichNotAllAreKnownIsNotHealthy)
{
    auto cluster = table.cluster(true);
    std::erase_if(cluster.members, [](const auto& m) { return m->health != Health::healthy; });
    cluster.nodes = {1, 0, 0};
    cluster.incomplete = "no source has named the members yet";
    board.cluster.publish(cluster, clock.now());
    EXPECT_EQ(json("/api/v1/cluster")["health"], 3);
    EXPECT_EQ(json("/api/v1/cluster")["reason"], "no source has named the members yet");
    EXPECT_EQ(json("/api/v1/nodes")["health"], 3);
    EXPECT_EQ(json("/api/v1/nodes")["reason"], "no source has named the members yet");
}

TEST_F(DcosViews, TheClustersSeriesAreForPrometheus)
{
    kill("10.0.0.9");
    const auto planned = std::make_shared<const Acknowledgement>(Acknowledgement{.reason = "new disk"});
    auto cluster = board.cluster.get()->value;
    auto member = std::make_shared<Member>(*cluster.members[1]);
    member->clock_offset = -1500ms;
    member->acknowledged = planned;
    member->units[1].restarts_in_window = 7;
    member->units[1].acknowledged = planned;
    cluster.members[1] = member;
    board.cluster.publish(cluster, clock.now());
    const auto response = ask("/api/v1/metrics/cluster");
    ASSERT_TRUE(response.producer);
    Collector collector;
    bool done = false;
    asio::co_spawn(io, response.producer(collector), [&](const std::exception_ptr&) { done = true; });
    io.restart();
    while (!done)
        io.run_one_for(10ms);
    for (const auto* line :
         {"opsd_cluster_node_health{node=\"10.0.0.10\",hostname=\"h10\",role=\"agent\"} 1\n",
          "opsd_cluster_unit_health{node=\"10.0.0.10\",unit=\"b.service\"} 1\n",
          "opsd_cluster_units{unit=\"b.service\",health=\"unhealthy\"} 1\n",
          "opsd_cluster_nodes{health=\"healthy\"} 0\n", "opsd_cluster_nodes{health=\"unhealthy\"} 1\n",
          "opsd_cluster_nodes{health=\"unknown\"} 1\n",
          "opsd_cluster_rolled_up_units{health=\"unhealthy\"} 1\n",
          "opsd_cluster_rolled_up_units{health=\"unknown\"} 1\n",
          "opsd_cluster_node_clock_offset_seconds{node=\"10.0.0.10\"} -1.5\n",
          "opsd_cluster_node_acknowledged{node=\"10.0.0.10\"} 1\n",
          "opsd_cluster_unit_restarts{node=\"10.0.0.10\",unit=\"b.service\"} 7\n",
          "opsd_cluster_unit_acknowledged{node=\"10.0.0.10\",unit=\"b.service\"} 1\n"})
        EXPECT_NE(collector.text.find(line), std::string::npos) << line << collector.text;
    EXPECT_EQ(collector.text.find("opsd_cluster_unit_restarts{node=\"10.0.0.10\",unit=\"a.service\"}"),
              std::string::npos)
        << "most units never restart";
}

}  // namespace
}  // namespace opsd::cluster
