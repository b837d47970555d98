#include "pipeline/resend.hpp"

#include "core/first_of.hpp"
#include "pipeline_support.hpp"
#include "support.hpp"
#include "temp_dir.hpp"

using namespace opsd;
using namespace opsd::test;
using namespace std::chrono_literals;

namespace {

/// Takes all but what it is told to refuse, until it is told to be busy.
struct Choosy final : Sink {
    Task<Verdict> send(const Batch& batch) override
    {
        EXPECT_EQ(batch.size(), 1U);
        bodies.push_back(joined(batch));
        if (takes > 0ms) co_await clock.sleep_for(takes);
        if (bodies.size() > patience) co_return retry("it answered 503");
        if (bodies.back() == bad) co_return refused("it answered 400");
        co_return accepted();
    }
    SystemClock clock;
    std::chrono::milliseconds takes{};
    std::string bad;
    std::size_t patience = 1000;
    std::vector<std::string> bodies;
};

struct Letters {
    Letters()
    {
        for (const auto* id : {"1", "2", "3"})
            EXPECT_TRUE(file->bury({{id, "p", 1, 2, "400", std::string{"body"} + id}}));
    }
    Task<Resent> send_again(std::set<std::string> ids = {})
    {
        auto resent = co_await resend(file, worker, sink, clock, limits, std::move(ids));
        EXPECT_TRUE(resent);
        co_return std::move(resent).value_or(Resent{});
    }
    [[nodiscard]] std::string left() const
    {
        std::string ids;
        for (const auto& letter : file->list()->letters)
            ids += letter.id;
        return ids;
    }
    TempDir dir;
    std::shared_ptr<DeadLetterFile> file = std::make_shared<DeadLetterFile>(dir / "elk.dead", 1);
    WorkerThread worker{"letters"};
    SystemClock clock;
    ResendLimits limits;
    Choosy sink;
};

}  // namespace

TEST(Resend, WhatIsAcceptedNowIsNoDeadLetterAnyMore)
{
    test::run([]() -> Task<> {
        Letters letters;
        letters.sink.bad = "body2";
        const auto resent = co_await letters.send_again();
        EXPECT_EQ(resent.accepted, 2U);
        EXPECT_EQ(resent.refused, 1U);
        EXPECT_EQ(resent.error, "");
        EXPECT_EQ(letters.left(), "2");
    });
}

TEST(Resend, OnlyThoseThatAreNamedAreSent)
{
    test::run([]() -> Task<> {
        Letters letters;
        std::set<std::string> ids{"3", "9"};
        const auto resent = co_await letters.send_again(std::move(ids));
        EXPECT_EQ(resent.accepted, 1U);
        EXPECT_EQ(letters.left(), "12");
    });
}

TEST(Resend, EndsWhenTheFarSideIsBusyAndKeepsTheRest)
{
    test::run([]() -> Task<> {
        Letters letters;
        letters.sink.patience = 1;
        const auto resent = co_await letters.send_again();
        EXPECT_EQ(resent.accepted, 1U);
        EXPECT_EQ(resent.error, "cannot send dead letter 2 again: it answered 503");
        EXPECT_EQ(letters.sink.bodies.size(), 2U);
        EXPECT_EQ(resent.left, 2U);
        EXPECT_EQ(letters.left(), "23");
    });
}

TEST(Resend, ALetterWithoutItsBytesIsNotSent)
{
    test::run([]() -> Task<> {
        Letters letters;
        EXPECT_TRUE(letters.file->bury({{"4", "p", 1, 2, "413", ""}}));
        const auto resent = co_await letters.send_again();
        EXPECT_EQ(resent.without, 1U);
        EXPECT_EQ(letters.left(), "4");
    });
}

TEST(Resend, EndsWithItsBudgetAndSaysHowManyAreLeft)
{
    test::run([]() -> Task<> {
        Letters letters;
        letters.sink.takes = 600ms;
        letters.limits.budget = 1s;
        letters.limits.deadline = 10s;
        auto resent = co_await letters.send_again();
        EXPECT_EQ(resent.accepted, 1U);
        EXPECT_EQ(resent.left, 2U);
        EXPECT_TRUE(resent.error.contains("2 letters are left; ask again")
                    || resent.error.contains("no answer within"))
            << resent.error;
        EXPECT_EQ(letters.left(), "23");
        letters.sink.takes = 0ms;
        letters.limits.budget = 40s;
        resent = co_await letters.send_again();
        EXPECT_EQ(resent.accepted, 2U);
        EXPECT_EQ(letters.left(), "");
    });
}

TEST(Resend, WhatWasTakenBeforeItIsCutShortIsNotSentAgain)
{
    test::run([]() -> Task<> {
        Letters letters;
        letters.sink.takes = 50ms;
        letters.limits.remove_interval = 0ms;
        // As a handler's time limit does it, in the middle of the second letter.
        std::optional<Resent> never_comes;
        const auto send = [](Letters& all, std::optional<Resent>& out) -> Task<> {
            out = co_await all.send_again();
        };
        const auto second_begins = [](Letters& all) -> Task<> {
            while (all.sink.bodies.size() < 2)
                co_await all.clock.sleep_for(1ms);
        };
        co_await first_of(send(letters, never_comes), second_begins(letters));
        EXPECT_FALSE(never_comes);
        EXPECT_EQ(letters.left(), "23");
    });
}

TEST(Resend, IsNoFasterThanTheOutputMaySend)
{
    test::run([]() -> Task<> {
        Letters letters;
        RateLimit rate{50, 1};  // a letter has 5 bytes: 100 ms
        letters.limits.rate = &rate;
        const auto begun = letters.clock.monotonic();
        const auto resent = co_await letters.send_again();
        EXPECT_EQ(resent.accepted, 3U);
        EXPECT_GE(letters.clock.monotonic() - begun, 150ms);
    });
}
