#include "io/mesos/masters.hpp"

#include "temp_dir.hpp"
#include "unit/http/tls_support.hpp"
#include "unit/mesos/stub.hpp"

namespace opsd::mesos {
namespace {

using namespace test;
using std::chrono::steady_clock;

const std::string no_agents = R"({"slaves":[],"recovered_slaves":[]})";

net::Deadline in(milliseconds time) { return steady_clock::now() + time; }

/// A leader: answers like the captured one.
Reply lead(const Asked& asked)
{
    if (asked.path == "/master/slaves") return answer(200, fixture("master/slaves.json"));
    if (asked.path == "/master/state") return answer(200, fixture("master/state.json"));
    if (asked.path == "/master/api/v1") {
        EXPECT_EQ(asked.body, R"({"type":"GET_MASTER"})");
        EXPECT_TRUE(asked.has("Content-Type: application/json")) << asked.head;
        return answer(200, fixture("operator-v1/master-get_master.json"));
    }
    ADD_FAILURE() << asked.path;
    return answer(404, "");
}

/// A standby: sends everybody to `leader`, as Mesos does.
HttpStub::Answer stand_by(const std::string& leader)
{
    return [leader](const Asked& asked) { return redirect("//" + leader + asked.path); };
}

HttpStub::Answer always(Reply reply)
{
    return [reply](const Asked&) { return reply; };
}

MastersOptions asking(std::vector<std::string> urls)
{
    MastersOptions options;
    options.urls = std::move(urls);
    return options;
}

void expect_error(const auto& result, Errc code, std::string_view part)
{
    EXPECT_FALSE(result.has_value());
    if (result) return;
    EXPECT_EQ(result.error().code, code) << result.error().message;
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
    EXPECT_TRUE(result.error().message.starts_with("cannot ")) << result.error().message;
}

TEST(MesosMasters, TheLeaderTellsAgentsItsIdAndItsState)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub leader{executor, lead};
        MesosMasters masters{executor, asking({leader.url() + "/"}), worker};
        auto list = co_await masters.agents(in(5s));
        EXPECT_EQ(list->agents.size(), 2U);
        auto who = co_await masters.leader(in(5s));
        EXPECT_EQ(who->id, "54836ef5-80d6-4178-83cc-76db9ff61daf");
        auto state = co_await masters.state(in(5s));
        EXPECT_EQ(state->cluster, "testbed");
        co_await leader.stop();
    });
}

TEST(MesosMasters, AStandbySendsToTheLeader)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub leader{executor, lead};
        HttpStub standby{executor, stand_by(leader.authority)};
        MesosMasters masters{executor, asking({standby.url()}), worker};
        auto list = co_await masters.agents(in(5s));
        EXPECT_EQ(list->agents.size(), 2U);
        auto who = co_await masters.leader(in(5s));
        EXPECT_TRUE(who.has_value()) << who.error().message;
        EXPECT_EQ(leader.asked.back().method, "POST") << "a 307 keeps the method and the body";
        co_await leader.stop();
        co_await standby.stop();
    });
}

TEST(MesosMasters, ADeadLeaderThatIsStillNamedIsSaidSo)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub leader{executor, lead};
        leader.die();
        HttpStub first{executor, stand_by(leader.authority)};
        HttpStub second{executor, stand_by(leader.authority)};
        MesosMasters masters{executor, asking({first.url(), second.url()}), worker};
        auto list = co_await masters.agents(in(5s));
        expect_error(list, Errc::unavailable,
                     "says that http://" + leader.authority + " leads, which does not answer");
        expect_error(list, Errc::unavailable, "this lasts about 11 s");
        expect_error(list, Errc::unavailable, second.url() + " names http://" + leader.authority + " too");
        co_await first.stop();
        co_await second.stop();
        co_await leader.stop();
    });
}

TEST(MesosMasters, ALeaderThatHangsIsADeadOneAndLeavesTimeForTheRest)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub silent{executor, always({"", Reply::Then::hang})};
        HttpStub standby{executor, stand_by(silent.authority)};
        HttpStub leader{executor, lead};
        MesosMasters masters{executor, asking({standby.url(), leader.url()}), worker};
        auto list = co_await masters.agents(in(400ms));
        EXPECT_TRUE(list.has_value()) << list.error().message;
        MesosMasters alone{executor, asking({standby.url()}), worker};
        list = co_await alone.agents(in(100ms));
        expect_error(list, Errc::unavailable, "about 11 s");
        for (auto* stub : {&silent, &standby, &leader})
            co_await stub->stop();
    });
}

TEST(MesosMasters, WithoutALeaderItSaysSo)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub standby{executor, always(answer(503, "No leader elected"))};
        MesosMasters masters{executor, asking({standby.url()}), worker};
        auto list = co_await masters.agents(in(5s));
        expect_error(list, Errc::unavailable, "answered 503: No leader elected");
        co_await standby.stop();
    });
}

TEST(MesosMasters, StatusCodesMeanSomething)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        const std::pair<int, Errc> rows[] = {
            {401, Errc::denied},   {403, Errc::denied},   {404, Errc::not_found},   {405, Errc::not_found},
            {400, Errc::protocol}, {204, Errc::protocol}, {500, Errc::unavailable}, {429, Errc::unavailable}};
        for (const auto& [status, code] : rows) {
            HttpStub master{executor, always(answer(status, ""))};
            MesosMasters masters{executor, asking({master.url()}), worker};
            auto list = co_await masters.agents(in(5s));
            expect_error(list, code, "/master/slaves answered " + std::to_string(status));
            co_await master.stop();
        }
    });
}

TEST(MesosMasters, OneThatFailsInWhateverWayDelaysTheNextButDoesNotHideIt)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
        const std::string chunk = "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
        struct Row {
            std::string_view what;
            Reply reply;
            Errc code;
        };
        const Row rows[] = {
            {"hang", {"", Reply::Then::hang}, Errc::timeout},
            {"silence in the middle",
             {head + "Content-Length: 9\r\n\r\n{", Reply::Then::hang},
             Errc::timeout},
            {"reset", {"", Reply::Then::reset}, Errc::unavailable},
            {"garbage", {"\x16\x03\x01 SSH-2.0\r\n\r\n"}, Errc::protocol},
            {"half an answer", {head + "Content-Length: 9\r\n\r\n{"}, Errc::unavailable},
            {"not JSON", answer(200, "<html>hello"), Errc::protocol},
            {"one byte at a time", {answer(200, no_agents).text, Reply::Then::drip}, Errc::timeout},
            {"1 GB by its length", {head + "Content-Length: 1073741824\r\n\r\n"}, Errc::protocol},
            {"no end",
             {head + "Transfer-Encoding: chunked\r\n\r\n" + chunk, Reply::Then::endless},
             Errc::protocol},
        };
        for (const auto& row : rows) {
            HttpStub bad{executor, always(row.reply)};
            HttpStub leader{executor, lead};
            auto options = asking({bad.url()});
            options.max_body = 1U << 20U;
            MesosMasters alone{executor, options, worker};
            const auto begin = steady_clock::now();
            auto list = co_await alone.agents(in(150ms));
            EXPECT_LT(steady_clock::now() - begin, 2s) << row.what;
            EXPECT_FALSE(list.has_value()) << row.what;
            if (!list) EXPECT_EQ(list.error().code, row.code) << row.what << ": " << list.error().message;
            if (row.what != "not JSON") {  // a whole answer is an answer
                options.urls.push_back(leader.url());
                MesosMasters both{executor, options, worker};
                list = co_await both.agents(in(400ms));
                EXPECT_TRUE(list.has_value()) << row.what << ": " << list.error().message;
                leader.asked.clear();
                list = co_await both.agents(in(400ms));
                EXPECT_EQ(bad.asked.size(), 2U) << row.what << ": who answered last is asked first";
            }
            co_await bad.stop();
            co_await leader.stop();
        }
    });
}

TEST(MesosMasters, RedirectsEndSomewhere)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub a{executor, {}};
        HttpStub b{executor, stand_by(a.authority)};
        a.how = stand_by(b.authority);
        auto options = asking({a.url()});
        options.max_hops = 4;
        MesosMasters masters{executor, options, worker};
        auto list = co_await masters.agents(in(5s));
        expect_error(list, Errc::unavailable, "more than 4 redirects");
        EXPECT_EQ(a.asked.size() + b.asked.size(), 5U);
        a.how = stand_by(a.authority);
        list = co_await masters.agents(in(5s));
        expect_error(list, Errc::protocol, "it leads back to itself");
        co_await a.stop();
        co_await b.stop();
    });
}

TEST(MesosMasters, RedirectsLeadToTheSamePathOrNowhere)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub other{executor, lead};
        HttpStub standby{executor, {}};
        MesosMasters masters{executor, asking({standby.url()}), worker};
        const std::string there = "//" + other.authority;
        const std::pair<std::string, Errc> rows[] = {
            {there + "/", Errc::denied},
            {there + "/master/slaves/../teardown", Errc::denied},
            {there + "/master/slaves?x=y", Errc::denied},
            {there + "/master/api/v1", Errc::denied},
            {"unix:/run/opsd/opsd.sock:/master/slaves", Errc::protocol},
            {"ftp:" + there + "/master/slaves", Errc::protocol},
            {"//user:password@" + other.authority + "/master/slaves", Errc::protocol},
            {"//a b/master/slaves", Errc::protocol},
            {"", Errc::protocol},
            {there + "/master/slaves" + std::string(2000, 'a'), Errc::protocol},
        };
        for (const auto& [location, code] : rows) {
            standby.how = always(redirect(location));
            auto list = co_await masters.agents(in(5s));
            expect_error(list, code, "cannot follow the redirect of " + standby.url());
        }
        EXPECT_TRUE(other.asked.empty());
        standby.how = always(redirect("http:" + there + "/master/slaves"));
        auto list = co_await masters.agents(in(5s));
        EXPECT_TRUE(list.has_value()) << "an absolute one is as good";
        co_await other.stop();
        co_await standby.stop();
    });
}

TEST(MesosMasters, BehindAProxyThePathIsKept)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub leader{executor, lead};
        HttpStub proxy{executor, [&leader](const Asked& asked) {
                           EXPECT_EQ(asked.path, "/mesos/master/slaves");
                           return redirect("//" + leader.authority + "/master/slaves");
                       }};
        MesosMasters masters{executor, asking({proxy.url() + "/mesos/"}), worker};
        auto list = co_await masters.agents(in(5s));
        EXPECT_TRUE(list.has_value()) << list.error().message;
        co_await leader.stop();
        co_await proxy.stop();
    });
}

class MesosCredentials : public testing::Test {
protected:
    void SetUp() override { write("s3cret\n"); }
    void write(std::string_view text) const { std::ofstream{file()} << text; }
    [[nodiscard]] std::string file() const { return folder_.path() + "/secret"; }
    [[nodiscard]] MastersOptions with(std::vector<std::string> urls, Credentials::Scheme scheme) const
    {
        auto options = asking(std::move(urls));
        options.credentials.scheme = scheme;
        options.credentials.user = "opsd";
        options.credentials.secret = {config::Secret::From::file, file()};
        return options;
    }

private:
    TempDir folder_;
};

TEST_F(MesosCredentials, AreSentInTheWayThatIsSet)
{
    run([this]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub leader{executor, lead};
        const std::pair<Credentials::Scheme, std::string> rows[] = {
            {Credentials::Scheme::basic, "Authorization: Basic b3BzZDpzM2NyZXQ="},
            {Credentials::Scheme::bearer, "Authorization: Bearer s3cret"},
            {Credentials::Scheme::dcos, "Authorization: token=s3cret"},
        };
        for (const auto& [scheme, line] : rows) {
            MesosMasters masters{executor, with({leader.url()}, scheme), worker};
            auto list = co_await masters.agents(in(5s));
            EXPECT_TRUE(list.has_value());
            EXPECT_TRUE(leader.asked.back().has(line)) << leader.asked.back().head;
        }
        MesosMasters masters{executor, with({leader.url()}, Credentials::Scheme::bearer), worker};
        write("exchanged");
        auto list = co_await masters.agents(in(5s));
        EXPECT_TRUE(leader.asked.back().has("Authorization: Bearer exchanged"));
        std::filesystem::remove(file());
        list = co_await masters.agents(in(5s));
        EXPECT_FALSE(list.has_value()) << "without its secret nothing is asked";
        EXPECT_NE(list.error().message.find(file()), std::string::npos) << list.error().message;
        co_await leader.stop();
    });
}

TEST_F(MesosCredentials, TheCallersAreSentWhereNoneAreSet)
{
    run([this]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub leader{executor, lead};
        MesosMasters without{executor, asking({leader.url()}), worker};
        auto text = co_await without.state_text(in(5s), "token=kim");
        EXPECT_EQ(text.value_or(""), fixture("master/state.json"));
        EXPECT_TRUE(leader.asked.back().has("Authorization: token=kim")) << leader.asked.back().head;
        text = co_await without.state_text(in(5s), "");
        EXPECT_FALSE(leader.asked.back().head.contains("Authorization")) << leader.asked.back().head;
        MesosMasters masters{executor, with({leader.url()}, Credentials::Scheme::bearer), worker};
        text = co_await masters.state_text(in(5s), "token=kim");
        EXPECT_TRUE(leader.asked.back().has("Authorization: Bearer s3cret")) << leader.asked.back().head;
        EXPECT_FALSE(leader.asked.back().head.contains("kim")) << leader.asked.back().head;
        co_await leader.stop();
    });
}

TEST_F(MesosCredentials, DoNotGoToAHostThatOnlyARedirectNamed)
{
    run([this]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub leader{executor, [](const Asked& asked) {
                            return asked.head.contains("Authorization") ? lead(asked) : answer(401, "");
                        }};
        HttpStub standby{executor, stand_by(leader.authority)};
        MesosMasters masters{executor, with({standby.url()}, Credentials::Scheme::basic), worker};
        auto list = co_await masters.agents(in(5s));
        expect_error(list, Errc::denied, "only a redirect named it, so it was not sent our credentials");
        EXPECT_TRUE(standby.asked.back().head.contains("Authorization"));
        EXPECT_FALSE(leader.asked.back().head.contains("Authorization"));

        MesosMasters both{executor, with({standby.url(), leader.url()}, Credentials::Scheme::basic), worker};
        list = co_await both.agents(in(5s));
        EXPECT_TRUE(list.has_value()) << "the redirect named a host of ours: " << list.error().message;
        EXPECT_EQ(standby.asked.size(), 2U);

        Master named;
        named.hostname = "localhost";
        named.address = "127.0.0.1";
        named.port = leader.port();
        masters.named({named}, "http");
        list = co_await masters.agents(in(5s));
        EXPECT_TRUE(list.has_value()) << "ZooKeeper named it: " << list.error().message;
        masters.named({}, "http");
        list = co_await masters.agents(in(5s));
        expect_error(list, Errc::denied, "only a redirect named it");
        co_await leader.stop();
        co_await standby.stop();
    });
}

TEST_F(MesosCredentials, ThatAreRefusedOrMissingAreSaidSo)
{
    run([this]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub leader{executor, always(answer(401, ""))};
        MesosMasters masters{executor, with({leader.url()}, Credentials::Scheme::basic), worker};
        auto list = co_await masters.agents(in(5s));
        expect_error(list, Errc::denied, "check cluster.sources.mesos.user");
        MesosMasters none{executor, asking({leader.url()}), worker};
        list = co_await none.agents(in(5s));
        expect_error(list, Errc::denied, "set cluster.sources.mesos.user");
        co_await leader.stop();
    });
}

TEST(MesosMasters, ThoseNamedByZooKeeperAreAskedWhenNoneIsSet)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub leader{executor, lead};
        MesosMasters masters{executor, asking({}), worker};
        EXPECT_FALSE(masters.any());
        auto list = co_await masters.agents(in(5s));
        expect_error(list, Errc::unavailable, "ZooKeeper has named none yet");
        Master named;
        named.address = "127.0.0.1";
        named.port = leader.port();
        masters.named({named}, "http");
        EXPECT_TRUE(masters.any());
        EXPECT_EQ(masters.version(), 1U);
        masters.named({named}, "http");
        EXPECT_EQ(masters.version(), 1U) << "the same again is no news";
        list = co_await masters.agents(in(5s));
        EXPECT_TRUE(list.has_value()) << list.error().message;
        co_await leader.stop();
    });
}

TEST(MesosMasters, LargeAnswersAreReadOnTheWorker)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        std::string body = R"({"slaves":[)";
        for (int i = 0; i < 10'000; ++i)
            body += (i == 0 ? "" : ",") + (R"({"id":"S)" + std::to_string(i) + R"(","hostname":"n"})");
        body += "]}";
        HttpStub leader{executor, always(answer(200, body))};
        MesosMasters masters{executor, asking({leader.url()}), worker};
        auto list = co_await masters.agents(in(5s));
        EXPECT_EQ(list->agents.size(), 10'000U);
        WorkerThread full{"full", 0};  // takes no job
        MesosMasters stuck{executor, asking({leader.url()}), full};
        list = co_await stuck.agents(in(5s));
        EXPECT_EQ(list.error().code, Errc::unavailable) << "it was not read on the loop";
        leader.how = lead;
        list = co_await stuck.agents(in(5s));
        EXPECT_TRUE(list.has_value()) << "a small one is";
        co_await leader.stop();
    });
}

TEST(MesosMasters, OnlyTheRightCertificateWillDo)
{
    const TempDir folder;
    const Certificate authority{{.name = "ca", .authority = true}};
    const Certificate other{{.name = "other", .authority = true}};
    const Certificate leaf{{.name = "master"}, &authority};
    authority.write(folder.path() + "/ca.pem", "");
    other.write(folder.path() + "/other.pem", "");
    leaf.write(folder.path() + "/leaf.pem", folder.path() + "/key.pem");
    run([&folder]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        const net::TlsServerFiles files{folder.path() + "/leaf.pem", folder.path() + "/key.pem", ""};
        auto server = net::load_tls_server(files);
        HttpStub leader{executor, lead, server->context};
        HttpStub plain{executor, lead};
        auto options = asking({leader.url()});
        options.tls.ca_file = folder.path() + "/ca.pem";
        MesosMasters good{executor, options, worker};
        auto list = co_await good.agents(in(5s));
        EXPECT_TRUE(list.has_value()) << list.error().message;
        leader.how = stand_by(plain.authority);
        list = co_await good.agents(in(300ms));
        EXPECT_FALSE(list.has_value()) << "a scheme-relative redirect stays with TLS";
        leader.how = always(redirect("http://" + plain.authority + "/master/slaves"));
        list = co_await good.agents(in(5s));
        expect_error(list, Errc::denied, "it gives up TLS");
        EXPECT_TRUE(plain.asked.empty());
        options.tls.ca_file = folder.path() + "/other.pem";
        MesosMasters bad{executor, options, worker};
        list = co_await bad.agents(in(5s));
        expect_error(list, Errc::denied, "certificate");
        co_await leader.stop();
        co_await plain.stop();
    });
}

}  // namespace
}  // namespace opsd::mesos
