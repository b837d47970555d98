// What waits for the store: what outdates what, and what is lost first.

#include "modules/health/history_rows.hpp"

#include "node.hpp"

namespace opsd::health {
namespace {

using namespace test;

class HealthHistoryQueue : public Node {
protected:
    HealthHistoryQueue() { load(); }

    static Record state(const std::string& unit, std::uint32_t restarts)
    {
        Record made;
        made.unit = unit;
        made.known.state = "flapping";
        made.known.restarts = SavedRestarts{restarts, Monotonic{1}, {}};
        return made;
    }
    static Record change(const std::string& unit, const std::string& to)
    {
        auto made = state(unit, 0);
        made.known.state = to;
        made.transition = Transition{};
        made.transition->unit = unit;
        made.transition->to = to;
        return made;
    }
    void run(Task<> task)
    {
        bool done = false;
        asio::co_spawn(io, std::move(task), [&done](std::exception_ptr e) {
            done = true;
            if (e) std::rethrow_exception(e);
        });
        until([&] { return done; });
    }
    void load() { run(load_into(history)); }
    void flush() { run(history.flush()); }
    void fail_to_write()
    {
        store->broken = Error{Errc::unavailable, "cannot write: full"};
        flush();
    }
    std::vector<Row> stored(const std::string& sql)
    {
        std::vector<Row> rows;
        run(ask_store(*store, sql, rows));
        return rows;
    }
    std::int64_t number(const std::string& sql) { return as_integer(stored(sql).at(0).at(0)); }
    static Task<> load_into(History& to)
    {
        auto loaded = co_await to.load();
        EXPECT_TRUE(loaded);
    }
    static Task<> ask_store(Store& from, std::string sql, std::vector<Row>& to)
    {
        Statement query{std::move(sql), {}};
        auto answer = co_await from.read(std::move(query), 100'000);
        if (answer) to = std::move(*answer);
    }

    static Task<> read_from(History& from, std::vector<Transition>& to)
    {
        HistoryQuery all;
        auto page = co_await from.read(std::move(all));
        if (page) to = std::move(page->rows);
    }

    static Task<> keep_into(History& of, std::string unit, Kept& to) { to = co_await of.keep(unit); }
    std::int64_t acks() { return number("SELECT COUNT(*) FROM health_acks"); }

    std::string trouble;
    History history{io.get_executor(),
                    clock,
                    *store,
                    options.history,
                    [this](const std::string& sentence) { trouble = sentence; },
                    Log{log, "h"}};
};

TEST_F(HealthHistoryQueue, KeepsTheLatestStateOfAUnitOnly)
{
    fail_to_write();
    for (std::uint32_t i = 1; i <= 100; ++i) {
        history.add(state("a.service", i));
        history.add(state("b.service", i));
    }
    EXPECT_EQ(history.queued(), 2U);
    history.add(change("a.service", "failed"));
    EXPECT_EQ(history.queued(), 2U) << "a transition brings the state with it";
    history.add(state("a.service", 200));
    store->broken.reset();
    flush();
    EXPECT_EQ(number("SELECT restarts FROM health_units WHERE unit = 'a.service'"), 200);
    EXPECT_EQ(number("SELECT restarts FROM health_units WHERE unit = 'b.service'"), 100);
    EXPECT_EQ(number("SELECT COUNT(*) FROM health_transitions"), 1);
}

TEST_F(HealthHistoryQueue, AFlapperThatCannotBeWrittenDoesNotPushOutTheOthers)
{
    fail_to_write();
    EXPECT_TRUE(history.add(change("quiet.service", "failed")));
    for (std::size_t i = 0; i < 2 * History::most_queued; ++i)
        EXPECT_TRUE(history.add(change("flapper.service", i % 2 == 0 ? "failed" : "running")));
    EXPECT_EQ(history.queued(), 3U);
    EXPECT_EQ(history.dropped(), 0U);
    store->broken.reset();
    std::vector<Transition> rows;
    run(read_from(history, rows));
    ASSERT_EQ(rows.size(), 3U) << "also before they are written";
    EXPECT_EQ(rows[0].count, History::most_queued);
    EXPECT_EQ(rows[2].unit, "quiet.service");
}

TEST_F(HealthHistoryQueue, LosesStatesBeforeTransitions)
{
    options.history.fold_window = 0s;
    fail_to_write();
    EXPECT_TRUE(history.add(change("quiet.service", "failed")));
    for (std::size_t i = 0; i < History::most_queued - 1; ++i)
        history.add(state(fmt::format("{}.service", i), 1));
    EXPECT_EQ(history.dropped(), 0U);
    for (std::size_t i = 0; i < History::most_queued - 1; ++i)
        history.add(change("loud.service", std::to_string(i)));
    EXPECT_EQ(history.queued(), History::most_queued);
    EXPECT_EQ(history.dropped(), History::most_queued - 1);
    history.add(state("late.service", 1));
    EXPECT_EQ(history.dropped(), History::most_queued) << "there are transitions only: the state is lost";
    store->broken.reset();
    flush();
    EXPECT_EQ(number("SELECT COUNT(*) FROM health_transitions"), std::int64_t{History::most_queued});
    EXPECT_EQ(number("SELECT COUNT(*) FROM health_transitions WHERE unit = 'quiet.service'"), 1);
}

TEST_F(HealthHistoryQueue, ARepetitionOfWhatWasLostStillReplacesWhatIsStored)
{
    history.add(change("a.service", "failed"));
    flush();
    fail_to_write();
    const auto lost = history.add(change("a.service", "failed"));
    for (std::size_t i = 0; i < History::most_queued; ++i)
        history.add(change("loud.service", std::to_string(i)));
    EXPECT_EQ(history.dropped(), 1U);
    const auto again = history.add(change("a.service", "failed"));
    ASSERT_TRUE(lost && again);
    EXPECT_GT(again->id, lost->id);
    store->broken.reset();
    flush();
    EXPECT_EQ(number("SELECT COUNT(*) FROM health_transitions WHERE unit = 'a.service'"), 1);
    EXPECT_EQ(number("SELECT count FROM health_transitions WHERE unit = 'a.service'"), 3);
    EXPECT_EQ(number("SELECT seq FROM health_transitions WHERE unit = 'a.service'"), again->id);
}

TEST_F(HealthHistoryQueue, WhatWasInFlightIsOutdatedByWhatCameMeanwhile)
{
    history.add(change("a.service", "failed"));
    history.add(state("b.service", 1));
    store->broken = Error{Errc::unavailable, "cannot write: full"};
    store->held = true;
    bool ended = false;
    asio::co_spawn(io, history.flush(), [&ended](std::exception_ptr) { ended = true; });
    settle();
    history.add(change("a.service", "failed"));
    history.add(state("b.service", 2));
    EXPECT_EQ(history.queued(), 4U);
    store->release();
    until([&] { return ended; });
    EXPECT_EQ(history.queued(), 2U);
    store->broken.reset();
    flush();
    EXPECT_EQ(number("SELECT COUNT(*) FROM health_transitions"), 1);
    EXPECT_EQ(number("SELECT count FROM health_transitions"), 2);
    EXPECT_EQ(number("SELECT restarts FROM health_units WHERE unit = 'b.service'"), 2);
}

TEST_F(HealthHistoryQueue, IdsThatWereReservedWithWhatIsLostStayReserved)
{
    options.history.fold_window = 0s;
    fail_to_write();
    std::int64_t newest = 0;
    for (std::size_t i = 0; i < 2 * History::most_queued + 100; ++i)
        newest = history.add(change("loud.service", std::to_string(i)))->id;
    store->broken.reset();
    flush();
    EXPECT_GT(number("SELECT value FROM health_meta WHERE key = 'reserved'"), newest);
}

TEST_F(HealthHistoryQueue, SaysThatRecordsAreLostOnceAndNotOfEveryLaterFailure)
{
    options.history.fold_window = 0s;
    fail_to_write();
    for (std::size_t i = 0; i < History::most_queued + 1; ++i)
        history.add(change("loud.service", std::to_string(i)));
    flush();
    EXPECT_EQ(trouble, "the history is incomplete: cannot write: full, and records are lost");
    store->broken.reset();
    flush();
    EXPECT_EQ(trouble, "");
    history.add(change("quiet.service", "failed"));
    fail_to_write();
    EXPECT_EQ(trouble, "the history is incomplete: cannot write: full");
}

TEST_F(HealthHistoryQueue, AnAcknowledgementThatAClientWroteItselfIsNoTroubleAnyMore)
{
    TaskGroup writing{io.get_executor(), [](std::string_view, const std::exception_ptr& e) {
                          ADD_FAILURE() << describe(e).what;
                      }};
    writing.spawn("history", history.run());
    advance(1s);
    store->broken = Error{Errc::unavailable, "cannot write: full"};
    EXPECT_TRUE(history.acknowledge("a.service", Acknowledgement{}));
    advance(200ms);
    EXPECT_EQ(trouble, "an acknowledgement is not kept: cannot write: full");
    store->broken.reset();
    Kept kept;
    run(keep_into(history, "a.service", kept));
    EXPECT_TRUE(kept.durable) << kept.reason;
    advance(5s);
    EXPECT_EQ(trouble, "");
    writing.cancel();
    until([&] { return writing.size() == 0; });
}

TEST_F(HealthHistoryQueue, AnAcknowledgementThatTheStoreRefusesForGoodIsNotCalledDurable)
{
    store->broken = Error{Errc::invalid_argument, "cannot write: no such table"};
    EXPECT_TRUE(history.acknowledge("a.service", Acknowledgement{}));
    flush();
    EXPECT_FALSE(history.kept("a.service").durable);
    EXPECT_EQ(history.kept("a.service").reason, "cannot write: no such table");
    EXPECT_EQ(history.acks_waiting(), 1U) << "a restart loses it";
    store->broken.reset();
    flush();
    EXPECT_EQ(acks(), 0) << "it is not tried again";
    EXPECT_TRUE(history.acknowledge("a.service", Acknowledgement{}));
    flush();
    EXPECT_TRUE(history.kept("a.service").durable) << "but another one is";
    EXPECT_EQ(acks(), 1);
}

TEST_F(HealthHistoryQueue, ARefusalOfAnOlderAcknowledgementIsNoneOfTheNewerOne)
{
    store->broken = Error{Errc::invalid_argument, "cannot write: no such table"};
    store->held = true;
    EXPECT_TRUE(history.acknowledge("a.service", Acknowledgement{}));
    bool ended = false;
    asio::co_spawn(io, history.flush(), [&ended](std::exception_ptr) { ended = true; });
    settle();
    store->broken.reset();
    EXPECT_TRUE(history.acknowledge("a.service", Acknowledgement{}));
    store->release();
    until([&] { return ended; });
    EXPECT_TRUE(history.kept("a.service").durable);
    EXPECT_EQ(acks(), 1);
}

}  // namespace
}  // namespace opsd::health
