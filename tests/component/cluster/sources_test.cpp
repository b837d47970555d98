// Sources of members against the real outside: ZooKeeper's server, and name servers that never answer.

#include "modules/cluster/sources.hpp"

#include "component/zookeeper/server.hpp"
#include "unit/mesos/stub.hpp"

#include <sched.h>
#include <sys/mount.h>

#include <optional>

using namespace opsd;
using namespace opsd::test;
using namespace std::chrono_literals;
using cluster::FoundMember;

namespace {

class Lines final : public LogSink {
public:
    void write(Level, std::string_view line) override { text += std::string{line} + "\n"; }
    [[nodiscard]] bool wants(Level level) const noexcept override { return level != Level::debug; }
    void set_level(Level) override {}
    std::string text;
};

class Heard final : public cluster::MemberSink {
public:
    void found(const std::string& source, std::vector<FoundMember> members) override
    {
        if (source != "zookeeper") return;
        list.clear();
        for (const auto& member : members)
            list += member.host + (member.leader ? "* " : " ");
        doubt.clear();
    }
    void failed(const std::string& source, std::string sentence) override
    {
        if (source == "zookeeper") doubt = std::move(sentence);
    }
    void mesos_id(std::string id) override { ids += id + " "; }
    std::string list;
    std::string doubt;
    std::string ids;
};

std::string info(std::string_view id, std::string_view ip)
{
    return R"({"id":")" + std::string{id} + R"(","address":{"ip":")" + std::string{ip} + R"(","port":1}})";
}

class RealSources : public testing::Test {
protected:
    void SetUp() override
    {
        if (const auto why = no_zookeeper_because(); !why.empty()) GTEST_SKIP() << why;
        server_options.port = free_ports(1).front();
    }
    ~RealSources() override
    {
        group.cancel();
        until([this] { return group.size() == 0; });
    }
    template <class Condition>
    void until(Condition condition)
    {
        const auto end = std::chrono::steady_clock::now() + 20s;
        while (!condition() && std::chrono::steady_clock::now() < end) {
            if (io.stopped()) io.restart();
            io.run_one_for(20ms);
        }
        EXPECT_TRUE(condition()) << heard.list << "| " << heard.doubt << "\n" << lines->text;
    }
    void start()
    {
        options.zookeeper.address.text = "zk://127.0.0.1:" + std::to_string(server_options.port) + "/mesos";
        options.zookeeper.timeout = 2s;
        cluster::SourceServices services{
            .executor = io.get_executor(), .clock = clock, .metrics = metrics, .log = Log{lines, "cluster"}};
        sources = std::make_unique<cluster::MemberSources>(options, std::move(services), heard);
        sources->start(group);
    }

    asio::io_context io{1};
    SystemClock clock;
    telemetry::Registry metrics;
    std::shared_ptr<Lines> lines = std::make_shared<Lines>();
    Heard heard;
    cluster::SourcesOptions options;
    ZooKeeper::Options server_options;
    std::unique_ptr<cluster::MemberSources> sources;
    TaskGroup group{io.get_executor(), [](std::string_view task, std::exception_ptr e) {
                        ADD_FAILURE() << task << ": " << describe(e).what;
                    }};
};

TEST_F(RealSources, TheMastersInZooKeeperAreFollowedThroughItsDeath)
{
    ZooKeeper server{server_options};
    server.start();
    server.wait_until_it_serves();
    std::optional<Editor> editor{server.port()};
    editor->create("/mesos", "");
    editor->create("/mesos/log_replicas", "");
    start();
    until([this] { return !heard.doubt.empty(); });
    EXPECT_NE(heard.doubt.find("none is registered there now"), std::string::npos) << heard.doubt;
    editor->create("/mesos/json.info_0000000002", info("b", "10.0.0.2"));
    until([this] { return heard.list == "10.0.0.2* "; });
    editor->create("/mesos/json.info_0000000001", info("a", "10.0.0.1"));
    until([this] { return heard.list == "10.0.0.1* 10.0.0.2 "; });
    const auto begin = std::chrono::steady_clock::now();
    editor->remove("/mesos/json.info_0000000001");
    until([this] { return heard.list == "10.0.0.2* "; });
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s) << "by a watch, not by the interval of a minute";
    EXPECT_EQ(heard.ids, "b a b ");
    server.kill();
    server.start();
    server.wait_until_it_serves();
    editor.emplace(server.port());
    editor->create("/mesos/json.info_0000000003", info("c", "10.0.0.3"));
    until([this] { return heard.list == "10.0.0.2* 10.0.0.3 "; });
}

TEST_F(RealSources, ThePasswordIsTheOneInItsFile)
{
    const TempDir folder;
    ZooKeeper server{server_options};
    server.start();
    server.wait_until_it_serves();
    Editor editor{server.port(), "opsd:s3cret"};
    editor.create("/mesos", "");
    editor.create("/mesos/json.info_0000000001", info("a", "10.0.0.1"), "auth");
    options.zookeeper.user = "opsd";
    options.zookeeper.password = {config::Secret::From::file, folder / "password"};
    std::ofstream{folder / "password"} << "s3cret\n";
    start();
    until([this] { return heard.list == "10.0.0.1* "; });
    EXPECT_EQ(lines->text.find("s3cret"), std::string::npos) << lines->text;
}

TEST_F(RealSources, WithoutItsPasswordItSaysSo)
{
    options.zookeeper.user = "opsd";
    options.zookeeper.password = {config::Secret::From::file, "/nowhere/password"};
    start();
    until([this] { return !heard.doubt.empty(); });
    EXPECT_NE(heard.doubt.find("/nowhere/password"), std::string::npos) << heard.doubt;
}

/// In a mount namespace of its own, with a name server that takes questions and never answers.
int look_up_without_name_servers(const TempDir& folder)
{
    std::ofstream{folder / "resolv.conf"} << "nameserver 127.0.0.99\noptions timeout:5 attempts:1\n";
    const int silent = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(53);
    address.sin_addr.s_addr = htonl(0x7f000063);
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0
        || ::mount((folder / "resolv.conf").c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) != 0
        || ::bind(silent, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return 77;
    int outcome = 1;
    run([&outcome]() -> Task<> {
        const auto look_up = cluster::system_look_up();
        const auto begin = std::chrono::steady_clock::now();
        auto found = co_await look_up("node1.opsd-test.example", 300ms);
        const auto took = std::chrono::steady_clock::now() - begin;
        const bool in_time = took > 250ms && took < 2s;
        if (!found && found.error().code == Errc::timeout && in_time) outcome = 0;
        // The process ends here: getaddrinfo cannot be interrupted, and its thread would be waited for.
        ::_exit(outcome);
    });
    return outcome;
}

TEST(RealLookUp, GivesUpInTimeWhenNameServersAreSilent)
{
    const TempDir folder;
    const auto child = ::fork();
    if (child == 0) ::_exit(look_up_without_name_servers(folder));
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no mount namespace here: needs root";
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
