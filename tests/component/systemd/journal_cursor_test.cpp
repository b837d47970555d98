// What is taken from an entry's cursor, against what sd-journal says of that entry; and cursors that cannot
// be read, which stand in for libsystemd's here, as no journal file gives them at will.

#include "journal_log.hpp"

#include "io/systemd/journal_reading.hpp"

#include <dlfcn.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <set>

using namespace opsd;
using namespace opsd::systemd;
using namespace opsd::systemd::test;
using namespace std::chrono_literals;

namespace {

/// Changes a cursor of this thread, or says the error of reading it.
thread_local std::function<int(std::string&)> meddle;

struct Meddling {
    explicit Meddling(std::function<int(std::string&)> how) { meddle = std::move(how); }
    ~Meddling() { meddle = nullptr; }
    Meddling(const Meddling&) = delete;
    Meddling& operator=(const Meddling&) = delete;
};

}  // namespace

/// In place of libsystemd's in this program.
extern "C" int sd_journal_get_cursor(sd_journal* journal, char** cursor)
{
    static const auto real =
        reinterpret_cast<decltype(&sd_journal_get_cursor)>(::dlsym(RTLD_NEXT, "sd_journal_get_cursor"));
    const int r = real(journal, cursor);
    if (r < 0 || !meddle) return r;
    std::string text{*cursor};
    std::free(*cursor);
    *cursor = nullptr;
    const int said = meddle(text);
    if (said >= 0) *cursor = ::strdup(text.c_str());
    return said;
}

namespace {

/// Looks at the times of each entry, which the handle stands on.
class Times final : public EntryWriter {
public:
    explicit Times(sd_journal* journal) : journal_{journal} {}
    bool write(const JournalEntry& entry, std::string&) override
    {
        std::uint64_t usec = 0;
        sd_id128_t boot{};
        EXPECT_EQ(sd_journal_get_realtime_usec(journal_, &usec), 0);
        EXPECT_EQ(entry.realtime, static_cast<std::int64_t>(usec)) << entry.cursor;
        EXPECT_GE(sd_journal_get_monotonic_usec(journal_, &usec, &boot), 0);
        EXPECT_EQ(entry.monotonic, static_cast<std::int64_t>(usec)) << entry.cursor;
        return true;
    }

private:
    sd_journal* journal_;
};

/// Notes all cursors.
class Cursors final : public EntryWriter {
public:
    explicit Cursors(std::vector<std::string>& all) : all_{all} {}
    bool write(const JournalEntry& entry, std::string&) override
    {
        all_.emplace_back(entry.cursor);
        return true;
    }

private:
    std::vector<std::string>& all_;
};

/// In one slice.
JournalSlice whole(JournalHandle& handle, const JournalRange& range, std::unique_ptr<EntryWriter> writer)
{
    JournalReading reading{range, std::move(writer)};
    JournalSlice all;
    EXPECT_GE(reading.slice(handle, {.longest = 60s}, all), 0);
    EXPECT_TRUE(all.ended);
    return all;
}

}  // namespace

TEST_F(JournalLog, TheTimesOfEachEntryAreThoseThatTheJournalSays)
{
    say(1, 20);
    JournalHandle handle{directory};
    ASSERT_GE(handle.ready(), 0);
    EXPECT_GE(whole(handle, {}, std::make_unique<Times>(handle.get())).entries, 20U);
}

TEST_F(JournalLog, OfACursorThatIsWrittenInAnotherWayTheTimesAreAskedFor)
{
    say(1, 20);
    JournalHandle handle{directory};
    ASSERT_GE(handle.ready(), 0);
    const auto replaced = [](std::string& cursor, std::string_view key, std::string_view by) {
        const auto begin = cursor.find(key);
        ASSERT_NE(begin, std::string::npos) << cursor;
        cursor.replace(begin, cursor.find(';', begin + 1) - begin, by);
    };
    const std::vector<std::function<void(std::string&)>> ways{
        [](std::string& cursor) { cursor = "@12"; },
        [](std::string& cursor) { cursor.clear(); },
        [&](std::string& cursor) { replaced(cursor, ";m=", ""); },
        [&](std::string& cursor) { replaced(cursor, ";t=", ""); },
        [&](std::string& cursor) { replaced(cursor, ";t=", ";t=0"); },
        [&](std::string& cursor) { replaced(cursor, ";t=", ";t=5F"); },
        [&](std::string& cursor) { replaced(cursor, ";m=", ";m=-1"); },
        [&](std::string& cursor) { replaced(cursor, ";t=", ";t=123456789abcdef"); },
        [&](std::string& cursor) {
            replaced(cursor, ";m=", ";q=1;m=5");
            cursor.resize(80);
        },
    };
    for (std::size_t i = 0; i < ways.size(); ++i) {
        SCOPED_TRACE(i);
        const Meddling odd{[&](std::string& cursor) {
            ways[i](cursor);
            return 0;
        }};
        EXPECT_GE(whole(handle, {.matches = ours()}, std::make_unique<Times>(handle.get())).entries, 20U);
    }
}

TEST_F(JournalLog, ASliceDoesNotEndBetweenEntriesWhoseCursorCannotBeRead)
{
    say(1, 20);
    JournalHandle handle{directory};
    ASSERT_GE(handle.ready(), 0);
    std::vector<std::string> cursors;
    (void)whole(handle, {.matches = ours()}, std::make_unique<Cursors>(cursors));
    ASSERT_EQ(cursors.size(), 20U);
    const std::set<std::string> unreadable{cursors[0], cursors[1], cursors[2], cursors[5], cursors[6]};
    const Meddling damaged{
        [&](const std::string& cursor) { return unreadable.contains(cursor) ? -EBADMSG : 0; }};
    JournalReading reading{{.matches = ours()}, std::make_unique<Messages>()};
    std::string text;
    std::uint64_t left_out = 0;
    JournalSlice slice;
    for (int turn = 0; turn < 100 && !slice.ended; ++turn) {
        slice = {};
        ASSERT_GE(reading.slice(handle, {.looked_at = 1}, slice), 0);
        text += slice.text;
        left_out += slice.damaged;
    }
    EXPECT_TRUE(slice.ended);
    auto expected = from_to(8, 20);
    expected.insert(expected.begin(), {4, 5});
    EXPECT_EQ(numbers(text), expected);
    EXPECT_EQ(left_out, unreadable.size());
}
