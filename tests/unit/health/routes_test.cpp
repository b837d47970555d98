// What clients see.

#include "node.hpp"

namespace opsd::health {
namespace {

using namespace test;
using http::Method;
using http::Role;

class HealthRoutes : public Node {
protected:
    HealthRoutes() { options.units = {"a.service", "b.service"}; }

    void two_units()
    {
        add(changed(running(), [](auto& f) { f.description = "Log: keeps logs"; }));
        add(failed("exit-code", 1, 3, "b.service"));
        systemd::JournalLine line;
        line.at = today;
        line.identifier = "b";
        line.message = "secret <line>\xff";
        journal["b.service"] = {line};
        start();
        advance(2s);
    }
    std::unique_ptr<Reader> listen(const std::string& query = "", const std::string& header = "")
    {
        std::vector<std::pair<std::string, std::string>> headers;
        if (!header.empty()) headers.emplace_back("last-event-id", header);
        auto response = ask(Method::get, "/api/v1/events" + query, Role::local, {}, headers);
        EXPECT_EQ(response.type, "text/event-stream");
        auto reader = std::make_unique<Reader>(io.get_executor());
        producers.push_back(std::move(response.producer));
        ++open;
        asio::co_spawn(io, producers.back()(*reader), [this](std::exception_ptr e) {
            --open;
            if (e) std::rethrow_exception(e);
        });
        settle();
        return reader;
    }
    void leave(Reader& reader)
    {
        const auto left = open - 1;
        reader.leave();
        until([&] { return open == left; });
    }
    /// The store is taken away and an empty one put there.
    void empty_the_store()
    {
        bool done = false;
        auto run = [](Store& to, bool& end) -> Task<> {
            std::vector<Statement> all;
            all.push_back({"DELETE FROM health_transitions", {}});
            all.push_back({"DELETE FROM health_meta", {}});
            const auto written = co_await to.write(std::move(all));
            EXPECT_TRUE(written);
            end = true;
        };
        asio::co_spawn(io, run(*store, done), [](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
        });
        until([&] { return done; });
    }
    /// Two units, and the id of the event that a reader saw last.
    std::int64_t last_seen()
    {
        two_units();
        const auto reader = listen();
        fail_unit("a.service");
        advance(1s);
        const auto id = reader->ids().back();
        leave(*reader);
        return id;
    }
    /// opsd is killed before an event that readers are told is written: its id.
    std::int64_t killed_with_an_event()
    {
        const auto reader = listen();
        store->broken = Error{Errc::unavailable, "cannot write: killed"};  // nothing more reaches the disk
        run_unit("a.service");
        advance(20ms);
        const auto id = reader->ids().back();
        leave(*reader);
        stop();
        store->broken.reset();
        return id;
    }
    void start_on_a_full_disk()
    {
        store->full = Error{Errc::unavailable, "cannot write: no room"};
        start();
        advance(1s);
    }
    std::string told_after(std::int64_t last)
    {
        const auto reader = listen("", std::to_string(last));
        leave(*reader);
        return reader->text;
    }
    static constexpr std::string_view gap = "event: missed\ndata: {\"count\":null}\n\n";
    std::list<http::Stream> producers;
    int open = 0;
};

TEST_F(HealthRoutes, TheDcosAnswerHasItsFieldsInOrder)
{
    board.identity.publish(NodeIdentity{"host1", "10.0.0.1", "agent", "m-1", "2.2"}, today);
    two_units();
    const auto text = body_of(ask(Method::get, "/system/health/v1", Role::viewer));
    EXPECT_EQ(
        text,
        R"({"units":[{"id":"a.service","health":0,"output":"","description":"keeps logs","help":"",)"
        R"("name":"Log"},{"id":"b.service","health":1,"output":"the main process exited with status 3 )"
        R"((NOTIMPLEMENTED) (Result=exit-code)\n2027-01-15T08:00:00.000Z b: secret \u003cline\u003e\ufffd\n",)"
        R"("description":"Unit b.service","help":"","name":"b.service"}],"hostname":"host1","ip":"10.0.0.1",)"
        R"("dcos_version":"2.2","node_role":"agent","mesos_id":"m-1","dcos_diagnostics_version":"0.4.0"})"
        "\n");
}

TEST_F(HealthRoutes, JournalLinesAreForViewersOnly)
{
    two_units();
    for (const auto* path : {"/system/health/v1", "/api/v1/units/b.service"}) {
        EXPECT_EQ(body_of(ask(Method::get, path, Role::local)).find("secret"), std::string::npos) << path;
        EXPECT_NE(body_of(ask(Method::get, path, Role::local)).find("status 3"), std::string::npos) << path;
        EXPECT_NE(body_of(ask(Method::get, path, Role::viewer)).find("secret"), std::string::npos) << path;
    }
}

TEST_F(HealthRoutes, JournalLinesAreNotForARoleThatMayNotReadThem)
{
    two_units();
    board.log_access.restricted = {{Role::viewer, [](std::string_view unit) { return unit == "a.service"; }}};
    for (const auto* path : {"/system/health/v1", "/api/v1/units/b.service"}) {
        EXPECT_EQ(body_of(ask(Method::get, path, Role::viewer)).find("secret"), std::string::npos) << path;
        EXPECT_NE(body_of(ask(Method::get, path, Role::operator_)).find("secret"), std::string::npos) << path;
    }
    for (const auto* unit : {"a.service", "b.service"})  // it quotes other units, too
        EXPECT_EQ(ask(Method::get, fmt::format("/api/v1/units/{}/explain", unit), Role::viewer).status, 403U);
    EXPECT_NE(ask(Method::get, "/api/v1/units/b.service/explain", Role::operator_).status, 403U);
}

TEST_F(HealthRoutes, TheDcosAnswerIsRenderedOncePerVersion)
{
    two_units();
    const auto first = ask(Method::get, "/system/health/v1").content;
    EXPECT_EQ(ask(Method::get, "/system/health/v1").content, first);
    const auto zipped =
        ask(Method::get, "/system/health/v1", Role::admin, {}, {{"accept-encoding", "gzip, br"}}).content;
    EXPECT_NE(zipped, first);
    EXPECT_EQ(zipped->etag, first->etag);
    fail_unit("a.service");
    advance(20ms);
    const auto second = ask(Method::get, "/system/health/v1").content;
    EXPECT_NE(second->etag, first->etag);
    board.identity.publish(NodeIdentity{.hostname = "later"}, today);
    EXPECT_NE(ask(Method::get, "/system/health/v1").content->body.find("\"later\""), std::string::npos);
}

TEST_F(HealthRoutes, BeforeTheFirstLookOldClientsSeeUnknownAndOthersTryAgain)
{
    systemd.hold(systemd::FakeCall::list_units_by_names);
    start();
    for (const auto* path : {"/api/v1/health", "/api/v1/units", "/api/v1/units/a.service"}) {
        const auto answer = ask(Method::get, path);
        EXPECT_EQ(answer.status, 503U) << path;
        EXPECT_EQ(answer.type, "application/problem+json");
    }
    const auto early = get("/system/health/v1");
    ASSERT_EQ(early["units"].size(), 1U);
    EXPECT_EQ(early["units"][0]["id"], "init.scope");
    EXPECT_EQ(early["units"][0]["health"], 3);
    EXPECT_EQ(early["units"][0]["output"], "systemd has not been read yet\n");
    systemd.release(systemd::FakeCall::list_units_by_names);
    settle();
    EXPECT_EQ(get("/system/health/v1")["units"].size(), 2U);
}

TEST_F(HealthRoutes, WithoutSystemdNothingIsShownAsHealthy)
{
    two_units();
    systemd.fail_always(systemd::FakeCall::connect, Error{Errc::unavailable, "cannot connect: refused"});
    systemd.lose_connection({Errc::unavailable, "cannot read: gone"});
    advance(100ms);
    const auto answer = get("/system/health/v1");
    ASSERT_EQ(answer["units"].size(), 2U);
    for (const auto& unit : answer["units"]) {
        EXPECT_EQ(unit["health"], 3);
        EXPECT_NE(unit["output"].get<std::string>().find("systemd cannot be read"), std::string::npos);
        EXPECT_NE(unit["output"].get<std::string>().find("last known: "), std::string::npos);
    }
    EXPECT_EQ(get("/api/v1/units")["units"][0]["health"], 3);
    EXPECT_EQ(get("/api/v1/units")["units"][0]["state"], "running");
    EXPECT_EQ(get("/api/v1/units?health=0")["units"].size(), 0U);
    const auto node_answer = get("/api/v1/health");
    EXPECT_EQ(node_answer["health"], 3);
    EXPECT_EQ(node_answer["counts"]["unknown"], 2);
    EXPECT_EQ(node_answer["systemd_readable"], false);
    EXPECT_NE(metrics.render().find("opsd_unit_health{unit=\"a.service\"} 3"), std::string::npos);
    EXPECT_EQ(metric("opsd_node_health"), "3");
}

TEST_F(HealthRoutes, TheNodeHasCountsReasonAndAge)
{
    two_units();
    advance(30s);
    const auto answer = get("/api/v1/health", Role::local);
    EXPECT_EQ(answer["health"], 1);
    EXPECT_EQ(answer["reason"], "1 of 2 units is unhealthy: b.service");
    EXPECT_EQ(answer["counts"], (nlohmann::ordered_json{{"healthy", 1}, {"unhealthy", 1}, {"unknown", 0}}));
    EXPECT_GE(answer["age_seconds"].get<double>(), 30.0);
    EXPECT_LT(answer["age_seconds"].get<double>(), 40.0);
}

TEST_F(HealthRoutes, TheAgeIsNullWhileNothingWasConfirmed)
{
    systemd.fail_always(systemd::FakeCall::connect, Error{Errc::unavailable, "cannot connect: refused"});
    start();
    EXPECT_TRUE(get("/api/v1/health")["age_seconds"].is_null());
}

TEST_F(HealthRoutes, UnitsAreFilteredByHealthAndState)
{
    two_units();
    EXPECT_EQ(get("/api/v1/units")["units"].size(), 2U);
    EXPECT_EQ(get("/api/v1/units?health=1,3")["units"].size(), 1U);
    EXPECT_EQ(get("/api/v1/units?state=running,stuck")["units"][0]["id"], "a.service");
    EXPECT_EQ(get("/api/v1/units?state=failed&health=0")["units"].size(), 0U);
    EXPECT_EQ(ask(Method::get, "/api/v1/units?health=2").status, 400U);
}

TEST_F(HealthRoutes, OneUnitShowsWhyAndItsProperties)
{
    two_units();
    const auto unit = get("/api/v1/units/b.service");
    EXPECT_EQ(unit["state"], "failed");
    EXPECT_EQ(unit["since"], rfc3339(today - 1s));
    EXPECT_EQ(unit["restarts_in_window"], 0);
    EXPECT_EQ(unit["output_complete"], true);
    EXPECT_EQ(unit["properties"]["result"], "exit-code");
    EXPECT_EQ(unit["properties"]["exec_main_status"], 3);
    EXPECT_TRUE(unit["acknowledged"].is_null());
}

TEST_F(HealthRoutes, AnUnknownUnitIsNotFoundAndTheNearestIsNamed)
{
    two_units();
    const auto answer = ask(Method::get, "/api/v1/units/b.servic");
    EXPECT_EQ(answer.status, 404U);
    EXPECT_NE(answer.body.find("did you mean b.service?"), std::string::npos) << answer.body;
    EXPECT_EQ(ask(Method::get, "/api/v1/units/nothing-like-it.mount/history").status, 404U);
    EXPECT_EQ(ask(Method::post, "/api/v1/units/x/ack", Role::admin, "{}").status, 404U);
}

TEST_F(HealthRoutes, AcknowledgementsAreChecked)
{
    two_units();
    const auto post = [&](const std::string& body) {
        return ask(Method::post, "/api/v1/units/b.service/ack", Role::operator_, body).status;
    };
    for (const auto* bad :
         {"", "[]", "{", R"({"for":"2h"})", R"({"reason":"x"})", R"({"for":"2h","reason":""})",
          R"({"for":"59s","reason":"x"})", R"({"for":"31d","reason":"x"})", R"({"for":2,"reason":"x"})",
          R"({"for":"soon","reason":"x"})", R"({"for":"2h","reason":"x","more":"y"})"})
        EXPECT_EQ(post(bad), 400U) << bad;
    EXPECT_EQ(post(R"({"for":"2h","reason":")" + std::string(501, 'x') + R"("})"), 400U);
    EXPECT_EQ(post(R"({"for":"2h","reason":")" + std::string(500, 'x') + R"("})"), 200U);
    advance(20ms);
    EXPECT_NE(body_of(ask(Method::get, "/system/health/v1")).find("acknowledged by ann until"),
              std::string::npos);
    EXPECT_EQ(ask(Method::del, "/api/v1/units/b.service/ack").status, 204U);
    advance(20ms);
    EXPECT_TRUE(get("/api/v1/units/b.service/ack").is_null());
}

TEST_F(HealthRoutes, OnlyOperatorsMayAcknowledgeAndItIsAudited)
{
    start();
    int mutating = 0;
    for (const auto& route : routes) {
        if (route.method == Method::get) {
            EXPECT_EQ(route.access,
                      route.pattern.ends_with("/explain") ? http::Access::read : http::Access::local)
                << route.pattern;
            continue;
        }
        ++mutating;
        EXPECT_EQ(route.access, http::Access::operate) << route.pattern;
        EXPECT_TRUE(route.audited) << route.pattern;
    }
    EXPECT_EQ(mutating, 2);
}

TEST_F(HealthRoutes, EventsComeAsTheyHappenWithAHeartbeat)
{
    two_units();
    const auto reader = listen();
    fail_unit("a.service");
    advance(20ms);
    ASSERT_EQ(reader->ids().size(), 1U);
    EXPECT_NE(reader->text.find("event: transition\ndata: {\"id\":"), std::string::npos);
    EXPECT_NE(reader->text.find("\"to\":\"failed\""), std::string::npos);
    EXPECT_EQ(reader->text.find(": alive"), std::string::npos);
    advance(15s);
    EXPECT_NE(reader->text.find(": alive\n\n"), std::string::npos);
    EXPECT_EQ(metric("opsd_event_streams"), "1");
    leave(*reader);
    EXPECT_EQ(feeds.transitions.subscribers(), 0U);
}

TEST_F(HealthRoutes, AReaderResumesWithoutAGapOrADuplicate)
{
    options.history.fold_window = 0s;
    two_units();
    const auto first = listen();
    fail_unit("a.service");
    advance(20ms);
    const auto last = first->ids().back();
    leave(*first);
    for (int i = 0; i < 700; ++i) {  // more than a page, partly written, partly queued
        i % 2 == 0 ? run_unit("a.service") : fail_unit("a.service");
        advance(11ms);
    }
    const auto second = listen("", std::to_string(last));
    for (int i = 0; i < 10; ++i) {
        i % 2 == 0 ? run_unit("a.service") : fail_unit("a.service");
        advance(11ms);
    }
    const auto by_query = listen("?last_event_id=" + std::to_string(last));
    until([&] { return by_query->ids().size() >= 710U; });
    for (const auto* reader : {second.get(), by_query.get()}) {
        const auto ids = reader->ids();
        ASSERT_EQ(ids.size(), 710U);
        for (std::size_t i = 0; i < ids.size(); ++i)
            ASSERT_EQ(ids[i], last + 1 + static_cast<std::int64_t>(i));
    }
    leave(*second);
    leave(*by_query);
    EXPECT_EQ(ask(Method::get, "/api/v1/events?last_event_id=x").status, 400U);
}

TEST_F(HealthRoutes, AReaderThatResumesBeforeTheStoreIsOpenIsToldToComeAgainAndMissesNothing)
{
    options.history.fold_window = 0s;
    two_units();
    const auto first = listen();
    fail_unit("a.service");
    advance(20ms);
    const auto last = std::to_string(first->ids().back());
    leave(*first);
    run_unit("a.service");
    advance(1s);
    stop();
    store->broken = Error{Errc::unavailable, "cannot open s.db: the disk is full"};
    start();
    fail_unit("a.service");
    advance(1s);
    const auto early = listen("", last);
    EXPECT_TRUE(early->ids().empty()) << "what is queued is not all";
    EXPECT_NE(
        early->text.find("event: error\ndata: cannot read the history: what is on disk is not open yet"),
        std::string::npos)
        << early->text;
    EXPECT_EQ(open, 0) << "it is to come again";
    store->broken.reset();
    advance(20s);
    const auto later = listen("", last);
    EXPECT_NE(later->text.find("\"to\":\"running\""), std::string::npos) << "from before the restart";
    EXPECT_NE(later->text.find("\"to\":\"failed\""), std::string::npos) << "from before the store was open";
    leave(*later);
}

TEST_F(HealthRoutes, AReaderAheadOfTheStoreIsToldAndGoesOnLive)
{
    two_units();
    const auto reader = listen("", "9000000000000000000");
    EXPECT_NE(reader->text.find("event: reset\ndata: {\"last_id\":"), std::string::npos) << reader->text;
    EXPECT_TRUE(reader->ids().empty());
    fail_unit("a.service");
    advance(20ms);
    EXPECT_EQ(reader->ids().size(), 1U);
    leave(*reader);
}

TEST_F(HealthRoutes, AReaderWhoseEventsAreNotKeptAnyMoreIsToldFirst)
{
    options.history.fold_window = 0s;
    options.history.max_rows_per_unit = 10;
    two_units();
    const auto first = listen();
    for (int i = 0; i < 30; ++i) {
        i % 2 == 0 ? fail_unit("a.service") : run_unit("a.service");
        advance(11ms);
    }
    const auto seen = first->ids();
    ASSERT_EQ(seen.size(), 30U);
    leave(*first);
    const auto before = listen("", std::to_string(seen.front()));
    EXPECT_EQ(before->text.find("event: missed"), std::string::npos) << "all are kept still";
    leave(*before);
    advance(11min);
    const auto late = listen("", std::to_string(seen.front()));
    const auto told = late->text.find(gap);
    EXPECT_LT(told, late->text.find("event: transition")) << late->text;
    EXPECT_EQ(late->ids(), (std::vector<std::int64_t>{seen.end() - 10, seen.end()}));
    const auto in_time = listen("", std::to_string(seen[19]));
    const auto from_the_beginning = listen("", "0");
    for (auto* reader : {in_time.get(), from_the_beginning.get()})
        EXPECT_EQ(reader->text.find("event: missed"), std::string::npos) << reader->text;
    for (auto* reader : {late.get(), in_time.get(), from_the_beginning.get()})
        leave(*reader);
}

TEST_F(HealthRoutes, FoldedEventsAreNoGap)
{
    two_units();
    const auto first = listen();
    fail_unit("a.service");
    advance(20ms);
    const auto last = first->ids().back();
    leave(*first);
    for (int i = 0; i < 10; ++i) {
        i % 2 == 0 ? run_unit("a.service") : fail_unit("a.service");
        advance(1s);
    }
    const auto second = listen("", std::to_string(last));
    EXPECT_EQ(second->ids().size(), 2U);
    EXPECT_EQ(second->text.find("event: missed"), std::string::npos) << second->text;
    leave(*second);
}

TEST_F(HealthRoutes, AReaderOfAStoreThatWasLostIsTold)
{
    const auto last = last_seen();
    stop();
    empty_the_store();
    for (int i = 0; i < 2; ++i) {  // also when nothing happened before opsd is started again
        start();
        advance(1s);
        const auto text = told_after(last);
        EXPECT_NE(text.find(gap), std::string::npos) << text;
        stop();
    }
    start();
}

TEST_F(HealthRoutes, AReaderWhoseEventsAKillMayHaveTakenIsTold)
{
    const auto written = last_seen();
    const auto taken = killed_with_an_event();
    ASSERT_GT(taken, written);
    start();
    advance(1s);
    for (const auto last : {written, taken}) {
        const auto text = told_after(last);
        EXPECT_NE(text.find(gap), std::string::npos) << last << text;
    }
}

TEST_F(HealthRoutes, AnOrderlyRestartIsNoGap)
{
    const auto last = last_seen();
    for (int i = 0; i < 2; ++i) {
        run_unit("a.service");
        stop();  // the last is written at the end
        start();
        advance(1s);
        const auto second = listen("", std::to_string(last));
        EXPECT_EQ(second->ids().size(), 1U) << second->text;
        EXPECT_EQ(second->text.find("event: missed"), std::string::npos) << second->text;
        leave(*second);
    }
}

TEST_F(HealthRoutes, WhatAFullDiskTookIsToldAlsoAfterAnOrderlyEnd)
{
    const auto last = last_seen();
    killed_with_an_event();
    fail_unit("a.service");  // as it is written: nothing waits that would take the loss along
    start_on_a_full_disk();
    store->full.reset();
    stop();
    start();
    advance(1s);
    const auto text = told_after(last);
    EXPECT_NE(text.find(gap), std::string::npos) << text;
}

TEST_F(HealthRoutes, IdsOfARunThatCouldWriteNothingAreNotGivenAgain)
{
    last_seen();
    stop();
    start_on_a_full_disk();
    const auto told = killed_with_an_event();
    store->full.reset();
    start();
    advance(1s);
    const auto second = listen("", std::to_string(told));
    EXPECT_NE(second->text.find("event: reset"), std::string::npos) << second->text;
    fail_unit("a.service");
    advance(20ms);
    EXPECT_EQ(second->text.find("id: " + std::to_string(told) + "\n"), std::string::npos) << second->text;
    leave(*second);
}

TEST_F(HealthRoutes, ASlowReaderIsToldHowManyEventsItMissed)
{
    options.history.fold_window = 0s;
    two_units();
    const auto reader = listen();
    reader->blocked = true;
    for (int i = 0; i < 1500; ++i) {
        i % 2 == 0 ? fail_unit("a.service") : run_unit("a.service");
        advance(11ms);
    }
    reader->unblock();
    settle();
    EXPECT_NE(reader->text.find("event: missed\ndata: {\"count\":"), std::string::npos);
    EXPECT_LT(reader->ids().size(), 1500U);
    EXPECT_GE(reader->ids().size(), 1000U);
    leave(*reader);
}

TEST_F(HealthRoutes, EventsOutliveTheirModule)
{
    two_units();
    const auto reader = listen();
    stop();
    settle();
    leave(*reader);
}

TEST_F(HealthRoutes, MetricsShowEveryUnit)
{
    two_units();
    const auto page = metrics.render();
    for (const auto* line :
         {"opsd_unit_health{unit=\"b.service\"} 1\n",
          "opsd_unit_state{unit=\"a.service\",state=\"running\"} 1\n",
          "opsd_unit_restarts_total{unit=\"a.service\"} 0\n", "opsd_units{health=\"unhealthy\"} 1\n",
          "opsd_node_health 1\n", "opsd_systemd_connected 1\n", "opsd_unit_transitions_total 1\n",
          "opsd_journal_reads_total 2\n"})
        EXPECT_NE(page.find(line), std::string::npos) << line;
    EXPECT_NE(metric("opsd_health_data_age_seconds"), "");
    stop();
    EXPECT_EQ(metrics.render().find("opsd_unit_health"), std::string::npos)
        << "a replacement may register its own";
}

TEST_F(HealthRoutes, HistoryOfAUnitThatIsNotWatchedAnyMoreIsStillThere)
{
    two_units();
    advance(1s);
    stop();
    options.units = {"a.service"};
    start();
    advance(1s);
    EXPECT_EQ(ask(Method::get, "/api/v1/units/b.service").status, 404U);
    EXPECT_EQ(get("/api/v1/units/b.service/history")["transitions"].size(), 1U);
}

}  // namespace
}  // namespace opsd::health
