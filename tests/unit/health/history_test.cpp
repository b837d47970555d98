// The history: folding, ids, bounds, what survives.

#include "modules/health/history_rows.hpp"

#include "node.hpp"

namespace opsd::health {
namespace {

using namespace test;

class HealthHistory : public Node {
protected:
    HealthHistory() { options.units = {"a.service"}; }

    nlohmann::ordered_json rows(const std::string& unit = "a.service",
                                const std::string& query = "?limit=1000")
    {
        return get("/api/v1/units/" + unit + "/history" + query)["transitions"];
    }
    void fail_and_recover(const std::string& id = "a.service")
    {
        fail_unit(id);
        advance(20ms);
        run_unit(id);
        advance(20ms);
    }
    std::vector<std::shared_ptr<const Transition>> taken(Feed<Transition>::Subscription& from)
    {
        std::vector<std::shared_ptr<const Transition>> all;
        auto take = [](Feed<Transition>::Subscription& s,
                       std::vector<std::shared_ptr<const Transition>>& to) -> Task<> {
            while (!s.empty()) {
                auto item = co_await s.next();
                to.push_back(item.event);
            }
        };
        asio::co_spawn(io, take(from, all), [](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
        });
        settle();
        return all;
    }
    void write(const std::string& sql)
    {
        bool done = false;
        auto run = [](Store& to, std::string text, bool& end) -> Task<> {
            std::vector<Statement> all;
            all.push_back({std::move(text), {}});
            const auto written = co_await to.write(std::move(all));
            EXPECT_TRUE(written);
            end = true;
        };
        asio::co_spawn(io, run(*store, sql, done), [](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
        });
        until([&] { return done; });
    }
    std::int64_t stored(const std::string& sql)
    {
        std::int64_t number = -1;
        auto ask = [](Store& from, std::string text, std::int64_t& to) -> Task<> {
            Statement query{std::move(text), {}};
            auto answer = co_await from.read(std::move(query), 1);
            to = answer && !answer->empty() ? as_integer(answer->front().at(0)) : -2;
        };
        asio::co_spawn(io, ask(*store, sql, number), [](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
        });
        until([&] { return number != -1; });
        return number;
    }
};

TEST_F(HealthHistory, TransitionsAreServedNewestFirstWithTheirEvidence)
{
    add(running());
    start();
    advance(1min);
    const auto failed_at = clock.now();
    fail_and_recover();
    const auto all = rows();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0]["to"], "running");
    EXPECT_EQ(all[1]["from"], "running");
    EXPECT_EQ(all[1]["to"], "failed");
    EXPECT_EQ(all[1]["from_health"], 0);
    EXPECT_EQ(all[1]["to_health"], 1);
    EXPECT_EQ(all[1]["result"], "signal");
    EXPECT_EQ(all[1]["exec_main_status"], 9);
    EXPECT_EQ(all[1]["invocation_id"], running().invocation_id);
    EXPECT_EQ(all[1]["at"], rfc3339(failed_at));
    EXPECT_EQ(all[1]["count"], 1);
    EXPECT_GT(all[0]["id"].get<std::int64_t>(), all[1]["id"].get<std::int64_t>());
}

TEST_F(HealthHistory, RepetitionsAreOneCountedRowUnderTheNewestId)
{
    add(running());
    start();
    advance(1min);
    const auto first = clock.now();
    for (int i = 0; i < 20; ++i) {
        fail_and_recover();
        advance(1min);
    }
    const auto all = rows();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[1]["count"], 20);
    EXPECT_EQ(all[1]["at"], rfc3339(first));
    EXPECT_NE(all[1]["last_at"], all[1]["at"]);
    advance(5min);
    EXPECT_EQ(stored("SELECT COUNT(*) FROM health_transitions"), 2);
    EXPECT_EQ(stored("SELECT SUM(count) FROM health_transitions"), 40);
    advance(10min);  // beyond fold_window
    fail_and_recover();
    EXPECT_EQ(rows().size(), 4U);
}

TEST_F(HealthHistory, AnotherCauseIsAnotherRow)
{
    add(running());
    start();
    fail_and_recover();
    systemd.change("a.service", [](UnitFacts& f) {
        f.active_state = f.sub_state = "failed";
        f.result = "exit-code";
        f.main_code = f.main_status = 1;
    });
    advance(20ms);
    EXPECT_EQ(rows().size(), 3U);
}

TEST_F(HealthHistory, ARestartOfOpsdMakesNoTransitionAChangeMeanwhileDoes)
{
    options.units = {"a.service", "b.service"};
    add(running());
    add(running("b.service"));
    start();
    fail_unit("b.service");
    advance(20ms);
    const auto before = rows("b.service");
    stop();
    EXPECT_EQ(stored("SELECT COUNT(*) FROM health_transitions"), 1)
        << "what was queued is written at the end";
    systemd.change_silently("a.service", [](UnitFacts& f) {
        f.active_state = f.sub_state = "failed";
        f.result = "watchdog";
    });
    advance(1h);
    start();
    advance(1s);
    EXPECT_EQ(rows("b.service"), before);
    const auto meanwhile = rows("a.service");
    ASSERT_EQ(meanwhile.size(), 1U);
    EXPECT_EQ(meanwhile[0]["from"], "running");
    EXPECT_EQ(meanwhile[0]["result"], "watchdog");
    EXPECT_GT(meanwhile[0]["id"].get<std::int64_t>(), before[0]["id"].get<std::int64_t>());
}

TEST_F(HealthHistory, IdsNeverGoBackAlsoWhenRowsWereLostByAKill)
{
    add(running());
    start();
    advance(1s);
    const auto subscription = feeds.transitions.subscribe(10);
    store->broken = Error{Errc::unavailable, "cannot write: killed"};  // nothing more reaches the disk
    fail_unit("a.service");
    settle();
    const auto transitions = taken(*subscription);
    ASSERT_EQ(transitions.size(), 1U);
    const auto given = transitions[0]->id;
    stop();
    store->broken.reset();
    start();
    fail_and_recover();
    for (const auto& row : rows())
        EXPECT_GT(row["id"].get<std::int64_t>(), given);
}

TEST_F(HealthHistory, IdsNeverGoBackAlsoWhenTheStoreWasReplacedByAnEmptyOne)
{
    add(running());
    start();
    advance(1s);
    fail_and_recover();
    const auto given = rows()[0]["id"].get<std::int64_t>();
    advance(1s);
    stop();
    write("DELETE FROM health_transitions");
    write("DELETE FROM health_meta");
    start();
    fail_and_recover();
    for (const auto& row : rows())
        EXPECT_GT(row["id"].get<std::int64_t>(), given);
}

TEST_F(HealthHistory, FilteredByTimeAndLimited)
{
    options.history.fold_window = 0s;
    add(running());
    start();
    for (int i = 0; i < 5; ++i) {
        advance(1h);
        fail_and_recover();
    }
    EXPECT_EQ(rows("a.service", "").size(), 10U);
    EXPECT_EQ(rows("a.service", "?limit=3").size(), 3U);
    const auto middle = rfc3339(today + 2h + 30min);
    EXPECT_EQ(rows("a.service", "?since=" + middle).size(), 6U);
    EXPECT_EQ(rows("a.service", "?until=" + middle).size(), 4U);
    for (const auto* bad : {"?limit=0", "?limit=1001", "?limit=x", "?since=yesterday"})
        EXPECT_EQ(ask(http::Method::get, std::string{"/api/v1/units/a.service/history"} + bad).status, 400U)
            << bad;
}

TEST_F(HealthHistory, OldRowsGoByAgeByUnitAndInTotal)
{
    options.units = {"a.service", "b.service"};
    options.history.fold_window = 0s;
    options.history.max_rows_per_unit = 10;
    options.history.max_age = 24h;
    add(running());
    add(running("b.service"));
    start();
    fail_and_recover("b.service");
    for (int i = 0; i < 40; ++i)
        fail_and_recover("a.service");
    advance(11min);
    EXPECT_EQ(rows("a.service").size(), 10U);
    EXPECT_EQ(rows("b.service").size(), 2U) << "one flapper evicts nobody";
    advance(25h);
    EXPECT_EQ(stored("SELECT COUNT(*) FROM health_transitions"), 0);
}

TEST_F(HealthHistory, InTotalTheOldestGoFirst)
{
    options.history.fold_window = 0s;
    options.history.max_rows = 100;
    options.history.max_rows_per_unit = 1000;
    add(running());
    start();
    for (int i = 0; i < 80; ++i)
        fail_and_recover();
    advance(12min);
    EXPECT_EQ(stored("SELECT COUNT(*) FROM health_transitions"), 100);
    EXPECT_EQ(stored("SELECT MAX(seq) FROM health_transitions"), rows()[0]["id"].get<std::int64_t>());
}

/// `rows` rows of each of `units` units, older than whatever is written later.
std::string many_rows(const std::string& name, int units, int rows, int first_id, WallTime at)
{
    return fmt::format("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {} - 1) "
                       "INSERT INTO health_transitions SELECT {} + i, '{}-' || (i % {}), {}, {}, 1, "
                       "'running', 'failed', 0, 1, "
                       "'signal', 2, 9, '', '' FROM n",
                       units * rows, first_id, name, units, at.time_since_epoch().count(),
                       at.time_since_epoch().count());
}

TEST_F(HealthHistory, InTotalTheNoisyPayNotTheQuiet)
{
    options.history.max_rows = 1'000;
    options.history.max_rows_per_unit = 100'000;
    add(running());
    start();
    write(many_rows("quiet", 300, 1, 1, clock.now()));
    write(many_rows("flapper", 1, 5'000, 1'000, clock.now()));
    advance(12min);
    EXPECT_EQ(stored("SELECT COUNT(*) FROM health_transitions"), 1'000);
    EXPECT_EQ(stored("SELECT COUNT(*) FROM health_transitions WHERE unit LIKE 'quiet-%'"), 300);
    EXPECT_EQ(stored("SELECT MIN(seq) FROM health_transitions WHERE unit = 'flapper-0'"), 5'300)
        << "of its own the oldest go";
}

TEST_F(HealthHistory, AThousandNoisyUnitsShareTheRoomInFewTransactions)
{
    options.history.max_rows = 2'300;
    add(running());
    start();
    write(many_rows("quiet", 300, 1, 1, clock.now()));
    write(many_rows("flapper", 1'000, 5, 1'000, clock.now()));
    const auto writes = store->writes;
    advance(12min);
    EXPECT_EQ(stored("SELECT COUNT(*) FROM health_transitions"), 2'300);
    EXPECT_EQ(stored("SELECT COUNT(DISTINCT unit) FROM health_transitions"), 1'300);
    EXPECT_EQ(stored("SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM health_transitions GROUP BY unit)"), 2);
    EXPECT_LE(store->writes - writes, 16);
}

TEST(HealthHistoryRows, TheNoisyAreLoweredToTheLevelOfTheNext)
{
    using Rows = std::vector<RowsOfUnit>;
    EXPECT_EQ(fair_surplus({}, 10, 100, true), Rows{});
    EXPECT_EQ(fair_surplus({{"a", 9}, {"b", 5}, {"c", 1}}, -3, 100, true), Rows{}) << "there is room";
    EXPECT_EQ(fair_surplus({{"a", 9}, {"b", 5}, {"c", 1}}, 3, 100, true), (Rows{{"a", 3}}));
    EXPECT_EQ(fair_surplus({{"a", 9}, {"b", 5}, {"c", 1}}, 6, 100, true), (Rows{{"a", 5}, {"b", 1}}));
    EXPECT_EQ(fair_surplus({{"a", 9}, {"b", 5}, {"c", 1}}, 7, 100, true), (Rows{{"a", 5}, {"b", 2}}))
        << "exactly as many as are asked for";
    EXPECT_EQ(fair_surplus({{"a", 9}, {"b", 5}, {"c", 1}}, 0, 4, true), (Rows{{"a", 5}, {"b", 1}}));
    EXPECT_EQ(fair_surplus({{"a", 1}, {"b", 1}, {"c", 1}}, 2, 100, true), (Rows{{"b", 1}, {"c", 1}}))
        << "more units than room";
    EXPECT_EQ(fair_surplus({{"a", 9}, {"b", 5}}, 100, 100, false), (Rows{{"a", 5}, {"b", 1}}))
        << "others may have as many: they are looked at next";
}

TEST_F(HealthHistory, AFullDiskCostsHistoryNotHealthAndHeals)
{
    options.history.fold_window = 0s;
    add(running());
    start();
    advance(1s);
    store->broken = Error{Errc::unavailable, "cannot write /var/lib/opsd/state.db: the disk is full"};
    for (int i = 0; i < 10; ++i)
        fail_and_recover();
    fail_unit("a.service");
    advance(2s);
    EXPECT_EQ(word("a.service"), "failed");
    EXPECT_EQ(status.condition, "degraded");
    EXPECT_NE(status.reason.find("disk is full"), std::string::npos);
    store->broken.reset();
    advance(1min);
    EXPECT_EQ(status.condition, "running");
    EXPECT_EQ(rows().size(), 21U) << "what waited is written";
    EXPECT_EQ(metric("opsd_history_dropped_total"), "0");
}

TEST_F(HealthHistory, TheQueueIsBoundedAndCountsWhatItLoses)
{
    options.history.fold_window = 0s;
    add(running());
    start();
    advance(1s);
    store->broken = Error{Errc::unavailable, "cannot write: full"};
    History history{io.get_executor(),         clock,        *store, options.history,
                    [](const std::string&) {}, Log{log, "h"}};
    for (std::size_t i = 0; i < History::most_queued + 5; ++i) {
        Record record;
        record.unit = "x.service";
        record.transition = Transition{};
        record.transition->unit = "x.service";
        record.transition->to = std::to_string(i);
        EXPECT_TRUE(history.add(std::move(record)));
    }
    EXPECT_EQ(history.queued(), History::most_queued);
    EXPECT_EQ(history.dropped(), 5U);
}

TEST_F(HealthHistory, AStoreThatCannotBeReadAtStartIsTriedAgainAndEventsFlowMeanwhile)
{
    add(running());
    store->broken = Error{Errc::unavailable, "cannot open: the disk is full"};
    start();
    advance(1s);
    EXPECT_EQ(word("a.service"), "running");
    EXPECT_EQ(status.condition, "degraded");
    const auto subscription = feeds.transitions.subscribe(10);
    fail_unit("a.service");
    advance(1s);
    ASSERT_EQ(taken(*subscription).size(), 1U);
    store->broken.reset();
    advance(20s);
    EXPECT_EQ(status.condition, "running");
    EXPECT_EQ(stored("SELECT COUNT(*) FROM health_transitions"), 1);
    const auto early = rows();
    ASSERT_EQ(early.size(), 1U) << "from the queue";
    run_unit("a.service");
    advance(1s);
    EXPECT_GT(rows()[0]["id"].get<std::int64_t>(), early[0]["id"].get<std::int64_t>());
}

TEST_F(HealthHistory, WhatIsQueuedAloneIsNotToldAsIfItWereAll)
{
    add(running());
    start();
    advance(1s);
    fail_and_recover();
    advance(1s);
    stop();
    store->broken = Error{Errc::unavailable, "cannot open s.db: the disk is full"};
    start();
    advance(1s);
    fail_unit("a.service");
    advance(1s);
    const auto paths = {std::string{"/api/v1/units/a.service/history"},
                        std::string{"/api/v1/units/other.service/history"},
                        std::string{"/api/v1/node/history"}, std::string{"/api/v1/health/history"},
                        "/api/v1/health/at?time=" + rfc3339(clock.now())};
    for (const auto& path : paths) {
        const auto refused = ask(http::Method::get, path);
        EXPECT_EQ(refused.status, 503U) << path;
        EXPECT_EQ(refused.type, "application/problem+json") << path;
        EXPECT_NE(
            body_of(refused).find("cannot read the history: what is on disk is not open yet: cannot open "
                                  "s.db: the disk is full"),
            std::string::npos)
            << body_of(refused);
        EXPECT_EQ(
            std::ranges::count(refused.headers, "Retry-After", &std::pair<std::string, std::string>::first),
            1)
            << path;
    }
    store->broken.reset();
    advance(20s);
    EXPECT_EQ(rows().size(), 3U) << "nothing is missing now";
}

TEST_F(HealthHistory, AcknowledgementsSurviveARestartAndEndByTime)
{
    add(failed());
    start();
    const auto made = ask(http::Method::post, "/api/v1/units/a.service/ack", http::Role::operator_,
                          R"({"for": "2h", "reason": "new disk"})");
    EXPECT_EQ(made.status, 200U) << body_of(made);
    advance(20ms);
    EXPECT_EQ(get("/api/v1/units/a.service")["acknowledged"]["by"], "ann");
    EXPECT_EQ(get("/api/v1/units/a.service")["health"], 1);
    stop();
    advance(1h);
    start();
    EXPECT_EQ(get("/api/v1/units/a.service")["acknowledged"]["reason"], "new disk");
    advance(61min);
    EXPECT_TRUE(get("/api/v1/units/a.service")["acknowledged"].is_null());
    stop();
    start();
    EXPECT_TRUE(get("/api/v1/units/a.service/ack").is_null());
}

}  // namespace
}  // namespace opsd::health
