// The session machine: connecting, staying, moving, expiring. The test is the server.

#include "rig.hpp"

using namespace opsd;
using namespace opsd::test;
using zookeeper::ClientOptions;
using Status = zookeeper::SessionState::Status;
using Kind = zookeeper::WatchEvent::Kind;

namespace {

std::string connect_bytes(std::int64_t zxid, std::int64_t session, const std::string& password)
{
    return wire::frame(wire::i32(0) + wire::i64(zxid) + wire::i32(30'000) + wire::i64(session)
                       + wire::text(password) + std::string(1, '\0'));
}
std::string get_bytes(std::int32_t xid, std::string_view path, bool watch = false)
{
    return wire::frame(wire::i32(xid) + wire::i32(4) + wire::text(path)
                       + std::string(1, watch ? '\1' : '\0'));
}
std::string data_reply(std::int32_t xid, std::int64_t zxid, std::string_view data)
{
    return wire::reply(xid, zxid, 0, wire::text(data) + wire::stat());
}
const std::string no_password(16, '\0');
const std::string ping = wire::hex("00 00 00 08  ff ff ff fe  00 00 00 0b");
const std::string pong = wire::reply(-2, 3, 0);

}  // namespace

TEST(ZookeeperSession, ConnectsAndReads)
{
    Rig rig;
    EXPECT_EQ(rig.dialer.dialed, (std::vector<std::string>{"h1:2181"}));
    EXPECT_EQ(rig.heard(), connect_bytes(0, 0, no_password));
    EXPECT_EQ(rig.state().status, Status::connecting);
    rig.say(wire::session(0x77, 9'000));
    EXPECT_EQ(rig.state().status, Status::connected);
    EXPECT_EQ(rig.state().server, "h1:2181");
    EXPECT_EQ(rig.state().session, 0x77);
    EXPECT_EQ(rig.state().sessions, 1U);
    EXPECT_EQ(rig.state().timeout, 9s);
    const auto node = rig.ask(rig.client.get("/a"));
    EXPECT_EQ(rig.heard(), get_bytes(1, "/a"));
    EXPECT_FALSE(node->has_value());
    rig.say(data_reply(1, 0x2a, "abc"));
    ASSERT_TRUE(node->has_value() && (*node)->has_value());
    EXPECT_EQ((**node)->data, "abc");
    EXPECT_FALSE((**node)->null_data);
    EXPECT_EQ((**node)->zxid, 0x2a);
    EXPECT_EQ((**node)->stat.version, 2);
    EXPECT_EQ((**node)->stat.children, 4);
}

TEST(ZookeeperSession, TheBytesMayComeOneByOne)
{
    for (const std::size_t step : {1U, 3U, 7U}) {
        Rig rig{"zk://u:p@h1:2181"};
        rig.dialer.options.step = step;
        rig.hang_up();  // the first connection has the ordinary step
        rig.advance(1s);
        rig.say(wire::session(0x77, 9'000));
        rig.say(wire::reply(-4, 0, 0));
        const auto node = rig.ask(rig.client.get("/a"));
        const auto children = rig.ask(rig.client.children("/"));
        rig.say(data_reply(1, 5, "abc") + wire::event(3, "/x")
                + wire::reply(2, 5, 0, wire::i32(1) + wire::text("a") + wire::stat()));
        ASSERT_TRUE(node->has_value() && (*node)->has_value()) << step;
        ASSERT_TRUE(children->has_value() && (*children)->has_value()) << step;
        EXPECT_EQ((**children)->names, (std::vector<std::string>{"a"}));
    }
}

TEST(ZookeeperSession, PingsAndLeavesASilentServerForTheNextWithTheSameSession)
{
    Rig rig{"h1:2181,h2:2181"};
    const auto first = rig.peer().server;
    rig.accept();
    const auto node = rig.ask(rig.client.get("/a"));
    rig.say(data_reply(1, 0x2a, "abc"));
    rig.heard();
    rig.advance(2'900ms);
    EXPECT_EQ(rig.heard(), "");
    rig.advance(200ms);
    EXPECT_EQ(rig.heard(), ping) << "a third of the timeout without a request";
    rig.say(pong);
    rig.advance(3'000ms);
    EXPECT_EQ(rig.heard(), ping);
    EXPECT_EQ(rig.state().status, Status::connected);
    const auto lost = rig.ask(rig.client.get("/b"));
    rig.advance(4'500ms);  // two thirds without an answer to the last
    ASSERT_TRUE(lost->has_value());
    EXPECT_EQ((*lost)->error().code, Errc::unavailable);
    EXPECT_TRUE(
        contains((*lost)->error().message, "cannot read /b at ZooKeeper " + first + ": ConnectionLoss, "))
        << (*lost)->error().message;
    EXPECT_TRUE(contains((*lost)->error().message, "was silent for 6 s")) << (*lost)->error().message;
    EXPECT_NE(rig.peer().server, first);
    EXPECT_EQ(rig.heard(), connect_bytes(0x2a, 0x77, "0123456789abcdef"));
    rig.say(wire::session(0x77, 9'000));
    EXPECT_EQ(rig.state().status, Status::connected);
    EXPECT_EQ(rig.state().sessions, 1U) << "the same session";
}

TEST(ZookeeperSession, HalfAFrameIsSilence)
{
    Rig rig;
    rig.accept();
    const auto node = rig.ask(rig.client.get("/a"));
    rig.say(data_reply(1, 5, "abc").substr(0, 20));
    rig.advance(6'100ms);
    ASSERT_TRUE(node->has_value());
    EXPECT_EQ((*node)->error().code, Errc::unavailable);
    EXPECT_TRUE(rig.dialer.peers.front()->gone) << "the connection was closed";
}

TEST(ZookeeperSession, WatchesAreSetAgainOnTheNextServer)
{
    Rig rig{"h1:2181,h2:2181/top"};
    rig.accept();
    const auto inbox = rig.client.inbox();
    const auto data = rig.ask(rig.client.get("/a", inbox));
    const auto missing = rig.ask(rig.client.exists("/m", inbox));
    const auto children = rig.ask(rig.client.children("/", inbox));
    const auto nothing = rig.ask(rig.client.get("/gone", inbox));
    const auto asked = rig.heard();
    EXPECT_TRUE(asked.starts_with(get_bytes(1, "/top/a", true)));
    rig.say(data_reply(1, 0x30, "abc") + wire::reply(2, 0x30, -101)
            + wire::reply(3, 0x31, 0, wire::i32(0) + wire::stat()) + wire::reply(4, 0x31, -101));
    EXPECT_EQ((**nothing).error().code, Errc::not_found);
    EXPECT_FALSE((**missing)->stat.has_value());
    rig.hang_up();
    rig.advance(200ms);
    rig.accept();
    EXPECT_EQ(rig.heard(), wire::frame(wire::i32(-8) + wire::i32(101) + wire::i64(0x31) + wire::i32(1)
                                       + wire::text("/top/a") + wire::i32(1) + wire::text("/top/m")
                                       + wire::i32(1) + wire::text("/top")));
    rig.say(wire::event(1, "/top/m") + wire::reply(-8, 0x40, 0) + wire::event(4, "/top"));
    EXPECT_EQ(rig.next(*inbox), (zookeeper::WatchEvent{Kind::created, "/m"}));
    EXPECT_EQ(rig.next(*inbox), (zookeeper::WatchEvent{Kind::children_changed, "/"}));
    EXPECT_EQ(rig.client.session().watches().size(), 1U);
}

TEST(ZookeeperSession, AnExpiredSessionIsReplacedAtOnceAndSaysSo)
{
    Rig rig{"zk://ada:s3cret@h1:2181"};
    rig.accept();
    rig.say(wire::reply(-4, 0, 0));
    const auto inbox = rig.client.inbox();
    const auto node = rig.ask(rig.client.get("/a", inbox));
    rig.say(data_reply(1, 0x30, "abc"));
    rig.hang_up();
    rig.advance(200ms);
    EXPECT_EQ(rig.heard(), connect_bytes(0x30, 0x77, "0123456789abcdef"));
    rig.say(wire::expired());
    EXPECT_EQ(rig.dialer.peers.size(), 3U) << "without delay";
    EXPECT_EQ(rig.heard(), connect_bytes(0x30, 0, no_password));
    EXPECT_TRUE(inbox->empty()) << "there is nobody to ask yet";
    rig.say(wire::session(0x78, 9'000));
    EXPECT_EQ(rig.next(*inbox), (zookeeper::WatchEvent{Kind::look_again, ""}));
    rig.say(wire::reply(-4, 0, 0));
    EXPECT_EQ(rig.state().session, 0x78);
    EXPECT_EQ(rig.state().sessions, 2U);
    EXPECT_EQ(rig.client.session().counters().expired, 1U);
    EXPECT_EQ(rig.client.session().watches().size(), 0U);
    EXPECT_TRUE(contains(rig.lines->text, "the session 0x77 at h1:2181 is lost")) << rig.lines->text;
    EXPECT_FALSE(contains(rig.lines->text, "s3cret")) << rig.lines->text;
    EXPECT_FALSE(contains(rig.lines->text, "0123456789abcdef")) << rig.lines->text;
}

TEST(ZookeeperSession, IsGivenUpAfterTwiceItsTimeoutWithoutAServer)
{
    ClientOptions options;
    options.retry_limit = 1s;
    Rig rig{"h1:2181", options};
    rig.accept();
    const auto node = rig.ask(rig.client.get("/a"));
    rig.say(data_reply(1, 0x30, "abc"));
    rig.dialer.down = true;
    rig.hang_up();
    rig.advance(18s);
    rig.dialer.down = false;
    rig.advance(1s);
    EXPECT_EQ(rig.heard(), connect_bytes(0, 0, no_password))
        << "an ensemble restored from a backup has seen less than we";
    rig.accept(0x90);
    EXPECT_EQ(rig.state().sessions, 2U);
}

TEST(ZookeeperSession, KeepsItsSessionThroughAShortOutage)
{
    Rig rig;
    rig.accept();
    rig.dialer.down = true;
    rig.hang_up();
    rig.advance(8s);
    rig.dialer.down = false;
    rig.advance(6s);
    EXPECT_EQ(rig.heard(), connect_bytes(0, 0x77, "0123456789abcdef"));
    rig.accept();
    EXPECT_EQ(rig.state().sessions, 1U);
    EXPECT_EQ(rig.lines->warnings, 1) << "one outage, one warning:\n" << rig.lines->text;
}

TEST(ZookeeperSession, RetriesWithJitterAndALimit)
{
    Rig rig{"h1:2181,h2:2181,h3:2181"};
    rig.dialer.down = true;
    rig.hang_up();
    rig.advance(1s);
    const auto quick = rig.dialer.dialed.size();
    EXPECT_GE(quick, 6U) << "all servers soon";
    EXPECT_LE(quick, 15U);
    const std::set<std::string> first{rig.dialer.dialed.begin(), rig.dialer.dialed.begin() + 3};
    EXPECT_EQ(first.size(), 3U) << "in turn";
    rig.advance(300s);
    rig.dialer.dialed.clear();
    rig.advance(100s);
    EXPECT_GE(rig.dialer.dialed.size(), 10U);
    EXPECT_LE(rig.dialer.dialed.size(), 20U) << "every 5 to 10 s";
}

TEST(ZookeeperSession, AHangingConnectionEndsAtItsLimit)
{
    Rig rig{"h1:2181,h2:2181"};
    rig.dialer.hanging = true;
    rig.hang_up();
    rig.advance(200ms);
    ASSERT_EQ(rig.dialer.dialed.size(), 2U);
    rig.dialer.hanging = false;
    rig.advance(4'300ms);
    ASSERT_EQ(rig.dialer.peers.size(), 2U);
    EXPECT_TRUE(contains(rig.lines->text, "no session within 4 s")) << rig.lines->text;
    rig.advance(4'300ms);  // connected, and no answer
    EXPECT_EQ(rig.dialer.peers.size(), 3U);
    rig.accept();
    EXPECT_EQ(rig.state().status, Status::connected);
}

TEST(ZookeeperSession, ServersThatSpeakNonsenseAreLeft)
{
    const std::vector<std::pair<std::string, std::string>> nonsense{
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "more than max_packet"},
        {wire::hex("ff ff ff ff"), "no ZooKeeper"},
        {wire::frame("abc"), "the answer to the connection"},
        {wire::session(0, 0), "it gives no session"},
        {wire::session(5, -1), "it gives no session"},
        {wire::session(5, 9'000, std::string(1'000, 'x')), "the answer to the connection"},
    };
    for (const auto& [bytes, why] : nonsense) {
        Rig rig;
        rig.say(bytes);
        EXPECT_EQ(rig.state().status, Status::connecting);
        EXPECT_TRUE(contains(rig.state().why, why)) << rig.state().why;
        rig.advance(1s);
        EXPECT_EQ(rig.dialer.peers.size(), 2U);
    }
}

TEST(ZookeeperSession, AnswersThatCannotBeOursBreakTheConnection)
{
    for (const auto& bytes : {data_reply(2, 5, "wrong xid"), data_reply(0, 5, "zero"), wire::frame("short"),
                              wire::reply(-1, -1, 0, wire::i32(3)), wire::hex("00 50 00 00"),
                              wire::reply(1, 5, -112), wire::reply(1, 5, -118)}) {
        Rig rig;
        rig.accept();
        const auto node = rig.ask(rig.client.get("/a"));
        rig.say(bytes);
        ASSERT_TRUE(node->has_value());
        EXPECT_EQ((*node)->error().code, Errc::unavailable) << (*node)->error().message;
        EXPECT_TRUE((*node)->error().retryable());
        EXPECT_EQ(rig.state().status, Status::connecting);
    }
}

TEST(ZookeeperSession, AnUnreadableRecordFailsItsRequestOnly)
{
    Rig rig;
    rig.accept();
    const auto node = rig.ask(rig.client.get("/a"));
    const auto next = rig.ask(rig.client.get("/b"));
    rig.say(wire::reply(1, 5, 0, "abc") + data_reply(2, 5, "good"));
    EXPECT_EQ((**node).error().code, Errc::protocol);
    EXPECT_TRUE(contains((**node).error().message, "read /a at ZooKeeper h1:2181: cannot read the data"));
    EXPECT_TRUE((**next).has_value());
}

TEST(ZookeeperSession, ARefusedLoginIsDeniedAndNeverShowsTheSecret)
{
    Rig rig{"zk://ada:s3cret@h1:2181"};
    const auto node = rig.ask(rig.client.get("/a"));
    rig.heard();
    rig.say(wire::session(0x77, 9'000));
    EXPECT_EQ(rig.heard(), wire::frame(wire::i32(-4) + wire::i32(100) + wire::i32(0) + wire::text("digest")
                                       + wire::text("ada:s3cret")));
    EXPECT_EQ(rig.state().status, Status::connecting) << "not before the login";
    rig.say(wire::reply(-4, 0, -115));
    ASSERT_TRUE(node->has_value());
    EXPECT_EQ((*node)->error().code, Errc::denied);
    EXPECT_TRUE(contains((*node)->error().message, "AuthFailed")) << (*node)->error().message;
    const auto later = rig.ask(rig.client.get("/a"));
    rig.dialer.down = true;
    rig.advance(11s);
    EXPECT_EQ((**later).error().code, Errc::timeout);
    for (const auto& shown :
         {(*node)->error().message, (**later).error().message, rig.lines->text, rig.state().why})
        EXPECT_FALSE(contains(shown, "s3cret")) << shown;
}

TEST(ZookeeperSession, ACertificateThatIsNotAcceptedIsDenied)
{
    Rig rig;
    rig.dialer.denying = true;
    rig.hang_up();
    const auto node = rig.ask(rig.client.get("/a"));
    rig.advance(300ms);
    ASSERT_TRUE(node->has_value());
    EXPECT_EQ((*node)->error().code, Errc::denied);
    EXPECT_TRUE(contains((*node)->error().message, "certificate")) << (*node)->error().message;
}

TEST(ZookeeperSession, AServerCannotMakeItPingWithoutEnd)
{
    Rig rig;
    rig.accept(0x77, 1);
    rig.advance(60ms);
    EXPECT_EQ(rig.heard(), ping);
    EXPECT_EQ(rig.state().timeout, 100ms);
}

TEST(ZookeeperSession, CloseTellsTheServerAndEndsEverything)
{
    Rig rig;
    rig.accept();
    const auto inbox = rig.client.inbox();
    const auto node = rig.ask(rig.client.get("/a", inbox));
    rig.heard();
    rig.requests.spawn("close", rig.client.close());
    EXPECT_EQ(rig.heard(), wire::hex("00 00 00 08  00 00 00 02  ff ff ff f5"));
    const auto late = rig.ask(rig.client.get("/b"));
    EXPECT_EQ((**late).error().code, Errc::cancelled);
    rig.say(data_reply(1, 5, "abc") + wire::reply(2, 5, 0));
    EXPECT_TRUE((**node).has_value()) << "what was asked before is answered before";
    EXPECT_EQ(rig.state().status, Status::ended);
    EXPECT_TRUE(rig.peer().gone);
    const auto after = rig.ask(rig.client.get("/c"));
    EXPECT_EQ((**after).error().code, Errc::cancelled);
    EXPECT_EQ(rig.next(*inbox), std::nullopt);
}

TEST(ZookeeperSession, CloseWaitsForNobody)
{
    Rig rig;
    rig.accept();
    rig.requests.spawn("close", rig.client.close());
    rig.poll();
    EXPECT_EQ(rig.state().status, Status::connected);
    rig.advance(1'100ms);
    EXPECT_EQ(rig.state().status, Status::ended) << "a silent server does not hold us";
    Rig unconnected;
    unconnected.requests.spawn("close", unconnected.client.close());
    unconnected.poll();
    EXPECT_EQ(unconnected.state().status, Status::ended);
}

TEST(ZookeeperSession, CancellingItEndsRequestsAndInboxes)
{
    Rig rig;
    rig.accept();
    const auto sent = rig.ask(rig.client.get("/a"));
    rig.hang_up();
    const auto waiting = rig.ask(rig.client.get("/b"));
    const auto inbox = rig.client.inbox();
    rig.group.cancel();
    rig.poll();
    EXPECT_EQ((**waiting).error().code, Errc::cancelled);
    EXPECT_EQ(rig.state().status, Status::ended);
    const auto after = rig.ask(rig.client.get("/b"));
    EXPECT_EQ((**after).error().code, Errc::cancelled);
}
