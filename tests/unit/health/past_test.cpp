// Pages of transitions for those who keep a copy, and the states at a time.

#include "node.hpp"

namespace opsd::health {
namespace {

using namespace test;
using http::Method;
using http::Role;

class HealthPast : public Node {
protected:
    HealthPast()
    {
        options.units = {"a.service"};
        options.history.fold_window = 0s;
    }
    void three_changes()
    {
        board.identity.publish(NodeIdentity{"host1", "10.0.0.1", "agent", "m-1", "2.2"}, today);
        add(running());
        start();
        advance(1min);
        fail_unit("a.service");
        advance(10min);
        run_unit("a.service");
        advance(10min);
        fail_unit("a.service");
        advance(1min);
    }
};

}  // namespace

TEST_F(HealthPast, AreToldInPagesInTheOrderOfTheirIdsAlsoWhileTheyAreQueued)
{
    three_changes();
    auto page = get("/api/v1/node/history?after=0&limit=2", Role::local);
    ASSERT_GE(page["transitions"].size(), 2U);
    EXPECT_LT(page["transitions"][0]["id"], page["transitions"][1]["id"]);
    const auto after = page["last_id"].get<std::int64_t>();
    page = get("/api/v1/node/history?after=" + std::to_string(after), Role::local);
    for (const auto& row : page["transitions"])
        EXPECT_GT(row["id"].get<std::int64_t>(), after);
    EXPECT_EQ(page["more"], false);
    EXPECT_EQ(node().last_transition, page["last_id"].get<std::int64_t>()) << "the board says when to ask";
    EXPECT_EQ(ask(Method::get, "/api/v1/node/history?after=x").status, 400U);
    EXPECT_EQ(ask(Method::get, "/api/v1/node/history?limit=0").status, 400U);
}

TEST_F(HealthPast, OfAllUnitsIsListedWithTheNode)
{
    three_changes();
    const auto rows = get("/api/v1/health/history?node=host1", Role::local)["transitions"];
    ASSERT_GE(rows.size(), 3U);
    EXPECT_EQ(rows[0]["address"], "10.0.0.1");
    EXPECT_GT(rows[0]["id"], rows[1]["id"]) << "newest first";
    EXPECT_TRUE(get("/api/v1/health/history?node=other")["transitions"].empty());
    EXPECT_TRUE(get("/api/v1/health/history?unit=b.service")["transitions"].empty());
}

TEST_F(HealthPast, SaysHowItWasAtATime)
{
    three_changes();
    const auto end = clock.now();
    const auto at = [this](WallTime time) { return get("/api/v1/health/at?time=" + rfc3339(time)); };
    EXPECT_EQ(at(end - 16min)["members"][0]["units"][0]["state"], "failed");
    EXPECT_EQ(at(end - 6min)["health"], 0);
    EXPECT_EQ(at(end)["health"], 1);
    EXPECT_EQ(at(end - 24h * 400)["health"], 3) << "before everything that is kept";
    const auto reads = store->reads;
    EXPECT_EQ(ask(Method::get, "/api/v1/health/at?time=" + rfc3339(end + 1h)).status, 400U);
    EXPECT_EQ(store->reads, reads) << "the store is not asked about the future";
    EXPECT_EQ(ask(Method::get, "/api/v1/health/at").status, 400U);
    EXPECT_EQ(ask(Method::get, "/api/v1/health/at?time=" + rfc3339(end) + "&node=other").status, 404U);
}

TEST_F(HealthPast, IsReadByFewAtATimeAndTheOthersAreToldToComeAgain)
{
    options.history.concurrent = 2;
    three_changes();
    const auto paths = {"/api/v1/health/at?time=" + rfc3339(clock.now()),
                        std::string{"/api/v1/units/a.service/history"}, std::string{"/api/v1/node/history"},
                        std::string{"/api/v1/health/history"}};
    store->held = true;
    auto& first = begin(Method::get, "/api/v1/node/history");
    auto& second = begin(Method::get, "/api/v1/units/a.service/history");
    settle();
    EXPECT_EQ(metric("opsd_history_reads"), "2");
    for (const auto& path : paths) {
        const auto refused = ask(Method::get, path);
        EXPECT_EQ(refused.status, 503U) << path;
        EXPECT_NE(body_of(refused).find("health.history.concurrent"), std::string::npos) << path;
        const std::pair<std::string, std::string> later{"Retry-After", "5"};
        EXPECT_EQ(std::ranges::count(refused.headers, later), 1) << path;
    }
    EXPECT_EQ(metric("opsd_history_reads_refused_total"), "4");
    second.task.cancel();
    settle();
    EXPECT_EQ(metric("opsd_history_reads"), "1") << "a reader that is cut gives its place back";
    store->release();
    settle();
    ASSERT_TRUE(first.response);
    EXPECT_EQ(first.response->status, 200U);
    EXPECT_EQ(metric("opsd_history_reads"), "0");
    for (const auto& path : paths)
        EXPECT_EQ(ask(Method::get, path).status, 200U) << path;
}

}  // namespace opsd::health
