#include "modules/cluster/own_document.hpp"

#include "noon.hpp"

#include "support.hpp"

#include <nlohmann/json.hpp>

namespace opsd::cluster {
namespace {

using namespace std::chrono_literals;
using test::noon;

class Client final : public http::Holder {
public:
    explicit Client(const Executor& executor) : event_{executor, never} {}
    Task<> closed() override
    {
        while (!gone)
            co_await wait_event(event_);
    }
    void leave()
    {
        gone = true;
        event_.cancel();
    }
    bool gone = false;

private:
    asio::steady_timer event_;
};

class OwnNode : public ::testing::Test {
protected:
    OwnNode()
    {
        own = std::make_shared<OwnDocument>(board, clock, "run", [] { return std::string{"machine"}; }, 60s);
        identity.hostname = "host";
        board.identity.publish(identity, noon);
    }
    void publish(Health health, std::int64_t last_transition = 0)
    {
        UnitState unit;
        unit.id = unit.name = "a.service";
        unit.health = health;
        unit.state = health == Health::healthy ? "running" : "failed";
        unit.reason = "because";
        unit.journal = "secret line\n";
        unit.facts = std::make_shared<UnitFacts>();
        NodeHealth node;
        node.health = health;
        node.systemd_readable = true;
        node.last_transition = last_transition;
        node.units.push_back(std::make_shared<const UnitState>(std::move(unit)));
        board.health.publish(std::move(node), noon);
    }
    http::Response ask(const std::string& etag = "", const std::string& prefer = "", bool partial = false,
                       http::Role role = http::Role::viewer)
    {
        http::Request request;
        request.caller.role = role;
        if (!etag.empty()) request.headers.add("if-none-match", etag);
        if (!prefer.empty()) request.headers.add("prefer", prefer);
        if (partial) request.query.add("partial", "");
        http::Response response;
        asio::co_spawn(io, own->answer(request),
                       [&](std::exception_ptr, http::Response r) { response = std::move(r); });
        settle();
        return response;
    }
    void hold(http::Response response)
    {
        waiting = std::move(response.hold);
        held.reset();
        asio::co_spawn(io, waiting(client),
                       [this](std::exception_ptr, http::Response r) { held = std::move(r); });
        settle();
    }
    static std::string header(const http::Response& response, std::string_view name)
    {
        for (const auto& [key, value] : response.headers)
            if (key == name) return value;
        return "";
    }
    void settle()
    {
        io.restart();
        io.poll();
    }
    void advance(std::chrono::milliseconds time)
    {
        clock.advance(time, [this] { settle(); });
        settle();
    }

    asio::io_context io{1};
    ManualClock clock{noon};
    Board board{io.get_executor()};
    NodeIdentity identity;
    std::shared_ptr<OwnDocument> own;
    Client client{io.get_executor()};
    http::Hold waiting;
    std::optional<http::Response> held;
};

}  // namespace

TEST_F(OwnNode, IsNotToldBeforeSystemdWasLookedAt)
{
    EXPECT_EQ(ask().status, 503U) << "an empty document would replace what others know";
}

TEST_F(OwnNode, IsToldWholeWithItsVersion)
{
    publish(Health::unhealthy);
    const auto response = ask();
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(header(response, "ETag"), "\"run.1\"");
    const auto json = nlohmann::json::parse(response.body);
    EXPECT_EQ(json["hostname"], "host");
    EXPECT_EQ(json["node"]["id"], "machine");
    EXPECT_NE(response.body.find("secret line"), std::string::npos);
    EXPECT_EQ(ask("\"run.1\"").status, 304U);
}

TEST_F(OwnNode, ShowsJournalLinesToViewersOnly)
{
    publish(Health::unhealthy);
    EXPECT_EQ(ask("", "", false, http::Role::local).body.find("secret line"), std::string::npos);
}

TEST_F(OwnNode, HoldsItsAnswerUntilSomethingChanges)
{
    publish(Health::healthy);
    auto response = ask("\"run.1\"", "wait=30", true);
    ASSERT_TRUE(response.hold);
    EXPECT_EQ(response.status, 304U) << "what is said when nothing can be held";
    hold(std::move(response));
    EXPECT_EQ(own->waiting(), 1U);
    advance(10s);
    EXPECT_FALSE(held);
    publish(Health::healthy);  // the same again
    settle();
    EXPECT_FALSE(held) << "no change";
    publish(Health::unhealthy);
    settle();
    ASSERT_TRUE(held);
    EXPECT_EQ(held->status, 200U);
    EXPECT_EQ(header(*held, "Preference-Applied"), "wait");
    EXPECT_EQ(header(*held, "Cache-Control"), "no-store");
    const auto json = nlohmann::json::parse(held->body);
    EXPECT_EQ(json["node"]["base"], 1);
    EXPECT_EQ(json["node"]["version"], 2);
    EXPECT_EQ(own->waiting(), 0U);
}

TEST_F(OwnNode, AChangeThatCameAndWentIsTold)
{
    publish(Health::healthy, 5);
    hold(ask("\"run.1\"", "wait=30"));
    publish(Health::healthy, 7);
    settle();
    ASSERT_TRUE(held);
    EXPECT_EQ(nlohmann::json::parse(held->body)["node"]["last_transition"], 7);
}

TEST_F(OwnNode, AChangeOfItsIdentityIsTold)
{
    publish(Health::healthy);
    hold(ask("\"run.1\"", "wait=30"));
    identity.mesos_id = "S7";
    board.identity.publish(identity, noon);
    settle();
    ASSERT_TRUE(held);
    EXPECT_NE(held->body.find("\"S7\""), std::string::npos);
}

TEST_F(OwnNode, TheWaitEnds)
{
    publish(Health::healthy);
    hold(ask("\"run.1\"", "wait=30"));
    advance(29s);
    EXPECT_FALSE(held);
    advance(1s);
    ASSERT_TRUE(held);
    EXPECT_EQ(held->status, 304U);
    EXPECT_EQ(header(*held, "Preference-Applied"), "wait");
}

TEST_F(OwnNode, TheWaitIsBounded)
{
    publish(Health::healthy);
    hold(ask("\"run.1\"", "wait=3600"));
    advance(60s);
    EXPECT_TRUE(held);
}

TEST_F(OwnNode, TheWaitEndsWhenTheClientLeaves)
{
    publish(Health::healthy);
    hold(ask("\"run.1\"", "wait=30"));
    client.leave();
    settle();
    EXPECT_TRUE(held);
    EXPECT_EQ(own->waiting(), 0U);
}

TEST_F(OwnNode, WhoHoldsAnOldVersionIsAnsweredAtOnce)
{
    publish(Health::healthy);
    EXPECT_EQ(ask().status, 200U);
    publish(Health::unhealthy);
    const auto response = ask("\"run.1\"", "wait=30", true);
    EXPECT_FALSE(response.hold);
    EXPECT_EQ(header(response, "Preference-Applied"), "wait");
    EXPECT_EQ(nlohmann::json::parse(response.body)["node"]["base"], 1);
    EXPECT_EQ(nlohmann::json::parse(ask("\"run.1\"", "wait=30").body)["node"]["base"], 0)
        << "a part is for those who ask for one";
    EXPECT_EQ(nlohmann::json::parse(ask("\"other.1\"", "wait=30", true).body)["node"]["base"], 0);
}

}  // namespace opsd::cluster
