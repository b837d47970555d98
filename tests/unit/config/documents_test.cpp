#include "sample.hpp"

using namespace opsd::config;
using namespace opsd::config::test;

namespace {

/// What an operator does: takes every # away that stands directly before a setting.
std::string uncommented(const std::string& text)
{
    std::string all;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = text.find('\n', at);
        auto line = text.substr(at, end - at);
        const auto mark = line.find_first_not_of(' ');
        if (mark != std::string::npos && line[mark] == '#' && mark + 1 < line.size()
            && line[mark + 1] != ' ') {
            line.erase(mark, 1);
        }
        all += line + "\n";
        at = end + 1;
    }
    return all;
}

/// Parses a configuration text and returns what is effective, with mistakes as failures.
std::string effective_of(const std::string& text)
{
    const auto root = parse_yaml(text, "example");
    if (!root) return root.error().to_string() + "\n" + text;
    Mistakes mistakes;
    for (const auto& section : sections())
        section.schema.check(root->find(section.name), section.name, mistakes);
    for (const auto& mistake : mistakes)
        ADD_FAILURE() << mistake.to_string();
    return effective(*root, sections());
}

constexpr auto defaults = R"(health:
  enabled: true
  anonymous: "none"
  interval: 10s
  body: 1MiB
  ratio: 0.5
  token: null
  units: ["*.service", "a, b"]
  listeners: []
  flapping:
    restarts: 3
    window: 10m
http:
  name: "opsd"
  listeners:
    - address: "127.0.0.1"
      port: 1050
    - address: "::1"
      port: 1051
)";

}  // namespace

TEST(Effective, ShowsEverySettingAndReadsBackToTheSame)
{
    EXPECT_EQ(effective(Value::map(), sections()), defaults);
    EXPECT_EQ(effective_of(defaults), defaults);
}

TEST(Effective, KeepsSecretsAsReferences)
{
    const auto root = yaml("health: {token: {file: /etc/token}}");
    EXPECT_NE(effective(root, sections()).find("  token:\n    file: \"/etc/token\"\n"), std::string::npos);
}

TEST(Example, ParsesAsItIsAndWithEverySettingUncommented)
{
    const auto text = example(sections());
    EXPECT_EQ(effective_of(text), defaults);
    const auto full = uncommented(text);
    EXPECT_EQ(effective_of(full), defaults);
    // Uncommented, it says all of it itself: nothing is left to a default.
    EXPECT_TRUE(yaml(full) == yaml(defaults)) << full;
}

TEST(Example, EverySettingHasItsHelp)
{
    const auto text = example(sections());
    EXPECT_NE(
        text.find(
            "# Unit health of this node\nhealth:\n  # Whether to look at all (boolean)\n  #enabled: true\n"),
        std::string::npos)
        << text;
    EXPECT_NE(text.find("  # Largest body (size, at least 1KiB; needs a restart)\n  #body: 1MiB\n"),
              std::string::npos);
    EXPECT_NE(text.find("  # - port: TCP port (integer, 1 to 65535; default 1050)\n"), std::string::npos);
    EXPECT_NE(text.find("\n  # When a unit flaps\n  flapping:\n    # Restarts"), std::string::npos);
}

TEST(Markdown, IsOneTablePerSection)
{
    const auto text = markdown(sections());
    EXPECT_NE(text.find("\n## health\n\nUnit health of this node\n\n| setting |"), std::string::npos);
    EXPECT_NE(
        text.find(
            "\n| `health.interval` | duration | `10s` | at least 1s | Time between two looks | reload |\n"),
        std::string::npos)
        << text;
    EXPECT_NE(text.find("\n| `health.body` | size | `1MiB` | at least 1KiB | Largest body | restart |\n"),
              std::string::npos);
    EXPECT_NE(text.find("\n| `health.flapping` | section | | | When a unit flaps | |\n"), std::string::npos);
    EXPECT_NE(text.find("\n| `health.flapping.restarts` | integer | `3` | 1 to 100 |"), std::string::npos);
    EXPECT_NE(text.find("\n| `health.listeners[].port` | integer | `1050` |"), std::string::npos);
    EXPECT_NE(text.find("What \\| a caller may \\| do"), std::string::npos) << "a | would break the table";
}

TEST(JsonSchema, DescribesEveryType)
{
    // JSON is YAML: our own reader looks at the document.
    const auto schema = yaml(json_schema(sections()));
    EXPECT_EQ(schema.find("$schema")->text, "https://json-schema.org/draft/2020-12/schema");
    EXPECT_EQ(schema.find("additionalProperties")->text, "false");
    const auto* health = schema.find("properties")->find("health");
    EXPECT_EQ(show(*health->find("type")), "[\"object\", \"null\"]");
    EXPECT_EQ(health->find("additionalProperties")->text, "false");
    const auto* fields = health->find("properties");
    EXPECT_EQ(show(*fields->find("enabled")),
              "{type: \"boolean\", description: \"Whether to look at all\", default: true}");
    EXPECT_EQ(show(*fields->find("anonymous")->find("enum")), "[\"none\", \"viewer\"]");
    EXPECT_EQ(show(*fields->find("ratio")),
              "{type: \"number\", description: \"A share; must be 0 to 1\", default: 0.5}");
    const auto* interval = fields->find("interval");
    EXPECT_EQ(interval->find("anyOf")->items[0].find("type")->text, "string");
    EXPECT_EQ(interval->find("anyOf")->items[0].find("pattern")->text,
              "^(0|(?=.)(\\d+d)?(\\d+h)?(\\d+m)?(\\d+s)?(\\d+ms)?)$");
    EXPECT_EQ(interval->find("anyOf")->items[1].find("const")->text, "0");
    EXPECT_TRUE(*interval->find("default") == Value::scalar("10s", true));
    EXPECT_EQ(fields->find("token")->find("oneOf")->items.size(), 3U);
    EXPECT_EQ(show(*fields->find("units")->find("items")), "{type: \"string\"}");
    EXPECT_EQ(show(*fields->find("units")->find("default")), "[\"*.service\", \"a, b\"]");
    EXPECT_EQ(show(*fields->find("listeners")->find("items")->find("properties")->find("port")->find("type")),
              "\"integer\"");
    EXPECT_EQ(show(*fields->find("flapping")->find("properties")->find("restarts")->find("default")), "3");
    EXPECT_TRUE(fields->find("body")->find("description")->text.ends_with("; needs a restart"));
}
