// Reading and following whole journals, against a real journald that rotates and vacuums below us.

#include "io/systemd/journal_follower.hpp"
#include "io/systemd/journal_readers.hpp"

#include "node.hpp"
#include "support.hpp"

#include "opsd/task_group.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

using namespace opsd;
using namespace opsd::systemd;
using namespace std::chrono_literals;
using opsd::test::Node;

namespace {

/// One line a message; of those with a word, if one is given.
class Messages final : public EntryWriter {
public:
    explicit Messages(std::string word = "") : word_{std::move(word)} {}
    bool write(const JournalEntry& entry, std::string& out) override
    {
        const auto message = entry.find("MESSAGE").value_or("");
        if (!message.contains(word_)) return false;
        out.append(message).append("\n");
        return true;
    }

private:
    std::string word_;
};

std::vector<int> numbers(std::string_view text)
{
    std::vector<int> all;
    while (!text.empty()) {
        const auto end = text.find('\n');
        all.push_back(std::stoi(std::string{text.substr(0, end)}));
        text.remove_prefix(end + 1);
    }
    return all;
}

std::vector<int> from_to(int first, int last)
{
    std::vector<int> all(static_cast<std::size_t>(std::max(0, last - first + 1)));
    std::iota(all.begin(), all.end(), first);
    return all;
}

/// Each test has an identifier of its own, so that the others' entries are only company.
class JournalLog : public ::testing::Test {
public:
    static void SetUpTestSuite()
    {
        reason = test::no_nodes_because();
        if (!reason.empty()) return;
        node = std::make_unique<Node>("log", "--journald RateLimitIntervalSec=0");
    }
    static void TearDownTestSuite() { node.reset(); }
    void SetUp() override
    {
        if (!reason.empty()) GTEST_SKIP() << reason;
        tag = ::testing::UnitTest::GetInstance()->current_test_info()->name();
        directory = node->root() + "/var/log/journal";
    }

    void say(int first, int last, const std::string& as = "") const
    {
        const auto said = node->exec(fmt::format("sh -c 'seq {} {} | systemd-cat -t {} && journalctl --sync'",
                                                 first, last, as.empty() ? tag : as));
        ASSERT_EQ(said.exit_code, 0) << said.output;
    }
    static void rotate() { EXPECT_EQ(node->exec("journalctl --rotate").exit_code, 0); }
    static void vacuum()
    {
        const auto done = node->exec("journalctl --rotate --vacuum-files=1");
        EXPECT_EQ(done.exit_code, 0) << done.output;
    }
    [[nodiscard]] MatchGroups ours() const { return {{"SYSLOG_IDENTIFIER=" + tag}}; }

    /// Reads until it ended; the slices are joined.
    static Task<JournalSlice> drain(JournalReaders& readers, std::shared_ptr<JournalReading> reading,
                                    SliceLimits limits = {})
    {
        JournalSlice all;
        for (int turn = 0; turn < 100'000 && !all.ended; ++turn) {
            auto slice = co_await readers.next(reading, limits);
            EXPECT_TRUE(slice) << slice.error().message;
            if (!slice) co_return all;
            all.text += slice->text;
            all.entries += slice->entries;
            all.position = slice->position;
            all.ended = slice->ended;
            all.complete = slice->complete;
            all.skipped += slice->skipped;
            if (slice->loss) all.loss = slice->loss;
        }
        co_return all;
    }
    std::vector<int> read(JournalRange range, SliceLimits limits = {}, std::string word = "",
                          JournalSlice* told = nullptr) const
    {
        JournalSlice all;
        test::run([&]() -> Task<> {
            JournalReaders readers{directory, 2};
            range.matches = ours();
            all = co_await drain(readers, JournalReaders::open(range, std::make_unique<Messages>(word)),
                                 limits);
        });
        if (told != nullptr) *told = all;
        return numbers(all.text);
    }

    std::string tag;
    std::string directory;
    static inline std::unique_ptr<Node> node;
    static inline std::string reason;
};

}  // namespace

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
    test::run(
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
    test::run(
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
    test::run([&]() -> Task<> {
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
    test::run([&]() -> Task<> {
        JournalReaders readers{directory, 1};
        const auto values = co_await readers.values("SYSLOG_IDENTIFIER", 10'000);
        EXPECT_TRUE(values);
        if (!values) co_return;
        EXPECT_TRUE(std::ranges::binary_search(*values, tag));
        EXPECT_TRUE(std::ranges::binary_search(*values, tag + "-2"));
        const auto few = co_await readers.values("SYSLOG_IDENTIFIER", 1);
        EXPECT_TRUE(few && few->size() == 1);
    });
}

TEST_F(JournalLog, ADirectoryWithoutJournalsIsSaidToBeOne)
{
    const auto empty =
        std::filesystem::temp_directory_path() / ("opsd-no-journal-" + std::to_string(::getpid()));
    std::filesystem::create_directory(empty);
    test::run([&]() -> Task<> {
        JournalReaders readers{empty, 1};
        const auto slice = co_await readers.next(JournalReaders::open({}, std::make_unique<Messages>()), {});
        EXPECT_FALSE(slice);
        if (!slice) EXPECT_EQ(slice.error().code, Errc::not_found) << slice.error().message;
    });
    std::filesystem::remove_all(empty);
}

// --- following

namespace {

/// A follower with its thread, for a test's coroutine.
struct Following {
    Following(const Executor& executor, const std::string& directory, FollowerLimits limits = {})
      : follower{directory, limits}
      , group{executor, [](std::string_view, std::exception_ptr e) {
                  try {
                      std::rethrow_exception(e);
                  } catch (const std::exception& error) {
                      ADD_FAILURE() << error.what();
                  }
              }}
    {
        group.spawn("follower", follower.run());
    }
    Task<> end()
    {
        group.cancel();
        co_await group.join();
    }
    JournalFollower follower;
    TaskGroup group;
};

JournalFollower::MakeWriter messages()
{
    return [] { return std::make_unique<Messages>(); };
}

/// Chunks until so many numbers came.
Task<std::vector<int>> take(Subscription& subscription, std::size_t count)
{
    std::vector<int> all;
    while (all.size() < count) {
        const auto chunk = co_await subscription.next();
        if (!chunk) break;
        std::ranges::copy(numbers(*chunk->text), std::back_inserter(all));
    }
    co_return all;
}

}  // namespace

TEST_F(JournalLog, FollowersGetWhatIsNewFromTheirPositionOn)
{
    say(1, 10);
    JournalSlice at;
    (void)read({.limit = 7}, {}, "", &at);
    test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Following here{executor, directory};
            co_await test::sleep(1ms);
            const FollowKey key{ours(), "messages"};
            auto early = co_await here.follower.join(key, messages(), at.position);
            EXPECT_TRUE(early) << early.error().message;
            if (!early) co_return;
            auto first = co_await take(**early, 3);
            EXPECT_EQ(first, from_to(8, 10));
            say(11, 13);
            auto late = co_await here.follower.join(key, messages(), at.position);
            EXPECT_TRUE(late) << late.error().message;
            if (!late) co_return;
            EXPECT_EQ(here.follower.handles(), 1U) << "both share one";
            auto both = co_await take(**late, 6);
            EXPECT_EQ(both, from_to(8, 13));
            first = co_await take(**early, 3);
            EXPECT_EQ(first, from_to(11, 13));
            say(14, 15);
            first = co_await take(**early, 2);
            both = co_await take(**late, 2);
            EXPECT_EQ(first, from_to(14, 15));
            EXPECT_EQ(both, from_to(14, 15));
            late->reset();
            early->reset();
            EXPECT_EQ(here.follower.handles(), 0U);
            EXPECT_EQ(here.follower.subscribers(), 0U);
            co_await here.end();
        },
        30s);
}

TEST_F(JournalLog, WhoJoinsLaterDoesNotMakeTheOthersHearTwice)
{
    say(1, 5);
    JournalSlice at;
    (void)read({.limit = 2}, {}, "", &at);
    say(1, 3, "somebody-else");
    // Where nothing more matches, the place is an entry of somebody else.
    JournalSlice end;
    EXPECT_EQ(read({.from = From::tail}, {}, "", &end), std::vector<int>{});
    test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Following here{executor, directory};
            co_await test::sleep(1ms);
            const FollowKey key{ours(), "messages"};
            auto early = co_await here.follower.join(key, messages(), end.position);
            EXPECT_TRUE(early) << early.error().message;
            if (!early) co_return;
            auto late = co_await here.follower.join(key, messages(), at.position);
            EXPECT_TRUE(late) << late.error().message;
            if (!late) co_return;
            auto got = co_await take(**late, 3);
            EXPECT_EQ(got, from_to(3, 5));
            say(6, 7);
            got = co_await take(**early, 2);
            EXPECT_EQ(got, from_to(6, 7)) << "nothing that the newcomer alone lacked";
            got = co_await take(**late, 2);
            EXPECT_EQ(got, from_to(6, 7));
            early->reset();
            late->reset();
            co_await here.end();
        },
        30s);
}

TEST_F(JournalLog, FollowingMissesAndDoublesNothingWhileItRotatesAndPeopleJoin)
{
    say(1, 1);
    JournalSlice at;
    (void)read({}, {}, "", &at);
    constexpr int last = 3000;
    const auto script =
        fmt::format("sh -c 'i=2; while [ $i -le {0} ]; do seq $i $((i+99)) | head -n $(({0}-i+1)) | "
                    "systemd-cat -t {1}; journalctl --rotate; i=$((i+100)); done'",
                    last, tag);
    test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Following here{executor, directory, {.catch_up = 100'000}};
            co_await test::sleep(1ms);
            const FollowKey key{ours(), "messages"};
            FILE* writer = ::popen(node->command(script).c_str(), "re");
            std::vector<std::vector<int>> got(6);
            std::size_t ended = 0;
            std::deque<std::function<Task<>()>> followers;
            for (std::size_t i = 0; i < got.size(); ++i) {
                auto follow = [&, i]() -> Task<> {
                    co_await test::sleep(std::chrono::milliseconds{i * 150});
                    auto subscription = co_await here.follower.join(key, messages(), at.position);
                    EXPECT_TRUE(subscription) << subscription.error().message;
                    if (subscription) got[i] = co_await take(**subscription, last - 1);
                    ++ended;
                };
                followers.emplace_back(follow);  // its captures live as long as the coroutine
                asio::co_spawn(executor, followers.back()(), [](const std::exception_ptr& e) {
                    if (e) ADD_FAILURE() << describe(e).what;
                });
            }
            while (ended < got.size())
                co_await test::sleep(20ms);
            ::pclose(writer);
            for (const auto& one : got)
                EXPECT_EQ(one, from_to(2, last));
            co_await here.end();
        },
        60s);
}

TEST_F(JournalLog, WhoDoesNotKeepUpIsCutOffAndReadsOn)
{
    say(1, 1);
    JournalSlice at;
    (void)read({}, {}, "", &at);
    test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Following here{executor, directory, {.queue_bytes = 200}};
            co_await test::sleep(1ms);
            const FollowKey key{ours(), "messages"};
            auto slow = co_await here.follower.join(key, messages(), at.position);
            EXPECT_TRUE(slow);
            if (!slow) co_return;
            for (int i = 0; i < 10; ++i) {
                say(2 + i * 20, 21 + i * 20);
                co_await test::sleep(50ms);
            }
            std::vector<int> all;
            std::string position;
            for (;;) {
                const auto chunk = co_await (*slow)->next();
                if (!chunk) break;
                std::ranges::copy(numbers(*chunk->text), std::back_inserter(all));
                position = chunk->position;
            }
            EXPECT_LT(all.size(), 200U);
            EXPECT_FALSE((*slow)->why().empty());
            JournalReaders readers{directory, 1};
            JournalRange range{.matches = ours(), .from = From::cursor, .cursor = position};
            const auto rest =
                co_await drain(readers, JournalReaders::open(range, std::make_unique<Messages>()));
            std::ranges::copy(numbers(rest.text), std::back_inserter(all));
            EXPECT_EQ(all, from_to(2, 201));
            co_await here.end();
        },
        30s);
}

TEST_F(JournalLog, WhoIsTooFarFromTheEndReadsOnFirst)
{
    say(1, 200);
    JournalSlice at;
    (void)read({.limit = 1}, {}, "", &at);
    test::run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            Following here{executor, directory, {.subscribers = 1, .catch_up = 100}};
            co_await test::sleep(1ms);
            const FollowKey key{ours(), "messages"};
            auto far = co_await here.follower.join(key, messages(), at.position);
            EXPECT_TRUE(!far && far.error().code == Errc::timeout);
            EXPECT_EQ(here.follower.subscribers(), 0U);
            JournalReaders readers{directory, 1};
            JournalRange range{.matches = ours(), .from = From::cursor, .cursor = at.position};
            const auto rest =
                co_await drain(readers, JournalReaders::open(range, std::make_unique<Messages>()));
            auto near = co_await here.follower.join(key, messages(), rest.position);
            EXPECT_TRUE(near);
            auto more = co_await here.follower.join(key, messages(), rest.position);
            EXPECT_TRUE(!more && more.error().code == Errc::unavailable);
            say(201, 202);
            if (near) {
                const auto news = co_await take(**near, 2);
                EXPECT_EQ(news, from_to(201, 202));
            }
            co_await here.end();
        },
        30s);
}
