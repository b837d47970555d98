// Other people's questions, handed on to the leader; and who the masters are, told once for a loop.

#include "io/mesos/directory.hpp"

#include "temp_dir.hpp"
#include "unit/mesos/stub.hpp"

#include <fstream>

namespace opsd::mesos {
namespace {

using namespace test;
using std::chrono::steady_clock;

net::Deadline within(milliseconds time) { return steady_clock::now() + time; }

PassedQuestion state_question()
{
    PassedQuestion question;
    question.path = "/master/state";
    question.headers.emplace_back("Accept", "application/json");
    return question;
}

MastersOptions asked(std::vector<std::string> urls)
{
    MastersOptions options;
    options.urls = std::move(urls);
    return options;
}

Task<std::string> body_of(net::Incoming& incoming)
{
    std::string all;
    for (;;) {
        const auto piece = co_await incoming.next();
        EXPECT_TRUE(piece.has_value());
        if (!piece || piece->empty()) co_return all;
        all += *piece;
    }
}

TEST(MesosPass, TheLeadersAnswerComesThroughAStandbyAndKeepsItsStatus)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub leader{executor, [](const Asked& asked) {
                            return asked.method == "POST" ? answer(400, "unknown call") : answer(200, "{}");
                        }};
        HttpStub standby{executor,
                         [&](const Asked& asked) { return redirect("//" + leader.authority + asked.path); }};
        MesosMasters masters{executor, asked({standby.url()}), worker};
        auto state = co_await masters.pass(state_question(), within(5s));
        EXPECT_EQ((*state)->head().status, 200U);
        const auto text = co_await body_of(**state);
        EXPECT_EQ(text, "{}");
        EXPECT_FALSE(masters.answered_by_trusted());
        PassedQuestion call;
        call.method = "POST";
        call.path = "/master/api/v1";
        call.headers.emplace_back("Content-Type", "application/x-protobuf");
        call.body = std::string{"\x08\x0a", 2};
        auto refused = co_await masters.pass(std::move(call), within(5s));
        EXPECT_EQ((*refused)->head().status, 400U) << "what the leader says of a call is for the caller";
        EXPECT_EQ(leader.asked.back().body, (std::string{"\x08\x0a", 2}));
        EXPECT_TRUE(leader.asked.back().has("Content-Type: application/x-protobuf"))
            << leader.asked.back().head;
        co_await leader.stop();
        co_await standby.stop();
    });
}

TEST(MesosPass, AMasterWithoutALeaderIsPassedOver)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub lost{executor, [](const Asked&) { return answer(503, "No leader elected"); }};
        HttpStub leader{executor, [](const Asked&) { return answer(200, "{}"); }};
        MesosMasters masters{executor, asked({lost.url(), leader.url()}), worker};
        auto state = co_await masters.pass(state_question(), within(5s));
        EXPECT_EQ((*state)->head().status, 200U);
        EXPECT_TRUE(masters.answered_by_trusted());
        MesosMasters alone{executor, asked({lost.url()}), worker};
        auto none = co_await alone.pass(state_question(), within(5s));
        EXPECT_FALSE(none.has_value());
        if (!none) EXPECT_EQ(none.error().code, Errc::unavailable) << none.error().message;
        co_await lost.stop();
        co_await leader.stop();
    });
}

TEST(MesosPass, TheCallersAuthorizationStandsInForOursAndGoesNoFurther)
{
    const TempDir dir;
    std::ofstream{dir / "password"} << "s3cret";
    run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"parse"};
        HttpStub leader{executor, [](const Asked&) { return answer(200, "{}"); }};
        HttpStub standby{executor,
                         [&](const Asked& asked) { return redirect("//" + leader.authority + asked.path); }};
        auto options = asked({standby.url()});
        options.credentials.user = "ops";
        options.credentials.secret = {.from = config::Secret::From::file, .name = dir / "password"};
        MesosMasters masters{executor, options, worker};
        const auto shown = [&](std::optional<std::string> authorization) -> Task<std::string> {
            auto question = state_question();
            question.authorization = std::move(authorization);
            auto opened = co_await masters.pass(std::move(question), within(5s));
            EXPECT_TRUE(opened.has_value());
            EXPECT_FALSE(leader.asked.back().head.contains("Authorization")) << "only a redirect named it";
            co_return standby.asked.back().head;
        };
        const auto ours = co_await shown(std::nullopt);
        EXPECT_TRUE(ours.contains("Authorization: Basic ")) << ours;
        const auto theirs = co_await shown("token=x");
        EXPECT_TRUE(theirs.contains("Authorization: token=x")) << theirs;
        EXPECT_FALSE(theirs.contains("Basic")) << theirs;
        const auto none = co_await shown("");
        EXPECT_FALSE(none.contains("Authorization")) << none;
        co_await leader.stop();
        co_await standby.stop();
    });
}

TEST(MasterDirectory, TellsSettingsAndWhomZooKeeperNames)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        auto& directory = MasterDirectory::of(executor);
        EXPECT_EQ(&directory, &MasterDirectory::of(executor));
        EXPECT_EQ(directory.masters().version(), 0U);
        Master master;
        master.address = "10.0.0.1";
        directory.name({master}, {});
        EXPECT_EQ(directory.masters().version(), 0U) << "nothing is configured";
        directory.configure({}, "http", false, {});
        EXPECT_FALSE(directory.masters().get()->value.configured());
        directory.configure(asked({"http://10.0.0.9:5050"}), "https", true, {});
        const auto before = directory.masters().get();
        EXPECT_TRUE(before->value.configured());
        directory.name({master}, {});
        const auto named = directory.masters().get();
        EXPECT_EQ(named->version, before->version + 1);
        EXPECT_EQ(named->value.named.size(), 1U);
        EXPECT_EQ(named->value.how, before->value.how) << "the settings are the same";
        directory.name({master}, {});
        EXPECT_EQ(directory.masters().version(), named->version) << "no news";
        directory.configure(asked({"http://10.0.0.9:5050"}), "https", true, {});
        EXPECT_TRUE(directory.masters().get()->value.named.empty());
        EXPECT_NE(directory.masters().get()->value.how, before->value.how);
    });
}

}  // namespace
}  // namespace opsd::mesos
