// What is sent next and what follows from an answer, without any waiting.

#include "pipeline_support.hpp"

#include <algorithm>
#include <set>

using namespace opsd;
using namespace opsd::test;
using namespace std::chrono_literals;

namespace {

struct Box {
    explicit Box(OutboxOptions options = small()) : outbox{options, counters, 1} { outbox.begin("start"); }

    static OutboxOptions small()
    {
        OutboxOptions options;
        options.batch = {10, 1000, 1s};
        return options;
    }
    void read(std::uint64_t first, std::uint64_t count) { outbox.add(numbered(first, count), now); }

    /// What would be sent now, and is.
    std::string send()
    {
        auto offer = outbox.next(now);
        if (!offer.batch) return offer.save_first ? "save first" : offer.at ? "later" : "nothing";
        last = offer.batch->number();
        return joined(*offer.batch);
    }
    void answer(Verdict verdict)
    {
        outbox.settle(last, std::move(verdict), now);
        adds_up();
    }
    void save() { outbox.saved(outbox.mark()); }
    void adds_up() const
    {
        EXPECT_EQ(counters.in,
                  counters.acknowledged + counters.pending + counters.dead_lettered + counters.lost);
    }
    [[nodiscard]] std::string position() const { return outbox.mark().position; }
    /// The pause that the last answer asks for.
    [[nodiscard]] std::chrono::milliseconds pause() const
    {
        return std::chrono::duration_cast<std::chrono::milliseconds>(outbox.not_before() - now);
    }

    Counters counters;
    Outbox outbox;
    Monotonic now{1h};
    std::uint64_t last = 0;
};

Verdict fates(std::initializer_list<Fate> all)
{
    Verdict verdict{.kind = Verdict::Kind::records};
    verdict.fates = all;
    return verdict;
}

constexpr auto yes = Fate::accepted;
constexpr auto later = Fate::retry;
constexpr auto never_ = Fate::refused;

}  // namespace

TEST(Outbox, SendsAFullBatchAtOnceAndAPartOfOneWhenItIsOldEnough)
{
    Box box;
    box.read(1, 12);
    EXPECT_EQ(box.send(), "1;2;3;4;5;6;7;8;9;10;");
    EXPECT_EQ(box.send(), "nothing") << "one request at a time";
    box.answer(accepted());
    EXPECT_EQ(box.position(), "p10");
    box.save();
    EXPECT_EQ(box.send(), "later");
    box.now += 1s;
    EXPECT_EQ(box.send(), "11;12;");
    box.answer(accepted());
    EXPECT_EQ(box.position(), "p12");
    EXPECT_EQ(box.send(), "nothing");
    EXPECT_EQ(box.counters.acknowledged, 12U);
    EXPECT_EQ(box.outbox.held_bytes(), 0U);
}

TEST(Outbox, ABatchIsCutByItsBytes)
{
    auto options = Box::small();
    options.batch.bytes = 7;
    Box box{options};
    box.read(1, 5);
    EXPECT_EQ(box.send(), "1;2;3;");
}

TEST(Outbox, WhatFailsIsSentAgainFirstAndThePositionWaits)
{
    Box box;
    box.read(1, 20);
    EXPECT_EQ(box.send(), "1;2;3;4;5;6;7;8;9;10;");
    box.answer(retry("busy"));
    EXPECT_EQ(box.position(), "start");
    EXPECT_EQ(box.send(), "later");
    box.now += 500ms;
    EXPECT_EQ(box.send(), "1;2;3;4;5;6;7;8;9;10;");
    box.answer(accepted());
    EXPECT_EQ(box.position(), "p10");
}

TEST(Outbox, OnlyTheRecordsThatFailedAreSentAgainWithTheirIds)
{
    Box box;
    box.read(1, 10);
    (void)box.send();
    box.answer(fates({yes, yes, later, yes, later, yes, yes, yes, yes, yes}));
    EXPECT_EQ(box.position(), "p2") << "over what is acknowledged without a gap";
    box.now += 500ms;
    const auto offer = box.outbox.next(box.now);
    ASSERT_TRUE(offer.batch);
    EXPECT_EQ(joined(*offer.batch), "3;5;");
    EXPECT_EQ(offer.batch->records()[0].id, "e3");
    box.last = offer.batch->number();
    box.answer(accepted());
    EXPECT_EQ(box.position(), "p10");
}

TEST(Outbox, PausesDoubleWithFullJitterAndEndWithProgress)
{
    auto options = Box::small();
    Box box{options};
    box.read(1, 10);
    auto ceiling = 500ms;
    std::set<std::int64_t> pauses;
    for (int i = 0; i < 12; ++i) {
        (void)box.send();
        box.answer(retry("busy"));
        EXPECT_GT(box.pause(), 0ms);
        EXPECT_LE(box.pause(), ceiling);
        pauses.insert(box.pause().count());
        box.now += box.pause();
        ceiling = std::min<std::chrono::milliseconds>(2 * ceiling, 60s);
    }
    EXPECT_GT(pauses.size(), 8U);
    (void)box.send();
    box.answer(fates({yes, later, later, later, later, later, later, later, later, later}));
    EXPECT_LE(box.pause(), 500ms) << "it takes some: no reason to be patient";
}

TEST(Outbox, ARetryAfterIsHonoured)
{
    Box box;
    box.read(1, 10);
    (void)box.send();
    box.answer(retry("busy", 30s));
    EXPECT_GE(box.pause(), 30s);
}

TEST(Outbox, WrongCredentialsKeepEverythingAndAreTriedSlowly)
{
    Box box;
    box.read(1, 10);
    (void)box.send();
    box.answer(keep("it answered 401"));
    EXPECT_GE(box.pause(), 30s);
    EXPECT_LE(box.pause(), 60s);
    EXPECT_EQ(box.counters.pending, 10U);
    EXPECT_EQ(box.position(), "start");
    auto verdict = fates({yes, later, later, later, later, later, later, later, later, later});
    verdict.alert = true;
    box.now += box.pause();
    (void)box.send();
    box.answer(verdict);
    EXPECT_GE(box.pause(), 30s);
}

TEST(Outbox, TooLargeARequestIsHalvedAndSoAreTheNext)
{
    auto options = Box::small();
    options.most_unsaved = 1000;
    Box box{options};
    box.read(1, 20);
    EXPECT_EQ(box.send(), "1;2;3;4;5;6;7;8;9;10;");
    box.answer(too_large("413"));
    EXPECT_EQ(box.send(), "1;2;3;4;5;") << "at once: the far side is well";
    box.answer(accepted());
    EXPECT_EQ(box.send(), "6;7;8;9;10;");
    box.answer(accepted());
    EXPECT_EQ(box.send(), "11;12;13;14;15;");
    for (int i = 0; i < 100; ++i) {
        box.answer(accepted());
        box.read(21 + 10 * static_cast<std::uint64_t>(i), 10);
        (void)box.send();
    }
    box.answer(accepted());
    EXPECT_EQ(std::ranges::count(box.send(), ';'), 10) << "after a while larger ones are tried again";
}

TEST(Outbox, ARefusedRequestIsDividedUntilTheBadRecordIsAlone)
{
    Box box;
    box.read(1, 10);
    std::string sent;
    for (auto body = box.send(); body != "nothing"; body = box.send()) {
        sent += body + " ";
        const bool bad = (";" + body).find(";7;") != std::string::npos;
        box.answer(bad ? refused("it answered 400") : accepted());
    }
    EXPECT_EQ(sent, "1;2;3;4;5;6;7;8;9;10; 1;2;3;4;5; 6;7;8;9;10; 6;7;8; 6;7; 6; 7; ");
    const auto letters = box.outbox.refused(10, today);
    ASSERT_EQ(letters.size(), 1U);
    EXPECT_EQ(letters[0].id, "e7");
    EXPECT_EQ(letters[0].position, "p7");
    EXPECT_EQ(letters[0].bytes, "7;");
    EXPECT_EQ(letters[0].reason, "it answered 400");
    EXPECT_EQ(box.position(), "p6") << "not kept yet, so not passed over";
    EXPECT_EQ(box.send(), "nothing");
    box.outbox.buried(1, 0);
    box.adds_up();
    EXPECT_EQ(box.send(), "8;");
    box.answer(accepted());
    EXPECT_EQ(box.send(), "9;10;");
    box.answer(accepted());
    EXPECT_EQ(box.position(), "p10");
    EXPECT_EQ(box.counters.dead_lettered, 1U);
    EXPECT_EQ(box.counters.acknowledged, 9U);
}

TEST(Outbox, AFarSideThatRefusesEverythingGetsOneRecordAtATimeAndEverSlower)
{
    Box box;
    box.read(1, 2000);
    const auto pass_on = [&](std::chrono::milliseconds time) {
        for (const auto until = box.now + time; box.now < until; box.now += 100ms) {
            if (const auto body = box.send(); !body.ends_with(';')) continue;
            box.answer(refused("it answered 400"));
            box.outbox.buried(box.outbox.refused(100, today).size(), 0);
        }
    };
    pass_on(1h);
    const auto early = box.counters.dead_lettered;
    EXPECT_GE(early, 100U);
    EXPECT_LE(early, 300U);
    pass_on(1h);
    EXPECT_LE(box.counters.dead_lettered, early + 240) << "one in half a minute";
    EXPECT_GE(box.counters.dead_lettered, early + 60) << "but it is tried";
    box.now += 60s;
    EXPECT_EQ(std::ranges::count(box.send(), ';'), 1);
    box.answer(accepted());
    box.save();
    EXPECT_EQ(std::ranges::count(box.send(), ';'), 10) << "somebody mended it";
}

TEST(Outbox, ARecordThatIsAloneTooLargeIsADeadLetter)
{
    Box box;
    box.read(1, 1);
    box.now += 1s;
    (void)box.send();
    box.answer(too_large("413"));
    EXPECT_EQ(box.outbox.refused(10, today).size(), 1U);
}

TEST(Outbox, RefusedItemsGoToTheDeadLettersWithTheirReason)
{
    Box box;
    box.read(1, 3);
    box.now += 1s;
    (void)box.send();
    auto verdict = fates({yes, never_, yes});
    verdict.reasons[1] = "400 mapper_parsing_exception";
    box.answer(verdict);
    EXPECT_EQ(box.outbox.refused(10, today)[0].reason, "400 mapper_parsing_exception");
    box.outbox.buried(1, 0);
    EXPECT_EQ(box.position(), "p3");
}

TEST(Outbox, DeadLettersThatHadToGoAreLost)
{
    Box box;
    box.read(1, 2);
    box.now += 1s;
    (void)box.send();
    box.answer(fates({never_, never_}));
    box.outbox.buried(2, 1);
    EXPECT_EQ(box.counters.dead_lettered, 1U);
    EXPECT_EQ(box.counters.lost, 1U);
    box.adds_up();
}

TEST(Outbox, AnAnswerAboutOtherRecordsIsNone)
{
    Box box;
    box.read(1, 3);
    box.now += 1s;
    (void)box.send();
    box.answer(fates({yes, yes}));
    EXPECT_EQ(box.counters.acknowledged, 0U);
    EXPECT_EQ(box.position(), "start");
    EXPECT_GT(box.pause(), 0ms);
}

TEST(Outbox, NoMoreThanABatchIsEverBeyondTheSavedPosition)
{
    Box box;
    box.read(1, 30);
    (void)box.send();
    box.answer(accepted());
    EXPECT_EQ(box.send(), "save first");
    box.save();
    EXPECT_EQ(box.send(), "11;12;13;14;15;16;17;18;19;20;");
    box.answer(accepted());
    EXPECT_EQ(box.send(), "save first");
    box.outbox.not_saved();
    EXPECT_EQ(box.send(), "21;22;23;24;25;26;27;28;29;30;") << "a full disk does not stop the sending";
}

TEST(Outbox, SmallBatchesDoNotWaitForTheDisk)
{
    Box box;
    for (std::uint64_t n = 1; n <= 10; ++n) {
        box.read(n, 1);
        box.now += 1s;
        EXPECT_EQ(box.send(), std::to_string(n) + ";");
        box.answer(accepted());
    }
    box.read(11, 1);
    box.now += 1s;
    EXPECT_EQ(box.send(), "save first");
}

TEST(Outbox, PassesOverWhatWasLeftOut)
{
    Box box;
    Slice nothing;
    nothing.position = "p50";
    box.outbox.add(nothing, box.now);
    EXPECT_EQ(box.position(), "p50");
    EXPECT_TRUE(box.outbox.dirty());
    box.read(51, 1);
    for (int i = 60; i < 1000; ++i) {
        nothing.position = "p" + std::to_string(i);
        box.outbox.add(nothing, box.now);
    }
    EXPECT_EQ(box.position(), "p50") << "51 is not delivered";
    box.now += 1s;
    (void)box.send();
    box.answer(accepted());
    EXPECT_EQ(box.position(), "p999");
    EXPECT_EQ(box.outbox.held_bytes(), 0U);
}

TEST(Outbox, CountsWhatWasDeletedBeforeItWasRead)
{
    Box box;
    auto slice = numbered(101, 1);
    slice.lost = 100;
    box.outbox.add(slice, box.now);
    slice = {};
    slice.some_lost = true;
    box.outbox.add(slice, box.now);
    EXPECT_EQ(box.counters.in, 101U);
    EXPECT_EQ(box.counters.lost, 100U);
    EXPECT_EQ(box.counters.unknown_losses, 1U);
    box.adds_up();
}

TEST(Outbox, IsFullByBytesAndThenSendsWhatItHas)
{
    auto options = Box::small();
    options.memory = 1000;
    Box box{options};
    EXPECT_FALSE(box.outbox.full());
    box.read(1, 9);
    EXPECT_TRUE(box.outbox.full());
    EXPECT_EQ(box.send(), "1;2;3;4;5;6;7;8;9;") << "waiting for more would be in vain";
    box.answer(accepted());
    EXPECT_FALSE(box.outbox.full());
}

TEST(Outbox, WithSeveralInFlightThePositionKeepsTheOrder)
{
    auto options = Box::small();
    options.in_flight = 3;
    Box box{options};
    box.read(1, 50);
    std::vector<std::uint64_t> numbers;
    for (int i = 0; i < 3; ++i) {
        (void)box.send();
        numbers.push_back(box.last);
    }
    EXPECT_EQ(box.send(), "nothing");
    box.outbox.settle(numbers[2], accepted(), box.now);
    box.outbox.settle(numbers[1], accepted(), box.now);
    EXPECT_EQ(box.position(), "start");
    EXPECT_EQ(box.send(), "nothing") << "31 to 40 would be more than three batches beyond the saved position";
    box.outbox.settle(numbers[0], accepted(), box.now);
    EXPECT_EQ(box.position(), "p30");
    EXPECT_EQ(box.send(), "save first");
}

TEST(Outbox, WhatWasPendingInAnEarlierOneIsNotCountedTwice)
{
    Box box;
    box.read(1, 20);
    (void)box.send();
    box.answer(accepted());
    Outbox next{Box::small(), box.counters, 2};
    next.add(numbered(11, 10), box.now);
    EXPECT_EQ(box.counters.in, 20U);
    box.adds_up();
}

TEST(Outbox, SuspectsAreAskedAboutInHalvesUntilTheGuiltyOneIsAlone)
{
    Box box;
    box.read(1, 6);
    box.now += 1s;
    EXPECT_EQ(box.send(), "1;2;3;4;5;6;");
    constexpr auto suspect = Fate::suspect;
    box.answer(fates({yes, suspect, suspect, suspect, suspect, yes}));
    EXPECT_EQ(box.outbox.refused(10, today).size(), 0U);
    EXPECT_EQ(box.send(), "2;3;") << "at once: nothing is wrong with the far side";
    box.answer(accepted());
    EXPECT_EQ(box.send(), "4;5;");
    box.answer(refused("one of them"));
    EXPECT_EQ(box.send(), "4;");
    box.answer(fates({suspect}));
    EXPECT_EQ(box.outbox.refused(10, today).size(), 1U) << "alone it is guilty";
    box.outbox.buried(1, 0);
    box.adds_up();
    EXPECT_EQ(box.send(), "5;");
    box.answer(accepted());
    EXPECT_EQ(box.position(), "p6");
    EXPECT_EQ(box.counters.dead_lettered, 1U);
}

TEST(Outbox, OneRecordThatIsTooLargeDoesNotMakeAllRequestsSmall)
{
    Box box;
    box.read(1, 40);
    EXPECT_EQ(box.send(), "1;2;3;4;5;6;7;8;9;10;");
    box.answer(too_large("413"));
    EXPECT_EQ(box.send(), "1;2;3;4;5;");
    box.answer(accepted());
    EXPECT_EQ(box.send(), "6;7;8;9;10;");
    box.answer(too_large("413"));
    for (const auto* half : {"6;7;8;", "6;7;", "6;"}) {
        EXPECT_EQ(box.send(), half);
        box.answer(too_large("413"));
    }
    EXPECT_EQ(box.outbox.refused(10, today).size(), 1U);
    box.outbox.buried(1, 0);
    for (const auto* rest : {"7;", "8;", "9;10;"}) {
        EXPECT_EQ(box.send(), rest);
        box.answer(accepted());
    }
    box.save();
    EXPECT_EQ(box.send(), "11;12;13;14;15;16;17;18;19;20;") << "as before";
}

TEST(Outbox, WhenAllHalvesPassRequestsStaySmall)
{
    Box box;
    box.read(1, 40);
    box.send();
    box.answer(too_large("413"));
    for (int i = 0; i < 2; ++i) {
        box.send();
        box.answer(accepted());
    }
    box.save();
    EXPECT_EQ(box.send(), "11;12;13;14;15;");
    box.answer(too_large("413"));
    for (const auto* half : {"11;12;13;", "11;12;", "11;"}) {
        EXPECT_EQ(box.send(), half);
        box.answer(too_large("413"));
    }
    box.outbox.buried(1, 0);
    for (const auto* rest : {"12;", "13;", "14;15;"}) {
        EXPECT_EQ(box.send(), rest);
        box.answer(accepted());
    }
    box.save();
    EXPECT_EQ(box.send(), "16;17;18;19;20;") << "what was right before it, not more";
}

TEST(Outbox, ASuccessDoesNotUndoWhatTheFarSideAskedFor)
{
    auto options = Box::small();
    options.in_flight = 2;
    Box box{options};
    box.read(1, 30);
    EXPECT_EQ(box.send(), "1;2;3;4;5;6;7;8;9;10;");
    const auto first = box.last;
    EXPECT_EQ(box.send(), "11;12;13;14;15;16;17;18;19;20;");
    box.answer(retry("429", 30s));
    EXPECT_GE(box.pause(), 30s);
    box.outbox.settle(first, accepted(), box.now);
    EXPECT_GE(box.pause(), 30s) << "it holds for all requests";
    EXPECT_EQ(box.send(), "later");
    box.now += 31s;
    EXPECT_EQ(box.send(), "11;12;13;14;15;16;17;18;19;20;");
}
