// Requests and watches of a session: order, limits, deadlines.

#include "rig.hpp"

using namespace opsd;
using namespace opsd::test;
using zookeeper::ClientOptions;
using zookeeper::WatchEvent;
using Kind = WatchEvent::Kind;

namespace {

std::string data_reply(std::int32_t xid, std::string_view data)
{
    return wire::reply(xid, 0x20, 0, wire::text(data) + wire::stat());
}
std::size_t requests_in(std::string_view bytes)
{
    std::size_t count = 0;
    while (bytes.size() >= 4) {
        bytes.remove_prefix(4U + static_cast<unsigned char>(bytes[3]));
        ++count;
    }
    return count;
}

}  // namespace

TEST(ZookeeperRequests, ArePipelinedUpToTheWindow)
{
    ClientOptions options;
    options.window = 2;
    Rig rig{"h1:2181", options};
    rig.accept();
    std::vector<Answer<zookeeper::Node>> answers;
    for (const auto* path : {"/1", "/2", "/3", "/4"})
        answers.push_back(rig.ask(rig.client.get(path)));
    EXPECT_EQ(requests_in(rig.heard()), 2U);
    EXPECT_EQ(rig.client.session().in_flight(), 2U);
    EXPECT_EQ(rig.client.session().waiting(), 2U);
    rig.say(data_reply(1, "one"));
    EXPECT_EQ(requests_in(rig.heard()), 1U) << "an answer makes room for one";
    rig.say(data_reply(2, "two") + data_reply(3, "three"));
    rig.say(data_reply(4, "four"));
    for (std::size_t i = 0; i < 4; ++i)
        ASSERT_TRUE(answers[i]->has_value() && (*answers[i])->has_value()) << i;
    EXPECT_EQ((**answers[3])->data, "four");
    EXPECT_EQ(rig.client.session().counters().answers, 4U);
}

TEST(ZookeeperRequests, WaitForAServerAndFailAtTheirDeadline)
{
    ClientOptions options;
    options.retry_limit = 1s;
    Rig rig{"h1:2181", options};
    rig.dialer.down = true;
    rig.hang_up();
    const auto early = rig.ask(rig.client.get("/a"));
    rig.advance(9'900ms);
    EXPECT_FALSE(early->has_value());
    const auto later = rig.ask(rig.client.get("/b"));
    rig.advance(200ms);
    ASSERT_TRUE(early->has_value());
    EXPECT_EQ((*early)->error().code, Errc::timeout);
    EXPECT_TRUE(
        contains((*early)->error().message, "cannot read /a at ZooKeeper h1:2181: no server within 10 s"))
        << (*early)->error().message;
    EXPECT_TRUE(contains((*early)->error().message, "Connection refused")) << (*early)->error().message;
    EXPECT_FALSE(later->has_value());
    rig.dialer.down = false;
    rig.advance(1s);
    rig.accept();
    rig.say(data_reply(1, "b"));
    ASSERT_TRUE(later->has_value() && (*later)->has_value()) << "the one that waited was sent";
    EXPECT_EQ(rig.client.session().counters().late, 1U);
}

TEST(ZookeeperRequests, ALateAnswerIsNotTakenForTheNext)
{
    ClientOptions options;
    options.request_timeout = 2s;
    Rig rig{"h1:2181", options};
    rig.accept();
    const auto slow = rig.ask(rig.client.get("/slow"));
    rig.advance(2'001ms);
    ASSERT_TRUE(slow->has_value());
    EXPECT_EQ((*slow)->error().code, Errc::timeout);
    EXPECT_TRUE(
        contains((*slow)->error().message, "cannot read /slow at ZooKeeper h1:2181: no answer within 2 s"))
        << (*slow)->error().message;
    const auto next = rig.ask(rig.client.get("/next"));
    rig.say(data_reply(1, "late") + data_reply(2, "in time"));
    ASSERT_TRUE(next->has_value() && (*next)->has_value());
    EXPECT_EQ((**next)->data, "in time");
}

TEST(ZookeeperRequests, ACallerThatLeavesDoesNotDisturbTheOthers)
{
    ClientOptions options;
    options.window = 1;
    Rig rig{"h1:2181", options};
    rig.accept();
    TaskGroup leaving{rig.io.get_executor(), [](std::string_view, const std::exception_ptr&) { FAIL(); }};
    const auto sent = std::make_shared<std::optional<Result<zookeeper::Node>>>();
    const auto waiting = std::make_shared<std::optional<Result<zookeeper::Node>>>();
    leaving.spawn("sent", keep(rig.client.get("/sent"), sent));
    leaving.spawn("waiting", keep(rig.client.get("/waiting"), waiting));
    rig.poll();
    const auto stays = rig.ask(rig.client.get("/stays"));
    leaving.cancel();
    rig.poll();
    EXPECT_EQ(leaving.size(), 0U);
    EXPECT_EQ(rig.client.session().waiting(), 1U);
    rig.say(data_reply(1, "nobody's"));
    rig.say(data_reply(2, "mine"));
    ASSERT_TRUE(stays->has_value() && (*stays)->has_value());
    EXPECT_EQ((**stays)->data, "mine");
    EXPECT_FALSE(sent->has_value());
    EXPECT_FALSE(waiting->has_value());
}

TEST(ZookeeperRequests, BeyondTheQueueTheyFailAtOnce)
{
    ClientOptions options;
    options.queue = 2;
    Rig rig{"h1:2181", options};
    const auto one = rig.ask(rig.client.get("/1"));
    const auto two = rig.ask(rig.client.get("/2"));
    const auto three = rig.ask(rig.client.get("/3"));
    EXPECT_FALSE(one->has_value());
    ASSERT_TRUE(three->has_value());
    EXPECT_EQ((*three)->error().code, Errc::unavailable);
    EXPECT_TRUE(contains((*three)->error().message, "2 requests wait already")) << (*three)->error().message;
    EXPECT_EQ(rig.client.session().counters().refused, 1U);
    const auto bad = rig.ask(rig.client.get("relative"));
    EXPECT_EQ((**bad).error().code, Errc::invalid_argument);
}

TEST(ZookeeperRequests, NeedAClientThatRuns)
{
    asio::io_context io{1};
    ManualClock clock{WallTime{}};
    TaskGroup group{io.get_executor(), [](std::string_view, const std::exception_ptr&) { FAIL(); }};
    FakeDialer dialer{io.get_executor(), group};
    ClientOptions options;
    options.address = zookeeper::parse_address("h1").value();
    zookeeper::Client client{io.get_executor(), clock, dialer, options,
                             Log{std::make_shared<LinesSink>(), "zk"}};
    const auto answer = std::make_shared<std::optional<Result<zookeeper::Node>>>();
    group.spawn("get", keep(client.get("/"), answer));
    io.poll();
    ASSERT_TRUE(answer->has_value());
    EXPECT_EQ((*answer)->error().code, Errc::unavailable);
}

TEST(ZookeeperRequests, ErrorsOfZooKeeperAreNamed)
{
    Rig rig{"h1:2181/top"};
    rig.accept();
    const auto missing = rig.ask(rig.client.get("/"));
    const auto secret = rig.ask(rig.client.children("/x"));
    const auto presence = rig.ask(rig.client.exists("/x"));
    const auto synced = rig.ask(rig.client.sync());
    const auto null = rig.ask(rig.client.get("/n"));
    rig.say(wire::reply(1, 5, -101) + wire::reply(2, 5, -102) + wire::reply(3, 6, 0, wire::stat())
            + wire::reply(4, 7, 0, wire::text("/top")) + wire::reply(5, 7, 0, wire::i32(-1) + wire::stat()));
    EXPECT_EQ((**missing).error().code, Errc::not_found);
    EXPECT_TRUE((**missing).error().message.starts_with("cannot read /top at ZooKeeper h1:2181: NoNode, "))
        << (**missing).error().message;
    EXPECT_EQ((**secret).error().code, Errc::denied);
    EXPECT_TRUE((**secret).error().message.starts_with(
        "cannot list the children of /top/x at ZooKeeper h1:2181: NoAuth, "))
        << (**secret).error().message;
    ASSERT_TRUE((**presence).has_value());
    EXPECT_EQ((**presence)->stat->data_length, 3);
    EXPECT_EQ(**synced, 7);
    EXPECT_TRUE((**null)->null_data);
}

TEST(ZookeeperWatches, FireOnceForEverybodyWhoAsked)
{
    Rig rig;
    rig.accept();
    const auto one = rig.client.inbox();
    const auto two = rig.client.inbox();
    const auto a = rig.ask(rig.client.get("/a", one));
    const auto again = rig.ask(rig.client.get("/a", one));
    const auto b = rig.ask(rig.client.exists("/a", two));
    rig.say(data_reply(1, "x") + data_reply(2, "x") + wire::reply(3, 5, 0, wire::stat()));
    EXPECT_EQ(rig.client.session().watches().size(), 1U);
    rig.say(wire::event(3, "/a") + wire::event(3, "/a") + wire::event(3, "/other") + wire::event(99, "/a"));
    EXPECT_EQ(rig.next(*one), (WatchEvent{Kind::data_changed, "/a"}));
    EXPECT_EQ(rig.next(*one), std::nullopt) << "once, although it asked twice";
    EXPECT_EQ(rig.next(*two), (WatchEvent{Kind::data_changed, "/a"}));
    EXPECT_EQ(rig.client.session().watches().size(), 0U);
}

TEST(ZookeeperWatches, ADeletedNodeEndsAllItsWatches)
{
    Rig rig;
    rig.accept();
    const auto inbox = rig.client.inbox();
    const auto a = rig.ask(rig.client.get("/a", inbox));
    const auto c = rig.ask(rig.client.children("/a", inbox));
    rig.say(data_reply(1, "x") + wire::reply(2, 5, 0, wire::i32(0) + wire::stat()));
    EXPECT_EQ(rig.client.session().watches().size(), 2U);
    rig.say(wire::event(2, "/a"));
    EXPECT_EQ(rig.next(*inbox), (WatchEvent{Kind::deleted, "/a"}));
    EXPECT_TRUE(inbox->empty()) << "one event for one thing that happened";
    EXPECT_EQ(rig.client.session().watches().size(), 0U);
}

TEST(ZookeeperWatches, AnInboxThatOverflowsSaysLookAgain)
{
    Rig rig;
    rig.accept();
    const auto inbox = rig.client.inbox(2);
    std::vector<Answer<zookeeper::Node>> answers;
    std::string replies;
    std::string events;
    for (int i = 1; i <= 3; ++i) {
        const auto path = "/" + std::to_string(i);
        answers.push_back(rig.ask(rig.client.get(path, inbox)));
        replies += data_reply(i, "x");
        events += wire::event(3, path);
    }
    rig.say(replies + events);
    EXPECT_EQ(rig.next(*inbox), (WatchEvent{Kind::look_again, ""}));
    EXPECT_TRUE(inbox->empty());
}

TEST(ZookeeperWatches, AreBoundedWithThoseThatAreAskedFor)
{
    ClientOptions options;
    options.watches = 2;
    Rig rig{"h1:2181", options};
    rig.accept();
    const auto inbox = rig.client.inbox();
    const auto one = rig.ask(rig.client.get("/1", inbox));
    rig.say(data_reply(1, "x"));
    const auto two = rig.ask(rig.client.get("/2", inbox));
    const auto three = rig.ask(rig.client.get("/3", inbox));
    ASSERT_TRUE(three->has_value());
    EXPECT_EQ((*three)->error().code, Errc::unavailable);
    EXPECT_TRUE(contains((*three)->error().message, "2 paths are watched already"))
        << (*three)->error().message;
    rig.say(wire::reply(2, 5, -101));  // no node, no watch
    const auto four = rig.ask(rig.client.get("/4", inbox));
    EXPECT_FALSE(four->has_value());
}

TEST(ZookeeperWatches, OfADroppedInboxAreForgotten)
{
    Rig rig;
    rig.accept();
    auto inbox = rig.client.inbox();
    const auto one = rig.ask(rig.client.get("/1", inbox));
    rig.say(data_reply(1, "x"));
    inbox.reset();
    rig.say(wire::event(4, "/"));
    rig.hang_up();
    rig.advance(200ms);
    rig.accept();
    EXPECT_EQ(rig.heard(), "") << "nothing to set again";
    EXPECT_EQ(rig.client.session().watches().size(), 0U);
}

TEST(ZookeeperWatches, OfADroppedInboxMakeRoomForOthers)
{
    ClientOptions options;
    options.watches = 1;
    Rig rig{"h1:2181", options};
    rig.accept();
    auto dropped = rig.client.inbox();
    const auto inbox = rig.client.inbox();
    const auto one = rig.ask(rig.client.get("/1", dropped));
    rig.say(data_reply(1, "x"));
    const auto refused = rig.ask(rig.client.get("/2", inbox));
    EXPECT_TRUE(refused->has_value());
    dropped.reset();
    const auto two = rig.ask(rig.client.get("/2", inbox));
    EXPECT_FALSE(two->has_value()) << "it was sent";
    rig.say(data_reply(2, "x") + wire::event(3, "/1") + wire::event(3, "/2"));
    EXPECT_EQ(rig.next(*inbox), (WatchEvent{Kind::data_changed, "/2"}));
}

TEST(ZookeeperWatches, ThatCannotBeSetAgainSayLookAgain)
{
    Rig rig;
    rig.accept();
    const auto inbox = rig.client.inbox();
    const auto one = rig.ask(rig.client.get("/1", inbox));
    rig.say(data_reply(1, "x"));
    rig.hang_up();
    rig.advance(200ms);
    rig.accept();
    rig.say(wire::reply(-8, 5, -1));
    EXPECT_EQ(rig.next(*inbox), (WatchEvent{Kind::look_again, ""}));
}

TEST(ZookeeperWatches, AreSetAgainInPiecesThatAServerTakes)
{
    asio::io_context io{1};
    zookeeper::WatchTable table{""};
    const auto inbox = std::make_shared<zookeeper::Inbox>(io.get_executor(), 10);
    const std::string name(1'000, 'x');
    for (int i = 0; i < 1'000; ++i)
        table.add(i % 2 == 0 ? zookeeper::WatchTable::Kind::data : zookeeper::WatchTable::Kind::children,
                  "/" + std::to_string(i) + name, inbox);
    const auto records = table.rearm(7);
    EXPECT_EQ(records.size(), 8U);
    std::size_t size = 0;
    for (const auto& record : records) {
        EXPECT_LE(record.size(), 132U * 1024);
        EXPECT_EQ(record.substr(0, 8), wire::i64(7));
        size += record.size();
    }
    EXPECT_GT(size, 1'000'000U) << "all of them";
}
