// The waiting around the outbox: pause, stop, deadlines, back-pressure, what the status says.

#include "far_side.hpp"

using namespace opsd;
using namespace opsd::test;
using namespace std::chrono_literals;

namespace {

struct Lines final : LogSink {
    void write(Level, std::string_view line) override { all.emplace_back(line); }
    [[nodiscard]] bool wants(Level) const noexcept override { return true; }
    void set_level(Level) override {}
    std::vector<std::string> all;
};

/// Answers as it is told; keeps what it was sent.
struct ToldSink final : Sink {
    explicit ToldSink(Clock& of) : clock{of} {}
    Task<Verdict> send(const Batch& batch) override
    {
        bodies.push_back(joined(batch));
        if (takes > 0ms) co_await clock.sleep_for(takes);
        co_return verdict;
    }
    Clock& clock;
    Verdict verdict = accepted();
    std::chrono::milliseconds takes{};
    std::vector<std::string> bodies;
};

/// Gives out what it was filled with.
struct FilledSource final : Source {
    explicit FilledSource(const Executor& executor) : more{executor, never} {}
    void begin(const Start& start) override { begun.push_back(start.position); }
    Task<Result<Slice>> next() override
    {
        while (slices.empty())
            co_await wait_event(more);
        auto slice = std::move(slices.front());
        slices.pop_front();
        ++given;
        co_return slice;
    }
    void fill(Result<Slice> slice)
    {
        slices.push_back(std::move(slice));
        more.cancel();
    }
    [[nodiscard]] bool at_end() const noexcept override { return waits && slices.empty(); }
    std::deque<Result<Slice>> slices;
    bool waits = false;
    std::vector<std::string> begun;
    std::uint64_t given = 0;
    asio::steady_timer more;
};

struct Rig {
    Rig() { disk->files.clear(); }
    ~Rig() { kill(); }
    void begin(DeliveryOptions options = {})
    {
        options.outbox.batch.records = 10;
        delivery.emplace(options, DeliveryParts{source, sink, positions, box, clock, Log{lines, "elk"}});
        spawn();
    }
    void spawn()
    {
        group.emplace(io.get_executor(), [](std::string_view, const std::exception_ptr& e) {
            ADD_FAILURE() << describe(e).what;
        });
        group->spawn("elk", delivery->run());
        pass(0ms);
    }
    void pass(std::chrono::milliseconds time)
    {
        clock.advance(time, [this] {
            io.poll();
            io.restart();
        });
    }
    void kill()
    {
        if (!group) return;
        group->cancel();
        while (group->size() > 0)
            pass(0ms);
        group.reset();
    }
    [[nodiscard]] bool running() const { return group->size() > 0; }
    [[nodiscard]] std::string saved() const { return PositionFile{"elk.position", disk}.load()->position; }
    [[nodiscard]] DeliveryStatus::State state() const { return delivery->status().state; }

    asio::io_context io{1};
    ManualClock clock{today};
    std::shared_ptr<Lines> lines = std::make_shared<Lines>();
    std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
    std::map<std::string, DeadLetter> letters;
    SlowPositions positions{disk, clock};
    SlowLetters box{letters, *disk, clock};
    ToldSink sink{clock};
    FilledSource source{io.get_executor()};
    std::optional<Delivery> delivery;
    std::optional<TaskGroup> group;
};

using State = DeliveryStatus::State;

}  // namespace

TEST(Delivery, DeliversSavesAndIsIdle)
{
    Rig rig;
    rig.begin();
    EXPECT_EQ(rig.state(), State::running);
    rig.source.fill(numbered(1, 3));
    rig.pass(999ms);
    EXPECT_TRUE(rig.sink.bodies.empty()) << "others may come";
    rig.pass(1ms);
    EXPECT_EQ(rig.sink.bodies, std::vector<std::string>{"1;2;3;"});
    rig.pass(1s);
    EXPECT_EQ(rig.saved(), "p3");
    EXPECT_EQ(rig.disk->writes, 1U);
    rig.pass(1h);
    EXPECT_EQ(rig.disk->writes, 1U);
    EXPECT_EQ(rig.delivery->status().position, "p3");
    EXPECT_EQ(rig.delivery->status().lag, 0ms);
}

TEST(Delivery, SavesOnceASecondHoweverManySmallBatches)
{
    Rig rig;
    DeliveryOptions options;
    options.outbox.batch.age = 100ms;
    options.outbox.most_unsaved = 1000;
    rig.begin(options);
    for (std::uint64_t n = 1; n <= 100; ++n) {
        rig.source.fill(numbered(n, 1));
        rig.pass(100ms);
    }
    EXPECT_EQ(rig.sink.bodies.size(), 100U);
    EXPECT_GE(rig.disk->writes, 9U);
    EXPECT_LE(rig.disk->writes, 11U);
}

TEST(Delivery, GoesOnAfterTheSavedPosition)
{
    Rig rig;
    rig.begin();
    rig.source.fill(numbered(1, 10));
    rig.pass(2s);
    rig.kill();
    rig.spawn();
    EXPECT_EQ(rig.source.begun, (std::vector<std::string>{"", "p10"}));
}

TEST(Delivery, BeginsNowhereWhileThePositionCannotBeRead)
{
    Rig rig;
    rig.disk->unreadable = true;
    rig.begin();
    rig.pass(1min);
    EXPECT_TRUE(rig.source.begun.empty());
    EXPECT_EQ(rig.state(), State::starting);
    EXPECT_NE(rig.delivery->status().error.find("Permission denied"), std::string::npos);
    rig.disk->unreadable = false;
    rig.pass(5s);
    EXPECT_EQ(rig.source.begun.size(), 1U);
    EXPECT_EQ(rig.state(), State::running);
}

TEST(Delivery, SaysThatThePositionWasDamaged)
{
    Rig rig;
    rig.disk->files["elk.position.a"] = "torn";
    rig.begin();
    EXPECT_NE(rig.delivery->status().start.find("begins where the configuration says"), std::string::npos);
    EXPECT_EQ(rig.lines->all.size(), 1U);
}

TEST(Delivery, StopsPullingWhenItHoldsEnough)
{
    Rig rig;
    DeliveryOptions options;
    options.outbox.memory = 10'000;
    rig.sink.verdict = retry("it answered 503");
    rig.begin(options);
    for (std::uint64_t n = 0; n < 100; ++n)
        rig.source.fill(numbered(10 * n + 1, 10));
    rig.pass(1h);
    EXPECT_LT(rig.source.given, 15U);
    EXPECT_LT(rig.delivery->status().held_bytes, 12'000U);
    rig.sink.verdict = accepted();
    rig.pass(2min);
    EXPECT_EQ(rig.source.given, 100U);
    EXPECT_EQ(rig.delivery->status().counters.acknowledged, 1000U);
}

TEST(Delivery, SaysInWordsWhyItWaitsAndHowFarItIsBehind)
{
    Rig rig;
    rig.sink.verdict = retry("it answered 503: busy");
    rig.begin();
    auto slice = numbered(1, 10);
    slice.behind = 500;
    rig.source.fill(std::move(slice));
    rig.pass(1h);
    const auto status = rig.delivery->status();
    EXPECT_EQ(status.state, State::waiting);
    EXPECT_EQ(status.error, "cannot deliver some of 10 records: it answered 503: busy");
    EXPECT_GE(status.lag, 1h);
    EXPECT_EQ(status.behind, 510U);
    EXPECT_GT(status.next_attempt, 0ms);
    EXPECT_LE(status.next_attempt, 60s);
    EXPECT_LT(rig.lines->all.size(), rig.sink.bodies.size() + 1);
    rig.clock.step_wall(-2h);
    EXPECT_EQ(rig.delivery->status().lag, 0ms) << "a clock set back is no lag";
    rig.sink.verdict = accepted();
    rig.pass(1min);
    EXPECT_EQ(rig.delivery->status().error, "");
    EXPECT_NE(rig.delivery->status().last_error, "");
    EXPECT_EQ(rig.state(), State::running);
}

TEST(Delivery, AFarSideThatRefusesEverythingFillsNoLog)
{
    Rig rig;
    rig.sink.verdict = refused("it answered 400");
    rig.begin();
    for (std::uint64_t n = 0; n < 100; ++n)
        rig.source.fill(numbered(10 * n + 1, 10));
    rig.pass(1min);
    EXPECT_GE(rig.letters.size(), 100U);
    EXPECT_LE(rig.letters.size(), 150U);
    EXPECT_LE(rig.lines->all.size(), 7U);
}

TEST(Delivery, WrongCredentialsAreAnAlertAndLoseNothing)
{
    Rig rig;
    rig.sink.verdict = keep("it answered 401");
    rig.begin();
    rig.source.fill(numbered(1, 10));
    rig.pass(1h);
    EXPECT_EQ(rig.state(), State::kept);
    EXPECT_LE(rig.sink.bodies.size(), 121U);
    EXPECT_GE(rig.sink.bodies.size(), 55U);
    rig.sink.verdict = accepted();
    rig.pass(1min);
    EXPECT_EQ(rig.delivery->status().counters.acknowledged, 10U);
}

TEST(Delivery, ARequestEndsWithItsDeadline)
{
    Rig rig;
    rig.sink.takes = 24h;
    rig.begin();
    rig.source.fill(numbered(1, 10));
    rig.pass(59s);
    EXPECT_EQ(rig.delivery->status().in_flight, 1U);
    EXPECT_EQ(rig.delivery->status().error, "");
    rig.pass(1s);
    EXPECT_NE(rig.delivery->status().error.find("no answer within 1 min"), std::string::npos)
        << rig.delivery->status().error;
    rig.pass(1s);
    EXPECT_EQ(rig.sink.bodies.size(), 2U);
}

TEST(Delivery, PausedItSettlesWhatIsInFlightAndSendsNoMore)
{
    Rig rig;
    rig.sink.takes = 100ms;
    rig.begin();
    rig.source.fill(numbered(1, 20));
    rig.pass(0ms);
    rig.delivery->pause();
    rig.pass(1h);
    EXPECT_EQ(rig.state(), State::paused);
    EXPECT_EQ(rig.sink.bodies.size(), 1U);
    EXPECT_EQ(rig.saved(), "p10");
    rig.source.fill(numbered(21, 5));
    rig.source.fill(numbered(26, 5));
    rig.pass(1h);
    EXPECT_LE(rig.source.given, 2U) << "one may have been waited for";
    rig.delivery->resume();
    rig.pass(1min);
    EXPECT_EQ(rig.delivery->status().counters.acknowledged, 30U);
}

TEST(Delivery, StoppedItSettlesWhatIsInFlightSavesAndEnds)
{
    Rig rig;
    rig.sink.takes = 100ms;
    rig.begin();
    rig.source.fill(numbered(1, 25));
    rig.pass(50ms);
    rig.delivery->stop();
    EXPECT_EQ(rig.state(), State::stopping);
    EXPECT_TRUE(rig.running());
    rig.pass(1s);
    EXPECT_FALSE(rig.running());
    EXPECT_EQ(rig.state(), State::stopped);
    EXPECT_EQ(rig.saved(), "p10");
    EXPECT_EQ(rig.sink.bodies.size(), 1U);
}

TEST(Delivery, StoppedWhileNothingCanBeReadItEnds)
{
    Rig rig;
    rig.disk->unreadable = true;
    rig.begin();
    rig.delivery->stop();
    rig.pass(10s);
    EXPECT_FALSE(rig.running());
}

TEST(Delivery, StoppedBeforeItBeganItEndsAtOnceAndTheNextRunDoesNot)
{
    Rig rig;
    DeliveryOptions options;
    rig.delivery.emplace(options, DeliveryParts{rig.source, rig.sink, rig.positions, rig.box, rig.clock,
                                                Log{rig.lines, "elk"}});
    rig.delivery->stop();
    rig.spawn();
    EXPECT_FALSE(rig.running());
    rig.spawn();
    EXPECT_TRUE(rig.running());
    EXPECT_EQ(rig.state(), State::running);
}

TEST(Delivery, AFullDiskStopsNothingAndIsSaid)
{
    Rig rig;
    rig.disk->full = true;
    rig.begin();
    rig.source.fill(numbered(1, 30));
    rig.pass(2s);
    EXPECT_EQ(rig.delivery->status().counters.acknowledged, 30U);
    EXPECT_NE(rig.delivery->status().last_error.find("No space left"), std::string::npos);
    EXPECT_EQ(rig.saved(), "");
    rig.disk->full = false;
    rig.pass(2s);
    EXPECT_EQ(rig.saved(), "p30") << "kept in memory until then";
}

TEST(Delivery, ARefusedRecordWaitsForAPlaceAmongTheDeadLetters)
{
    Rig rig;
    rig.sink.verdict = refused("it answered 400");
    rig.disk->full = true;
    rig.begin();
    rig.source.fill(numbered(1, 1));
    rig.pass(1min);
    EXPECT_EQ(rig.delivery->status().counters.pending, 1U);
    EXPECT_EQ(rig.state(), State::failed) << "nothing is sent";
    EXPECT_TRUE(rig.delivery->status().error.contains("nothing is sent meanwhile: free space"))
        << rig.delivery->status().error;
    rig.disk->full = false;
    rig.pass(6s);
    EXPECT_EQ(rig.state(), State::running);
    EXPECT_EQ(rig.delivery->status().counters.dead_lettered, 1U);
    EXPECT_EQ(rig.letters.at("e1").reason, "it answered 400");
    EXPECT_EQ(rig.saved(), "p1");
}

TEST(Delivery, AnUnreadableSourceIsTriedAgain)
{
    Rig rig;
    rig.begin();
    rig.source.fill(fail(Errc::denied, "cannot read the journal: Permission denied"));
    rig.source.fill(numbered(1, 10));
    rig.pass(0ms);
    EXPECT_EQ(rig.delivery->status().error, "cannot read the journal: Permission denied; nothing is read "
                                            "meanwhile, it is tried again each 5 s");
    EXPECT_EQ(rig.state(), State::failed);
    rig.pass(6s);
    EXPECT_EQ(rig.delivery->status().counters.acknowledged, 10U);
    EXPECT_EQ(rig.state(), State::running);
}

TEST(Delivery, ASourceThatIsReadableAgainHasNotFailedThoughNothingComes)
{
    Rig rig;
    rig.source.fill(fail(Errc::denied, "cannot read the journal: Permission denied"));
    rig.begin();
    EXPECT_EQ(rig.state(), State::failed);
    rig.pass(6s);
    EXPECT_EQ(rig.state(), State::failed) << "nobody knows";
    rig.source.waits = true;
    EXPECT_EQ(rig.state(), State::running);
}

TEST(Delivery, TheEndOfTheSourceIsKnownOnlyWhileItIsAsked)
{
    Rig rig;
    rig.source.waits = true;
    rig.sink.verdict = retry("busy");
    DeliveryOptions options;
    options.outbox.memory = 1;
    rig.begin(options);
    EXPECT_TRUE(rig.delivery->status().at_end);
    rig.source.fill(numbered(1, 30));
    rig.pass(10s);
    EXPECT_FALSE(rig.delivery->status().at_end) << "it holds enough, and does not look any more";
}

TEST(Delivery, StopsAtOnceThoughALetterCannotBeKept)
{
    Rig rig;
    rig.sink.verdict = refused("it answered 400");
    rig.disk->full = true;
    rig.begin();
    rig.source.fill(numbered(1, 1));
    rig.pass(7s);
    EXPECT_EQ(rig.state(), State::failed);
    rig.delivery->stop();
    rig.pass(1s);
    EXPECT_FALSE(rig.running());
    EXPECT_EQ(rig.saved(), "") << "not passed over";
}

TEST(Delivery, SendsNoFasterThanItMay)
{
    Rig rig;
    DeliveryOptions options;
    options.rate = 100;
    options.burst = 100;
    options.outbox.most_unsaved = 100'000;
    rig.begin(options);
    rig.source.fill(numbered(1001, 1000));  // 5 bytes each
    rig.pass(10s);
    const auto sent = rig.delivery->status().counters.sent_bytes;
    EXPECT_GE(sent, 950U);
    EXPECT_LE(sent, 1200U);
}

TEST(Delivery, CountersGoOnOverRuns)
{
    Rig rig;
    rig.begin();
    rig.source.fill(numbered(1, 15));
    rig.pass(500ms);
    rig.kill();
    rig.spawn();
    rig.source.fill(numbered(11, 5));
    rig.pass(2s);
    const auto& c = rig.delivery->status().counters;
    EXPECT_EQ(c.in, 15U);
    EXPECT_EQ(c.acknowledged, 15U);
}
