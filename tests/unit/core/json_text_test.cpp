#include "core/json_text.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <random>

namespace opsd {
namespace {

std::string json_of(std::string_view text)
{
    std::string out;
    append_quoted(out, text);
    return out;
}

TEST(JsonText, EscapesWhatJsonAndHtmlNeed)
{
    EXPECT_EQ(json_of("a\"b\\c\n\t\r\x01 é 漢 😀"), "\"a\\\"b\\\\c\\n\\t\\r\\u0001 é 漢 😀\"");
    EXPECT_EQ(json_of("<script>&"), "\"\\u003cscript\\u003e\\u0026\"");
    EXPECT_EQ(json_of("\u2028\u2029"), "\"\\u2028\\u2029\"");
    EXPECT_EQ(json_of(std::string_view{"\0\x7f", 2}), "\"\\u0000\\u007f\"");
}

TEST(JsonText, BytesThatAreNotUtf8BecomeReplacementCharacters)
{
    EXPECT_EQ(json_of("a\xff\xc3"), "\"a\\ufffd\\ufffd\"");
    EXPECT_EQ(json_of("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"");             // a surrogate
    EXPECT_EQ(json_of("\xc0\xaf"), "\"\\ufffd\\ufffd\"");                        // overlong
    EXPECT_EQ(json_of("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");  // beyond Unicode
}

TEST(JsonText, AnyBytesGiveJsonThatParses)
{
    std::mt19937 random{7};
    for (int round = 0; round < 3000; ++round) {
        std::string bytes;
        const auto length = random() % 40;
        for (std::size_t i = 0; i < length; ++i)
            bytes += static_cast<char>(random() % 4 == 0 ? 0xc0 + random() % 64 : random() % 256);
        const auto parsed = nlohmann::json::parse(json_of(bytes), nullptr, false);
        ASSERT_TRUE(parsed.is_string()) << round;
    }
}

/// Of one byte, alone.
std::string quoted_byte(unsigned char byte)
{
    if (byte == '"') return "\\\"";
    if (byte == '\\') return "\\\\";
    if (byte == '\n') return "\\n";
    if (byte == '\r') return "\\r";
    if (byte == '\t') return "\\t";
    if (byte >= 0x80) return "\\ufffd";
    const bool harmless = byte >= 0x20 && byte != 0x7f && byte != '<' && byte != '>' && byte != '&';
    return harmless ? std::string(1, static_cast<char>(byte)) : fmt::format("\\u{:04x}", byte);
}

// Plain bytes are looked at many at once: each byte at each place among them.
TEST(JsonText, EachByteIsSeenWhereverItIs)
{
    constexpr std::size_t length = 41;
    for (unsigned byte = 0; byte < 256; ++byte) {
        for (std::size_t at = 0; at < length; ++at) {
            std::string text(length, 'a');
            text[at] = static_cast<char>(byte);
            const auto quoted = json_of(text);
            const auto expected = '"' + std::string(at, 'a') + quoted_byte(static_cast<unsigned char>(byte))
                                  + std::string(length - 1 - at, 'a') + '"';
            ASSERT_EQ(quoted, expected) << byte << " at " << at;
            const auto parsed = nlohmann::json::parse(quoted, nullptr, false);
            ASSERT_TRUE(parsed.is_string()) << byte << " at " << at;
            if (byte < 0x80) ASSERT_EQ(parsed.get<std::string>(), text) << byte << " at " << at;
        }
    }
}

TEST(JsonText, EachCharacterComesBackWhereverItIs)
{
    for (const std::string character : {"\x7f", "\u0080", "é", "漢", "\u2028", "\u2029", "\uffff", "😀"}) {
        for (std::size_t at = 0; at <= 40; ++at) {
            const auto text = std::string(at, 'a') + character + std::string(40 - at, 'b');
            const auto parsed = nlohmann::json::parse(json_of(text), nullptr, false);
            ASSERT_TRUE(parsed.is_string()) << character << " at " << at;
            ASSERT_EQ(parsed.get<std::string>(), text) << at;
        }
    }
}

TEST(JsonText, WritesCommasWhereTheyBelong)
{
    std::string out;
    JsonText json{out};
    json.open('{').key("list").open('[').number(1).text("x").open('{').close('}').close(']');
    json.boolean("yes", true).key("none").null().number("big", -9'007'199'254'740'993).close('}');
    EXPECT_EQ(out, R"({"list":[1,"x",{}],"yes":true,"none":null,"big":-9007199254740993})");
}

}  // namespace
}  // namespace opsd
