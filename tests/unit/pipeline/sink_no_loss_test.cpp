// The proof of no loss for each sink over real connections: numbered records through a delivery that is
// killed again and again, to a far side of changing mood. All arrive; repetitions are what a kill or a lost
// answer costs, and no more.

#include "far_side.hpp"
#include "far_sides.hpp"
#include "pipeline/delivery.hpp"

#include <set>

using namespace opsd;
using namespace opsd::test;

namespace {

constexpr std::uint64_t entries = 3'000;
constexpr std::size_t at_once = 50;
constexpr int kills = 20;

struct NoLines final : LogSink {
    void write(Level, std::string_view) override {}
    [[nodiscard]] bool wants(Level) const noexcept override { return false; }
    void set_level(Level) override {}
};

/// Numbers from 1 on, as the far side wants them.
class Counting final : public Source {
public:
    Counting(const FarSide& far, Clock& clock) : far_{far}, clock_{clock} {}
    void begin(const Start& start) override
    {
        next_ = start.position.empty() ? 1 : std::stoull(start.position.substr(1)) + 1;
    }
    Task<Result<Slice>> next() override
    {
        while (next_ > entries)
            co_await clock_.sleep_for(std::chrono::hours{1});
        const auto count = std::min<std::uint64_t>(entries + 1 - next_, 70);
        auto slice =
            numbered(next_, count, [this](std::string& out, std::uint64_t n) { far_.render(out, n); });
        next_ += count;
        co_await clock_.sleep_for(15ms);
        co_return slice;
    }

private:
    const FarSide& far_;
    Clock& clock_;
    std::uint64_t next_ = 1;
};

std::string end() { return "p" + std::to_string(entries); }

/// What a kill leaves alone: the far side, the disk, the dead letters.
struct World {
    explicit World(FarSide& of, const Executor& on) : far{of}, executor{on} {}

    /// One life of the delivery, with so much time for a request. `until` ends it.
    Task<> live(std::chrono::milliseconds deadline, std::function<Task<bool>(const Delivery&)> until)
    {
        const auto sink = far.sink();
        Counting source{far, clock};
        DeliveryOptions options;
        options.outbox.batch.records = at_once;
        options.outbox.batch.age = 5ms;
        options.outbox.first_pause = 5ms;
        options.outbox.longest_pause = 20ms;
        options.deadline = deadline;
        options.save_interval = 5ms;
        Delivery delivery{options, DeliveryParts{source, *sink, positions, letters, clock,
                                                 Log{std::make_shared<NoLines>(), "output"}}};
        TaskGroup group{executor,
                        [](std::string_view, std::exception_ptr e) { ADD_FAILURE() << describe(e).what; }};
        group.spawn("delivery", delivery.run());
        for (bool over = false; !over;)
            over = co_await until(delivery);
        group.cancel();
        co_await group.join();
        unfinished += delivery.status().position == end() ? 0 : 1;
        failed += delivery.status().counters.failed_requests;
        EXPECT_EQ(delivery.status().counters.lost, 0U);
    }

    FarSide& far;
    Executor executor;
    SystemClock clock;
    std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
    std::map<std::string, DeadLetter> buried;
    SlowPositions positions{disk, clock};
    SlowLetters letters{buried, *disk, clock};
    Random random{7};
    int unfinished = 0;  ///< lives that ended before all was delivered
    std::uint64_t failed = 0;
};

class SinkNoLoss : public ::testing::TestWithParam<Speaker> {};

/// Some time in a changing mood.
Task<bool> some_trouble(World& world, int moments)
{
    for (int i = 0; i < moments; ++i) {
        constexpr std::array moods{Mood::well, Mood::well, Mood::dropping, Mood::busy, Mood::silent};
        auto mood = moods.at(between(world.random, 0, moods.size() - 1));
        if (world.far.best_effort || (world.far.tries_by_itself && mood == Mood::silent)) mood = Mood::well;
        world.far.set(mood);
        co_await sleep(std::chrono::milliseconds{between(world.random, 1, 25)});
    }
    co_return true;
}

Task<bool> all_done(World& world, const Delivery& delivery)
{
    world.far.set(Mood::well);
    const auto done = [&] { return delivery.status().position == end(); };
    for (int i = 0; i < 50'000 && !done(); ++i)
        co_await sleep(5ms);
    EXPECT_TRUE(done()) << delivery.status().position << " " << delivery.status().last_error;
    co_return true;
}

Task<> kill_again_and_again(FarSide& far)
{
    const auto executor = co_await asio::this_coro::executor;
    World world{far, executor};
    const int lives = far.tries_by_itself ? kills / 4 : kills;  // a new producer takes its time
    // Silence has to be given up within a life; at the end no machine is too slow.
    const auto short_deadline = far.tries_by_itself ? 4'000ms : 100ms;
    for (int i = 0; i < lives; ++i)
        co_await world.live(short_deadline, [&](const Delivery&) { return some_trouble(world, 3); });
    EXPECT_GE(world.unfinished, lives / 2) << "most kills must come in the middle of it";
    co_await world.live(60s, [&](const Delivery& delivery) { return all_done(world, delivery); });
    const auto taken = co_await far.taken(entries);
    const std::set<std::uint64_t> distinct{taken.begin(), taken.end()};
    EXPECT_EQ(distinct.size(), entries) << "lost: " << entries - distinct.size();
    EXPECT_TRUE(world.buried.empty());
    const auto repeated = taken.size() - distinct.size();
    EXPECT_LE(repeated, (world.failed + static_cast<std::uint64_t>(lives)) * at_once)
        << "more was repeated than kills and failures explain";
}

}  // namespace

TEST_P(SinkNoLoss, AcrossKillsAndMoods)
{
    run(
        []() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            const auto far = GetParam().far_side(executor);
            co_await kill_again_and_again(*far);
            co_await far->stop();
        },
        600s);
}

INSTANTIATE_TEST_SUITE_P(All, SinkNoLoss, all_speakers(), [](const auto& info) { return info.param.name; });
