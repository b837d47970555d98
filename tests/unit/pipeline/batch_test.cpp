#include "pipeline/batch.hpp"
#include "pipeline/rate_limit.hpp"
#include "pipeline/verdict.hpp"
#include "pipeline_support.hpp"

using namespace opsd;
using namespace opsd::test;
using namespace std::chrono_literals;

TEST(Frames, RecordsComeOutAsTheyWentIn)
{
    Text text;
    text.labels = {{"node", "a"}};
    for (const auto* bytes : {"", "one", "line\nline\n"}) {
        const auto frame = begin_frame(text.bytes, "id", "s=1;i=2", 42);
        text.bytes += bytes;
        end_frame(text.bytes, frame);
    }
    const auto records = read_frames(text);
    ASSERT_TRUE(records);
    ASSERT_EQ(records->size(), 3U);
    EXPECT_EQ((*records)[2].bytes, "line\nline\n");
    EXPECT_EQ((*records)[2].id, "id");
    EXPECT_EQ((*records)[2].position, "s=1;i=2");
    EXPECT_EQ((*records)[2].time, 42);
    EXPECT_EQ((*records)[0].labels, &text.labels);
    text.bytes.pop_back();
    EXPECT_EQ(read_frames(text).error().code, Errc::internal);
}

TEST(Frames, TheIdOfAnEntryIsItsSequenceNumberAndTime)
{
    std::string id;
    append_entry_id(id, "s=6e1c;i=3f2;b=0a1b;m=1f4;t=62a0;x=a1b2");
    EXPECT_EQ(id, "6e1c-3f2-62a0");
    id.clear();
    append_entry_id(id, "something else");
    EXPECT_EQ(id, "something else");
}

namespace {

/// Takes what has a message.
class Messages final : public systemd::EntryWriter {
    bool write(const systemd::JournalEntry& entry, std::string& out) override
    {
        const auto message = entry.fields.empty() ? std::string_view{} : entry.fields[0].value;
        out += message;
        return !message.empty();
    }
};

}  // namespace

TEST(Frames, AnEntryThatIsNotWantedLeavesNoTrace)
{
    FrameWriter writer{std::make_unique<Messages>()};
    Text text;
    systemd::JournalEntry entry;
    entry.cursor = "s=6e;i=1;b=0;m=1;t=2;x=3";
    entry.realtime = 5;
    EXPECT_FALSE(writer.write(entry, text.bytes));
    EXPECT_EQ(text.bytes, "");
    const systemd::JournalField message{"MESSAGE", "hello"};
    entry.fields = {&message, 1};
    EXPECT_TRUE(writer.write(entry, text.bytes));
    const auto records = read_frames(text);
    ASSERT_EQ(records->size(), 1U);
    EXPECT_EQ(records->front().id, "6e-1-2");
    EXPECT_EQ(records->front().position, entry.cursor);
    EXPECT_EQ(records->front().bytes, "hello");
    EXPECT_EQ(records->front().time, 5);
}

TEST(Batch, HalvesAreTheWholeInOrder)
{
    const auto [front, back] = halves({1, 2, 3});
    EXPECT_EQ(front, (Sequence{1, 2}));
    EXPECT_EQ(back, (Sequence{3}));
}

TEST(Batch, IsCutByCountAndByBytesButNeverToNothing)
{
    Cutter count{2, 100};
    EXPECT_TRUE(count.take(1));
    EXPECT_TRUE(count.take(1));
    EXPECT_FALSE(count.take(1));
    EXPECT_TRUE(count.cut().full);
    Cutter bytes{10, 100};
    EXPECT_TRUE(bytes.take(60));
    EXPECT_FALSE(bytes.cut().full);
    EXPECT_FALSE(bytes.take(60));
    EXPECT_EQ(bytes.cut().records, 1U);
    EXPECT_EQ(bytes.cut().bytes, 60U);
    Cutter large{10, 100};
    EXPECT_TRUE(large.take(500));
    EXPECT_TRUE(large.cut().full);
}

TEST(Batch, KeepsAliveWhatItsRecordsPointInto)
{
    Batch batch{1};
    {
        const auto slice = numbered(1, 3);
        for (const auto& record : slice.records)
            batch.add(record, slice.text);
    }
    EXPECT_EQ(joined(batch), "1;2;3;");
    EXPECT_EQ(batch.bytes(), 6U);
}

TEST(RateLimit, LetsABurstPassAndThenAsMuchAsTheRate)
{
    RateLimit limit{1000, 500};
    auto now = Monotonic{1h};
    EXPECT_EQ(limit.wait(now), 0ms);
    limit.spend(2500, now);  // a request larger than the bucket is paid for afterwards
    EXPECT_NEAR(static_cast<double>(limit.wait(now).count()), 2001, 1);
    now += 1s;
    EXPECT_NEAR(static_cast<double>(limit.wait(now).count()), 1001, 1);
    now += 1002ms;
    EXPECT_EQ(limit.wait(now), 0ms);
    now += 1h;
    limit.spend(499, now);
    EXPECT_EQ(limit.wait(now), 0ms) << "an hour fills the bucket, no more";
    limit.spend(2, now);
    EXPECT_GT(limit.wait(now), 0ms);
}

TEST(RateLimit, WithoutARateNothingWaits)
{
    RateLimit limit{0, 1};
    limit.spend(1'000'000'000, Monotonic{1h});
    EXPECT_EQ(limit.wait(Monotonic{1h}), 0ms);
}

TEST(Verdict, AStatusSaysWhetherItIsTheTimeTheRecordOrUs)
{
    const auto kind = [](int status) { return verdict_of_status(status, "", {}).kind; };
    using Kind = Verdict::Kind;
    EXPECT_EQ(kind(200), Kind::accepted);
    for (const int status : {408, 425, 429, 500, 502, 503, 504, 0, 100})
        EXPECT_EQ(kind(status), Kind::retry) << status;
    for (const int status : {401, 403, 407, 404, 405, 301, 307})
        EXPECT_EQ(kind(status), Kind::keep) << status;
    for (const int status : {400, 409, 415, 422})
        EXPECT_EQ(kind(status), Kind::refused) << status;
    EXPECT_EQ(kind(413), Kind::too_large);
    EXPECT_EQ(verdict_of_status(503, "<b>busy</b>\r\n\r\nnow", 3s).reason,
              "it answered 503: <b>busy</b> now");
    EXPECT_EQ(verdict_of_status(503, "", 3s).after, 3s);
}

TEST(Verdict, RetryAfterIsSecondsOrADateAndNeverForEver)
{
    EXPECT_EQ(parse_retry_after("120", today), 120s);
    EXPECT_EQ(parse_retry_after("0", today), 0s);
    EXPECT_EQ(parse_retry_after("4000000000", today), 10min);
    EXPECT_EQ(parse_retry_after("Sun, 22 Nov 2026 00:00:30 GMT", today), 30s);
    EXPECT_EQ(parse_retry_after("Sat, 21 Nov 2026 00:00:30 GMT", today), 0s);
    for (const auto* odd : {"", "-1", "soon", "1.5", "Sun, 22 Nov 2026 25:00:30 GMT", "12 "})
        EXPECT_EQ(parse_retry_after(odd, today), std::nullopt) << odd;
}

TEST(Verdict, AnExcerptIsOneShortPrintableLine)
{
    EXPECT_EQ(excerpt(" a\n\n b\x01"), "a b");
    EXPECT_EQ(excerpt("\xff"), "?");
    EXPECT_EQ(excerpt(std::string(10'000, 'x')).size(), 303U);
}
