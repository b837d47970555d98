#include "modules/cluster/answers.hpp"

#include "support.hpp"

#include <optional>

namespace opsd::cluster {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t mib = 1U << 20U;

/// Answers of 1 MiB, of a cluster that changes with each version.
class KeptAnswers : public ::testing::Test {
protected:
    Result<KeptAnswer> get(std::uint64_t version, const std::string& key = "report", std::size_t size = mib,
                           bool no_older = false)
    {
        WantedAnswer wanted{.key = key,
                            .snapshot = std::make_shared<const Snapshot<Cluster>>(
                                Snapshot<Cluster>{.version = version, .at = clock.now(), .value = {}}),
                            .modified = clock.now(),
                            .confirmed = clock.now(),
                            .no_older = no_older,
                            .size = size,
                            .render = [version, size](const Cluster&) -> Task<std::string> {
                                co_return std::to_string(version) + " " + std::string(size - 2, '.');
                            }};
        std::optional<Result<KeptAnswer>> answer;
        asio::co_spawn(io, answers.get(std::move(wanted)),
                       [&](const std::exception_ptr& e, Result<KeptAnswer> got) {
                           EXPECT_FALSE(e);
                           answer = std::move(got);
                       });
        const auto end = std::chrono::steady_clock::now() + 10s;
        io.restart();
        while (!answer && std::chrono::steady_clock::now() < end)
            io.run_one_for(10ms);
        EXPECT_TRUE(answer) << "no answer within 10 s";
        return answer ? std::move(*answer) : fail(Errc::internal, "cannot wait longer");
    }
    static char version_of(const Result<KeptAnswer>& answer)
    {
        return answer ? answer->content->body.front() : '-';
    }

    asio::io_context io{1};
    ManualClock clock{WallTime{1'795'000'000s}};
    Answers answers{io.get_executor(), clock, {.bytes = 4 * mib}};
};

TEST_F(KeptAnswers, SlowReadersOfAChangingClusterHoldNoMoreThanTheLimit)
{
    std::vector<Result<KeptAnswer>> slow;
    for (std::uint64_t version = 1; version <= 3; ++version) {
        slow.push_back(get(version));
        EXPECT_EQ(version_of(slow.back()), '0' + static_cast<char>(version));
        clock.advance(2s, [] {});
    }
    const auto last = get(4);
    EXPECT_EQ(version_of(last), '3') << "there is no room: the newest that there is";
    ASSERT_TRUE(last);
    EXPECT_EQ(last->confirmed, clock.now() - 2s);
    EXPECT_LE(answers.bytes_in_use(), 3 * mib + 100);
    const auto newest = get(4, "report", mib, true);
    ASSERT_FALSE(newest);
    EXPECT_EQ(newest.error().code, Errc::unavailable);
    EXPECT_EQ(newest.error().message,
              "cannot make the answer: slow clients still read 3 MiB of earlier ones, and "
              "cluster.max_answers leaves no room for one more; ask again in some seconds");
    clock.advance(8s, [] {});
    EXPECT_FALSE(get(4)) << "it is too old now";
    slow.erase(slow.begin());
    EXPECT_EQ(version_of(get(4)), '4') << "one has read to its end";
}

TEST_F(KeptAnswers, ReadersOfReportsLeaveRoomForLists)
{
    std::vector<Result<KeptAnswer>> slow;
    for (std::uint64_t version = 1; version <= 3; ++version) {
        slow.push_back(get(version));
        clock.advance(2s, [] {});
    }
    EXPECT_EQ(version_of(get(3, "nodes", mib / 2)), '3');
    clock.advance(2s, [] {});
    EXPECT_EQ(version_of(get(4, "nodes", mib / 2)), '4');
}

TEST_F(KeptAnswers, WhatNobodyReadsMakesRoom)
{
    for (const auto* key : {"a", "b", "c", "d", "e"}) {
        EXPECT_EQ(version_of(get(1, key)), '1');
        clock.advance(1s, [] {});
    }
    EXPECT_LE(answers.bytes_in_use(), 3 * mib + 100);
    EXPECT_EQ(version_of(get(2, "e")), '2');
    EXPECT_EQ(answers.rendered(), 6U);
}

TEST_F(KeptAnswers, OneThatIsLargerThanAllRoomIsMadeWhenThereIsNoOther)
{
    EXPECT_EQ(version_of(get(1, "huge", 5 * mib)), '1');
    clock.advance(2s, [] {});
    const auto slow = get(2, "huge", 5 * mib);
    EXPECT_EQ(version_of(slow), '2');
    clock.advance(2s, [] {});
    EXPECT_EQ(version_of(get(3, "huge", 5 * mib)), '2') << "a second one is too much";
}

}  // namespace
}  // namespace opsd::cluster
