#include "modules/cluster/archive.hpp"

#include "core/transition_row.hpp"
#include "io/store/sqlite_store.hpp"
#include "modules/cluster/archive_rows.hpp"
#include "opsd/task_group.hpp"

#include "noon.hpp"
#include "support.hpp"
#include "temp_dir.hpp"

namespace opsd::cluster {
namespace {

using namespace std::chrono_literals;
using opsd::test::run;
using test::noon;

class Quiet final : public LogSink {
public:
    void write(Level, std::string_view) override {}
    [[nodiscard]] bool wants(Level) const noexcept override { return false; }
    void set_level(Level) override {}
};

/// Refuses to write one table.
class Faulty final : public Store {
public:
    explicit Faulty(Store& inner) : inner_{inner} {}
    Task<Result<>> migrate(std::string owner, std::vector<std::string> steps) override
    {
        return inner_.migrate(std::move(owner), std::move(steps));
    }
    Task<Result<std::vector<Row>>> read(Statement query, std::size_t max_rows) override
    {
        return inner_.read(std::move(query), max_rows);
    }
    Task<Result<Written>> write(std::vector<Statement> statements) override
    {
        const auto about = [this](const Statement& one) {
            return !refuses.empty() && one.sql.find(refuses) != std::string::npos;
        };
        if (std::ranges::any_of(statements, about))
            co_return fail(Errc::unavailable, "cannot write: no room");
        auto written = co_await inner_.write(std::move(statements));
        co_return written;
    }
    std::string refuses;

private:
    Store& inner_;
};

/// One run of opsd on a store that outlives it; it ends without a word, as by SIGKILL.
struct Era {
    Era(const Executor& executor, Store& store, ArchiveOptions options = {}, WallTime start = noon)
      : clock{start}
      , archive{executor,
                clock,
                store,
                options,
                [this](const std::string& part, const std::string& why) { troubles[part] = why; },
                Log{std::make_shared<Quiet>(), "cluster"}}
    {}
    Task<std::vector<Member>> load()
    {
        auto kept = co_await archive.load(pool);
        EXPECT_TRUE(kept) << kept.error().message;
        if (!kept) co_return std::vector<Member>{};
        const auto begun = co_await archive.begin();
        EXPECT_TRUE(begun) << begun.error().message;
        co_return std::move(*kept);
    }
    Task<std::vector<ClusterTransition>> rows(ArchiveQuery query = {})
    {
        query.newest_first = false;
        auto page = co_await archive.read(std::move(query));
        EXPECT_TRUE(page) << page.error().message;
        if (!page) co_return std::vector<ClusterTransition>{};
        co_return std::move(page->rows);
    }
    Task<std::int64_t> lost()
    {
        const auto id = co_await archive.lost_through();
        EXPECT_TRUE(id);
        co_return id.value_or(-1);
    }
    [[nodiscard]] std::string trouble(const std::string& part) { return troubles[part]; }
    ManualClock clock;
    TextPool pool;
    std::map<std::string, std::string> troubles;
    Archive archive;
};

ClusterTransition change(std::string address, std::int64_t id, std::string to = "failed",
                         WallTime at = noon - 1h, std::uint32_t count = 1)
{
    ClusterTransition event;
    event.address = std::move(address);
    event.hostname = "host-" + event.address;
    event.seen_at = noon;
    event.transition.id = id;
    event.transition.unit = "a.service";
    event.transition.at = at;
    event.transition.last_at = at + (count - 1) * 1s;
    event.transition.count = count;
    event.transition.from = to == "failed" ? "running" : "failed";
    event.transition.to = to;
    event.transition.to_health = to == "failed" ? Health::unhealthy : Health::healthy;
    return event;
}

std::shared_ptr<const Member> member(const std::string& address, TextPool& pool)
{
    Member one;
    one.address = address;
    one.identity = {
        .hostname = "host", .ip = address, .role = "agent", .mesos_id = "S1", .dcos_version = "2"};
    one.node_id = "machine";
    one.opsd_version = "0.1.0";
    one.freshness = Freshness::fresh;
    one.answered_at = noon;
    one.changed_at = noon - 1h;
    one.sources.push_back({.name = "static", .first = noon - 2h, .last = noon, .current = true});
    one.systemd_readable = true;
    MemberUnit unit;
    unit.label = pool.label({"a.service", "A", "Serves \"it\""});
    unit.verdict = pool.verdict({Health::unhealthy, "failed", "it ended"});
    unit.since = noon - 3h;
    unit.restarts_in_window = 4;
    unit.output = std::make_shared<const std::string>("a secret line");
    unit.acknowledged =
        std::make_shared<const Acknowledgement>(Acknowledgement{"ann", "disk", noon, noon + 1h});
    one.units.push_back(unit);
    return std::make_shared<const Member>(std::move(one));
}

/// Lets time pass until it holds.
Task<> until(Era& era, std::function<bool()> holds)
{
    for (int i = 0; i < 5'000 && !holds(); ++i) {
        era.clock.advance(500ms, [] {});
        co_await opsd::test::sleep(1ms);
    }
    EXPECT_TRUE(holds());
}

/// It is up all that time, and says so.
Task<> watch(Era& era, std::chrono::minutes time)
{
    for (auto left = time; left > 0min; left -= 1min) {
        era.clock.advance(1min, [] {});
        co_await era.archive.flush();
    }
}

Task<std::optional<std::pair<WallTime, WallTime>>> gap_around(Era& era, WallTime time)
{
    const auto gap = co_await era.archive.unwatched(time);
    EXPECT_TRUE(gap);
    if (!gap || !*gap) co_return std::nullopt;
    co_return std::pair{(*gap)->since.value_or(WallTime{}), (*gap)->until};
}

Task<std::unique_ptr<Store>> memory_store(telemetry::Registry& metrics)
{
    auto opened = co_await open_memory_store(metrics);
    co_return std::move(opened->store);
}

}  // namespace

TEST(Archive, AMemberIsKeptWithItsLastPictureButWithoutItsJournalLines)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        {
            Era first{executor, *store};
            const auto before = co_await first.load();
            EXPECT_TRUE(before.empty());
            first.archive.keep(member("10.0.0.2", first.pool));
            co_await first.archive.flush();
        }
        Era second{executor, *store};
        const auto kept = co_await second.load();
        EXPECT_EQ(kept.size(), 1U);
        if (kept.size() != 1) co_return;
        const auto& one = kept.front();
        EXPECT_EQ(one.address, "10.0.0.2");
        EXPECT_EQ(one.identity.mesos_id, "S1");
        EXPECT_EQ(one.freshness, Freshness::fresh);
        EXPECT_EQ(one.answered_at, noon);
        EXPECT_EQ(one.sources.front().first, noon - 2h);
        EXPECT_TRUE(one.sources.front().current);
        EXPECT_EQ(one.units.front().label->description, "Serves \"it\"");
        EXPECT_EQ(one.units.front().verdict->health, Health::unhealthy);
        EXPECT_EQ(one.units.front().since, noon - 3h);
        EXPECT_EQ(one.units.front().acknowledged->reason, "disk");
        EXPECT_FALSE(one.units.front().output);
    });
}

TEST(Archive, AForgottenMemberDoesNotComeBack)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        Era first{executor, *store};
        co_await first.load();
        first.archive.keep(member("10.0.0.2", first.pool));
        co_await first.archive.flush();
        first.archive.forget("10.0.0.2");
        co_await first.archive.flush();
        Era second{executor, *store};
        const auto kept = co_await second.load();
        EXPECT_TRUE(kept.empty());
    });
}

TEST(Archive, WhatWasKeptIsReadAlsoWhenNothingCanBeWritten)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto inner = co_await memory_store(metrics);
        {
            Era first{executor, *inner};
            co_await first.load();
            first.archive.keep(member("10.0.0.2", first.pool));
            first.archive.keep(member("10.0.0.3", first.pool));
            co_await first.archive.flush();
        }
        Faulty store{*inner};
        store.refuses = "INSERT INTO";
        Era second{executor, store};
        second.archive.forget("10.0.0.3");  // by an operator who did not wait for the store
        const auto kept = co_await second.archive.load(second.pool);
        EXPECT_TRUE(kept && kept->size() == 1 && kept->front().address == "10.0.0.2");
        auto begun = co_await second.archive.begin();
        EXPECT_FALSE(begun);
        const auto unread = co_await second.archive.read({});
        EXPECT_FALSE(unread) << "until it can go on";
        store.refuses.clear();
        begun = co_await second.archive.begin();
        EXPECT_TRUE(begun);
        co_await second.archive.flush();
        Era third{executor, *inner};
        const auto left = co_await third.load();
        EXPECT_EQ(left.size(), 1U);
    });
}

TEST(Archive, TransitionsAndPositionsSurviveAKillTogether)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        std::int64_t last = 0;
        {
            Era first{executor, *store};
            co_await first.load();
            first.archive.add(change("10.0.0.2", 5), "machine");
            last = first.archive.add(change("10.0.0.3", 9, "running"), "other").id;
            const auto queued = co_await first.rows();
            EXPECT_EQ(queued.size(), 2U) << "also while they are queued";
            co_await first.archive.flush();
            last = first.archive.add(change("10.0.0.2", 6), "machine").id;  // never written
        }
        Era second{executor, *store};
        co_await second.load();
        EXPECT_EQ(second.archive.position("10.0.0.2", "machine"), 5) << "asked for again";
        EXPECT_EQ(second.archive.position("10.0.0.2", "another machine"), 0);
        const auto rows = co_await second.rows();
        EXPECT_EQ(rows.size(), 2U);
        const auto next = second.archive.add(change("10.0.0.2", 6), "machine");
        EXPECT_GT(next.id, last) << "an id that was told is never given again";
    });
}

TEST(Archive, AFoldedRowReplacesItsEarlierVersion)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        Era one{executor, *store};
        co_await one.load();
        one.archive.add(change("10.0.0.2", 5), "machine");
        one.archive.add(change("10.0.0.3", 5), "machine");
        co_await one.archive.flush();
        one.archive.add(change("10.0.0.2", 8, "failed", noon - 1h, 3), "machine");
        for (int i = 0; i < 2; ++i) {  // queued, then written
            const auto rows = co_await one.rows();
            EXPECT_EQ(rows.size(), 2U);
            EXPECT_EQ(rows.back().transition.count, 3U);
            EXPECT_EQ(rows.back().transition.id, 8);
            co_await one.archive.flush();
        }
    });
}

TEST(Archive, PagesBeginAfterAnIdAndFilter)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        Era one{executor, *store};
        co_await one.load();
        std::vector<std::int64_t> ids;
        for (int i = 1; i <= 7; ++i) {
            ids.push_back(
                one.archive.add(change("10.0.0." + std::to_string(i % 2), i, "failed", noon - i * 1min), "m")
                    .id);
            if (i == 4) co_await one.archive.flush();
        }
        ArchiveQuery query;
        query.after = ids[1];
        query.limit = 2;
        query.newest_first = false;
        auto page = co_await one.archive.read(query);
        EXPECT_EQ(page->rows.size(), 2U);
        EXPECT_TRUE(page->more);
        EXPECT_EQ(page->last_id, ids[3]);
        query = {};
        query.node = "host-10.0.0.1";
        auto some = co_await one.rows(query);
        EXPECT_EQ(some.size(), 4U);
        query = {};
        query.since = noon - 3min;
        some = co_await one.rows(query);
        EXPECT_EQ(some.size(), 3U);
        query = {};
        query.unit = "b.service";
        some = co_await one.rows(query);
        EXPECT_TRUE(some.empty());
        query = {};
        query.limit = 3;
        page = co_await one.archive.read(query);
        EXPECT_EQ(page->rows.front().id, ids.back()) << "newest first";
        EXPECT_EQ(page->rows.size(), 3U);
    });
}

TEST(Archive, PagesOfWrittenAndQueuedRowsAreNoLongerThanAskedForAndMissNone)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        Era one{executor, *store};
        co_await one.load();
        std::vector<std::int64_t> ids;
        for (int i = 1; i <= 8; ++i) {
            ids.push_back(one.archive.add(change("10.0.0.2", i), "m").id);
            if (i == 3) co_await one.archive.flush();
        }
        std::vector<std::int64_t> seen;
        ArchiveQuery query;
        query.limit = 2;
        query.newest_first = false;
        for (bool more = true; more;) {
            auto page = co_await one.archive.read(query);
            EXPECT_LE(page->rows.size(), 2U);
            for (const auto& row : page->rows)
                seen.push_back(row.id);
            more = page->more && page->last_id > query.after;
            query.after = page->last_id;
        }
        EXPECT_EQ(seen, ids);
    });
}

TEST(Archive, AroundATimeAreTheRowsNextToItOfEachUnitOfEachMember)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        Era one{executor, *store};
        co_await one.load();
        one.archive.add(change("10.0.0.2", 1, "failed", noon - 3h), "m");
        one.archive.add(change("10.0.0.2", 2, "running", noon - 2h), "m");
        one.archive.add(change("10.0.0.2", 3, "failed", noon - 1h), "m");
        one.archive.add(change("10.0.0.2", 4, "running", noon - 30min), "m");
        one.archive.add(change("10.0.0.4", 1, "failed", noon - 10min), "o");
        co_await one.archive.flush();
        one.archive.add(change("10.0.0.3", 1, "failed", noon - 10min), "n");
        const auto all = co_await one.archive.addresses("");
        EXPECT_EQ(all.value(), (std::vector<std::string>{"10.0.0.2", "10.0.0.4"}));
        const auto some = co_await one.archive.addresses("host-10.0.0.4");
        EXPECT_EQ(some.value(), (std::vector<std::string>{"10.0.0.4"}));
        EXPECT_EQ(one.archive.waiting().size(), 1U);
        const auto around = co_await one.archive.around(noon - 90min, "10.0.0.2", "10.0.0.3");
        EXPECT_TRUE(around) << around.error().message;
        if (!around) co_return;
        EXPECT_EQ(around->rows.size(), 2U);
        EXPECT_EQ(transition_from(around->rows.at(0)).transition.id
                      + transition_from(around->rows.at(1)).transition.id,
                  5);
        EXPECT_EQ(around->begins.size(), 1U);
        EXPECT_EQ(wall_time(around->begins.at(0).at(1)), noon - 3h);
    });
}

TEST(Archive, WhatIsMoreThanMayBeReadIsRefusedNotCut)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        Era one{executor, *store};
        co_await one.load();
        one.archive.add(change("10.0.0.2", 1, "failed", noon - 3h), "m");
        one.archive.add(change("10.0.0.2", 2, "running", noon - 1h), "m");
        co_await one.archive.flush();
        const auto fits = co_await one.archive.around(noon - 2h, "10.0.0.2", "10.0.0.2", 2);
        EXPECT_TRUE(fits);
        const auto more = co_await one.archive.around(noon - 2h, "10.0.0.2", "10.0.0.2", 1);
        EXPECT_FALSE(more);
        if (!more) EXPECT_EQ(more.error().code, Errc::unavailable);
    });
}

TEST(Archive, UntilTheStoreWasReadTheHistoryIsNotShort)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        Era one{executor, *store};
        one.archive.add(change("10.0.0.2", 1), "m");
        const auto page = co_await one.archive.read({});
        EXPECT_FALSE(page);
        if (!page) EXPECT_EQ(page.error().code, Errc::unavailable);
        const auto addresses = co_await one.archive.addresses("");
        EXPECT_FALSE(addresses);
        const auto around = co_await one.archive.around(noon, "", "z");
        EXPECT_FALSE(around);
        co_await one.load();
        const auto rows = co_await one.rows();
        EXPECT_EQ(rows.size(), 1U);
    });
}

TEST(Archive, TimesAreLookedForByOurClockAndToldByTheMembers)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        Era one{executor, *store};
        co_await one.load();
        auto ahead = change("10.0.0.2", 1, "failed", noon - 50min);  // an hour ago, in truth
        ahead.clock_offset = 10min;
        one.archive.add(ahead, "m");
        one.archive.add(change("10.0.0.3", 1, "failed", noon - 50min), "n");
        for (int i = 0; i < 2; ++i) {  // queued, then written
            ArchiveQuery query;
            query.until = noon - 55min;
            auto rows = co_await one.rows(query);
            EXPECT_EQ(rows.size(), 1U);
            EXPECT_EQ(rows.at(0).address, "10.0.0.2");
            EXPECT_EQ(rows.at(0).transition.at, noon - 50min);
            EXPECT_EQ(rows.at(0).clock_offset, 10min);
            query = {};
            query.since = noon - 55min;
            rows = co_await one.rows(query);
            EXPECT_EQ(rows.size(), 1U);
            EXPECT_EQ(rows.at(0).address, "10.0.0.3");
            co_await one.archive.flush();
        }
        const auto around = co_await one.archive.around(noon - 55min, "10.0.0.2", "10.0.0.2");
        EXPECT_EQ(wall_time(around->begins.at(0).at(1)), noon - 1h);
    });
}

TEST(Archive, RowsOfAMemberKeepTheirOrderHoweverItsClockIsMeasured)
{
    EXPECT_EQ(counted_offset(900ms), 0ms) << "below a second there is none";
    EXPECT_EQ(counted_offset(-10min), -10min);
    EXPECT_EQ(counted_offset(10min + 900ms, 10min), 10min) << "measured a little differently";
    EXPECT_EQ(counted_offset(300ms, 10min), 0ms) << "its clock was set right";
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        Era one{executor, *store};
        co_await one.load();
        for (int i = 1; i <= 3; ++i) {
            auto row = change("10.0.0.2", i);
            row.clock_offset = 10min + i * 100ms;
            EXPECT_EQ(one.archive.add(row, "m").clock_offset, 10min + 100ms);
        }
        auto ours = change("10.0.0.9", 0);
        ours.clock_offset = 10min;
        EXPECT_EQ(one.archive.add(ours, "").clock_offset, 0ms) << "by our own clock";
    });
}

TEST(Archive, EachTroubleIsMendedByItsOwnSuccess)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto inner = co_await memory_store(metrics);
        Faulty store{*inner};
        Era one{executor, store};
        co_await one.load();
        TaskGroup group{executor, [](std::string_view, std::exception_ptr) {}};
        group.spawn("archive", one.archive.run());
        store.refuses = "cluster_members";
        one.archive.keep(member("10.0.0.2", one.pool));
        co_await until(one, [&] { return one.trouble("members") != ""; });
        one.archive.add(change("10.0.0.2", 1), "m");
        co_await until(one, [&] { return one.archive.queued() == 0; });
        EXPECT_NE(one.trouble("members"), "") << "a transition was written, the member was not";
        EXPECT_EQ(one.trouble("history"), "");
        store.refuses.clear();
        co_await until(one, [&] { return one.trouble("members") == ""; });
        store.refuses = "cluster_transitions";
        one.archive.add(change("10.0.0.2", 2), "m");
        co_await until(one, [&] { return one.trouble("history") != ""; });
        one.archive.keep(member("10.0.0.3", one.pool));
        co_await until(one, [&] { return one.archive.unsaved() == 0; });
        EXPECT_NE(one.trouble("history"), "") << "a member was written, the transition was not";
        store.refuses.clear();
        co_await until(one, [&] { return one.trouble("history") == ""; });
        group.cancel();
        co_await group.join();
    });
}

TEST(Archive, SaysWhenThereIsNoRoomAndWhatWasLost)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        Era one{executor, *store};
        EXPECT_FALSE(one.archive.room()) << "before the store was read";
        co_await one.load();
        EXPECT_TRUE(one.archive.room());
        for (std::size_t i = 1; i <= Archive::most_queued + 3; ++i)
            one.archive.add(change("10.0.0.2", static_cast<std::int64_t>(i)), "m");
        EXPECT_FALSE(one.archive.room());
        EXPECT_EQ(one.archive.dropped(), 3U);
        EXPECT_EQ(one.archive.queued(), Archive::most_queued);
        const auto first_kept = one.archive.waiting().front().id;
        EXPECT_EQ(co_await one.lost(), first_kept - 1);
        co_await one.archive.flush();
        Era later{executor, *store};
        co_await later.load();
        EXPECT_EQ(co_await later.lost(), first_kept - 1) << "also after a restart";
    });
}

TEST(Archive, AfterAKillSomeMayBeLostAfterAnOrderlyEndNone)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        std::int64_t given = 0;
        {
            Era first{executor, *store};
            co_await first.load();
            given = first.archive.add(change("10.0.0.1", 1), "n-1").id;
            co_await first.archive.flush();
        }
        {
            Era second{executor, *store};
            co_await second.load();
            EXPECT_LT(co_await second.lost(), given) << "all is there";
            given = second.archive.add(change("10.0.0.1", 2), "n-1").id;
        }
        Era third{executor, *store};
        co_await third.load();
        EXPECT_GE(co_await third.lost(), given);
        EXPECT_GT(third.archive.add(change("10.0.0.1", 2), "n-1").id, given);
    });
}

TEST(Archive, WhatIsTooOldOrTooMuchGoes)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        ArchiveOptions options;
        options.max_rows_per_member = 10;
        options.max_age = 1h;
        Era one{executor, *store, options};
        co_await one.load();
        auto old = change("10.0.0.9", 1);
        old.seen_at = noon - 2h;
        const auto first = one.archive.add(old, "m").id;
        EXPECT_EQ(co_await one.lost(), first - 1) << "ids of before are none of this store";
        for (int i = 1; i <= 25; ++i)
            one.archive.add(change("10.0.0.2", i), "m");
        co_await one.archive.flush();
        TaskGroup group{executor, [](std::string_view, std::exception_ptr) {}};
        group.spawn("archive", one.archive.run());
        one.clock.advance(61s, [] {});
        ArchiveQuery query;
        for (int i = 0; i < 200; ++i) {
            const auto rows = co_await one.rows(query);
            if (rows.size() == 10) break;
            co_await opsd::test::sleep(5ms);
        }
        const auto rows = co_await one.rows(query);
        EXPECT_EQ(rows.size(), 10U);
        EXPECT_EQ(rows.front().transition.id, 16);
        EXPECT_EQ(co_await one.lost(), rows.front().id - 1) << "whoever resumes from before it is told";
        group.cancel();
        co_await group.join();
    });
}

TEST(Archive, SaysSinceWhenItIsKeptWhatMembersDid)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        ArchiveOptions options;
        options.max_age = 10h;
        Era one{executor, *store, options};
        auto since = co_await one.archive.kept_since();
        EXPECT_FALSE(since) << "the store was not read yet";
        co_await one.load();
        since = co_await one.archive.kept_since();
        EXPECT_EQ(since.value_or(WallTime{}), noon) << "nothing is";
        auto row = change("10.0.0.9", 2);
        row.seen_at = noon - 2h;
        one.archive.add(row, "m");
        co_await one.archive.flush();
        since = co_await one.archive.kept_since();
        EXPECT_EQ(since.value_or(WallTime{}), noon - 2h);
        row.seen_at = noon - 20h;
        one.archive.add(row, "m");
        co_await one.archive.flush();
        since = co_await one.archive.kept_since();
        EXPECT_EQ(since.value_or(WallTime{}), noon - 10h) << "what is older goes soon";
    });
}

TEST(Archive, KnowsWhenNobodyWatched)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        {
            Era one{executor, *store};
            auto early = co_await one.archive.unwatched(noon);
            EXPECT_FALSE(early) << "the store was not read yet";
            co_await one.load();
            co_await watch(one, 10min);
            auto row = change("10.0.0.9", 1);
            row.seen_at = noon + 12min;  // later than the run says of itself: it was killed
            one.archive.add(row, "m");
            co_await one.archive.flush();
            const auto now = co_await one.archive.unwatched(noon + 5min);
            EXPECT_TRUE(now && !now->has_value());
            const auto before = co_await one.archive.unwatched(noon - 1s);
            EXPECT_TRUE(before && before->has_value() && !(*before)->since && (*before)->until == noon);
        }
        Era two{executor, *store, {}, noon + 30min};
        co_await two.load();
        const auto during = co_await two.archive.unwatched(noon + 5min);
        EXPECT_TRUE(during && !during->has_value());
        const auto between = co_await two.archive.unwatched(noon + 20min);
        EXPECT_TRUE(between && between->has_value());
        if (!between || !*between) co_return;
        EXPECT_EQ((*between)->since, noon + 12min);
        EXPECT_EQ((*between)->until, noon + 30min);
        const auto since = co_await two.archive.unwatched(noon + 30min);
        EXPECT_TRUE(since && !since->has_value());
    });
}

TEST(Archive, WhileTheNodeSleptNobodyWatched)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        Era one{executor, *store};
        co_await one.load();
        co_await watch(one, 3min);
        one.clock.advance(1h, [] {});
        auto row = change("10.0.0.9", 1);
        row.seen_at = one.clock.now();  // as soon as it is awake
        one.archive.add(row, "m");
        one.clock.advance(3s, [] {});
        const auto awake = one.clock.now();
        co_await one.archive.flush();
        auto gap = co_await gap_around(one, noon + 30min);
        EXPECT_EQ(gap, std::pair(noon + 3min, awake));
        co_await watch(one, 3min);
        gap = co_await gap_around(one, awake + 1min);
        EXPECT_FALSE(gap);
        gap = co_await gap_around(one, noon + 1min);
        EXPECT_FALSE(gap) << "before it slept it watched";
    });
}

TEST(Archive, TimesThatAClockPassedOverWhenItWasSetWereNotWatched)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        telemetry::Registry metrics;
        const auto store = co_await memory_store(metrics);
        {
            Era one{executor, *store};
            co_await one.load();
            co_await watch(one, 3min);
            one.clock.step_wall(5s);
            co_await watch(one, 1min);
            const auto steered = co_await gap_around(one, noon + 3min + 2s);
            EXPECT_FALSE(steered);
        }
        // Down for an hour; the machine's clock begins where it ended, until the right time is known.
        Era two{executor, *store, {}, noon + 5min};
        co_await two.load();
        two.clock.advance(10s, [] {});
        two.clock.step_wall(1h);
        co_await two.archive.flush();
        auto gap = co_await gap_around(two, noon + 30min);
        EXPECT_TRUE(gap && gap->second == noon + 1h + 5min + 10s);
        co_await watch(two, 3min);
        const auto before = two.clock.now();
        two.clock.step_wall(-2h);
        co_await watch(two, 3min);
        gap = co_await gap_around(two, two.clock.now());
        EXPECT_FALSE(gap) << "set back, it watches";
        gap = co_await gap_around(two, before - 1min);
        EXPECT_FALSE(gap);
    });
}

}  // namespace opsd::cluster
