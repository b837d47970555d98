#include "sample.hpp"

using namespace opsd::config;
using namespace opsd::config::test;

namespace {

/// Parses a section and returns every mistake, one sentence a line.
std::string mistakes_in(std::string_view text, Options* options = nullptr)
{
    const auto document = yaml(text);
    Mistakes mistakes;
    const auto parsed = schema().parse(document.find("health"), "health", mistakes);
    if (options != nullptr) *options = parsed;
    std::string all;
    for (const auto& mistake : mistakes)
        all += mistake.to_string() + "\n";
    return all;
}

}  // namespace

TEST(Schema, NothingGivesTheDefaults)
{
    for (const auto* text : {"", "health:", "health: {}", "health: {flapping: }"}) {
        Options options;
        EXPECT_EQ(mistakes_in(text, &options), "");
        EXPECT_EQ(options.interval, 10s);
        EXPECT_EQ(options.flapping.restarts, 3);
        EXPECT_EQ(options.units.size(), 2U);
    }
}

TEST(Schema, EveryOptionIsRead)
{
    Options options;
    EXPECT_EQ(mistakes_in("health:\n"
                          "  enabled: false\n"
                          "  anonymous: viewer\n"
                          "  interval: 1m30s\n"
                          "  body: 8MiB\n"
                          "  ratio: 0.25\n"
                          "  token: {credential: cluster}\n"
                          "  units: [ssh.service]\n"
                          "  listeners:\n"
                          "    - address: 10.0.0.1\n"
                          "      port: 80\n"
                          "    - {}\n"
                          "  flapping: {restarts: 5, window: 1h}\n",
                          &options),
              "");
    EXPECT_FALSE(options.enabled);
    EXPECT_EQ(options.anonymous, "viewer");
    EXPECT_EQ(options.interval, 90s);
    EXPECT_EQ(options.body.count, 8U << 20);
    EXPECT_EQ(options.ratio, 0.25);
    EXPECT_EQ(options.token, (Secret{Secret::From::credential, "cluster"}));
    EXPECT_EQ(options.units, std::vector<std::string>{"ssh.service"});
    ASSERT_EQ(options.listeners.size(), 2U);
    EXPECT_EQ(options.listeners[0].port, 80);
    EXPECT_EQ(options.listeners[1].port, 1050);
    EXPECT_EQ(options.flapping.restarts, 5);
    EXPECT_EQ(options.flapping.window, 1h);
}

TEST(Schema, AllMistakesAreReportedAtOnceEachWithItsLine)
{
    EXPECT_EQ(
        mistakes_in("health:\n"
                    "  enabeld: true\n"
                    "  zebra: 1\n"
                    "  interval: 10\n"
                    "  anonymous: admin\n"
                    "  ratio: 1.5\n"
                    "  listeners:\n"
                    "    - port: 70000\n"
                    "    - prot: 1\n"
                    "  flapping:\n"
                    "    restarts: \"5\"\n"
                    "    window: 10ms\n"),
        "opsd.yaml:2: health.enabeld: unknown key, did you mean \"enabled\"?\n"
        "opsd.yaml:3: health.zebra: unknown key, known are enabled, anonymous, interval, body, ratio, token, "
        "units, listeners, flapping\n"
        "opsd.yaml:4: health.interval: is 10, must be a duration with units, such as 250ms, 10s, 1m30s or "
        "7d\n"
        "opsd.yaml:5: health.anonymous: is \"admin\", must be one of none, viewer\n"
        "opsd.yaml:6: health.ratio: is 1.5, must be 0 to 1\n"
        "opsd.yaml:8: health.listeners[0].port: is 70000, must be 1 to 65535\n"
        "opsd.yaml:9: health.listeners[1].prot: unknown key, did you mean \"port\"?\n"
        "opsd.yaml:11: health.flapping.restarts: is \"5\", must be an integer, without quotes\n"
        "opsd.yaml:12: health.flapping.window: is 10ms, must be at least 1s\n");
}

TEST(Schema, TheWrongKindIsNamed)
{
    EXPECT_EQ(mistakes_in("health: 5"), "opsd.yaml:1: health: is 5, must be a section of keys and values\n");
    EXPECT_EQ(mistakes_in("health: [a]"),
              "opsd.yaml:1: health: is a list, must be a section of keys and values\n");
    EXPECT_EQ(mistakes_in("health: {listeners: {a: 1}}"),
              "opsd.yaml:1: health.listeners: must be a list of sections\n");
    EXPECT_EQ(mistakes_in("health: {listeners: [5]}"),
              "opsd.yaml:1: health.listeners[0]: is 5, must be a section of keys and values\n");
}

TEST(Schema, AKeyFromTheFileCannotForgeATerminal)
{
    EXPECT_EQ(mistakes_in("health: {\"a\\e[31mb\\nc\": 1, enabled: true}").substr(0, 44),
              "opsd.yaml:1: health.\"a\\x1b[31mb\\nc\": unknown");
}

TEST(Schema, ShowGivesTheEffectiveOptions)
{
    Mistakes none;
    const auto document = yaml("flapping: {restarts: 5}");
    const auto options = schema().parse(&document, "health", none);
    EXPECT_EQ(show(schema().show(options)),
              "{enabled: true, anonymous: \"none\", interval: 10s, body: 1MiB, ratio: 0.5, token: null, "
              "units: [\"*.service\", \"a, b\"], listeners: [], flapping: {restarts: 5, window: 10m}}");
}

TEST(Nearest, FindsWhatWasMeantAndNothingElse)
{
    const std::vector<std::string> keys{"flapping", "interval", "max_body", "tls", "port"};
    EXPECT_EQ(nearest("flaping", keys), "flapping");
    EXPECT_EQ(nearest("intervall", keys), "interval");
    EXPECT_EQ(nearest("itnerval", keys), "interval");
    EXPECT_EQ(nearest("max-body", keys), "max_body");
    EXPECT_EQ(nearest("MAX_BODY", keys), "max_body");
    EXPECT_EQ(nearest("prot", keys), "port");
    EXPECT_EQ(nearest("dns", keys), "");
    EXPECT_EQ(nearest("x", keys), "");
    EXPECT_EQ(nearest("", keys), "");
    EXPECT_EQ(nearest("colour", keys), "");
    EXPECT_EQ(nearest(std::string(100'000, 'a'), keys), "");
    EXPECT_EQ(nearest("flapping", {}), "");
}

TEST(Mistake, NamesWhatItKnows)
{
    EXPECT_EQ((Mistake{{"f", 3}, "a.b", "is bad"}.to_string()), "f:3: a.b: is bad");
    EXPECT_EQ((Mistake{{"environment OPSD_A__B", 0}, "a.b", "is bad"}.to_string()),
              "environment OPSD_A__B: a.b: is bad");
    EXPECT_EQ((Mistake{{"f", 0}, "", "cannot be read"}.to_string()), "f: cannot be read");
}
