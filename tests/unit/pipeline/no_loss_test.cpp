// The proof that nothing is lost: numbered entries go to a server that misbehaves, while the delivery is
// killed at random moments and begun anew from what is on the disk. OPSD_SEED repeats a run.

#include "far_side.hpp"

#include <cstdlib>

using namespace opsd;
using namespace opsd::test;
using namespace std::chrono_literals;

namespace {

struct Quiet final : LogSink {
    void write(Level, std::string_view) override {}
    [[nodiscard]] bool wants(Level) const noexcept override { return false; }
    void set_level(Level) override {}
};

std::uint64_t seed()
{
    const char* given = std::getenv("OPSD_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

constexpr std::uint64_t entries = 20'000;
constexpr std::size_t batch = 200;
constexpr int kills = 20;

struct Case {
    const char* name;
    Faults faults;
    std::size_t in_flight = 1;
};

/// One delivery after another, until all is delivered.
class Trial {
public:
    Trial(const Case& what, std::uint64_t seed_of_it)
      : case_{what}
      , random_{seed_of_it}
      , server_{what.faults, clock_, random_}
      , source_{entries, clock_, random_}
    {}
    ~Trial() { kill(); }

    void run()
    {
        begin();
        int killed = 0;
        std::uint64_t next_kill = entries / (kills + 1) / 2;
        const auto patience = clock_.monotonic() + 24h;
        while (!complete() && clock_.monotonic() < patience) {
            step(std::chrono::milliseconds{between(random_, 1, 40)});
            // Spread over the whole journey, at any point of whatever is going on then.
            if (killed < kills && done() >= next_kill) {
                kill();
                if (case_.faults.torn) tear();
                begin();
                ++killed;
                next_kill = done() + between(random_, 1, 2 * entries / kills);
            }
        }
        EXPECT_GE(killed, kills / 3);
        killed_ = killed;
    }

    void judge()
    {
        const auto lost = missing();
        EXPECT_TRUE(lost.empty()) << lost.size() << " entries are lost, first " << *lost.begin();
        const auto& c = delivery_->status().counters;
        EXPECT_EQ(c.pending, 0U);
        for (const auto& [n, times] : server_.copies)
            EXPECT_TRUE(n >= 1 && n <= entries && NumberedSource::wanted(n)) << n;
        for (const auto& [id, letter] : letters_)
            EXPECT_TRUE(Faults::poison(std::stoull(letter.id.substr(1)))) << id << ": " << letter.reason;
        // A full disk keeps no position, a torn file's position is one before.
        if (!case_.faults.disk_full) {
            const auto each = batch * case_.in_flight * (case_.faults.torn ? 2 : 1);
            EXPECT_LE(server_.repeated, static_cast<std::uint64_t>(killed_) * each + server_.untold());
        }
    }

    /// It ends with everything saved, and what is idle writes nothing.
    void rest()
    {
        const auto saved = [this] { return PositionFile{"elk.position", disk_}.load()->position; };
        for (int i = 0; i < 3600 && saved() != "p" + std::to_string(entries); ++i)
            step(1s);
        EXPECT_EQ(saved(), "p" + std::to_string(entries));
        step(1s);
        const auto writes = disk_->writes;
        step(10min);
        EXPECT_EQ(disk_->writes, writes);
    }

    /// The most bytes held at any time.
    [[nodiscard]] std::size_t most_held() const { return most_held_; }

private:
    static DeliveryOptions options(const Case& what)
    {
        DeliveryOptions options;
        options.outbox.batch = {batch, 100'000, 1s};
        options.outbox.in_flight = what.in_flight;
        options.outbox.memory = 64 * 1024;
        options.deadline = 10s;
        return options;
    }
    void begin()
    {
        positions_ = std::make_unique<SlowPositions>(disk_, clock_);
        box_ = std::make_unique<SlowLetters>(letters_, *disk_, clock_);
        auto with = options(case_);
        with.seed = static_cast<std::uint32_t>(random_());
        delivery_ = std::make_unique<Delivery>(
            with, DeliveryParts{source_, server_, *positions_, *box_, clock_, Log{sink_, "elk"}});
        group_ = std::make_unique<TaskGroup>(
            io_.get_executor(),
            [](std::string_view, const std::exception_ptr& e) { ADD_FAILURE() << describe(e).what; });
        group_->spawn("elk", delivery_->run());
        settle();
    }
    /// Whatever it was about to do does not happen.
    void kill()
    {
        if (!group_) return;
        group_->cancel();
        while (group_->size() > 0)
            settle();
        group_.reset();
    }
    void tear()
    {
        const auto size = disk_->newest.empty() ? 0 : disk_->files.at(disk_->newest).size();
        if (size > 0) disk_->tear(between(random_, 0, size - 1));
    }
    void settle()
    {
        io_.poll();
        io_.restart();
    }
    void step(std::chrono::milliseconds time)
    {
        if (case_.faults.disk_full) disk_->full = clock_.monotonic() / 12s % 2 == 0;
        clock_.advance(time, [this] { settle(); });
        const auto status = delivery_->status();
        const auto& c = status.counters;
        ASSERT_EQ(c.in, c.acknowledged + c.pending + c.dead_lettered + c.lost);
        most_held_ = std::max(most_held_, status.held_bytes);
        EXPECT_LE(status.in_flight, case_.in_flight);
    }
    [[nodiscard]] std::uint64_t done() const { return server_.distinct() + letters_.size(); }
    [[nodiscard]] bool complete() const
    {
        return done() >= entries - entries / 10 && delivery_->status().counters.pending == 0;
    }
    [[nodiscard]] std::set<std::uint64_t> missing() const
    {
        std::set<std::uint64_t> lost;
        for (std::uint64_t n = 1; n <= entries; ++n) {
            if (!NumberedSource::wanted(n)) continue;
            const bool buried = letters_.contains("e" + std::to_string(n));
            if (!buried && !server_.copies.contains(n)) lost.insert(n);
        }
        return lost;
    }

    Case case_;
    Random random_;
    asio::io_context io_{1};
    ManualClock clock_{today};
    std::shared_ptr<LogSink> sink_ = std::make_shared<Quiet>();
    std::shared_ptr<MemoryDisk> disk_ = std::make_shared<MemoryDisk>();
    std::map<std::string, DeadLetter> letters_;
    BulkServer server_;
    NumberedSource source_;
    std::unique_ptr<SlowPositions> positions_;
    std::unique_ptr<SlowLetters> box_;
    std::unique_ptr<Delivery> delivery_;
    std::unique_ptr<TaskGroup> group_;
    std::size_t most_held_ = 0;
    int killed_ = 0;
};

class NoLoss : public testing::TestWithParam<Case> {};

std::vector<Case> cases()
{
    std::vector<Case> all{
        {"WithoutFaults", {}},
        {"ItemsAnswered429", {.item_429 = 0.05}},
        {"Answered503ForAWhile", {.busy = true}},
        {"RequestsAnswered429", {.request_429 = 0.3}},
        {"ConnectionDroppedWithinAnAnswer", {.dropped = 0.2}},
        {"NeverAnswered", {.silent = 0.1}},
        {"TooLarge", {.largest = 3'000}},
        {"PoisonedItems", {.poisoned_items = true}},
        {"PoisonedRequests", {.poisoned_requests = true}},
        {"DiskFull", {.poisoned_items = true, .disk_full = true}},
        {"TornPositionFile", {.torn = true}},
        {"Unauthorised", {.unauthorised = true}},
        {"Everything",
         {.item_429 = 0.05,
          .request_429 = 0.1,
          .dropped = 0.1,
          .silent = 0.05,
          .busy = true,
          .largest = 5'000,
          .poisoned_requests = true,
          .disk_full = true,
          .torn = true}},
    };
    const auto alone = all.size();
    for (std::size_t i = 0; i < alone; ++i) {
        auto several = all[i];
        several.in_flight = 4;
        all.push_back(several);
    }
    return all;
}

}  // namespace

TEST_P(NoLoss, EveryEntryArrivesThoughItIsKilledAgainAndAgain)
{
    const auto chosen = seed();
    SCOPED_TRACE("OPSD_SEED=" + std::to_string(chosen));
    std::cout << "OPSD_SEED=" << chosen << "\n";
    Trial trial{GetParam(), chosen};
    trial.run();
    trial.rest();
    trial.judge();
    EXPECT_LT(trial.most_held(), 128U * 1024) << "memory is bounded";
}

INSTANTIATE_TEST_SUITE_P(Faults, NoLoss, testing::ValuesIn(cases()), [](const auto& info) {
    return std::string{info.param.name} + (info.param.in_flight > 1 ? "FourInFlight" : "");
});
