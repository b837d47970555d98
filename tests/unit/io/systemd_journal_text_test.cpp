#include "io/systemd/journal_text.hpp"

#include <gtest/gtest.h>

using opsd::systemd::number_field;
using opsd::systemd::printable_text;

namespace {

constexpr std::size_t plenty = 1000;
const std::string bad = "\xEF\xBF\xBD";

}  // namespace

TEST(JournalText, KeepsWhatIsPrintable)
{
    for (const std::string text :
         {"", "plain", "tab\tand\nnewline", "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF"}) {
        EXPECT_EQ(printable_text(text, plenty), text);
    }
}

TEST(JournalText, ReplacesBytesThatAreNoUtf8)
{
    EXPECT_EQ(printable_text("a\xFF"
                             "b",
                             plenty),
              "a" + bad + "b");
    EXPECT_EQ(printable_text("\xC3", plenty), bad);  // cut short
    EXPECT_EQ(printable_text("\xE2\x82"
                             "x",
                             plenty),
              bad + bad + "x");
    EXPECT_EQ(printable_text("\xC0\xAF", plenty), bad + bad);  // overlong
    EXPECT_EQ(printable_text("\xE0\x80\x80", plenty), bad + bad + bad);
    EXPECT_EQ(printable_text("\xED\xA0\x80", plenty), bad + bad + bad);            // surrogate
    EXPECT_EQ(printable_text("\xF4\x90\x80\x80", plenty), bad + bad + bad + bad);  // beyond Unicode
}

TEST(JournalText, ReplacesControlCharacters)
{
    EXPECT_EQ(printable_text("\x1B[31mred\x7F\r", plenty), bad + "[31mred" + bad + bad);
    EXPECT_EQ(printable_text(std::string_view{"\0", 1}, plenty), bad);
    EXPECT_EQ(printable_text("\xC2\x9B"
                             "1m\xC2\xA0",
                             plenty),
              bad + "1m\xC2\xA0");  // C1; no-break space stays
}

TEST(JournalText, CutsBeforeACodePointAndSaysSo)
{
    EXPECT_EQ(printable_text("abcdef", 6), "abcdef");
    EXPECT_EQ(printable_text("abcdefg", 6), "abc\xE2\x80\xA6");
    EXPECT_EQ(printable_text("ab\xE2\x82\xAC\xE2\x82\xAC", 7), "ab\xE2\x80\xA6");
    EXPECT_EQ(printable_text("abc", 2), "ab");
    EXPECT_EQ(printable_text("\xE2\x82\xAC", 2), "");
    EXPECT_EQ(printable_text("abc", 0), "");
    EXPECT_EQ(printable_text(std::string(10, '\xFF'), 6), bad + "\xE2\x80\xA6");
}

TEST(JournalText, ReadsOnlyWholeNumbers)
{
    EXPECT_EQ(number_field("3", 6), 3U);
    for (const auto* text : {"", "3x", "-1", " 3", "99999999999"})
        EXPECT_EQ(number_field(text, 6), 6U) << text;
}
