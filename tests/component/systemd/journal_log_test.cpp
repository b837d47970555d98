// Reading whole journals, against a real journald that rotates and vacuums below us.

#include "journal_log.hpp"

#include "io/systemd/journal_tap.hpp"

#include <cerrno>
#include <filesystem>
#include <functional>
#include <future>
#include <stdexcept>
#include <thread>
#include <tuple>

using namespace opsd;
using namespace opsd::systemd;
using namespace opsd::systemd::test;
using namespace std::chrono_literals;

TEST_F(JournalLog, ReadsFromEitherEndAndAroundACursor)
{
    say(1, 20);
    EXPECT_EQ(read({}), from_to(1, 20));
    EXPECT_EQ(read({.skip = 15}), from_to(16, 20));
    EXPECT_EQ(read({.skip = 25}), std::vector<int>{});
    EXPECT_EQ(read({.from = From::tail}), std::vector<int>{});
    EXPECT_EQ(read({.from = From::tail, .skip = -3}), from_to(18, 20));
    EXPECT_EQ(read({.from = From::tail, .skip = -30}), from_to(1, 20));
    EXPECT_EQ(read({.from = From::tail, .skip = -10, .limit = 2}), from_to(11, 12));
    JournalSlice fifth;
    EXPECT_EQ(read({.limit = 5}, {}, "", &fifth), from_to(1, 5));
    EXPECT_TRUE(fifth.complete);
    const JournalRange after{.from = From::cursor, .cursor = fifth.position};
    EXPECT_EQ(read(after), from_to(6, 20));
    auto range = after;
    range.skip = 3;
    EXPECT_EQ(read(range), from_to(9, 20));
    range.skip = -1;
    EXPECT_EQ(read(range), from_to(5, 20)) << "one back from after the fifth is the fifth";
    range.skip = -3;
    JournalSlice told;
    EXPECT_EQ(read(range, {}, "", &told), from_to(3, 20));
    EXPECT_EQ(told.skipped, -3);
    range.skip = -30;
    EXPECT_EQ(read(range, {}, "", &told), from_to(1, 20));
    EXPECT_EQ(told.skipped, -5) << "there are no more";
}

TEST_F(JournalLog, SkipsAsFarInTheSmallestSlices)
{
    say(1, 4);
    say(5, 20);
    JournalSlice fifth;
    (void)read({.limit = 5}, {}, "", &fifth);
    const SliceLimits smallest{.looked_at = 1};
    JournalSlice told;
    const auto check = [&](JournalRange range, const std::vector<int>& expected, std::int64_t skipped) {
        EXPECT_EQ(read(range, smallest, "", &told), expected) << range.skip;
        EXPECT_EQ(told.skipped, skipped);
        EXPECT_TRUE(told.ended);
    };
    check({.skip = 15}, from_to(16, 20), 15);
    check({.skip = 1'000'000'000}, {}, 20);
    check({.from = From::tail, .skip = -3}, from_to(18, 20), -3);
    check({.from = From::tail, .skip = -1'000'000'000}, from_to(1, 20), -20);
    JournalRange after{.from = From::cursor, .cursor = fifth.position};
    for (const auto& [skip, first, skipped] : {std::tuple{3, 9, 3},
                                               {-1, 5, -1},
                                               {-2, 4, -2},
                                               {-4, 2, -4},
                                               {-5, 1, -5},
                                               {-30, 1, -5},
                                               {30, 21, 15}}) {
        after.skip = skip;
        check(after, from_to(first, 20), skipped);
    }
    const auto at = parse_cursor(fifth.position);
    ASSERT_TRUE(at);
    check({.from = From::time, .time = at->realtime - 1, .skip = -2}, from_to(3, 20), -2);
    check({.from = From::time, .time = at->realtime - 1, .skip = -9}, from_to(1, 20), -4);
    check({.from = From::time, .time = 1, .skip = -9}, from_to(1, 20), 0);
}

TEST_F(JournalLog, ALongSkipIsMadeInSlicesToo)
{
    say(1, 300);
    opsd::test::run([&]() -> Task<> {
        JournalReaders readers{directory, 1};
        for (const auto& range :
             {JournalRange{.matches = ours(), .skip = 1'000'000'000},
              JournalRange{.matches = ours(), .from = From::tail, .skip = -1'000'000'000}}) {
            const auto reading = JournalReaders::open(range, std::make_unique<Messages>());
            const auto slice = co_await readers.next(reading, {.looked_at = 100});
            EXPECT_TRUE(slice && !slice->ended && slice->entries == 0);
            if (slice) EXPECT_EQ(std::abs(slice->skipped), 100);
        }
    });
}

namespace {

/// Blocks its thread at the first entry, and may fail there.
class Stopper final : public EntryWriter {
public:
    explicit Stopper(std::function<void(std::string_view)> stop) : stop_{std::move(stop)} {}
    bool write(const JournalEntry& entry, std::string& out) override
    {
        stop_(entry.find("MESSAGE").value_or(""));
        return messages_.write(entry, out);
    }

private:
    std::function<void(std::string_view)> stop_;
    Messages messages_;
};

}  // namespace

TEST_F(JournalLog, AReadingThatFailsInTheMiddleIsReadOnFromWhereItWas)
{
    say(1, 20);
    opsd::test::run([&]() -> Task<> {
        JournalReaders readers{directory, 1};
        bool failing = true;
        auto stop = [&](std::string_view message) {
            if (message == "13" && std::exchange(failing, false)) throw std::runtime_error{"no memory"};
        };
        const auto reading =
            JournalReaders::open({.matches = ours(), .limit = 15}, std::make_unique<Stopper>(stop));
        const auto first = co_await readers.next(reading, {.looked_at = 10});
        EXPECT_TRUE(first && first->entries == 10);
        const auto failed = co_await readers.next(reading, {});
        EXPECT_TRUE(!failed && failed.error().code == Errc::internal);
        const auto rest = co_await readers.next(reading, {});
        EXPECT_TRUE(rest && rest->complete);
        if (rest) EXPECT_EQ(numbers(rest->text), from_to(11, 15));
    });
}

TEST_F(JournalLog, AThreadThatIsBusyIsNotGivenTheNextSlice)
{
    say(1, 3);
    opsd::test::run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        JournalReaders readers{directory, 2};
        std::promise<void> go_on;
        const auto until = go_on.get_future().share();
        auto stop = [until](std::string_view) { until.wait(); };
        auto slow = JournalReaders::open({.matches = ours()}, std::make_unique<Stopper>(stop));
        bool ended = false;
        auto read_slow = [&]() -> Task<> {
            const auto slice = co_await readers.next(slow, {});
            EXPECT_TRUE(slice && slice->entries == 3);
            ended = true;
        };
        asio::co_spawn(executor, read_slow(), [](const std::exception_ptr& e) {
            if (e) ADD_FAILURE() << describe(e).what;
        });
        co_await opsd::test::sleep(50ms);
        for (int i = 0; i < 3; ++i) {
            const auto slice = co_await readers.next(
                JournalReaders::open({.matches = ours()}, std::make_unique<Messages>()), {});
            EXPECT_TRUE(slice && slice->entries == 3);
        }
        EXPECT_FALSE(ended);
        go_on.set_value();
        while (!ended)
            co_await opsd::test::sleep(5ms);
    });
}

TEST_F(JournalLog, GoesBackOverEntriesThatTheWriterTakes)
{
    say(1, 40);
    JournalRange range{.from = From::tail, .skip = -3, .skip_taken = true};
    EXPECT_EQ(read(range, {}, "7"), (std::vector{17, 27, 37}));
    EXPECT_EQ(read(range, {.looked_at = 1}, "7"), (std::vector{17, 27, 37})) << "in the smallest slices";
    range.skip = -9;
    EXPECT_EQ(read(range, {.looked_at = 2}, "7"), (std::vector{7, 17, 27, 37}));
    JournalSlice seventeenth;
    (void)read({.limit = 17}, {}, "", &seventeenth);
    range = {
        .from = From::cursor, .cursor = seventeenth.position, .skip = -2, .skip_taken = true, .limit = 2};
    EXPECT_EQ(read(range, {.looked_at = 1}, "7"), (std::vector{7, 17}));
}

TEST_F(JournalLog, SlicesMissAndDoubleNothingWhileItRotates)
{
    say(1, 300);
    opsd::test::run(
        [&]() -> Task<> {
            JournalReaders readers{directory, 2};
            const auto reading = JournalReaders::open({.matches = ours()}, std::make_unique<Messages>());
            std::vector<int> all;
            for (int last = 300; last < 900; last += 100) {
                const auto slice = co_await readers.next(reading, {.looked_at = 70});
                EXPECT_TRUE(slice);
                if (!slice) co_return;
                EXPECT_FALSE(slice->loss);
                std::ranges::copy(numbers(slice->text), std::back_inserter(all));
                rotate();
                say(last + 1, last + 100);
            }
            const auto rest = co_await drain(readers, reading, {.looked_at = 33});
            std::ranges::copy(numbers(rest.text), std::back_inserter(all));
            EXPECT_EQ(all, from_to(1, 900));
        },
        60s);
}

TEST_F(JournalLog, WhatComesAfterAnEndWithoutMatchesIsNotMissed)
{
    opsd::test::run(
        [&]() -> Task<> {
            JournalReaders readers{directory, 1};
            const auto reading =
                JournalReaders::open({.matches = ours(), .from = From::tail}, std::make_unique<Messages>());
            auto slice = co_await readers.next(reading, {});
            EXPECT_TRUE(slice && slice->ended && slice->entries == 0 && !slice->position.empty());
            say(1, 50, "somebody-else");
            slice = co_await readers.next(reading, {});
            EXPECT_TRUE(slice && slice->ended && slice->entries == 0);
            say(1, 12);
            slice = co_await readers.next(reading, {});
            EXPECT_TRUE(slice);
            if (slice) EXPECT_EQ(numbers(slice->text), from_to(1, 12));
        },
        20s);
}

TEST_F(JournalLog, ATimeIsOverWhenALaterEntryIsSeen)
{
    say(1, 4);
    say(5, 5);  // entries that come at once may have one time
    JournalSlice last;
    (void)read({.limit = 5}, {}, "", &last);
    const auto fifth = parse_cursor(last.position);
    ASSERT_TRUE(fifth);
    JournalSlice told;
    EXPECT_EQ(read({.until = fifth->realtime + 3'600'000'000}, {}, "", &told), from_to(1, 5));
    EXPECT_TRUE(told.ended && !told.complete) << "more may come until then";
    EXPECT_EQ(read({.until = fifth->realtime - 1}, {}, "", &told), from_to(1, 4));
    EXPECT_TRUE(told.ended && told.complete);
    EXPECT_EQ(read({.until = fifth->realtime - 1}, {.looked_at = 1}, "", &told), from_to(1, 4));
    EXPECT_TRUE(told.complete) << "in whichever slice it was seen";
}

TEST_F(JournalLog, SaysHowManyEntriesWereVacuumedBelowAReader)
{
    say(1, 10);
    JournalSlice at;
    (void)read({.limit = 4}, {}, "", &at);
    say(11, 500);
    vacuum();
    say(501, 503);
    JournalSlice told;
    const JournalRange after{.from = From::cursor, .cursor = at.position};
    const auto rest = read(after, {}, "", &told);
    EXPECT_EQ(rest, from_to(501, 503));
    ASSERT_TRUE(told.loss && told.loss->entries);
    // All that journald numbered between the fourth and the oldest that is left.
    const auto oldest = node->exec("sh -c 'journalctl -o json | head -n 1'").output;
    const auto cursor_at = oldest.find("\"__CURSOR\" : \"") != std::string::npos
                               ? oldest.find("\"__CURSOR\" : \"") + 14
                               : oldest.find("\"__CURSOR\":\"") + 12;
    const auto first = parse_cursor(oldest.substr(cursor_at, oldest.find('"', cursor_at) - cursor_at));
    const auto then = parse_cursor(at.position);
    ASSERT_TRUE(first && then) << oldest;
    EXPECT_EQ(*told.loss->entries, first->sequence - then->sequence - 1);
    EXPECT_GE(*told.loss->entries, 496U);
}

TEST_F(JournalLog, GroupsOfMatchesAreAlternativesWithinAndConditionsBetween)
{
    say(1, 3);
    say(4, 6, tag + "-other");
    opsd::test::run([&]() -> Task<> {
        JournalReaders readers{directory, 1};
        const MatchGroups either{{"SYSLOG_IDENTIFIER=" + tag, "SYSLOG_IDENTIFIER=" + tag + "-other"}};
        auto all =
            co_await drain(readers, JournalReaders::open({.matches = either}, std::make_unique<Messages>()));
        EXPECT_EQ(numbers(all.text), from_to(1, 6));
        auto narrowed = either;
        narrowed.push_back({"MESSAGE=2", "MESSAGE=5"});
        all = co_await drain(readers,
                             JournalReaders::open({.matches = narrowed}, std::make_unique<Messages>()));
        EXPECT_EQ(numbers(all.text), (std::vector{2, 5}));
        const MatchGroups fields{{"SYSLOG_IDENTIFIER=" + tag, "MESSAGE=5"}, {"MESSAGE=3", "MESSAGE=5"}};
        all =
            co_await drain(readers, JournalReaders::open({.matches = fields}, std::make_unique<Messages>()));
        EXPECT_EQ(numbers(all.text).front(), 3);
    });
}

TEST_F(JournalLog, ListsTheValuesOfAField)
{
    say(1, 2);
    say(1, 2, tag + "-2");
    opsd::test::run([&]() -> Task<> {
        JournalReaders readers{directory, 1};
        const auto values = co_await readers.values("SYSLOG_IDENTIFIER", 10'000);
        EXPECT_TRUE(values);
        if (!values) co_return;
        EXPECT_TRUE(std::ranges::binary_search(*values, tag));
        EXPECT_TRUE(std::ranges::binary_search(*values, tag + "-2"));
        const auto few = co_await readers.values("SYSLOG_IDENTIFIER", 1);
        EXPECT_TRUE(few && few->size() == 1);
        const auto small = co_await readers.values("SYSLOG_IDENTIFIER", 10'000, 1);
        EXPECT_TRUE(small && small->size() == 1) << "no further one when they are that long";
    });
}

TEST_F(JournalLog, LongValuesAreCut)
{
    const auto said =
        node->exec(fmt::format("sh -c 'printf %040000d 0 | systemd-cat -t {} && journalctl --sync'", tag));
    ASSERT_EQ(said.exit_code, 0) << said.output;
    opsd::test::run([&]() -> Task<> {
        JournalReaders readers{directory, 1};
        const auto values = co_await readers.values("MESSAGE", 10'000);
        EXPECT_TRUE(values);
        if (!values) co_return;
        const auto longest = std::ranges::max(*values, {}, &std::string::size);
        EXPECT_EQ(longest, std::string(JournalReaders::longest_value, '0'));
        // The next who reads has his own limit again.
        const auto all =
            co_await drain(readers, JournalReaders::open({.matches = ours()}, std::make_unique<Messages>()));
        EXPECT_EQ(all.text.size(), 40'001U);
    });
}

TEST_F(JournalLog, ADirectoryWithoutJournalsIsSaidToBeOne)
{
    const auto empty =
        std::filesystem::temp_directory_path() / ("opsd-no-journal-" + std::to_string(::getpid()));
    std::filesystem::create_directory(empty);
    opsd::test::run([&]() -> Task<> {
        JournalReaders readers{empty, 1};
        const auto slice = co_await readers.next(JournalReaders::open({}, std::make_unique<Messages>()), {});
        EXPECT_FALSE(slice);
        if (!slice) EXPECT_EQ(slice.error().code, Errc::not_found) << slice.error().message;
    });
    std::filesystem::remove_all(empty);
}

namespace {

/// A function for each entry.
class Each final : public EntryWriter {
public:
    explicit Each(std::function<void(const JournalEntry&, std::string&)> what) : what_{std::move(what)} {}
    bool write(const JournalEntry& entry, std::string& out) override
    {
        what_(entry, out);
        return true;
    }

private:
    std::function<void(const JournalEntry&, std::string&)> what_;
};

}  // namespace

TEST_F(JournalLog, WithoutMatchesSmallSlicesMissNothingAndRepeatNothing)
{
    say(1, 60);
    rotate();
    say(61, 70);
    opsd::test::run(
        [&]() -> Task<> {
            JournalReaders readers{directory, 1};
            std::vector<std::string> texts;
            const auto last =
                (co_await readers.next(
                     JournalReaders::open({.from = From::tail}, std::make_unique<Messages>()), {}))
                    ->position;
            const auto until = parse_cursor(last);
            EXPECT_TRUE(until);
            for (const std::size_t looked_at : {std::size_t{3}, std::size_t{100'000}}) {
                auto cursors = std::make_unique<Each>([](const JournalEntry& entry, std::string& out) {
                    out.append(entry.cursor).append("\n");
                });
                JournalRange range;
                if (until) range.until = until->realtime;
                const auto all = co_await drain(readers, JournalReaders::open(range, std::move(cursors)),
                                                {.looked_at = looked_at});
                EXPECT_FALSE(all.loss);
                EXPECT_GE(all.entries, 70U);
                texts.push_back(all.text);
            }
            EXPECT_EQ(texts[0], texts[1]);
        },
        60s);
}

TEST_F(JournalLog, FieldsBeyondWhatAnEntryMayHoldAreLeftOutAndCounted)
{
    say(1, 1);
    opsd::test::run([&]() -> Task<> {
        JournalReaders readers{directory, 1};
        std::size_t bytes = 0;
        std::string left_out;
        auto look = [&](const JournalEntry& entry, std::string&) {
            bytes = 0;
            for (const auto& field : entry.fields)
                bytes += field.name.size() + field.value.size() + 1;
            left_out = entry.find("OPSD_FIELDS_LEFT_OUT").value_or("none");
        };
        SliceLimits limits;
        const JournalRange range{.matches = ours()};
        (void)co_await drain(readers, JournalReaders::open(range, std::make_unique<Each>(look)), limits);
        EXPECT_EQ(left_out, "none");
        const auto whole = bytes;
        limits.entry_bytes = whole / 2;
        (void)co_await drain(readers, JournalReaders::open(range, std::make_unique<Each>(look)), limits);
        EXPECT_NE(left_out, "none");
        EXPECT_LE(bytes, limits.entry_bytes + std::string_view{"OPSD_FIELDS_LEFT_OUT=99"}.size());
    });
}

TEST_F(JournalLog, ATapThatStoodStillWhileFilesWereRemovedSaysSo)
{
    say(1, 5);
    for (const bool stands_still : {false, true}) {
        JournalTap tap{directory, ours(), std::make_unique<Messages>(), ""};
        std::string text;
        const auto take = [&](TapText news) { text += news.text; };
        bool more = true;
        ASSERT_GE(tap.refresh(), 0);
        ASSERT_GE(tap.read_news(take, more), 0);
        ASSERT_FALSE(more);
        say(6, 400);
        if (stands_still) {
            vacuum();
            std::this_thread::sleep_for(2100ms);
            EXPECT_EQ(tap.refresh(), -ESTALE);
            EXPECT_EQ(tap.refresh(), -ESTALE) << "for good";
        } else {
            rotate();
            EXPECT_GE(tap.refresh(), 0) << "it looked in time";
            EXPECT_GE(tap.read_news(take, more), 0);
            EXPECT_TRUE(text.ends_with("\n400\n"));
        }
    }
}
