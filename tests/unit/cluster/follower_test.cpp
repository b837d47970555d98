#include "fleet.hpp"

namespace opsd::cluster {
namespace {

using namespace test;
using Way = Scripted::Way;

bool waits(const net::ClientRequest& request)
{
    return std::ranges::any_of(request.headers, [](const auto& h) { return h.first == "Prefer"; });
}

}  // namespace

TEST_F(Fleet, AMemberIsAskedForAllAndThenHoldsItsAnswerUntilSomethingChanges)
{
    auto& member = add("10.0.0.1");
    start({"10.0.0.1"});
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::fresh);
    EXPECT_EQ(state("10.0.0.1"), "running");
    ASSERT_EQ(member.asked.size(), 2U);
    EXPECT_FALSE(waits(member.asked[0]));
    EXPECT_TRUE(waits(member.asked[1]));
    EXPECT_EQ(member.waiting, 1);
    advance(10s);
    EXPECT_EQ(member.asked.size(), 2U) << "nothing is asked while nothing changes";
    member.change();
    settle();
    EXPECT_EQ(state("10.0.0.1"), "failed") << "without any time passing";
    EXPECT_EQ(followers->counters().held, 1U);
}

TEST_F(Fleet, AQuietMemberAnswersThatNothingChangedAndStaysFresh)
{
    add("10.0.0.1");
    start({"10.0.0.1"});
    const auto before = table.find("10.0.0.1")->answered_at;
    advance(10min);
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::fresh);
    EXPECT_GT(table.find("10.0.0.1")->answered_at, before + 9min);
    EXPECT_GE(followers->counters().unchanged, 18U);
    EXPECT_LE(followers->counters().unchanged, 34U) << "18 to 30 s each";
    EXPECT_EQ(followers->counters().answers, 1U);
}

TEST_F(Fleet, AMemberThatChangesAllTheTimeIsPaced)
{
    auto& member = add("10.0.0.1");
    start({"10.0.0.1"});
    for (int i = 0; i < 100; ++i) {
        member.change();
        advance(10ms);
    }
    EXPECT_LE(member.asked.size(), 14U) << "ten a second, whatever it does";
    EXPECT_GE(member.asked.size(), 9U);
}

TEST_F(Fleet, AMemberThatWasFreshAMomentAgoIsAskedAgainAtOnceBeforeItIsCalledStale)
{
    auto& member = add("10.0.0.1");
    start({"10.0.0.1"});
    member.way = Way::refused;
    member.cut(Errc::unavailable);
    settle();
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::fresh);
    advance(500ms);
    EXPECT_GE(member.asked.size(), 4U);
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::fresh);
    advance(5s);
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::stale);
    EXPECT_EQ(state("10.0.0.1"), "running") << "its last units stay";
    EXPECT_NE(table.find("10.0.0.1")->why.find("cannot connect"), std::string::npos);
}

TEST_F(Fleet, ARestartOfAMemberIsNotSeenAsAFailure)
{
    auto& member = add("10.0.0.1");
    start({"10.0.0.1"});
    member.way = Way::refused;
    member.cut(Errc::unavailable);
    advance(1s);
    member.way = Way::opsd;
    member.instance = "run-2";
    member.version = 1;
    advance(3s);
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::fresh);
    EXPECT_EQ(table.find("10.0.0.1")->instance, "run-2");
    for (const auto& event : all.events)
        EXPECT_NE(event.transition.to, "stale");
}

TEST_F(Fleet, ADeadConnectionIsStaleWithinTheTimeAndComesBackByItself)
{
    auto& member = add("10.0.0.1");
    start({"10.0.0.1"});
    member.way = Way::silent;
    member.cut(Errc::timeout);  // after 4 of the 5 s, as the kernel found
    advance(2s);
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::stale);
    member.way = Way::opsd;
    advance(45s);
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::fresh);
}

TEST_F(Fleet, RetriesBackOff)
{
    auto& member = add("10.0.0.1");
    member.way = Way::refused;
    options.retry_max = 30s;
    start({"10.0.0.1"});
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::unanswered);
    EXPECT_NE(table.find("10.0.0.1")->why.find("cannot connect"), std::string::npos);
    advance(10min);
    EXPECT_LE(member.asked.size(), 32U);
    EXPECT_GE(member.asked.size(), 18U);
}

TEST_F(Fleet, SilentMembersDelayNobody)
{
    options.first_contacts = 10;
    std::vector<std::string> addresses;
    for (int i = 1; i <= 200; ++i) {
        addresses.push_back(fmt::format("10.0.0.{}", i));
        if (i % 10 == 1) add(addresses.back()).way = Way::silent;
    }
    start(addresses);
    advance(600ms);  // 20 silent ones, 10 at a time, 250 ms each
    int fresh = 0;
    for (const auto& address : addresses)
        fresh += freshness(address) == Freshness::fresh ? 1 : 0;
    EXPECT_EQ(fresh, 180);
}

TEST_F(Fleet, WhatCannotBeUnderstoodIsAReasonAndNoPicture)
{
    for (const auto way : {Way::garbage, Way::redirect, Way::unauthorized, Way::huge}) {
        const auto address = fmt::format("10.0.1.{}", static_cast<int>(way));
        add(address).way = way;
    }
    start({"10.0.1.5", "10.0.1.6", "10.0.1.7", "10.0.1.8"});
    for (const auto* address : {"10.0.1.5", "10.0.1.6", "10.0.1.7", "10.0.1.8"}) {
        const auto member = table.find(address);
        EXPECT_EQ(member->freshness, Freshness::unanswered) << address;
        EXPECT_EQ(member->health, Health::unknown);
        EXPECT_TRUE(member->units.empty());
        EXPECT_TRUE(member->why.starts_with("cannot ")) << member->why;
    }
    EXPECT_EQ(followers->counters().failures.at("status"), 2U);
    EXPECT_EQ(followers->counters().failures.at("document"), 1U);
}

TEST_F(Fleet, GarbageFromAFreshMemberDoesNotReplaceItsPicture)
{
    auto& member = add("10.0.0.1");
    start({"10.0.0.1"});
    member.way = Way::garbage;
    member.cut(Errc::unavailable);
    advance(10s);
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::stale);
    EXPECT_EQ(state("10.0.0.1"), "running");
}

TEST_F(Fleet, AnOldMemberThatHoldsNothingIsPolled)
{
    auto& member = add("10.0.0.1");
    member.way = Way::old_opsd;
    start({"10.0.0.1"});
    advance(60s);
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::fresh);
    EXPECT_GE(member.asked.size(), 5U);
    EXPECT_LE(member.asked.size(), 12U);
    member.change();
    advance(13s);
    EXPECT_EQ(state("10.0.0.1"), "failed");
}

TEST_F(Fleet, AMemberWithTheDcosProgramIsPolledAndUpgradedWhenItSpeaksMore)
{
    auto& member = add("10.0.0.1");
    member.way = Way::dcos;
    start({"10.0.0.1"});
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::fresh);
    EXPECT_EQ(table.find("10.0.0.1")->units.front().label->id, "a.service");
    advance(60s);
    EXPECT_EQ(followers->counters().answers, 1U) << "the same bytes again are no news";
    member.change();
    advance(13s);
    EXPECT_EQ(followers->counters().answers, 2U);
    member.way = Way::opsd;
    advance(6min);
    EXPECT_EQ(table.find("10.0.0.1")->instance, "run-1");
    EXPECT_EQ(member.waiting, 1);
}

TEST_F(Fleet, AnotherMachineAtTheSameAddressIsSaid)
{
    auto& member = add("10.0.0.1");
    start({"10.0.0.1"});
    member.node_id = "other";
    member.instance = "run-9";
    member.news.cancel();
    settle();
    EXPECT_EQ(table.find("10.0.0.1")->previous_node_id, "machine");
    EXPECT_EQ(all.events.back().transition.to, "replaced");
}

TEST_F(Fleet, ALargeDocumentIsReadOnAThread)
{
    auto& member = add("10.0.0.1");
    member.padding = std::string(300'000, 'x');
    start({"10.0.0.1"});
    until([this] { return freshness("10.0.0.1") == Freshness::fresh; });
    EXPECT_EQ(state("10.0.0.1"), "running");
    EXPECT_EQ(member.asked.size(), 2U);
}

TEST_F(Fleet, ARemovedMemberIsAskedNoMore)
{
    auto& member = add("10.0.0.1");
    start({"10.0.0.1"});
    followers->unfollow("10.0.0.1");
    member.change();
    advance(5min);
    EXPECT_EQ(member.asked.size(), 2U);
    EXPECT_EQ(followers->following(), 0U);
    followers->follow("10.0.0.1");
    settle();
    EXPECT_EQ(member.asked.size(), 3U);
    EXPECT_EQ(state("10.0.0.1"), "failed");
}

TEST_F(Fleet, OurselvesUnderAnotherAddressAreHardlyAsked)
{
    auto& member = add("10.0.0.1");
    member.instance = "me";
    start({"10.0.0.1"});
    advance(10min);
    EXPECT_LE(member.asked.size(), 16U);
}

TEST_F(Fleet, ARefreshAsksEveryMemberOnceAndEndsWithTheSlowest)
{
    auto& first = add("10.0.0.1");
    add("10.0.0.2").way = Way::silent;
    start({"10.0.0.1", "10.0.0.2"});
    const auto asked = first.asked.size();
    std::vector<bool> done;
    for (int i = 0; i < 2; ++i) {
        asio::co_spawn(io, followers->refresh_all(10s),
                       [&done](std::exception_ptr, Result<> result) { done.push_back(result.has_value()); });
    }
    settle();
    EXPECT_TRUE(done.empty());
    advance(6s);
    EXPECT_EQ(done, (std::vector{true, true}));
    EXPECT_EQ(first.asked.size(), asked + 1) << "both share one round";
    EXPECT_FALSE(waits(first.asked.back()));
    EXPECT_EQ(first.waiting, 1) << "what it holds is left alone";
}

TEST_F(Fleet, ARefreshHasADeadlineAndSaysWhoIsMissing)
{
    add("10.0.0.1");
    add("10.0.0.2").way = Way::silent;
    start({"10.0.0.1", "10.0.0.2"});
    std::string why;
    asio::co_spawn(io, followers->refresh_all(2s), [&why](std::exception_ptr, Result<> result) {
        why = result ? "done" : result.error().message;
    });
    settle();
    EXPECT_EQ(why, "");
    advance(2s);
    EXPECT_NE(why.find("1 of 2 members"), std::string::npos) << why;
}

TEST_F(Fleet, ARefreshWakesAMemberThatWasGivenUp)
{
    auto& member = add("10.0.0.1");
    member.way = Way::refused;
    start({"10.0.0.1"});
    advance(5min);
    member.way = Way::opsd;
    asio::co_spawn(io, followers->refresh_all(2s), [](std::exception_ptr, Result<>) {});
    settle();
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::fresh);
    EXPECT_EQ(member.waiting, 1);
}

TEST_F(Fleet, TransitionsThatWereMissedAreFetchedPageByPage)
{
    auto& member = add("10.0.0.1");
    member.last_transition = 7;
    member.history = {R"({"transitions":[{"id":3,"unit":"a"},{"id":5,"unit":"a"}],"last_id":5,"more":true})",
                      R"({"transitions":[{"id":7,"unit":"a"}],"last_id":7,"more":false})"};
    start({"10.0.0.1"});
    EXPECT_EQ(learned, (std::vector<std::int64_t>{3, 5, 7}));
    advance(2min);
    EXPECT_EQ(learned.size(), 3U) << "once";
}

TEST_F(Fleet, TransitionsOfAMemberWhoseHistoryIsNotOpenAreFetchedWhenItIs)
{
    auto& member = add("10.0.0.1");
    member.last_transition = 7;
    member.history_closed = true;
    member.history = {
        R"({"transitions":[{"id":3,"unit":"a"},{"id":7,"unit":"a"}],"last_id":7,"more":false})"};
    start({"10.0.0.1"});
    advance(1min);
    EXPECT_TRUE(learned.empty());
    EXPECT_EQ(freshness("10.0.0.1"), Freshness::fresh);
    EXPECT_GE(followers->counters().failures.at("history"), 2U) << "it is asked again";
    member.history_closed = false;
    advance(1min);
    EXPECT_EQ(learned, (std::vector<std::int64_t>{3, 7})) << "from where it was";
}

TEST_F(Fleet, NothingIsFetchedWhileTheArchiveHasNoRoom)
{
    auto& member = add("10.0.0.1");
    member.last_transition = 3;
    member.history = {R"({"transitions":[{"id":3,"unit":"a"}],"last_id":3,"more":false})"};
    kept = std::nullopt;
    start({"10.0.0.1"});
    EXPECT_TRUE(learned.empty());
    kept = 0;
    advance(1min);
    EXPECT_EQ(learned, (std::vector<std::int64_t>{3})) << "later";
}

TEST_F(Fleet, AnAnswerThatWasOvertakenIsDropped)
{
    auto& member = add("10.0.0.1");
    start({"10.0.0.1"});
    member.version = 5;
    member.failed = true;
    member.news.cancel();
    settle();
    EXPECT_EQ(state("10.0.0.1"), "failed");
    advance(200ms);
    member.version = 4;
    member.failed = false;
    member.news.cancel();
    settle();
    EXPECT_EQ(state("10.0.0.1"), "failed");
    EXPECT_GE(followers->counters().overtaken, 1U);
}

}  // namespace opsd::cluster
