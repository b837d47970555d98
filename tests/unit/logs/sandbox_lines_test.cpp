#include "modules/logs/sandbox_lines.hpp"

#include "support.hpp"
#include "unit/logs/memory_file.hpp"

#include <fmt/format.h>

#include <vector>

namespace opsd::logs {
namespace {

using namespace std::chrono_literals;
using opsd::test::MemoryFile;
using opsd::test::run;
using Step = LineReader::Step;

const std::string five = "one\ntwo\nthree\nfour\nfive\n\n";

LineQuery query(const char* cursor, const char* skip = nullptr, const char* limit = nullptr,
                const char* last = nullptr)
{
    const auto text = [](const char* value) { return std::string{value == nullptr ? "" : value}; };
    const auto a = text(cursor);
    const auto b = text(skip);
    const auto c = text(limit);
    const auto d = text(last);
    const auto parsed = parse_line_query(cursor == nullptr ? nullptr : &a, skip == nullptr ? nullptr : &b,
                                         limit == nullptr ? nullptr : &c, last == nullptr ? nullptr : &d);
    EXPECT_TRUE(parsed.has_value());
    return parsed.value_or(LineQuery{});
}

/// "one|two|" of a window; a piece that goes on ends with "+".
std::string window(MemoryFile& file, LineQuery wanted, LineLimits limits = {})
{
    std::string seen;
    run([&]() -> Task<> {
        LineReader reader{file, limits};
        const auto begun = co_await reader.start(wanted);
        if (!begun) {
            seen = begun.error().message;
            co_return;
        }
        const OnPiece on_piece = [&seen](const Piece& piece) {
            seen.append(piece.text).append(piece.continues ? "+" : "|");
            return true;
        };
        for (;;) {
            const auto step = co_await reader.next(on_piece);
            if (!step) seen += step.error().message;
            if (!step || *step != Step::read) co_return;
        }
    });
    return seen;
}
std::string window(std::string content, LineQuery wanted, LineLimits limits = {})
{
    MemoryFile file{std::move(content)};
    return window(file, wanted, limits);
}

TEST(LineQuery, SaysWhatItsParametersMustBe)
{
    const auto why = [](const char* cursor, const char* skip, const char* limit, const char* last) {
        const auto text = [](const char* value) { return std::string{value}; };
        const std::string all[] = {text(cursor), text(skip), text(limit), text(last)};
        const auto parsed = parse_line_query(&all[0], &all[1], &all[2], &all[3]);
        EXPECT_FALSE(parsed.has_value());
        return parsed ? std::string{} : parsed.error().message;
    };
    EXPECT_EQ(why("-1", "", "", ""), "cannot read the file: cursor must be BEG, END or a byte offset");
    EXPECT_EQ(why("end", "", "", ""), "cannot read the file: cursor must be BEG, END or a byte offset");
    EXPECT_EQ(why("", "1x", "", ""),
              "cannot read the file: skip must be a number of lines, negative to go back");
    EXPECT_EQ(why("", "", "-1", ""), "cannot read the file: limit must be a number of lines");
    EXPECT_EQ(why("", "", "", "s=1"),
              "cannot read the file: Last-Event-ID must be a byte offset that an earlier answer gave");
    const std::string number(30, '9');
    why(number.c_str(), "", "", "");
}

TEST(LineQuery, ALastEventIdMakesTheOthersUnread)
{
    const auto parsed = query("nonsense", "also", "this", "7");
    EXPECT_EQ(parsed.offset, 7U);
    EXPECT_TRUE(parsed.resumed);
    EXPECT_EQ(parsed.skip, 0);
    EXPECT_EQ(parsed.limit, 0U);
}

TEST(LineReader, ServesTheWindowsOfTheAcceptanceList)
{
    EXPECT_EQ(window(five, query(nullptr, "2")), "three|four|five|");
    EXPECT_EQ(window(five, query("END", "-2")), "four|five|");
    EXPECT_EQ(window(five, query(nullptr, "3", "1")), "four|");
    EXPECT_EQ(window(five, query("7", "1")), "four|five|");
    EXPECT_EQ(window(five, query("7", "-1", "1")), "two|");
    EXPECT_EQ(window(five, query("END", "-5")), "one|two|three|four|five|");
    EXPECT_EQ(window(five, query("END", "-1", nullptr, "7")), "three|four|five|");
}

TEST(LineReader, CountsFromTheByteOfTheCursor)
{
    EXPECT_EQ(window(five, query("5")), "wo|three|four|five|");
    EXPECT_EQ(window(five, query("6", "-1", "1")), "two|") << "back to where the line begins";
    EXPECT_EQ(window(five, query("BEG", "-3")), "one|two|three|four|five|");
    EXPECT_EQ(window(five, query("END")), "");
    EXPECT_EQ(window(five, query("END", "2")), "");
    EXPECT_EQ(window(five, query("1000")), "") << "beyond the end";
    EXPECT_EQ(window(five, query("1000", "-1")), "five|");
    EXPECT_EQ(window(five, query(nullptr, "-1")), "five|") << "without a cursor from the end";
    EXPECT_EQ(window(five, query(nullptr, "-9223372036854775808")), "one|two|three|four|five|");
    EXPECT_EQ(window(five, query(nullptr, "9223372036854775807")), "");
    EXPECT_EQ(window(five, query(nullptr, nullptr, nullptr, "1000")), "one|two|three|four|five|")
        << "shorter than where the reader left off: it is another file";
}

TEST(LineReader, ALastLineWithoutNewlineIsALine)
{
    EXPECT_EQ(window("a\nb", query(nullptr)), "a|b|");
    EXPECT_EQ(window("a\nb", query("END", "-1")), "b|");
    EXPECT_EQ(window("a\nb", query("END", "-2")), "a|b|");
    EXPECT_EQ(window("b", query("END", "-10")), "b|");
    EXPECT_EQ(window("a\n 50%\r 60%", query("END", "-1")), " 50%\r 60%|");
}

TEST(LineReader, EmptyFilesAndEmptyLinesHaveNone)
{
    EXPECT_EQ(window("", query("END", "-10")), "");
    EXPECT_EQ(window("\n\n\n", query("END", "-1")), "");
    EXPECT_EQ(window("\n\na\n\n\nb\n\n", query("END", "-1")), "b|");
    EXPECT_EQ(window("\n\na\n\n\nb\n\n", query("END", "-2")), "a|b|");
    EXPECT_EQ(window("\n\na\n\n\nb\n\n", query(nullptr, "1", "1")), "b|");
}

TEST(LineReader, NoLineIsCutOrGluedWhateverTheBlocks)
{
    std::string content;
    std::string expected;
    for (int i = 0; i < 300; ++i) {
        const std::string line(static_cast<std::size_t>(i * 7 % 400), static_cast<char>('a' + i % 26));
        content += line + "\n";
        if (!line.empty()) expected += line + "|";
    }
    for (const std::size_t block : {128U, 129U, 1000U, 65536U}) {
        for (const std::size_t most : {1U, 17U, 65536U}) {
            MemoryFile file{content};
            file.most = most;
            EXPECT_EQ(window(file, query(nullptr), {.block = block}), expected);
            EXPECT_EQ(window(file, query("END", "-300"), {.block = block}), expected);
        }
    }
    EXPECT_EQ(window(std::string(40'000, 'x') + "\nnext\n", query("END", "-2")),
              std::string(40'000, 'x') + "|next|");
}

TEST(LineReader, SkipsExactlyAsManyLinesAsWanted)
{
    std::string content;
    for (int i = 1; i <= 20'000; ++i)
        content += fmt::format("line {}\n", i);
    const auto back = window(content, query("END", "-5000"));
    EXPECT_TRUE(back.starts_with("line 15001|"));
    EXPECT_EQ(std::ranges::count(back, '|'), 5'000);
    EXPECT_TRUE(window(content, query(nullptr, "5000")).starts_with("line 5001|"));
}

/// A gigabyte of lines that exists only where it is read.
class HugeFile final : public ByteSource {
public:
    Task<Result<std::uint64_t>> size() override { co_return length; }
    Task<Result<std::string>> read(std::uint64_t offset, std::size_t wanted) override
    {
        ++reads;
        std::string bytes;
        for (auto at = offset; at < std::min<std::uint64_t>(length, offset + wanted); ++at)
            bytes += at % 100 == 99 ? '\n' : static_cast<char>('0' + at / 100 % 10);
        co_return bytes;
    }
    static constexpr std::uint64_t length = 1'000'000'000;
    int reads = 0;
};

TEST(LineReader, TheTailOfAGigabyteTakesAFewReads)
{
    HugeFile file;
    std::vector<std::string> lines;
    run([&]() -> Task<> {
        LineReader reader{file, {}};
        const auto begun = co_await reader.start(query("END", "-10"));
        EXPECT_TRUE(begun.has_value());
        const OnPiece on_piece = [&lines](const Piece& piece) {
            lines.emplace_back(piece.text);
            return true;
        };
        const auto step = co_await reader.next(on_piece);
        EXPECT_EQ(*step, Step::at_end);
    });
    EXPECT_EQ(lines.size(), 10U);
    EXPECT_EQ(lines.back(), std::string(99, '9'));
    EXPECT_EQ(file.reads, 2);
}

TEST(LineReader, WhatLiesTooFarBackIsSaidSo)
{
    EXPECT_EQ(window(std::string(10'000, 'x'), query("END", "-2"), {.block = 1000, .farthest_back = 5'000}),
              "cannot go 2 lines back: they begin more than 0 MiB before; give the cursor as a byte offset");
}

TEST(LineReader, LongLinesComeInPiecesThatDoNotTearCharacters)
{
    EXPECT_EQ(window("abcdefgh\nij\n", query(nullptr), {.longest = 3}), "abc+def+gh|ij|");
    EXPECT_EQ(window("abcdef\n", query(nullptr), {.longest = 3}), "abc+def|") << "no empty piece at the end";
    EXPECT_EQ(window("aaä€b\n", query(nullptr), {.longest = 3}), "aa+ä+€+b|");
    EXPECT_EQ(window("\xbf\xbf\xbf\xbf\xbf\xbf\n", query(nullptr), {.longest = 4}),
              "\xbf\xbf\xbf\xbf+\xbf\xbf|")
        << "no characters at all";
    EXPECT_EQ(window("abcdefgh\nij\nkl\n", query(nullptr, "1", "1"), {.longest = 3}), "ij|")
        << "lines count, not pieces";
    MemoryFile slow{"aaä€b\n"};
    slow.most = 1;
    EXPECT_EQ(window(slow, query(nullptr), {.longest = 3}), "aa+ä+€+b|");
}

TEST(LineSplitter, TellsWhereToGoOn)
{
    std::string seen;
    const OnPiece on_piece = [&seen](const Piece& piece) {
        seen += fmt::format("{}..{}{}{} ", piece.offset, piece.after, piece.continued ? "<" : "",
                            piece.continues ? ">" : "");
        return true;
    };
    LineSplitter splitter{100, 3};
    EXPECT_TRUE(splitter.feed("ab\n\nc", on_piece));
    EXPECT_TRUE(splitter.holds());
    EXPECT_EQ(splitter.position(), 105U);
    EXPECT_TRUE(splitter.feed("defgh\n", on_piece));
    EXPECT_EQ(seen, "100..103 104..107> 107..111< ") << "3 letters, 3 letters and a newline";
    seen.clear();
    EXPECT_TRUE(splitter.feed("x", on_piece));
    EXPECT_TRUE(splitter.flush(true, on_piece));
    EXPECT_TRUE(splitter.flush(true, on_piece));
    EXPECT_TRUE(splitter.feed("\ny", on_piece));
    EXPECT_EQ(seen, "111..112> 112..113< ") << "the end of a line that was told in part is told";
}

TEST(LineReader, AWindowEndsWhereTheFileEndedWhenItWasAskedFor)
{
    MemoryFile file{"a\nb\n"};
    file.before_read = [&file] { file.content += "more\n"; };
    EXPECT_EQ(window(file, query(nullptr)), "a|b|");
}

TEST(LineReader, AFileThatBecomesShorterMeanwhileEndsTheWindow)
{
    MemoryFile file{"a\nb\n"};
    file.before_read = [&file] { file.content.clear(); };
    EXPECT_EQ(window(file, query(nullptr)), "");
    MemoryFile other{"a\nb\n"};
    other.before_read = [&other] { other.content.clear(); };
    EXPECT_EQ(window(other, query("END", "-1")),
              "cannot read the file: it became shorter meanwhile; ask again");
}

TEST(LineReader, PassesOnWhyTheFileCannotBeRead)
{
    MemoryFile file{"a\n"};
    file.error = Error{Errc::not_found, "cannot read it: gone"};
    EXPECT_EQ(window(file, query(nullptr)), "cannot read it: gone");
}

// --- following

/// A follower whose steps a test takes.
struct Follower {
    explicit Follower(std::string content, LineQuery wanted = {}, LineLimits limits = {})
      : file{std::move(content)}
      , reader{file, limits, &previous}
    {
        run([&]() -> Task<> {
            const auto begun = co_await reader.start(wanted);
            EXPECT_TRUE(begun.has_value());
        });
    }

    /// Everything up to the next wait: "one|~two|", "~" where the file was exchanged.
    std::string steps()
    {
        std::string seen;
        run([&]() -> Task<> {
            const OnPiece on_piece = [&seen](const Piece& piece) {
                seen.append(piece.text).append(piece.continues ? "+" : "|");
                return true;
            };
            for (;;) {
                const auto step = co_await reader.follow(now, on_piece);
                if (!step) seen += step.error().message;
                if (step && *step == Step::rotated) seen += "~";
                if (step && *step == Step::done) seen += ".";
                if (!step || *step == Step::at_end || *step == Step::done) co_return;
            }
        });
        return seen;
    }

    MemoryFile file;
    MemoryFile previous;
    LineReader reader;
    Monotonic now{0};
};

TEST(LineReader, FollowsAFileThatGrows)
{
    Follower follower{"a\nb\n", query("END", "-1")};
    EXPECT_EQ(follower.steps(), "b|");
    EXPECT_EQ(follower.steps(), "");
    follower.file.content += "c\n\nd\n";
    EXPECT_EQ(follower.steps(), "c|d|");
    EXPECT_EQ(follower.reader.position(), 9U);
}

TEST(LineReader, AnIdleFollowerAsksOnlyForTheSize)
{
    Follower follower{"a\n"};
    follower.steps();
    const auto reads = follower.file.reads;
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(follower.steps(), "");
    EXPECT_EQ(follower.file.reads, reads);
}

TEST(LineReader, HoldsAPartialLineUntilItsNewlineComes)
{
    Follower follower{"a\nhal"};
    EXPECT_EQ(follower.steps(), "a|");
    follower.now += 1s;
    EXPECT_EQ(follower.steps(), "");
    follower.file.content += "f\n";
    EXPECT_EQ(follower.steps(), "half|");
}

TEST(LineReader, TellsAPartialLineThatDoesNotGrow)
{
    Follower follower{"Password: ", {}, {.partial_after = 2s}};
    EXPECT_EQ(follower.steps(), "");
    follower.now += 1'999ms;
    EXPECT_EQ(follower.steps(), "");
    follower.now += 1ms;
    EXPECT_EQ(follower.steps(), "Password: +");
    follower.now += 10s;
    EXPECT_EQ(follower.steps(), "") << "once";
    follower.file.content += "secret\n";
    EXPECT_EQ(follower.steps(), "secret|");
    follower.file.content += "x";
    follower.steps();
    follower.now += 2s;
    EXPECT_EQ(follower.steps(), "x+");
    follower.file.content += "\n";
    EXPECT_EQ(follower.steps(), "|") << "its end";
}

TEST(LineReader, NoticesThatTheFileBecameShorter)
{
    Follower follower{"one\ntwo\nhalf"};
    EXPECT_EQ(follower.steps(), "one|two|");
    follower.file.content = "new\n";
    EXPECT_EQ(follower.steps(), "half|~new|") << "what was held is all that will come of it";
    EXPECT_EQ(follower.reader.position(), 4U);
    follower.file.content.clear();
    EXPECT_EQ(follower.steps(), "~");
    follower.file.content = "again\n";
    EXPECT_EQ(follower.steps(), "again|");
}

TEST(LineReader, NoticesAnExchangedFileThatIsLongerThanTheOldOne)
{
    Follower follower{"12:00 one\n12:01 two\n"};
    EXPECT_EQ(follower.steps(), "12:00 one|12:01 two|");
    follower.file.content = "13:00 three\n13:01 four\n13:02 five\n";
    EXPECT_EQ(follower.steps(), "~13:00 three|13:01 four|13:02 five|");
}

TEST(LineReader, ReadsAnExchangedFileToItsEndUnderItsOtherName)
{
    Follower follower{"one\ntwo\nha"};
    follower.previous.content = "an older file\n";
    EXPECT_EQ(follower.steps(), "one|two|");
    follower.previous.content = follower.file.content + "lf\nlast\n";
    follower.file.content = "new\n";
    EXPECT_EQ(follower.steps(), "half|last|~new|") << "nothing between the two is lost";
    follower.previous.content = follower.file.content;
    follower.file.content.clear();
    EXPECT_EQ(follower.steps(), "~") << "it had been read to its end";
    follower.file.content = "more\n";
    EXPECT_EQ(follower.steps(), "more|");
    follower.previous.content += "of another kind\n";
    follower.file.content = "fresh and longer\n";
    EXPECT_EQ(follower.steps(), "~fresh and longer|");
}

TEST(LineReader, AnExchangedFileIsReadInBlocksToo)
{
    Follower follower{"begin\n", {}, {.block = 128}};
    EXPECT_EQ(follower.steps(), "begin|");
    std::string expected;
    follower.previous.content = "begin\n";
    for (int i = 0; i < 500; ++i) {
        follower.previous.content += fmt::format("line {}\n", i);
        expected += fmt::format("line {}|", i);
    }
    follower.file.content = "x\n";
    EXPECT_EQ(follower.steps(), expected + "~x|");
}

TEST(LineReader, ASourceThatGivesLittleAtATimeIsFollowedToo)
{
    Follower follower{"the first line\n"};
    follower.file.most = follower.previous.most = 3;
    EXPECT_EQ(follower.steps(), "the first line|");
    follower.file.content += "the second\n";
    EXPECT_EQ(follower.steps(), "the second|");
    follower.previous.content = follower.file.content + "the last\n";
    follower.file.content = "new\n";
    EXPECT_EQ(follower.steps(), "the last|~new|");
}

TEST(LineReader, AFollowerThatComesBackToAShorterFileBeginsAnew)
{
    Follower follower{"new\n", query(nullptr, nullptr, nullptr, "500")};
    EXPECT_EQ(follower.steps(), "~new|");
}

TEST(LineReader, AFollowerStopsAtItsLimit)
{
    Follower follower{"a\nb\n", query(nullptr, nullptr, "3")};
    EXPECT_EQ(follower.steps(), "a|b|");
    follower.file.content += "c\nd\n";
    EXPECT_EQ(follower.steps(), "c|.");
    EXPECT_EQ(follower.steps(), ".");
}

TEST(LineReader, ASizeThatIsNotThereIsNotAskedForInAHurry)
{
    Follower follower{"a\n"};
    follower.file.lies = 10;
    EXPECT_EQ(follower.steps(), "a|");
    const auto reads = follower.file.reads;
    EXPECT_EQ(follower.steps(), "") << "ends with a wait";
    EXPECT_LE(follower.file.reads, reads + 2);
}

TEST(LineReader, AFollowerGoesOnAfterAnError)
{
    Follower follower{"a\n"};
    follower.file.error = Error{Errc::unavailable, "cannot read it: the agent is away"};
    EXPECT_EQ(follower.steps(), "cannot read it: the agent is away");
    follower.file.error.reset();
    EXPECT_EQ(follower.steps(), "a|");
}

}  // namespace
}  // namespace opsd::logs
