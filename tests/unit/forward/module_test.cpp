// What an operator gets: delivery, and what he may do to it.

#include "pipeline/frames.hpp"

#include "forward_node.hpp"

#include <algorithm>

namespace opsd::forward {
namespace {

using namespace test;

using ForwardModuleTest = ForwardNode;

TEST_F(ForwardModuleTest, DeliversWhatIsThereAndWhatComesOnce)
{
    fake.add_messages(3);
    start();
    until_delivered(3);
    fake.add_messages(2);
    until_delivered(5);
    for (const auto& [id, copies] : far.documents)
        EXPECT_EQ(copies.size(), 1U) << id;
    until_after(100ms, [&] { return saved(cursor_at(5)); });
    const auto now = output();
    EXPECT_EQ(now["name"], "elk");
    EXPECT_EQ(now["type"], "elasticsearch");
    EXPECT_EQ(now["state"], "running");
    EXPECT_EQ(now["acknowledged"], 5);
    EXPECT_EQ(now["pending"], 0);
    EXPECT_EQ(now["lag_entries"], 0);
    EXPECT_EQ(now["lag_seconds"], 0.0);
    EXPECT_EQ(now["position"], cursor_at(5));
    EXPECT_EQ(now["position_time"], "1970-01-01T00:00:05.000Z");
    EXPECT_EQ(now["error"], "");
    expect_sum();
    EXPECT_EQ(status.condition, "running");
    EXPECT_EQ(metric("opsd_forward_acknowledged_total"), 5);
    EXPECT_EQ(metric("opsd_forward_in"), 5);
    EXPECT_EQ(metric("opsd_forward_lag_entries"), 0);
    EXPECT_EQ(metric("opsd_forward_position_timestamp_seconds"), 5);
}

TEST_F(ForwardModuleTest, NothingLeavesWithItsSecretsAndEverythingWithItsLabels)
{
    options.cluster = "c1";
    options.outputs[0].redact.patterns = {"card=([0-9]+)"};
    fake.add({{"MESSAGE", "connect zk://admin:hunter2@zk1 card=4711"}, {"_SYSTEMD_UNIT", "a.service"}});
    start();
    until_delivered(1);
    const auto& document = far.documents.begin()->second.at(0);
    EXPECT_EQ(document.find("hunter2"), std::string::npos) << document;
    EXPECT_EQ(document.find("4711"), std::string::npos) << document;
    const auto parsed = json::parse(document.substr(document.find('\n')), nullptr, false);
    EXPECT_EQ(parsed["labels"], (json{{"node", "n1"}, {"role", "master"}, {"cluster", "c1"}}));
    EXPECT_EQ(parsed["service"]["name"], "a.service");
    EXPECT_EQ(output()["redacted"], 2);
    EXPECT_EQ(metric("opsd_forward_redacted_total"), 2);
}

TEST_F(ForwardModuleTest, WhatItSaysAboutForwardingIsNotForwarded)
{
    start();
    fake.add({{"MESSAGE", "forward elk: cannot deliver record x"}, {"_SYSTEMD_UNIT", "opsd.service"}});
    fake.add({{"MESSAGE", "health: web.service turned unhealthy"}, {"_SYSTEMD_UNIT", "opsd.service"}});
    until_delivered(1);
    advance(10s);
    EXPECT_EQ(far.documents.size(), 1U);
    EXPECT_EQ(output()["held_back"], 1);
}

TEST_F(ForwardModuleTest, ARestartGoesOnWhereTheFarSideConfirmed)
{
    fake.add_messages(4);
    start();
    until_delivered(4);
    stop();
    EXPECT_TRUE(saved(cursor_at(4))) << "an orderly end keeps the position";
    fake.add_messages(2);
    start();
    until_delivered(6);
    advance(10s);
    for (const auto& [id, copies] : far.documents)
        EXPECT_EQ(copies.size(), 1U) << id;
}

TEST_F(ForwardModuleTest, IdleWritesNothing)
{
    fake.add_messages(1);
    start();
    until_delivered(1);
    until_after(100ms, [&] { return saved(cursor_at(1)); });
    const auto before = content("elk.position.a") + content("elk.position.b");
    advance(6h);
    EXPECT_EQ(content("elk.position.a") + content("elk.position.b"), before);
    EXPECT_EQ(far.requests, 1U);
}

TEST_F(ForwardModuleTest, APauseHoldsAndSurvivesARestart)
{
    fake.add_messages(1);
    start();
    until_delivered(1);
    const auto paused = post("pause");
    EXPECT_EQ(paused["paused"], true);
    EXPECT_EQ(paused["durable"], true);
    restart();
    EXPECT_EQ(output()["state"], "paused");
    until([&] { return output()["position"] == cursor_at(1); });
    fake.add_messages(2);
    advance(1min);
    EXPECT_EQ(far.documents.size(), 1U);
    EXPECT_EQ(output()["paused"], true);
    EXPECT_EQ(output()["lag_entries"], 2) << "by the end of the journal";
    EXPECT_EQ(metric("opsd_forward_paused"), 1);
    EXPECT_EQ(post("resume")["paused"], false);
    until_delivered(3);
    restart();
    EXPECT_EQ(output()["state"], "running");
}

TEST_F(ForwardModuleTest, APauseThatCannotBeKeptSaysSo)
{
    start();
    std::filesystem::remove_all(paths.state + "/forward");
    const auto paused = post("pause");
    EXPECT_EQ(paused["durable"], false);
    EXPECT_NE(paused["note"].get<std::string>().find("elk.state"), std::string::npos) << paused.dump();
    EXPECT_EQ(output()["state"], "paused");
}

TEST_F(ForwardModuleTest, AReplaySendsAgainWhatCameAfterThePlace)
{
    fake.add_messages(5);
    start();
    until_delivered(5);
    const auto done = post("replay", R"({"from": ")" + cursor_at(3) + "\"}");
    EXPECT_EQ(done["from"], cursor_at(3));
    const auto copies = [&](std::uint64_t n) {
        std::string id;
        pipeline::append_entry_id(id, cursor_at(n));
        return far.documents[id].size();
    };
    until_after(100ms, [&] { return copies(5) == 2; });
    EXPECT_EQ(copies(3), 1U);
    EXPECT_EQ(copies(4), 2U);
    post("replay", R"({"from": "1970-01-01T00:00:02Z"})");
    until_after(100ms, [&] { return copies(2) == 2; });
    until_after(100ms, [&] { return copies(5) == 3; });
    EXPECT_EQ(copies(1), 1U);
    post("replay", R"({"from": "beginning"})");
    until_after(100ms, [&] { return copies(1) == 2; });
    expect_sum();
    EXPECT_EQ(output()["state"], "running");
}

TEST_F(ForwardModuleTest, AReplayThatWasAskedForSurvivesARestart)
{
    fake.add_messages(2);
    start();
    until_delivered(2);
    post("pause");
    post("replay", R"({"from": "beginning"})");
    EXPECT_TRUE(saved("@0"));
    restart();
    EXPECT_EQ(output()["state"], "paused");
    post("resume");
    until_after(100ms, [&] { return far.documents.begin()->second.size() == 2; });
}

TEST_F(ForwardModuleTest, AReplayDoesNotWaitForAFarSideThatIsSilent)
{
    fake.add_messages(2);
    far.takes = 50s;
    start();
    until_after(100ms, [&] { return output()["in_flight"] == 1; });
    post("replay", R"({"from": "beginning"})");
    far.takes = 10ms;
    until_delivered(2);
    expect_sum();
}

TEST_F(ForwardModuleTest, ATestSendsAProbeAndShowsTheAnswer)
{
    start();
    const auto good = post("test");
    EXPECT_EQ(good["accepted"], true);
    EXPECT_EQ(good["answer"], "200: taken");
    EXPECT_EQ(good["acknowledged_means"], "it said so");
    EXPECT_EQ(output()["acknowledged_means"], "it said so");
    ASSERT_EQ(far.documents.size(), 1U);
    EXPECT_TRUE(far.documents.begin()->first.starts_with("opsd-probe-n1-"));
    far.answer = pipeline::keep("it answered 401; check the credentials");
    const auto bad = post("test");
    EXPECT_EQ(bad["accepted"], false);
    EXPECT_EQ(bad["reason"], "it answered 401; check the credentials");
    far.answer = pipeline::accepted();
    far.takes = 1h;
    EXPECT_EQ(post("test")["reason"], "no answer within 8 s");
    EXPECT_EQ(output()["in"], 0) << "a probe is no entry";
}

TEST_F(ForwardModuleTest, DeadLettersAreListedAndSentAgain)
{
    far.refuses = "poison";
    fake.add_messages(1);
    fake.add({{"MESSAGE", "poison"}, {"_SYSTEMD_UNIT", "a.service"}});
    fake.add_messages(1);
    start();
    until_delivered(2);
    until_after(100ms, [&] { return output()["dead_lettered"] == 1; });
    expect_sum();
    EXPECT_EQ(output()["state"], "running");
    auto letters = get("/api/v1/forward/elk/dead-letters");
    EXPECT_EQ(letters["count"], 1);
    const auto& letter = letters["letters"][0];
    EXPECT_EQ(letter["reason"], "400 mapper_parsing_exception");
    EXPECT_EQ(letter["position"], cursor_at(2));
    EXPECT_NE(letter["preview"].get<std::string>().find("poison"), std::string::npos);
    role = http::Role::operator_;
    const auto seen = get("/api/v1/forward/elk/dead-letters")["letters"][0];
    EXPECT_FALSE(seen.contains("preview")) << "an operator may not be allowed to read that unit";
    EXPECT_EQ(seen["reason"], letter["reason"]);
    EXPECT_EQ(seen["bytes"], letter["bytes"]);
    EXPECT_EQ(output()["dead_letters"], 1);
    restart();
    EXPECT_EQ(output()["dead_lettered"], 0) << "of this run";
    EXPECT_EQ(output()["dead_letters"], 1) << "they are still there";
    EXPECT_EQ(metric("opsd_forward_dead_letters"), 1);
    EXPECT_EQ(post("dead-letters/resend")["refused"], 1);
    far.refuses.clear();
    EXPECT_EQ(post("dead-letters/resend", R"({"ids": ["of no letter"]})")["accepted"], 0);
    const auto ids = json{{"ids", {letter["id"]}}}.dump();
    EXPECT_EQ(post("dead-letters/resend", ids)["accepted"], 1);
    EXPECT_EQ(get("/api/v1/forward/elk/dead-letters")["count"], 0);
    EXPECT_EQ(output()["dead_letters"], 0);
    EXPECT_EQ(output()["resent"], 1);
    EXPECT_EQ(far.documents.size(), 3U);
}

TEST_F(ForwardModuleTest, WhatIsVacuumedBelowASlowOutputIsCounted)
{
    fake.add_messages(1);
    start();
    until_delivered(1);
    until_after(100ms, [&] { return saved(cursor_at(1)); });
    stop();
    fake.add_messages(10);
    fake.vacuum(6);
    start();
    until_delivered(6);
    EXPECT_EQ(output()["lost"], 5);
    EXPECT_EQ(metric("opsd_forward_lost_total"), 5);
    expect_sum();
}

TEST_F(ForwardModuleTest, ASlowFarSideStopsTheReading)
{
    options.outputs[0].memory = config::Bytes{1 << 20};
    options.outputs[0].batch.bytes = config::Bytes{64 * 1024};
    for (int i = 0; i < 100; ++i)
        fake.add({{"MESSAGE", std::string(100'000, 'x')}, {"_SYSTEMD_UNIT", "a.service"}});
    fake.slice_entries = 2;
    far.answer = pipeline::retry("it is busy");
    start();
    until_after(1s, [&] { return output()["state"] == "waiting" && output()["error"] != ""; });
    advance(1min);
    const auto now = output();
    EXPECT_EQ(now["state"], "waiting");
    EXPECT_LT(now["held_bytes"].get<std::int64_t>(), 2 << 20);
    far.answer = pipeline::retry("it is busy");
    advance(4s);
    EXPECT_EQ(output()["pending"], now["pending"]) << "it reads no more";
    EXPECT_EQ(output()["held_bytes"], now["held_bytes"]);
    EXPECT_NE(now["error"].get<std::string>().find("it is busy"), std::string::npos);
    far.answer = pipeline::accepted();
    until_delivered(100);
    expect_sum();
}

TEST_F(ForwardModuleTest, WhoHasToActIsToldAndTheWordsOfTheFarSideAreNotInTheLog)
{
    far.answer = pipeline::keep("it answered 401: secret words");
    fake.add_messages(1);
    start();
    until_after(1s, [&] { return output()["state"] == "kept"; });
    until_after(1s, [&] { return status.condition == "degraded"; });
    EXPECT_NE(status.reason.find("elk is refused"), std::string::npos) << status.reason;
    EXPECT_EQ(status.reason.find("secret words"), std::string::npos);
    EXPECT_EQ(metric("opsd_forward_refused"), 1);
    far.answer = pipeline::accepted();
    until_delivered(1);
    until_after(1s, [&] { return status.condition == "running"; });
}

TEST_F(ForwardModuleTest, AJournalThatCannotBeReadIsNoHealthyOutput)
{
    fake.add_messages(1);
    fake.broken = Error{Errc::denied, "cannot read log entries from the journal: no permission"};
    start();
    until_after(1s, [&] { return output()["state"] == "failed"; });
    EXPECT_TRUE(output()["error"].get<std::string>().contains("no permission; nothing is read meanwhile"));
    until_after(1s, [&] { return status.condition == "degraded"; });
    EXPECT_TRUE(status.reason.contains("the output elk does not go on: cannot read")) << status.reason;
    EXPECT_EQ(metric("opsd_forward_failed"), 1);
    fake.broken.reset();
    until_delivered(1);
    until_after(1s, [&] { return output()["state"] == "running" && status.condition == "running"; });
    EXPECT_EQ(metric("opsd_forward_failed"), 0);
}

TEST_F(ForwardModuleTest, InAnOutageTheLagIsWhatTheJournalHolds)
{
    options.outputs[0].memory = config::Bytes{1 << 20};
    fake.add_messages(1);
    start();
    until_delivered(1);
    far.answer = pipeline::retry("it is busy");
    for (int i = 0; i < 30; ++i)
        fake.add({{"MESSAGE", std::string(100'000, 'x')}, {"_SYSTEMD_UNIT", "a.service"}});
    advance(1min);
    const auto full = output()["pending"].get<std::int64_t>();
    fake.add_messages(500);
    until_after(1s, [&] { return output()["lag_entries"] == 530; });
    EXPECT_EQ(output()["pending"], full) << "it reads no more";
    until_after(1s, [&] { return metric("opsd_forward_lag_entries") == 530; });
}

TEST_F(ForwardModuleTest, QuestionsThatCannotBeAnsweredAreRefused)
{
    start();
    const auto asked = [&](const std::string& path, const std::string& body = "") {
        return ask(http::Method::post, "/api/v1/forward/" + path, body);
    };
    auto response = asked("elb/pause");
    EXPECT_EQ(response.status, 404U);
    EXPECT_NE(response.body.find("did you mean elk?"), std::string::npos) << response.body;
    for (const auto* body :
         {"", "[]", "{}", R"({"from": 1})", R"({"from": "yesterday"})", R"({"from":"1h","x":1})"})
        EXPECT_EQ(asked("elk/replay", body).status, 400U) << body;
    for (const auto* body :
         {"[]", R"({"ids": "x"})", R"({"ids": [1]})", R"({"ids": []})", R"({"all": true})"})
        EXPECT_EQ(asked("elk/dead-letters/resend", body).status, 400U) << body;
    EXPECT_EQ(ask(http::Method::get, "/api/v1/forward/elb/dead-letters").status, 404U);
}

TEST_F(ForwardModuleTest, WhoDoesMoreThanLookIsAnOperatorAndAudited)
{
    start();
    for (const auto& route : module->routes()) {
        const bool looks = route.pattern == "/api/v1/forward";
        EXPECT_EQ(route.access, looks ? http::Access::read : http::Access::operate) << route.pattern;
        EXPECT_EQ(route.audited, !looks) << route.pattern;
    }
}

TEST_F(ForwardModuleTest, StateOfOutputsThatAreGoneIsSaidOnce)
{
    std::filesystem::create_directories(paths.state + "/forward");
    for (const auto* name : {"old.letters", "old.position.a", "elk.state", "notes.txt"})
        std::ofstream{paths.state + "/forward/" + name} << "running\n";
    start();
    const auto said = [](const std::string& line) {
        return line.contains("outputs that are not configured: old (16 bytes)");
    };
    until_after(1s, [&] { return std::ranges::any_of(log->all, said); });
    advance(20s);
    EXPECT_EQ(std::ranges::count_if(log->all, said), 1);
}

TEST_F(ForwardModuleTest, WithoutOutputsItIsThereAndDoesNothing)
{
    options.outputs.clear();
    services.emplace(
        Services{io.get_executor(), clock, board, feeds, store, metrics, paths, status, Log{log, "forward"}});
    module = std::make_unique<ForwardModule>(options, *services, Outside{});
    router = *http::Router::build(module->routes());
    group = std::make_unique<TaskGroup>(io.get_executor(), failed);
    group->spawn("module", module->run());
    settle();
    EXPECT_EQ(status.condition, "running");
    EXPECT_EQ(get("/api/v1/forward"), (json{{"outputs", json::array()}}));
    EXPECT_FALSE(std::filesystem::exists(paths.state + "/forward"));
}

}  // namespace
}  // namespace opsd::forward
