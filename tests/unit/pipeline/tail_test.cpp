// What the pieces of a file are, whenever and in whatever blocks it is read; and the text that says how far.

#include "core/gzip.hpp"
#include "pipeline/tail/file_position.hpp"
#include "pipeline/tail/line_cutter.hpp"
#include "pipeline/tail/multi_line.hpp"

#include <gtest/gtest.h>

#include <random>

namespace opsd::pipeline {
namespace {

using namespace std::string_literals;
using Rest = Pieces::Rest;

std::vector<std::string> texts(const Pieces& pieces)
{
    std::vector<std::string> all;
    for (const auto& piece : pieces.pieces)
        all.emplace_back(piece.text);
    return all;
}

JoinRules lines(std::size_t max_line = 100)
{
    JoinRules rules;
    rules.max_line = max_line;
    return rules;
}

JoinRules traces(std::size_t max_lines = 500, std::size_t max_line = 1'000)
{
    auto rules = lines(max_line);
    rules.max_lines = max_lines;
    rules.start = *LineStart::make("^[A-Z]");
    return rules;
}

TEST(TailLines, AreWhatEndsWithANewline)
{
    const auto block = "one\n\r\ntwo\r\n\nth\0ree\nfo"s;
    const auto pieces = cut(block, lines(), false);
    EXPECT_EQ(texts(pieces), (std::vector{"one"s, ""s, "two"s, ""s, "th\0ree"s}));
    EXPECT_EQ(pieces.used, block.size() - 2);
    EXPECT_EQ(pieces.rest, Rest::partial);
    EXPECT_EQ(pieces.pieces[2].begin, 6U);
    EXPECT_EQ(pieces.pieces[2].end, 11U);
    const auto whole = cut(block, lines(), true);
    EXPECT_EQ(texts(whole).back(), "fo");
    EXPECT_EQ(whole.used, block.size());
    EXPECT_TRUE(cut("", lines(), true).pieces.empty());
    EXPECT_EQ(cut("a\r", lines(), true).pieces.at(0).text, "a\r");
}

TEST(TailLines, ALongLineIsCutBetweenCharactersAndLosesNothing)
{
    EXPECT_EQ(texts(cut("abc\n", lines(3), false)), std::vector{"abc"s});
    EXPECT_TRUE(cut("abc", lines(3), false).pieces.empty());  // its newline may come
    const auto cut_line = cut("abcd\n", lines(3), false);
    EXPECT_EQ(texts(cut_line), (std::vector{"abc"s, "d"s}));
    EXPECT_TRUE(cut_line.pieces[0].continues);
    EXPECT_FALSE(cut_line.pieces[1].continues);
    EXPECT_EQ(texts(cut("a\xc3\xa4\xc3\xa4z\n", lines(4), false)), (std::vector{"a\xc3\xa4"s, "\xc3\xa4z"s}));
    EXPECT_EQ(texts(cut("\x80\x80\x80\x80\x80\x80\n", lines(5), false)),
              (std::vector{"\x80\x80\x80\x80\x80"s, "\x80"s}));  // no UTF-8 at all
    const std::string megabyte(1 << 20, 'x');
    std::string back;
    for (const auto& piece : cut(megabyte + "\nend\n", lines(256 << 10), false).pieces)
        back += piece.text;
    EXPECT_EQ(back, megabyte + "end");
}

/// A file that is read in blocks of any size gives the same pieces as in one.
TEST(TailLines, PiecesDoNotDependOnTheBlocks)
{
    std::minstd_rand random{7};
    for (int round = 0; round < 300; ++round) {
        const auto rules = round % 2 == 0 ? lines(7) : traces(3, 9);
        std::string file;
        for (auto left = random() % 80; left-- > 0;)
            file += "aB\n\r \xc3\xa4"[random() % 7];
        std::vector<std::pair<std::size_t, std::string>> at_once;
        for (const auto& piece : cut(file, rules, false).pieces)
            at_once.emplace_back(piece.begin, piece.text);
        std::vector<std::pair<std::size_t, std::string>> in_blocks;
        std::size_t at = 0;
        for (std::size_t size = 0; at + size < file.size();) {
            size = std::min(size + 1 + random() % 9, file.size() - at);
            const auto pieces = cut(std::string_view{file}.substr(at, size), rules, false);
            for (const auto& piece : pieces.pieces)
                in_blocks.emplace_back(at + piece.begin, piece.text);
            at += pieces.used;
            size -= pieces.used;
        }
        ASSERT_EQ(in_blocks, at_once) << testing::PrintToString(file);
    }
}

TEST(TailRecords, OfSeveralLinesBeginWhereThePatternFits)
{
    const auto block = "Error\n at x\n at y\nNext\n at z\n"s;
    const auto pieces = cut(block, traces(), false);
    EXPECT_EQ(texts(pieces), std::vector{"Error\n at x\n at y"s});
    EXPECT_EQ(pieces.used, 18U);
    EXPECT_EQ(pieces.rest, Rest::lines);
    EXPECT_EQ(texts(cut(block, traces(), true)), (std::vector{"Error\n at x\n at y"s, "Next\n at z"s}));
    EXPECT_EQ(cut(block + " at", traces(), false).rest, Rest::partial);
    EXPECT_EQ(texts(cut(" lost\n at\nNext\n", traces(), false)), std::vector{" lost\n at"s});
}

TEST(TailRecords, OfSeveralLinesAreBounded)
{
    EXPECT_EQ(texts(cut("E\n1\n2\n3\n4\n", traces(3), false)), (std::vector{"E\n1\n2"s}));
    EXPECT_EQ(texts(cut("E\n1234\n5678\n", traces(500, 8), false)), (std::vector{"E\n1234"s}));
    const auto endless = std::string(30, 'e');
    EXPECT_EQ(texts(cut(endless, traces(500, 10), false)).size(), 2U);
}

TEST(TailRecords, ABlockOfTheNeededSizeAlwaysHasOne)
{
    std::minstd_rand random{11};
    for (int round = 0; round < 300; ++round) {
        const auto rules = traces(500, 5 + random() % 20);
        std::string block;
        while (block.size() < block_for(rules))
            block += "aaaaaaaaB\n"[random() % 10];
        ASSERT_GT(cut(block, rules, false).used, 0U) << testing::PrintToString(block);
    }
}

TEST(TailRecords, APatternThatIsNoneIsRefused)
{
    EXPECT_EQ(LineStart::make("(").error().code, Errc::invalid_argument);
    EXPECT_TRUE((*LineStart::make("\xff"))->matches("a\xff"));
}

TEST(Checksum, IsTheOneOfGzip) { EXPECT_EQ(crc32("123456789"), 0xcbf43926U); }

TailPosition some_position()
{
    TailPosition position;
    position.looked = 1'795'365'661'307'156;
    auto& run = position.runs["088b8a02-2fff-408e-a5d9-d738c7d38acc"];
    run.run = {"S0", "f 1", "e%\n\xff", "088b8a02-2fff-408e-a5d9-d738c7d38acc"};
    run.files["stdout"] = {0xfd00, 0x1234567890abcdef, 3, fingerprint_of("hello"), 1ULL << 60U};
    run.files["tasks/a b/stderr"] = {};
    position.runs["empty"].run = {"a", "f", "e", "empty"};
    position.done = {"one", "t w o"};
    return position;
}

TEST(TailPosition, ComesBackFromItsText)
{
    for (const auto& position : {TailPosition{}, some_position()}) {
        const auto back = parse_tail(tail_text(position));
        ASSERT_TRUE(back) << back.error().message;
        EXPECT_EQ(*back, position);
    }
}

TEST(TailPosition, ATextThatIsNotOursIsRefused)
{
    const auto good = tail_text(some_position());
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_FALSE(parse_tail(good.substr(0, size))) << size;
    for (const auto* bad :
         {"s=1;i=2;b=3", "@0", "opsd tasks 1\nend\n ", "opsd tasks 2\nlooked 0\nend\n",
          "opsd tasks 1\nlooked -1\nend\n", "opsd tasks 1\nlooked 1 2\nend\n",
          "opsd tasks 1\nlooked 1\nfile a 1:1 0 0:0 1\nend\n", "opsd tasks 1\nrun a b c\nend\n",
          "opsd tasks 1\nrun a b c d e\nend\n", "opsd tasks 1\nrun a b c d\nrun a b c d\nend\n",
          "opsd tasks 1\nrun a b c d\nfile x 1:1 0 101:0 0\nend\n",
          "opsd tasks 1\nrun a b c d\nfile x 1:1 0 0:0 -1\nend\n",
          "opsd tasks 1\nrun a b c d\nfile x 11 0 0:0 1\nend\n", "opsd tasks 1\nrun a b c %4\nend\n",
          "opsd tasks 1\nrun a  c d\nend\n", "opsd tasks 1\ndone a\ndone a\nend\n",
          "opsd tasks 1\nwhat 1\nend\n", "opsd tasks 1\n\nend\n"})
        EXPECT_FALSE(parse_tail(bad)) << bad;
    EXPECT_TRUE(parse_tail("opsd tasks 1\nlooked 0\nend\n"));
}

}  // namespace
}  // namespace opsd::pipeline
