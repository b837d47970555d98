#include "sample.hpp"

using namespace opsd::config;
using namespace opsd::config::test;

namespace {

Value field(std::string_view text)
{
    const auto document = yaml("v: " + std::string{text});
    const auto* found = document.find("v");
    return found == nullptr ? Value{} : *found;
}

/// Parse, write, parse: nothing may change.
void expect_round_trip(const Value& value)
{
    const auto text = to_yaml(value);
    const auto again = parse_yaml(text, "again");
    ASSERT_TRUE(again) << again.error().to_string() << "\n" << text;
    EXPECT_TRUE(*again == value) << text;
}

}  // namespace

TEST(Yaml, EveryValueKnowsItsFileAndLine)
{
    const auto root = yaml("# comment\na: 1\nb:\n  c: x\n  d:\n    - p\n    -\n      q: 2\n");
    EXPECT_EQ(root.where.file, "opsd.yaml");
    EXPECT_EQ(root.find("a")->where.line, 2);
    const auto* b = root.find("b");
    EXPECT_EQ(b->where.line, 3) << "a section is where its key is";
    EXPECT_EQ(b->find("c")->where.line, 4);
    const auto* d = b->find("d");
    EXPECT_EQ(d->where.line, 5);
    EXPECT_EQ(d->items[0].where.line, 6);
    EXPECT_EQ(d->items[1].find("q")->where.line, 8);
    EXPECT_EQ(d->items[1].find("q")->where.file, "opsd.yaml");
}

TEST(Yaml, AnEmptyDocumentIsAnEmptyMap)
{
    for (const auto* text : {"", "\n", "# only a comment\n", "---\n", "--- ~\n", "{}", "\xEF\xBB\xBF"}) {
        const auto value = parse_yaml(text, "f");
        ASSERT_TRUE(value) << text;
        EXPECT_TRUE(*value == Value::map()) << text;
    }
}

TEST(Yaml, JsonIsYaml)
{
    const auto root =
        yaml("{\n\t\"health\": {\"interval\": \"10s\", \"units\": [\"a\", \"b\"], \"n\": 5, \"x\": null}\n}");
    const auto* health = root.find("health");
    ASSERT_NE(health, nullptr);
    EXPECT_TRUE(*health->find("interval") == Value::scalar("10s", true));
    EXPECT_TRUE(*health->find("n") == Value::scalar("5"));
    EXPECT_EQ(health->find("units")->items.size(), 2U);
    EXPECT_EQ(health->find("x")->kind, Value::Kind::null);
}

TEST(Yaml, AQuotedScalarIsAStringWhateverItLooksLike)
{
    EXPECT_TRUE(field("10") == Value::scalar("10"));
    EXPECT_TRUE(field("\"10\"") == Value::scalar("10", true));
    EXPECT_TRUE(field("'true'") == Value::scalar("true", true));
    EXPECT_TRUE(field("|\n  10\n") == Value::scalar("10\n", true));
    EXPECT_TRUE(field("\"null\"") == Value::scalar("null", true));
    for (const auto* nothing : {"", "~", "null"})
        EXPECT_EQ(field(nothing).kind, Value::Kind::null) << nothing;
}

TEST(Yaml, RefusesWhatAConfigurationHasNoUseFor)
{
    EXPECT_EQ(mistake_of("a: 1\nb: 2\na: 3\n"),
              "opsd.yaml:3: the key \"a\" is written twice; the first is in line 1");
    EXPECT_EQ(mistake_of("x:\n  a: 1\n  \"a\": 3\n"),
              "opsd.yaml:3: the key \"a\" is written twice; the first is in line 2");
    EXPECT_EQ(mistake_of("a: &x 1\nb: 2\n"),
              "opsd.yaml:1: anchors (&name) are not allowed; write the value out, in "
              "quotes if it begins with &");
    EXPECT_EQ(
        mistake_of("a: 1\nb: *x\n"),
        "opsd.yaml:2: aliases (*name) are not allowed; write the value out, in quotes if it begins with *");
    EXPECT_EQ(mistake_of("a: &x [1]\nb: *x\n").substr(0, 33), "opsd.yaml:1: anchors (&name) are ");
    EXPECT_EQ(mistake_of("a: !!int 5\n"),
              "opsd.yaml:1: tags (!name) are not allowed; put the value in quotes if it begins with !");
    EXPECT_EQ(mistake_of("a:\n  !map {b: 1}\n"),
              "opsd.yaml:2: tags (!name) are not allowed; put the value in quotes if it begins with !");
    EXPECT_EQ(mistake_of("a: 1\n---\nb: 2\n"),
              "opsd.yaml:2: a second document begins here; write one file per document");
    EXPECT_EQ(mistake_of("- a\n- b\n"),
              "opsd.yaml:1: the document is a list, must be a section of keys and values");
    EXPECT_EQ(mistake_of("\nhello\n"),
              "opsd.yaml:2: the document is hello, must be a section of keys and values");
    EXPECT_EQ(mistake_of("? [a, b]\n: 1\n"),
              "opsd.yaml:1: a key is a list or a section, must be a text; is a bracket left open?");
    EXPECT_EQ(mistake_of("a: 1\n~: 2\n"),
              "opsd.yaml:2: a key is empty or null; put it in quotes if it is meant");
}

TEST(Yaml, RefusesTooMuchOfAnything)
{
    const auto nested = [](std::size_t levels) {
        return "a: " + std::string(levels, '[') + std::string(levels, ']');
    };
    EXPECT_EQ(mistake_of(nested(63)), "");
    EXPECT_EQ(mistake_of(nested(64)), "opsd.yaml:1: more than 64 levels");
    EXPECT_EQ(mistake_of(nested(100'000)), "opsd.yaml:1: more than 64 levels");
    EXPECT_EQ(mistake_of("a: " + std::string(1 << 20, 'x')),
              "opsd.yaml: is 1048579 bytes, at most 1048576 are allowed");
    EXPECT_EQ(mistake_of(std::string(200, 'k') + ": 1"), "");
    EXPECT_EQ(mistake_of("\n" + std::string(201, 'k') + ": 1"),
              "opsd.yaml:2: a key of 201 bytes, at most 200 are allowed");
    std::string many;
    for (int i = 0; i <= 10'000; ++i)
        many += "k" + std::to_string(i) + ": 1\n";
    EXPECT_EQ(mistake_of(many), "opsd.yaml:10001: more than 10000 keys in one section");
}

TEST(Yaml, RefusesBytesThatAreNoText)
{
    // Byte 4 would end the document silently, NULs would turn it into UTF-16.
    EXPECT_EQ(mistake_of("a: 1\n\x04\nb: 2\n"),
              "opsd.yaml:2: control character 0x04; write it as \"\\x04\" in quotes");
    EXPECT_EQ(mistake_of(std::string_view{"a\0: 1", 5}),
              "opsd.yaml:1: control character 0x00; write it as \"\\x00\" in quotes");
    EXPECT_EQ(mistake_of("a: 1\nb: \xC3\x28\n"), "opsd.yaml:2: byte 0xc3 is not UTF-8");
    for (const auto* bad :
         {"\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF", "\xE2\x82"}) {
        EXPECT_NE(mistake_of(std::string{"a: "} + bad), "") << bad;
    }
    EXPECT_EQ(field("\"a\\N\\_\\xA0\"").text, "a\xC2\x85\xC2\xA0\xC2\xA0") << "escapes give UTF-8 too";
    EXPECT_EQ(field("grün \xF0\x9F\x98\x80").text, "grün \xF0\x9F\x98\x80");
}

TEST(Yaml, SyntaxErrorsCarryTheLineAndTheReason)
{
    EXPECT_EQ(mistake_of("a: 1\nb: [1, 2\nc: 3\n"),
              "opsd.yaml:3: cannot be read as YAML: end of sequence flow not found; "
              "check the indentation, brackets and quotes here");
    EXPECT_EQ(mistake_of("a: 1\n   b: 2\n"), "opsd.yaml:2: cannot be read as YAML: illegal map value; "
                                             "check the indentation, brackets and quotes here");
    EXPECT_EQ(mistake_of("a: \"\\q\"\n").substr(0, 36), "opsd.yaml:1: cannot be read as YAML:");
    EXPECT_EQ(mistake_of("%YAML 9.0\n---\na: 1\n").substr(0, 36), "opsd.yaml:1: cannot be read as YAML:");
}

TEST(Yaml, AnOpenQuoteSwallowsNothing)
{
    const std::string never = " that opens here is never closed";
    EXPECT_EQ(mistake_of("a: 1\nb: \"x\nc: 5\n"), "opsd.yaml:2: the quote \"" + never);
    EXPECT_EQ(mistake_of("a: 1\nb: 'x\nc: 5\n"), "opsd.yaml:2: the quote '" + never);
    EXPECT_EQ(mistake_of("a: 1\nb: 'it''s\n"), "opsd.yaml:2: the quote '" + never);
    EXPECT_EQ(mistake_of("\xEF\xBB\xBFgr\xC3\xBCn: 1\nb: \"x\\\"\n"), "opsd.yaml:2: the quote \"" + never);
    EXPECT_NE(mistake_of("\"b: 5\n"), "");
    for (const auto* good :
         {"\xEF\xBB\xBF\"gr\xC3\xBCn\": \"a\\\"b\"", "a: 'it''s'", "a: \"\"", "a: \"two\n  lines\"",
          "a: |\n  \"\n", "a: >-\n  '\nb: 'c'", "{\"a\":\"b\"}", "a: x\"y"}) {
        EXPECT_EQ(mistake_of(good), "") << good;
    }
    EXPECT_EQ(mistake_of("a: ! x\n"),
              "opsd.yaml:1: tags (!name) are not allowed; put the value in quotes if it begins with !");
}

TEST(Yaml, WhatIsWrittenParsesToTheSame)
{
    for (const auto* text : {"a: 1",
                             "a: \"1\"",
                             "a: ''",
                             "a: ~",
                             "a: {}",
                             "a: []",
                             "a: [[]]",
                             "a: [[], {}]",
                             "a: [[a, [b]], {c: [d]}]",
                             "a: [1, null, \"x, y\", 'it''s']",
                             "a:\n  - b: 1\n    c: [x]\n  - {}\n  - d:\n      e: f\n",
                             "a: {b: {c: {d: {}}}}",
                             "\"key with space\": \"a: b # c\"",
                             "\"\": x",
                             "\"null\": \"null\"",
                             "a: |\n  line\n  line\n",
                             "a: plain words here",
                             "a: one\n\n  two",
                             "a: \"\\x00\\x04\\e\\u2028\\uFEFF\\U0001F600\"",
                             "a: -1",

                             "a: ---x",
                             "a: http://x:1/y?z",
                             "a: 1m30s",
                             "a: .5",
                             "\"...\": \"...\"",
                             "\"---\": '---'",
                             "a: '@x'",
                             "a: \"tab\\there\"",
                             "a: [{}]"}) {
        const auto value = parse_yaml(text, "f");
        ASSERT_TRUE(value) << text << "\n" << value.error().to_string();
        expect_round_trip(*value);
    }
}

TEST(Yaml, TheWrittenFormIsReadable)
{
    EXPECT_EQ(to_yaml(yaml("a: {b: 1, c: [x, \"y\"], d: [{e: 1, f: 2}, {g: []}]}\nh: ~\n")),
              "a:\n  b: 1\n  c: [x, \"y\"]\n  d:\n    - e: 1\n      f: 2\n    - g: []\nh: null\n");
    EXPECT_EQ(to_yaml(Value::map()), "{}\n");
    EXPECT_EQ(to_yaml(Value::scalar("x")), "x\n");
}

TEST(Yaml, LaterLayersMergeKeyByKey)
{
    auto base = yaml("a: {b: 1, c: 2}\nl: [1, 2]\ns: {x: 1}\nn: 1\n");
    merge(base, yaml("a: {c: 3, d: 4}\nl: [9]\ns: 5\nn: {y: 1}\nz: 1\n"));
    EXPECT_TRUE(base == yaml("a: {b: 1, c: 3, d: 4}\nl: [9]\ns: 5\nn: {y: 1}\nz: 1\n"));
}

TEST(Yaml, AnEmptySectionWipesNothing)
{
    auto base = yaml("a: {b: 1}\nc: 1\n");
    merge(base, yaml("a:\nc:\n"));
    EXPECT_TRUE(base == yaml("a: {b: 1}\nc: ~\n"));
}

TEST(Yaml, SetReplacesOrAppends)
{
    auto map = Value::map();
    map.set("a", Value::scalar("1"));
    map.set("b", Value::scalar("2"));
    map.set("a", Value::scalar("3"));
    EXPECT_EQ(show(map), "{a: 3, b: 2}");
    EXPECT_EQ(map.find("c"), nullptr);
}
