// The journal as a source: everything once, in order, whatever lets go.

#include "modules/forward/journal_source.hpp"
#include "opsd/task_group.hpp"
#include "pipeline/frames.hpp"

#include "unit/logs/fake_journal.hpp"

#include <gtest/gtest.h>

namespace opsd::forward {
namespace {

using namespace std::chrono_literals;
using logs::test::cursor_at;
using logs::test::FakeJournal;
using pipeline::Slice;
using pipeline::Start;

/// The message of an entry; entries of b.service are left out.
class Messages final : public systemd::EntryWriter {
public:
    bool write(const systemd::JournalEntry& entry, std::string& out) override
    {
        if (entry.find("_SYSTEMD_UNIT") == "b.service") return false;
        out += entry.find("MESSAGE").value_or("");
        return true;
    }
};

class ForwardSource : public ::testing::Test {
protected:
    ForwardSource()
    {
        const auto outside = fake.outside();
        journal.read = outside.read;
        journal.follow = outside.follow;
        make("now");
    }
    ~ForwardSource() override { cancel(); }

    void make(const std::string& start, systemd::MatchGroups matches = {})
    {
        auto writer = [] { return std::make_unique<pipeline::FrameWriter>(std::make_unique<Messages>()); };
        auto labels = [] { return pipeline::Labels{{"node", "n1"}}; };
        source.emplace(JournalSourceOptions{std::move(matches), "elk", start == "now" ? "" : start}, journal,
                       writer, labels, clock);
    }
    void begin(const std::string& from = "") { source->begin(Start{.position = from}); }

    void settle()
    {
        io.restart();
        while (io.poll() > 0) {
        }
    }
    void advance(std::chrono::milliseconds time)
    {
        clock.advance(time, [this] { settle(); });
        settle();
    }
    /// Asks for slices, one after another, until there is none for now; what came is in `got`.
    void read()
    {
        if (!asking) {
            asking = true;
            group.emplace(io.get_executor(), [](std::string_view, const std::exception_ptr& e) {
                ADD_FAILURE() << describe(e).what;
            });
            group->spawn("read", ask());
        }
        settle();
    }
    void cancel()
    {
        if (!group) return;
        group->cancel();
        settle();
        EXPECT_EQ(group->size(), 0U);
        group.reset();
        asking = false;
    }
    /// "1,2,3" of what came since the last time.
    std::string numbers()
    {
        std::string all;
        for (const auto& slice : slices) {
            for (const auto& record : slice.records)
                all += (all.empty() ? "" : ",") + std::string{record.bytes.substr(8)};
        }
        slices.clear();
        return all;
    }
    Task<> ask()
    {
        for (;;) {
            auto slice = co_await source->next();
            if (!slice) {
                errors.push_back(slice.error().message);
                co_await clock.sleep_for(5s);
                continue;
            }
            position = slice->position;
            lost += slice->lost;
            slices.push_back(std::move(*slice));
        }
    }

    asio::io_context io{1};
    ManualClock clock{WallTime{1'000'000s}};
    FakeJournal fake{io.get_executor()};
    Journal journal;
    std::optional<JournalSource> source;
    std::optional<TaskGroup> group;
    bool asking = false;
    std::vector<Slice> slices;
    std::vector<std::string> errors;
    std::string position;
    std::uint64_t lost = 0;
};

TEST_F(ForwardSource, BeginsAtTheEndUnlessItIsToldOtherwise)
{
    fake.add_messages(5);
    begin();
    read();
    EXPECT_EQ(numbers(), "");
    EXPECT_EQ(position, cursor_at(5)) << "it is known before something comes: a restart loses nothing";
    fake.add_messages(2);
    read();
    EXPECT_EQ(numbers(), "6,7");
    cancel();
    make("@0");
    begin();
    read();
    EXPECT_EQ(numbers(), "1,2,3,4,5,6,7");
    cancel();
    make("@3000000");
    begin();
    read();
    EXPECT_EQ(numbers(), "3,4,5,6,7");
    cancel();
    make("now");
    begin(cursor_at(4));
    read();
    EXPECT_EQ(numbers(), "5,6,7") << "a saved position wins";
}

TEST_F(ForwardSource, ADamagedPositionIsNoReasonToSkipAnything)
{
    fake.add_messages(3);
    source->begin(Start{.kind = Start::Kind::unknown});
    read();
    EXPECT_EQ(numbers(), "1,2,3") << "though it is configured to begin now";
    cancel();
    make("@2000000");
    source->begin(Start{.kind = Start::Kind::unknown});
    read();
    EXPECT_EQ(numbers(), "2,3") << "nothing before it was ever wanted";
}

TEST_F(ForwardSource, RecordsKnowTheirPlaceAndLabels)
{
    make("@0");
    fake.add_messages(2);
    begin();
    read();
    ASSERT_EQ(slices.size(), 1U);
    const auto& record = slices[0].records.at(1);
    EXPECT_EQ(record.position, cursor_at(2));
    EXPECT_EQ(record.time, 2'000'000);
    EXPECT_EQ(*record.labels, (pipeline::Labels{{"node", "n1"}}));
    EXPECT_EQ(slices[0].position, cursor_at(2));
    EXPECT_EQ(slices[0].behind, std::optional<std::uint64_t>{0});
    EXPECT_TRUE(source->at_end());
}

TEST_F(ForwardSource, ReadsInSlicesAndSaysWhenItIsNotAtTheEnd)
{
    make("@0");
    fake.add_messages(5);
    fake.slice_entries = 2;
    begin();
    read();
    ASSERT_EQ(slices.size(), 3U);
    EXPECT_EQ(slices[0].behind, std::nullopt);
    EXPECT_EQ(slices[0].position, cursor_at(2));
    EXPECT_EQ(slices[2].behind, std::optional<std::uint64_t>{0});
    EXPECT_EQ(numbers(), "1,2,3,4,5");
}

TEST_F(ForwardSource, AnEmptyJournalLosesNothingOfWhatComes)
{
    begin();
    read();
    EXPECT_EQ(fake.subscribers, 1);
    fake.cut_followers();
    fake.add_messages(3);
    read();
    EXPECT_EQ(numbers(), "1,2,3");
}

TEST_F(ForwardSource, WhenTheFollowerLetsGoNothingIsMissedOrRepeated)
{
    make("@0");
    fake.add_messages(2);
    begin();
    read();
    fake.add_messages(1);
    read();
    EXPECT_EQ(numbers(), "1,2,3");
    fake.cut_followers();
    fake.add_messages(2);
    read();
    EXPECT_EQ(numbers(), "4,5");
    EXPECT_EQ(fake.subscribers, 1) << "it follows again";
    fake.add_messages(1);
    read();
    EXPECT_EQ(numbers(), "6");
}

TEST_F(ForwardSource, WithoutAFollowerItLooksEachSecond)
{
    fake.no_follow = Error{Errc::unavailable, "cannot follow the journal: 1 do so already"};
    begin();
    read();
    fake.add_messages(1);
    advance(999ms);
    EXPECT_EQ(numbers(), "");
    advance(1ms);
    EXPECT_EQ(numbers(), "1");
    const auto slices_read = fake.slices;
    advance(60s);
    EXPECT_LE(fake.slices - slices_read, 61);
}

TEST_F(ForwardSource, TooFarFromTheEndMeansReadingOnNotATightLoop)
{
    fake.no_follow = Error{Errc::timeout, "cannot follow the journal from there: it is too far from the end"};
    fake.add_messages(1);
    begin();
    read();
    const auto joins = fake.keys.size();
    EXPECT_LE(joins, 2U);
    advance(10s);
    EXPECT_LE(fake.keys.size() - joins, 11U);
}

TEST_F(ForwardSource, WhatTheFilterLeavesOutMovesThePosition)
{
    make("@0");
    fake.add_messages(3);
    begin();
    read();
    fake.add_messages(50, "b.service");
    read();
    EXPECT_EQ(numbers(), "1,2,3");
    EXPECT_EQ(position, cursor_at(3));
    advance(5min);
    EXPECT_EQ(position, cursor_at(53));
    EXPECT_EQ(numbers(), "");
    slices.clear();
    advance(1h);
    EXPECT_TRUE(slices.empty()) << "and nothing is said when nothing came";
    fake.add_messages(1);
    read();
    EXPECT_EQ(numbers(), "54");
}

TEST_F(ForwardSource, WhatWasVacuumedIsCountedOnce)
{
    fake.add_messages(10);
    fake.vacuum(7);
    begin(cursor_at(2));
    read();
    EXPECT_EQ(lost, 5U);
    EXPECT_EQ(numbers(), "8,9,10");
    fake.cut_followers();
    fake.add_messages(1);
    read();
    EXPECT_EQ(lost, 5U);
}

TEST_F(ForwardSource, OneThatIsCancelledGoesOnWhereItWas)
{
    make("@0");
    fake.add_messages(4);
    fake.slice_entries = 2;
    begin();
    group.emplace(io.get_executor(), [](std::string_view, const std::exception_ptr&) {});
    asking = true;
    group->spawn("read", ask());
    for (int i = 0; i < 3; ++i)
        io.restart(), io.poll_one();
    cancel();
    read();
    fake.add_messages(1);
    cancel();
    read();
    EXPECT_EQ(numbers(), "1,2,3,4,5");
}

TEST_F(ForwardSource, AJournalThatCannotBeReadIsSaidAndReadOn)
{
    make("@0");
    fake.add_messages(2);
    fake.broken = Error{Errc::denied, "cannot read log entries"};
    begin();
    read();
    EXPECT_EQ(errors, std::vector<std::string>{"cannot read log entries"});
    fake.broken.reset();
    advance(5s);
    EXPECT_EQ(numbers(), "1,2");
}

TEST_F(ForwardSource, MatchesGoToJournald)
{
    make("@0", {{"_SYSTEMD_UNIT=a.service"}});
    fake.add_messages(1, "c.service");
    fake.add_messages(1);
    begin();
    read();
    EXPECT_EQ(numbers(), "2");
    EXPECT_EQ(fake.ranges.at(0).matches, (systemd::MatchGroups{{"_SYSTEMD_UNIT=a.service"}}));
    EXPECT_EQ(fake.keys.at(0).format, "elk");
}

}  // namespace
}  // namespace opsd::forward
