// The client against real ZooKeeper servers: one that is restarted and stopped, and an ensemble of three.

#include "io/zookeeper/client.hpp"
#include "opsd/task_group.hpp"

#include "../../unit/http/tls_support.hpp"
#include "server.hpp"
#include "support.hpp"

#include <fstream>

using namespace opsd;
using namespace opsd::test;
using namespace std::chrono_literals;
using zookeeper::ClientOptions;
using zookeeper::WatchEvent;
using Kind = WatchEvent::Kind;
using Status = zookeeper::SessionState::Status;

namespace {

class LinesSink final : public LogSink {
public:
    void write(Level, std::string_view line) override { text += std::string{line} + "\n"; }
    [[nodiscard]] bool wants(Level) const noexcept override { return true; }
    void set_level(Level) override {}
    std::string text;
};

/// A running client.
class Live {
public:
    Live(const Executor& executor, const std::string& address, std::chrono::milliseconds session_timeout = 2s,
         std::optional<net::TlsClientOptions> tls = {})
      : dialer_{zookeeper::make_dialer(std::move(tls))}
      , client{executor, clock_, *dialer_, with(address, session_timeout), Log{lines, "zookeeper"}}
      , group_{executor, fail_test}
    {
        group_.spawn("client", client.run());
    }
    Task<> stop()
    {
        group_.cancel();
        co_await group_.join();
    }
    [[nodiscard]] zookeeper::SessionState state() { return client.state().get()->value; }

private:
    SystemClock clock_;
    std::unique_ptr<zookeeper::Dialer> dialer_;

public:
    std::shared_ptr<LinesSink> lines = std::make_shared<LinesSink>();
    zookeeper::Client client;

private:
    static void fail_test(std::string_view task, const std::exception_ptr& e)
    {
        ADD_FAILURE() << task << " threw: " << describe(e).what;
    }
    static ClientOptions with(const std::string& address, std::chrono::milliseconds session_timeout)
    {
        ClientOptions options;
        options.address = zookeeper::parse_address(address).value();
        options.session_timeout = session_timeout;
        options.connect_timeout = 1s;
        options.request_timeout = 2s;
        options.retry_limit = 500ms;
        return options;
    }

    TaskGroup group_;
};

/// Waits for a condition that a real server decides; false when it does not come about.
template <class Condition>
Task<bool> until(Condition condition, std::chrono::milliseconds limit = 8s)
{
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) co_return false;
        co_await test::sleep(5ms);
    }
    co_return true;
}

Task<WatchEvent> news(zookeeper::Inbox& inbox)
{
    const bool there = co_await until([&] { return !inbox.empty(); });
    EXPECT_TRUE(there) << "no event came";
    if (!there) co_return WatchEvent{};
    auto event = co_await inbox.next();
    co_return event.value_or(WatchEvent{});
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// One server for all tests of the suite, with a TLS port.
class ZookeeperServer : public ::testing::Test {
public:
    static void SetUpTestSuite()
    {
        if (!no_zookeeper_because().empty()) return;
        authority.write(folder / "ca.pem", "");
        certificate.write(folder / "certificate.pem", folder / "key.pem");
        const auto pem = folder / "both.pem";
        std::ofstream{pem} << std::ifstream{folder / "key.pem"}.rdbuf()
                           << std::ifstream{folder / "certificate.pem"}.rdbuf();
        const auto ports = free_ports(2);
        server = std::make_unique<ZooKeeper>(
            ZooKeeper::Options{.port = ports[0], .tls_port = ports[1], .pem = pem, .id = {}, .ensemble = {}});
        server->start();
        server->wait_until_it_serves();
        Editor editor{server->port()};
        editor.create("/top", "the top");
    }
    static void TearDownTestSuite() { server.reset(); }
    void SetUp() override
    {
        if (!server) GTEST_SKIP() << no_zookeeper_because();
    }

protected:
    static std::string address() { return server->address() + "/top"; }

    static inline TempDir folder;
    static inline Certificate authority{{.name = "authority", .authority = true}};
    static inline Certificate certificate{{.name = "zookeeper"}, &authority};
    static inline std::unique_ptr<ZooKeeper> server;
};

}  // namespace

TEST_F(ZookeeperServer, IsReadBelowAChroot)
{
    Editor editor{server->port()};
    editor.create("/top/read", "");
    editor.create("/top/read/json.info_0000000001", R"({"hostname":"m1"})");
    editor.create("/top/read/json.info_0000000002", std::string(900'000, 'x'));
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Live live{executor, address()};
        auto children = co_await live.client.children("/read");
        EXPECT_TRUE(children.has_value()) << children.error().message;
        std::ranges::sort(children->names);
        EXPECT_EQ(children->names,
                  (std::vector<std::string>{"json.info_0000000001", "json.info_0000000002"}));
        EXPECT_EQ(children->stat.children, 2);
        auto node = co_await live.client.get("/read/json.info_0000000001");
        EXPECT_EQ(node->data, R"({"hostname":"m1"})");
        EXPECT_EQ(node->stat.data_length, 17);
        EXPECT_GT(node->stat.created_ms, 1'600'000'000'000);
        EXPECT_GE(node->zxid, node->stat.modified_zxid);
        auto large = co_await live.client.get("/read/json.info_0000000002");
        EXPECT_EQ(large->data.size(), 900'000U);
        auto empty = co_await live.client.get("/read");
        EXPECT_EQ(empty->data, "");
        EXPECT_FALSE(empty->null_data);
        auto there = co_await live.client.exists("/read");
        EXPECT_TRUE(there->stat.has_value());
        auto absent = co_await live.client.exists("/absent");
        EXPECT_TRUE(absent.has_value() && !absent->stat.has_value());
        auto missing = co_await live.client.get("/absent");
        EXPECT_EQ(missing.error().code, Errc::not_found);
        EXPECT_TRUE(contains(missing.error().message,
                             "cannot read /top/absent at ZooKeeper " + server->address() + ": NoNode"))
            << missing.error().message;
        auto synced = co_await live.client.sync();
        EXPECT_GE(synced.value_or(0), node->zxid);
        co_await live.stop();
    });
}

TEST_F(ZookeeperServer, ManyRequestsAreInFlightAtOnce)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Live live{executor, address()};
        TaskGroup group{executor, [](std::string_view, const std::exception_ptr&) { ADD_FAILURE(); }};
        std::size_t good = 0;
        std::size_t most = 0;
        struct Reader {
            static Task<> read(zookeeper::Client& client, std::size_t& count, std::size_t& at_once)
            {
                auto node = co_await client.get("/");
                if (node && node->data == "the top") ++count;
                at_once = std::max(at_once, client.session().in_flight());
            }
        };
        for (int i = 0; i < 5'000; ++i)
            group.spawn("get", Reader::read(live.client, good, most));
        co_await group.join();
        EXPECT_EQ(good, 5'000U);
        EXPECT_GT(most, 100U);
        co_await live.stop();
    });
}

TEST_F(ZookeeperServer, TellsWhatOthersChange)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Editor editor{server->port()};
        editor.create("/top/watched", "1");
        Live live{executor, address()};
        const auto inbox = live.client.inbox();
        auto data = co_await live.client.get("/watched", inbox);
        EXPECT_TRUE(data.has_value()) << data.error().message;
        editor.set("/top/watched", "2");
        auto event = co_await news(*inbox);
        EXPECT_EQ(event, (WatchEvent{Kind::data_changed, "/watched"}));
        editor.set("/top/watched", "3");
        data = co_await live.client.get("/watched", inbox);
        EXPECT_EQ(data->data, "3");
        EXPECT_TRUE(inbox->empty()) << "a watch fires once";
        auto children = co_await live.client.children("/watched", inbox);
        EXPECT_TRUE(children.has_value());
        auto absent = co_await live.client.exists("/watched/new", inbox);
        EXPECT_TRUE(absent.has_value());
        editor.create("/top/watched/new", "");
        event = co_await news(*inbox);
        EXPECT_EQ(event, (WatchEvent{Kind::created, "/watched/new"}));
        event = co_await news(*inbox);
        EXPECT_EQ(event, (WatchEvent{Kind::children_changed, "/watched"}));
        editor.remove("/top/watched/new");
        editor.remove("/top/watched");
        event = co_await news(*inbox);
        EXPECT_EQ(event, (WatchEvent{Kind::deleted, "/watched"}));
        co_await live.stop();
    });
}

TEST_F(ZookeeperServer, ShowsProtectedNodesToWhoMayOnly)
{
    Editor editor{server->port(), "ada:s3cret"};
    editor.create("/top/protected", "for ada", "auth");
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Live nobody{executor, address()};
        Live ada{executor, "zk://ada:s3cret@" + address()};
        Live eve{executor, "zk://ada:gue55ed@" + address()};
        auto refused = co_await nobody.client.get("/protected");
        EXPECT_EQ(refused.error().code, Errc::denied);
        EXPECT_TRUE(contains(refused.error().message, "NoAuth")) << refused.error().message;
        auto guessed = co_await eve.client.get("/protected");
        EXPECT_EQ(guessed.error().code, Errc::denied);
        auto read = co_await ada.client.get("/protected");
        EXPECT_TRUE(read.has_value()) << read.error().message;
        EXPECT_EQ(read->data, "for ada");
        for (const auto& shown : {guessed.error().message, eve.lines->text, ada.lines->text}) {
            EXPECT_FALSE(contains(shown, "gue55ed") || contains(shown, "s3cret")) << shown;
        }
        co_await nobody.stop();
        co_await ada.stop();
        co_await eve.stop();
    });
}

TEST_F(ZookeeperServer, IsReadThroughTlsAndVerified)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        const auto secure = "127.0.0.1:" + std::to_string(server->tls_port()) + "/top";
        const auto elsewhere = "localhost:" + std::to_string(server->tls_port()) + "/top";
        const net::TlsClientOptions trusting{.ca_file = folder / "ca.pem"};
        Live live{executor, secure, 2s, trusting};
        auto node = co_await live.client.get("/");
        EXPECT_TRUE(node.has_value()) << node.error().message;
        EXPECT_EQ(node->data, "the top");
        Live stranger{executor, secure, 2s, net::TlsClientOptions{}};
        auto unknown = co_await stranger.client.get("/");
        EXPECT_EQ(unknown.error().code, Errc::denied) << unknown.error().message;
        EXPECT_TRUE(contains(unknown.error().message, "certificate")) << unknown.error().message;
        Live misnamed{executor, elsewhere, 2s, trusting};
        auto other_host = co_await misnamed.client.get("/");
        EXPECT_EQ(other_host.error().code, Errc::denied) << "the certificate is for 127.0.0.1";
        Live plain{executor, secure};  // no TLS on a TLS port
        auto confused = co_await plain.client.get("/");
        EXPECT_FALSE(confused.has_value());
        EXPECT_TRUE(contains(confused.error().message, "TLS")) << confused.error().message;
        for (auto* one : {&live, &stranger, &misnamed, &plain})
            co_await one->stop();
    });
}

TEST_F(ZookeeperServer, KeepsTheSessionAndItsWatchesThroughARestart)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        {
            Editor editor{server->port()};
            editor.create("/top/restart", "1");
        }
        Live live{executor, address(), 10s};
        const auto inbox = live.client.inbox();
        auto before = co_await live.client.get("/restart", inbox);
        EXPECT_TRUE(before.has_value()) << before.error().message;
        const auto session = live.state().session;
        server->kill();
        const bool noticed = co_await until([&] { return live.state().status == Status::connecting; });
        EXPECT_TRUE(noticed);
        auto unanswered = co_await live.client.get("/restart");
        EXPECT_EQ(unanswered.error().code, Errc::timeout) << "a request has its own limit";
        EXPECT_TRUE(contains(unanswered.error().message, "Connection refused")) << unanswered.error().message;
        server->start();
        auto after = co_await until([&] { return live.state().status == Status::connected; });
        EXPECT_TRUE(after);
        EXPECT_EQ(live.state().session, session);
        EXPECT_EQ(live.state().sessions, 1U);
        Editor editor{server->port()};
        editor.set("/top/restart", "2");
        auto event = co_await news(*inbox);
        EXPECT_EQ(event, (WatchEvent{Kind::data_changed, "/restart"}));
        co_await live.stop();
    });
}

TEST_F(ZookeeperServer, ReplacesAnExpiredSessionAndSaysLookAgain)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Live live{executor, address(), 600ms};
        const auto inbox = live.client.inbox();
        auto before = co_await live.client.get("/", inbox);
        EXPECT_TRUE(before.has_value()) << before.error().message;
        const auto session = live.state().session;
        std::this_thread::sleep_for(1s);  // the whole client sleeps: longer than the session, less than twice
        auto event = co_await news(*inbox);
        EXPECT_EQ(event, (WatchEvent{Kind::look_again, ""}));
        auto again = co_await live.client.get("/", inbox);
        EXPECT_TRUE(again.has_value()) << again.error().message;
        EXPECT_NE(live.state().session, session);
        EXPECT_EQ(live.state().sessions, 2U);
        EXPECT_TRUE(contains(live.lines->text, "the server says it has expired")) << live.lines->text;
        co_await live.client.close();
        EXPECT_EQ(live.state().status, Status::ended);
        co_await live.stop();
    });
}

TEST_F(ZookeeperServer, AHangingServerHoldsNobodyUp)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Live live{executor, address(), 2s};
        auto before = co_await live.client.get("/");
        EXPECT_TRUE(before.has_value()) << before.error().message;
        server->pause();
        const auto since = std::chrono::steady_clock::now();
        auto during = co_await live.client.get("/");
        EXPECT_FALSE(during.has_value());
        EXPECT_TRUE(during.error().retryable()) << during.error().message;
        EXPECT_LT(std::chrono::steady_clock::now() - since, 2s) << "two thirds of the session timeout";
        server->resume();
        auto after = co_await live.client.get("/");
        EXPECT_TRUE(after.has_value()) << after.error().message;
        co_await live.stop();
    });
    server->resume();
}

namespace {

/// Three servers.
class ZookeeperEnsemble : public ::testing::Test {
public:
    void SetUp() override
    {
        if (!no_zookeeper_because().empty()) GTEST_SKIP() << no_zookeeper_because();
        const auto ports = free_ports(9);
        std::vector<std::string> members;
        for (std::size_t i = 0; i < 3; ++i) {
            members.push_back("127.0.0.1:" + std::to_string(ports[3 + i]) + ":"
                              + std::to_string(ports[6 + i]));
        }
        for (std::size_t i = 0; i < 3; ++i) {
            servers.push_back(std::make_unique<ZooKeeper>(ZooKeeper::Options{.port = ports[i],
                                                                             .tls_port = 0,
                                                                             .pem = {},
                                                                             .id = static_cast<int>(i) + 1,
                                                                             .ensemble = members}));
            servers.back()->start();
            address += (address.empty() ? "" : ",") + servers.back()->address();
        }
        for (const auto& server : servers)
            server->wait_until_it_serves();
    }
    /// The server that a client is connected to.
    ZooKeeper& used_by(Live& live)
    {
        for (const auto& server : servers) {
            if (server->address() == live.state().server) return *server;
        }
        throw std::runtime_error{"connected to nobody"};
    }
    /// One that is not `other` and serves.
    ZooKeeper& beside(const ZooKeeper& other)
    {
        for (const auto& server : servers) {
            if (server.get() != &other && server->serves()) return *server;
        }
        throw std::runtime_error{"nobody serves"};
    }

protected:
    std::vector<std::unique_ptr<ZooKeeper>> servers;
    std::string address;
};

}  // namespace

TEST_F(ZookeeperEnsemble, TheSessionMovesWhenAServerDiesOrHangs)
{
    Editor{servers[0]->port()}.create("/node", "1");
    run(
        [this]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Live live{executor, address, 3s};
            const auto inbox = live.client.inbox();
            auto synced = co_await live.client.sync("/node");
            EXPECT_TRUE(synced.has_value()) << synced.error().message;
            auto node = co_await live.client.get("/node", inbox);
            EXPECT_TRUE(node.has_value()) << node.error().message;
            const auto session = live.state().session;
            auto& hanging = used_by(live);
            const bool leader = hanging.leads();  // then the others elect first, in their own time
            hanging.pause();
            const auto since = std::chrono::steady_clock::now();
            const bool moved = co_await until([&] {
                return live.state().status == Status::connected && live.state().server != hanging.address();
            });
            EXPECT_TRUE(moved);
            const auto took = std::chrono::steady_clock::now() - since;
            EXPECT_TRUE(leader || took < 3s) << "within the session's timeout";
            EXPECT_EQ(live.state().session, session);
            Editor{used_by(live).port()}.set("/node", "2");
            auto event = co_await news(*inbox);
            EXPECT_EQ(event, (WatchEvent{Kind::data_changed, "/node"}));
            hanging.resume();
            const bool recovered = co_await until([&] { return hanging.serves(); });
            EXPECT_TRUE(recovered);

            node = co_await live.client.get("/node", inbox);
            EXPECT_TRUE(node.has_value()) << node.error().message;
            auto& killed = used_by(live);
            killed.kill();
            const bool away = co_await until([&] {
                return live.state().status == Status::connected && live.state().server != killed.address();
            });
            EXPECT_TRUE(away);
            EXPECT_EQ(live.state().session, session);
            EXPECT_EQ(live.state().sessions, 1U);
            Editor{beside(killed).port()}.set("/node", "3");
            event = co_await news(*inbox);
            EXPECT_EQ(event, (WatchEvent{Kind::data_changed, "/node"}));
            co_await live.stop();
        },
        20s);
}
